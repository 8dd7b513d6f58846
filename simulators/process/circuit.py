"""Pressures and flows in the cross-flow circuit: pump with slip, fibres, retentate valve."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulators.process.membrane import PA_PER_PSI


@dataclass(frozen=True, slots=True)
class CircuitParameters:
    """Pump and retentate valve (engineering defaults).

    The pump slips in proportion to its pressure and stalls at ``stall_psi``. The valve has an equal-percentage
    characteristic: its drop is ``valve_psi`` at 1.2 L/min fully open, times ``rangeability ** (2 (1 - opening))``.
    """

    displacement_ml_per_rev: float = 2.0
    max_rpm: float = 1800.0
    stall_psi: float = 120.0
    valve_psi: float = 0.3
    valve_flow_ml_per_s: float = 20.0
    rangeability: float = 15.0
    permeate_line_psi: float = 0.15
    """Back pressure of the open permeate line at 100 mL/min."""

    def valve_coefficient(self, opening: float, blockage: float) -> float:
        """Pressure per square of the flow in Pa/(m3/s)^2; ``blockage`` multiplies it (1 is healthy)."""
        at_full = self.valve_psi * PA_PER_PSI / (self.valve_flow_ml_per_s * 1e-6) ** 2
        return at_full * math.pow(self.rangeability, 2.0 * (1.0 - opening)) * blockage

    @property
    def permeate_line(self) -> float:
        """Resistance of the open permeate line in Pa s/m3."""
        return self.permeate_line_psi * PA_PER_PSI / (100.0 / 60.0 * 1e-6)


def circulate(
    delivery: float, permeate: float, valve: float, fibres: float, stall_pa: float
) -> tuple[float, float, float]:
    """Feed flow, feed pressure, retentate pressure (m3/s, Pa) of a full circuit.

    ``delivery`` is what the pump would deliver against no pressure, ``permeate`` what leaves through the membrane
    (both m3/s), ``valve`` in Pa/(m3/s)^2, ``fibres`` in Pa s/m3. The drop along the fibres is that of the mean flow.
    Solves Q = delivery (1 - P/stall) with P = valve Qr^2 + fibres (Q + Qr)/2 and Qr = Q - permeate exactly.
    """
    if delivery <= 0.0:
        return 0.0, 0.0, 0.0
    slip = delivery / stall_pa
    a = slip * valve
    b = 1.0 + slip * fibres
    c = permeate - delivery + slip * fibres * permeate / 2.0
    if c >= 0.0:
        flow = min(permeate, delivery)
        return flow, stall_pa * (1.0 - flow / delivery), 0.0
    # The numerically stable root: the usual one cancels for a wide-open valve.
    retentate = -2.0 * c / (b + math.sqrt(b * b - 4.0 * a * c))
    pressure = valve * retentate * retentate
    return retentate + permeate, pressure + fibres * (retentate + permeate / 2.0), pressure
