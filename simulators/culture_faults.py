"""The faults that testers can cause on the simulated bioreactor and its station."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulators.devices.bioreactor import SENSORS
from simulators.devices.bioreactor_nodes import WRITABLE
from simulators.devices.station_registers import HOLDING, Holding
from simulators.ev_plant import EvPlant
from simulators.fault_models import BaseFault, FaultError, Finite, Positive, known
from simulators.plant import TffPlant


class _CultureFault(BaseFault):
    """A fault of a plant with a bioreactor."""

    def fit(self, plant: TffPlant) -> None:
        """Raise FaultError for a plant without bioreactor."""
        _ev(plant)


class ProbeFailedFault(_CultureFault):
    """A probe of the bioreactor gives no signal; its loop does without it."""

    kind: Literal["probe_failed"]
    probe: str

    def check(self) -> None:
        """Raise FaultError for a probe that the bioreactor does not have."""
        known("probe", self.probe, SENSORS)

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.controller.sensors[self.probe].failed = True

    def end(self, plant: TffPlant) -> None:
        """Change the probe."""
        _ev(plant).cultivation.controller.sensors[self.probe].failed = False


class HeaterStuckFault(_CultureFault):
    """The heater is on at full power, until the thermostat cuts it."""

    kind: Literal["heater_stuck"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.controller.heater_stuck = True

    def end(self, plant: TffPlant) -> None:
        """Repair it."""
        _ev(plant).cultivation.controller.heater_stuck = False


class VesselLeakFault(_CultureFault):
    """The bioreactor's vessel leaks."""

    lasts: ClassVar[bool] = False
    kind: Literal["vessel_leak"]
    rate_ml_per_s: Positive
    total_ml: Positive = 1e9

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        leak = _ev(plant).cultivation.process.leak
        leak.rate_ml_per_s, leak.left_ml = self.rate_ml_per_s, self.total_ml

    def end(self, plant: TffPlant) -> None:
        """Seal it."""
        leak = _ev(plant).cultivation.process.leak
        leak.rate_ml_per_s = leak.left_ml = 0.0


class GasEmptyFault(_CultureFault):
    """A gas bottle (or the house air) is empty."""

    lasts: ClassVar[bool] = False
    kind: Literal["gas_empty"]
    gas: Literal["air", "n2", "co2", "o2"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.station.empty_gases.add(self.gas)

    def end(self, plant: TffPlant) -> None:
        """Change the bottle."""
        _ev(plant).cultivation.station.empty_gases.discard(self.gas)


class PumpStalledFault(_CultureFault):
    """A pump of the station does not turn, whatever it is set to."""

    kind: Literal["pump_stalled"]
    pump: Literal["MED", "HARV", "CLAR", "CIRC"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.process.pumps[self.pump].stalled = True

    def end(self, plant: TffPlant) -> None:
        """Free it."""
        _ev(plant).cultivation.process.pumps[self.pump].stalled = False


class FilterDamagedFault(_CultureFault):
    """The clarifying filter is damaged: its bubble point is too low."""

    lasts: ClassVar[bool] = False
    kind: Literal["filter_damaged"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.process.filter_broken = True

    def end(self, plant: TffPlant) -> None:
        """Change the filter."""
        _ev(plant).cultivation.process.filter_broken = False


class CellsDieFault(_CultureFault):
    """A share of the viable cells dies at once."""

    lasts: ClassVar[bool] = False
    kind: Literal["cells_die"]
    share: Annotated[float, Field(gt=0, le=1)]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.process.culture.die(self.share)


class BioreactorSilentFault(_CultureFault):
    """The bioreactor's controller answers neither clients nor its station; it works on."""

    kind: Literal["bioreactor_silent"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).bioreactor_link.silent = True

    def end(self, plant: TffPlant) -> None:
        """Let it answer again."""
        _ev(plant).bioreactor_link.silent = False


class BioreactorRestartFault(_CultureFault):
    """The bioreactor's controller loses its power for a moment."""

    lasts: ClassVar[bool] = False
    kind: Literal["bioreactor_restart"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.controller.power_up()


class BioreactorTakeoverFault(_CultureFault):
    """Somebody switches the bioreactor to local and sets setpoints or modes at its panel."""

    lasts: ClassVar[bool] = False
    kind: Literal["bioreactor_takeover"]
    setpoints: dict[str, Finite] = Field(default_factory=dict)

    def check(self) -> None:
        """Raise FaultError for a setpoint that is not there or out of range."""
        for name, value in self.setpoints.items():
            known("setpoint", name, WRITABLE)
            node = WRITABLE[name]
            if not node.low <= value <= node.high:
                raise FaultError(f"bioreactor_takeover: {name} {value} is not between {node.low:g} and {node.high:g}")

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.controller.take_over(**self.setpoints)

    def end(self, plant: TffPlant) -> None:
        """Switch back to remote."""
        _ev(plant).cultivation.controller.hand_back()


class StationSilentFault(_CultureFault):
    """The station answers neither clients nor the bioreactor's controller; it works on."""

    kind: Literal["station_silent"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).station_link.silent = True

    def end(self, plant: TffPlant) -> None:
        """Let it answer again."""
        _ev(plant).station_link.silent = False


class StationRestartFault(_CultureFault):
    """The station's controller loses its power for a moment."""

    lasts: ClassVar[bool] = False
    kind: Literal["station_restart"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.station.power_up()


class StationTakeoverFault(_CultureFault):
    """Somebody switches the station to local and sets setpoints at its panel (raw register values)."""

    lasts: ClassVar[bool] = False
    kind: Literal["station_takeover"]
    setpoints: dict[Literal["MED_SP", "HARV_SP", "CLAR_SP", "CIRC_SP", "MED_FROM", "HARV_TO"], int] = Field(
        default_factory=dict
    )

    def check(self) -> None:
        """Raise FaultError for a setpoint out of range."""
        for name, value in self.setpoints.items():
            high = HOLDING[Holding[name]].high
            if not 0 <= value <= high:
                raise FaultError(f"station_takeover: {name} {value} is not between 0 and {high}")

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        _ev(plant).cultivation.station.take_over(**self.setpoints)

    def end(self, plant: TffPlant) -> None:
        """Switch back to remote."""
        _ev(plant).cultivation.station.hand_back()


CultureFault = Annotated[
    ProbeFailedFault
    | HeaterStuckFault
    | VesselLeakFault
    | GasEmptyFault
    | PumpStalledFault
    | FilterDamagedFault
    | CellsDieFault
    | BioreactorSilentFault
    | BioreactorRestartFault
    | BioreactorTakeoverFault
    | StationSilentFault
    | StationRestartFault
    | StationTakeoverFault,
    Field(discriminator="kind"),
]
"""Any of them, told apart by ``kind``."""


def _ev(plant: TffPlant) -> EvPlant:
    if not isinstance(plant, EvPlant):
        raise FaultError("this plant has no bioreactor")
    return plant
