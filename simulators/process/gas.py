"""Gas over the medium and gases in it. Dissolved oxygen is given as the gas that would be in equilibrium with it.

1 % O2 is 7.1 mmHg, 4.8 % of air saturation, 10 uM (37 degC, 760 mmHg, moist gas).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

AIR_O2: Final = 20.95
"""% v/v of O2 in air."""
UM_PER_PERCENT: Final = 10.0
"""Dissolved oxygen in uM per % of O2 in the gas."""
MMHG_PER_PERCENT: Final = 7.13


@dataclass(slots=True)
class GasFlows:
    """What the mass flow controllers let through, mL/min."""

    air: float = 0.0
    n2: float = 0.0
    co2: float = 0.0
    o2: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.air + self.n2 + self.co2 + self.o2

    @property
    def o2_percent(self) -> float:
        """O2 in the mixture; of no gas, that of the room's air, which comes in through the vent filter."""
        total = self.total
        return AIR_O2 if total <= 0.0 else (AIR_O2 * self.air + 100.0 * self.o2) / total

    @property
    def co2_percent(self) -> float:
        """CO2 in the mixture."""
        total = self.total
        return 0.0 if total <= 0.0 else 100.0 * self.co2 / total


@dataclass(slots=True)
class DissolvedGas:
    """Head space and medium, % O2 and % CO2."""

    head_o2: float = AIR_O2
    head_co2: float = 0.0
    o2: float = AIR_O2
    co2: float = 0.0

    def advance(self, h: float, flows: GasFlows, head_s: float, kla_per_s: float, uptake_per_s: float) -> None:
        """Let h seconds pass. ``head_s`` is the head space's residence time; cells take up ``uptake_per_s`` of the O2.

        Both gases pass head space and medium as two lags in a row, solved exactly for constant flows and rates.
        """
        o2_in, co2_in = flows.o2_percent, flows.co2_percent
        self.o2 = _second(h, o2_in, self.head_o2, self.o2, 1.0 / head_s, kla_per_s, uptake_per_s)
        self.co2 = _second(h, co2_in, self.head_co2, self.co2, 1.0 / head_s, kla_per_s, 0.0)
        swept = math.exp(-h / head_s)
        self.head_o2 = o2_in + (self.head_o2 - o2_in) * swept
        self.head_co2 = co2_in + (self.head_co2 - co2_in) * swept

    def mix(self, stays: float, o2: float, co2: float) -> None:
        """Other liquid has come in, of which ``stays`` is the share of the old one."""
        self.o2 = self.o2 * stays + o2 * (1.0 - stays)
        self.co2 = self.co2 * stays + co2 * (1.0 - stays)


def _second(h: float, entering: float, head: float, here: float, sweep: float, transfer: float, uptake: float) -> float:
    """C after h seconds of C' = transfer (G - C) - uptake C, with G' = sweep (entering - G)."""
    out = transfer + uptake
    if out <= 0.0:
        return here
    gone, swept = math.exp(-out * h), math.exp(-sweep * h)
    # With equal rates the quotient of differences becomes a derivative.
    apart = h * gone if abs(out - sweep) < 1e-9 else (swept - gone) / (out - sweep)
    return here * gone + transfer * (entering * (1.0 - gone) / out + (head - entering) * apart)
