"""The faults that testers can cause on the simulated equipment: what each is made of, and what it does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from simulators.devices import bioreactor, station
from simulators.devices.sensors import Sensor
from simulators.devices.skid import SENSORS
from simulators.devices.skid_registers import HOLDING, Holding
from simulators.ev_plant import BIOREACTOR, STATION
from simulators.plant import BALANCES, TffPlant
from simulators.process.actuators import Motor, Selector, Valve

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


CULTURE_SENSORS: Final = (
    *(f"{BIOREACTOR}.{name}" for name in bioreactor.SENSORS),
    *(f"{STATION}.{name}" for name in station.SENSORS),
)
"""Sensors of the bioreactor and of its station."""


class FaultError(Exception):
    """A fault that this plant cannot have; one clear line."""


class BaseFault(BaseModel):
    """One fault; :meth:`begin` and :meth:`end` change the plant."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    lasts: ClassVar[bool] = True
    """Whether it has to begin again when the simulators come back; False when it was a moment, or is in their state."""

    def check(self) -> None:
        """Raise FaultError when it names something that no plant has."""

    def fit(self, plant: TffPlant) -> None:
        """Raise FaultError when it is of something that this plant does not have."""

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        raise NotImplementedError

    def end(self, plant: TffPlant) -> None:
        """Put right what it did; what was lost stays lost."""


class LeakFault(BaseFault):
    """Liquid is lost on its way into the permeate vessel, or from the retentate vessel."""

    lasts: ClassVar[bool] = False
    kind: Literal["leak"]
    line: Literal["permeate", "retentate"]
    rate_ml_per_s: Positive
    total_ml: Positive = 1e9

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        leak = plant.process.permeate_leak if self.line == "permeate" else plant.process.retentate_leak
        leak.rate_ml_per_s, leak.left_ml = self.rate_ml_per_s, self.total_ml

    def end(self, plant: TffPlant) -> None:
        """Seal it."""
        leak = plant.process.permeate_leak if self.line == "permeate" else plant.process.retentate_leak
        leak.rate_ml_per_s = leak.left_ml = 0.0


class BlockageFault(BaseFault):
    """The retentate line resists ``factor`` times as much as it should."""

    kind: Literal["blockage"]
    factor: Positive

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.process.blockage = self.factor

    def end(self, plant: TffPlant) -> None:
        """Free the line."""
        plant.process.blockage = 1.0


class FoulingFault(BaseFault):
    """The membrane gains so much cleanable resistance at once; it does not go away by itself."""

    lasts: ClassVar[bool] = False
    kind: Literal["fouling"]
    resistance_per_m: Positive

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.process.membrane.foul_at_once(self.resistance_per_m)


class _SensorFault(BaseFault):
    sensor: str
    """Of the skid by its name; of the bioreactor and its station as DEVICE.NAME."""

    def check(self) -> None:
        """Raise FaultError for a sensor that no plant has."""
        known("sensor", self.sensor, (*SENSORS, *CULTURE_SENSORS))

    def fit(self, plant: TffPlant) -> None:
        """Raise FaultError for a sensor that the plant does not have."""
        known("sensor", self.sensor, plant.sensors)

    def _of(self, plant: TffPlant) -> Sensor:
        return plant.sensors[self.sensor]


class SensorFrozenFault(_SensorFault):
    """A sensor goes on showing its last reading."""

    kind: Literal["sensor_frozen"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        self._of(plant).frozen = True

    def end(self, plant: TffPlant) -> None:
        """Let it measure again."""
        self._of(plant).frozen = False


class SensorOffsetFault(_SensorFault):
    """A sensor shows so much more than the truth, in its unit."""

    kind: Literal["sensor_offset"]
    offset: Finite

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        self._of(plant).offset = self.offset

    def end(self, plant: TffPlant) -> None:
        """Adjust it."""
        self._of(plant).offset = 0.0


class SensorDriftFault(_SensorFault):
    """A sensor drifts away from the truth by so much of its unit per second."""

    kind: Literal["sensor_drift"]
    per_s: Finite

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        self._of(plant).drift(self.per_s)

    def end(self, plant: TffPlant) -> None:
        """Adjust it."""
        self._of(plant).drift(0.0)


class SensorNoiseFault(_SensorFault):
    """A sensor scatters more than it should (standard deviation in its unit), as with air in the feed."""

    kind: Literal["sensor_noise"]
    deviation: Positive

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        self._of(plant).extra_noise = self.deviation

    def end(self, plant: TffPlant) -> None:
        """Calm it."""
        self._of(plant).extra_noise = 0.0


class _BalanceFault(BaseFault):
    balance: str

    def check(self) -> None:
        """Raise FaultError for a balance that the plant does not have."""
        known("balance", self.balance, BALANCES)


class BalanceUnpluggedFault(_BalanceFault):
    """A balance's cable is pulled out."""

    kind: Literal["balance_unplugged"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.balance_links[self.balance].plugged = False

    def end(self, plant: TffPlant) -> None:
        """Plug it in again."""
        plant.balance_links[self.balance].plugged = True


class BalanceOverloadFault(_BalanceFault):
    """A balance shows overload."""

    kind: Literal["balance_overload"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.balances[self.balance].overloaded = True

    def end(self, plant: TffPlant) -> None:
        """Unload it."""
        plant.balances[self.balance].overloaded = False


class BalanceLoadFault(_BalanceFault):
    """Somebody puts so many grams on a balance (or takes them off)."""

    kind: Literal["balance_load"]
    grams: Finite

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.balances[self.balance].moved_g += self.grams

    def end(self, plant: TffPlant) -> None:
        """Take them off again."""
        plant.balances[self.balance].moved_g -= self.grams


class BalanceRestartFault(_BalanceFault):
    """A balance loses its power for a moment: it takes what stands on it for its zero."""

    lasts: ClassVar[bool] = False
    kind: Literal["balance_restart"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.balances[self.balance].restart()


class SkidSilentFault(BaseFault):
    """The skid's controller does not answer on the network; it works on."""

    kind: Literal["skid_silent"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.skid_link.silent = True

    def end(self, plant: TffPlant) -> None:
        """Let it answer again."""
        plant.skid_link.silent = False


class SkidRestartFault(BaseFault):
    """The skid's controller loses its power for a moment."""

    lasts: ClassVar[bool] = False
    kind: Literal["skid_restart"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.skid.power_up()


class ValveStuckFault(BaseFault):
    """A valve or selector stays where it is."""

    kind: Literal["valve_stuck"]
    valve: Literal["PCV101", "XV102", "INLET", "OUTLET"]

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        self._of(plant).stuck = True

    def end(self, plant: TffPlant) -> None:
        """Free it."""
        self._of(plant).stuck = False

    def _of(self, plant: TffPlant) -> Valve | Selector:
        process = plant.process
        valves: dict[str, Valve | Selector] = {
            "PCV101": process.retentate_valve,
            "XV102": process.permeate_valve,
            "INLET": process.inlet,
            "OUTLET": process.outlet,
        }
        return valves[self.valve]


class PumpCoastsFault(BaseFault):
    """A pump's brake fails: it runs down with this time constant after a stop."""

    kind: Literal["pump_coasts"]
    pump: Literal["P101", "P102"]
    seconds: Positive

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        self._of(plant).coasting_s = self.seconds

    def end(self, plant: TffPlant) -> None:
        """Repair the brake."""
        self._of(plant).coasting_s = 0.0

    def _of(self, plant: TffPlant) -> Motor:
        return plant.process.feed_pump if self.pump == "P101" else plant.process.transfer_pump


class LocalTakeoverFault(BaseFault):
    """Somebody switches the skid to local and sets setpoints at its panel (raw register values; XV102 0 or 1)."""

    lasts: ClassVar[bool] = False
    kind: Literal["local_takeover"]
    setpoints: dict[Literal["P101", "P102", "PCV101", "INLET", "OUTLET", "XV102"], int] = {}

    def check(self) -> None:
        """Raise FaultError for a setpoint out of range."""
        for name, value in self.setpoints.items():
            high = 1 if name == "XV102" else HOLDING[Holding[name]].high
            if not 0 <= value <= high:
                raise FaultError(f"local_takeover: {name} {value} is not between 0 and {high}")

    def begin(self, plant: TffPlant) -> None:
        """Let it happen."""
        plant.skid.take_over(**self.setpoints)

    def end(self, plant: TffPlant) -> None:
        """Switch back to remote."""
        plant.skid.hand_back()


Fault = Annotated[
    LeakFault
    | BlockageFault
    | FoulingFault
    | SensorFrozenFault
    | SensorOffsetFault
    | SensorDriftFault
    | SensorNoiseFault
    | BalanceUnpluggedFault
    | BalanceOverloadFault
    | BalanceLoadFault
    | BalanceRestartFault
    | SkidSilentFault
    | SkidRestartFault
    | ValveStuckFault
    | PumpCoastsFault
    | LocalTakeoverFault,
    Field(discriminator="kind"),
]
"""Any of them, told apart by ``kind``."""


def known(what: str, name: str, names: Iterable[str]) -> None:
    """Raise FaultError when a name is none of those that there are."""
    if name not in names:
        raise FaultError(f"there is no {what} {name!r}; there are {', '.join(names)}")
