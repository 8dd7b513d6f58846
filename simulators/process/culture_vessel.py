"""The two kinds of culture vessel: what flow and stirring do to the cells in them, and how fast oxygen gets in.

Stress in dyn/cm2 (1 dyn/cm2 = 0.1 Pa), flow in mL/min, speed in rpm. ``harm`` has no unit; 0 is harmless.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

DYN_PER_CM2_PER_PA: Final = 10.0
HARM_FROM_DYN_PER_CM2: Final = 2.1
"""Wall shear stress above which stromal cells in packed beds suffered."""


class CellSide(StrEnum):
    """Where in a hollow-fibre bioreactor the cells sit."""

    LUMEN = "lumen"
    OUTSIDE = "outside"


class CultureVessel(Protocol):
    """What the culture asks of its vessel."""

    @property
    def working_ml(self) -> float:
        """Volume at a level of 100 %."""

    @property
    def confluent_cells(self) -> float:
        """Cells that cover the whole surface."""

    def stress(self, flow_ml_min: float, rpm: float) -> float:
        """Shear stress on the cells, dyn/cm2."""

    def harm(self, flow_ml_min: float, rpm: float) -> float:
        """By how much the stress is above what the cells bear."""

    def kla_per_h(self, flow_ml_min: float, rpm: float) -> float:
        """Oxygen transfer coefficient at the working volume."""


@dataclass(frozen=True, slots=True)
class HollowFibre:
    """A hollow-fibre bioreactor whose medium is pumped through the lumen and a gas exchanger.

    tau = 4 mu Q / (n pi r^3) on the wall of the lumen. Cells outside the fibres do not feel it. Oxygen: from 1 /h at
    rest to 10 /h, half of the way at ``half_flow_ml_min`` (engineering default).
    """

    cell_side: CellSide = CellSide.LUMEN
    fibres: int = 11_500
    radius_m: float = 0.1e-3
    length_m: float = 0.29
    viscosity_pa_s: float = 0.8e-3
    working_ml: float = 1000.0
    cells_per_cm2: float = 5.0e4
    half_flow_ml_min: float = 15.0

    @property
    def confluent_cells(self) -> float:
        """Cells that cover the fibres' inner (or, seen as one, outer) surface."""
        area_cm2 = self.fibres * 2.0 * math.pi * self.radius_m * self.length_m * 1e4
        return area_cm2 * self.cells_per_cm2

    def stress(self, flow_ml_min: float, rpm: float) -> float:
        """Wall shear stress in the lumen, where the cells are there."""
        if self.cell_side is CellSide.OUTSIDE:
            return 0.0
        flow = flow_ml_min / 60.0 * 1e-6
        wall_pa = 4.0 * self.viscosity_pa_s * flow / (self.fibres * math.pi * self.radius_m**3)
        return wall_pa * DYN_PER_CM2_PER_PA

    def harm(self, flow_ml_min: float, rpm: float) -> float:
        """The stress above 2.1 dyn/cm2."""
        return max(0.0, self.stress(flow_ml_min, rpm) - HARM_FROM_DYN_PER_CM2)

    def kla_per_h(self, flow_ml_min: float, rpm: float) -> float:
        """1 to 10 /h with the flow through the gas exchanger."""
        return 1.0 + 9.0 * flow_ml_min / (flow_ml_min + self.half_flow_ml_min)


@dataclass(frozen=True, slots=True)
class StirredTank:
    """A stirred tank with cells on microcarriers.

    Power P = Np rho N^3 D^5, dissipation eps = P/(rho V), Kolmogorov length (nu^3/eps)^(1/4); stress mu (eps/nu)^(1/2).
    Eddies smaller than two thirds of a carrier harm. Oxygen through the surface: 1 to 10 /h with the speed.
    """

    impeller_m: float = 0.07
    power_number: float = 1.5
    carrier_um: float = 150.0
    carrier_cm2: float = 20_000.0
    viscosity_pa_s: float = 0.8e-3
    density_kg_m3: float = 1000.0
    working_ml: float = 1000.0
    cells_per_cm2: float = 5.0e4
    half_rpm: float = 60.0

    @property
    def confluent_cells(self) -> float:
        """Cells that cover all carriers."""
        return self.carrier_cm2 * self.cells_per_cm2

    def dissipation(self, rpm: float) -> float:
        """Mean energy dissipation, W/kg."""
        return self.power_number * (rpm / 60.0) ** 3 * self.impeller_m**5 / (self.working_ml * 1e-6)

    def eddies_um(self, rpm: float) -> float:
        """Kolmogorov length; infinite at rest."""
        if rpm <= 0.0:
            return math.inf
        nu = self.viscosity_pa_s / self.density_kg_m3
        return math.pow(nu**3 / self.dissipation(rpm), 0.25) * 1e6

    def stress(self, flow_ml_min: float, rpm: float) -> float:
        """Stress of the smallest eddies."""
        nu = self.viscosity_pa_s / self.density_kg_m3
        return self.viscosity_pa_s * math.sqrt(self.dissipation(rpm) / nu) * DYN_PER_CM2_PER_PA

    def harm(self, flow_ml_min: float, rpm: float) -> float:
        """How much smaller the eddies are than two thirds of a carrier."""
        return max(0.0, 2.0 / 3.0 * self.carrier_um / self.eddies_um(rpm) - 1.0)

    def kla_per_h(self, flow_ml_min: float, rpm: float) -> float:
        """1 to 10 /h with the speed."""
        return 1.0 + 9.0 * rpm / (rpm + self.half_rpm)
