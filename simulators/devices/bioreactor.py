"""The controller of the simulated bioreactor: temperature, pH, oxygen and agitation, watchdog, trips, local panel.

No input or output and no clock of its own: whoever has one drives it as
:class:`simulators.cultivation.Cultivation` does.
Its safe state keeps cells alive: temperature, pH and agitation stay in control, the gas goes to air.
"""

from __future__ import annotations

import math
import random
from typing import Any, Final

from simulators.devices.bioreactor_nodes import BY_ID, RETENTIVE, WRITABLE, DataType, DoMode, Scalar, Status
from simulators.devices.gas_link import GasLink
from simulators.devices.sensors import Sensor
from simulators.devices.watchdog import Watchdog
from simulators.process.bioreactor import BioreactorProcess
from simulators.process.gas import AIR_O2

TRIP_DEGC: Final = 38.5
TRIP_HYSTERESIS: Final = 0.5
PROBES_WET: Final = 0.05
"""Level below which the probes are not in the medium, and heater and dosing are off."""
TRIP_TEMP: Final = 1
TRIP_WATCHDOG: Final = 2

HEAT_GAIN: Final = 1.5
"""Heater power per degC."""
HEAT_TI_S: Final = 900.0
DOSE_GAIN: Final = 200.0
"""mM/h of base per unit of pH."""
MOST_DOSE: Final = 30.0
BASE_MM: Final = (-15.0, 40.0)
DO_GAIN: Final = 8.0
"""% v/v of N2 per %O2."""
DO_TI_S: Final = 480.0
N2_MOST: Final = 95.0
O2_MOST: Final = 20.0

SENSORS: Final = {
    "TT": (0.01, 0.0),
    "AT_PH": (0.003, 0.0),
    "AT_DO": (0.01, 0.0),
    "PT_HEAD": (0.05, 0.0),
    "LT": (0.02, 0.0),
    "AGIT": (0.2, 0.6),
    "AT_GLC": (0.03, 0.0),
    "AT_LAC": (0.03, 0.0),
}
"""Noise (standard deviation) and low cut-off of each point in its unit."""
IN_MEDIUM: Final = ("AT_PH", "AT_DO", "AT_GLC", "AT_LAC")
"""Probes that must be in the medium to show anything."""


class Bioreactor:
    """One controller. Reads and writes are what its OPC UA server offers; all are cheap and answer at once."""

    def __init__(self, process: BioreactorProcess, link: GasLink, seed: int = 0) -> None:
        self.process = process
        self.sensors = {
            name: Sensor(noise, cut_off, random.Random(f"{seed}/bioreactor/{name}"))  # noqa: S311  noise, not a secret
            for name, (noise, cut_off) in SENSORS.items()
        }
        self.watchdog = Watchdog()
        self.starts = 0
        self.remote = True
        self.trips = 0
        self.heater_stuck = False
        self.working_do = AIR_O2
        """Oxygen setpoint after the ramp."""
        self.demand = 0.0
        """% v/v of N2 in the gas; below 0: of added O2."""
        self.source_time_s = 0.0
        self._link = link
        self._set: dict[str, Scalar] = {name: node.default for name, node in WRITABLE.items()}
        self._shown: dict[str, Scalar] = {}
        self._heat_sum = self._do_sum = 0.0
        self._ramping = self._hot = False
        self.power_up()

    # -- the wire -------------------------------------------------------------------------------------------------

    def read(self, node_id: str) -> tuple[Scalar | None, int, float]:
        """Value, status code and source time (process seconds) of a node; a Bad one has no value."""
        node = BY_ID.get(node_id)
        if node is None:
            return None, Status.BAD_NODE_ID_UNKNOWN, self.source_time_s
        if node.writable:
            return self._set[node.name], Status.GOOD, self.source_time_s
        status = self._status(node.name)
        value = None if status == Status.BAD_SENSOR_FAILURE else self._shown[node.name]
        return value, status, self.source_time_s

    def write(self, node_id: str, value: object) -> int:
        """Write a node; the status code says what became of it. Nothing is changed unless it is Good."""
        node = BY_ID.get(node_id)
        if node is None:
            return Status.BAD_NODE_ID_UNKNOWN
        number = _typed(node.data_type, value)
        if not node.writable or number is None:
            return Status.BAD_TYPE_MISMATCH if node.writable else Status.BAD_NOT_WRITABLE
        if not node.low <= number <= node.high:
            return Status.BAD_OUT_OF_RANGE
        if not self.remote:
            return Status.BAD_USER_ACCESS_DENIED
        if self.trips and node.moves(number):
            return Status.BAD_INVALID_STATE
        if node.name == "HEARTBEAT":
            if number != self._set["HEARTBEAT"]:
                self.watchdog.feed()
        elif node.moves(number) or (node.name != "TRIP_RESET" and number != self._set[node.name]):
            self.watchdog.arm()
        self._take(node.name, number)
        return Status.GOOD

    # -- time -----------------------------------------------------------------------------------------------------

    def control(self) -> None:
        """Carry out commands and trips, and tell the station."""
        if self._set["TRIP_RESET"]:
            self._set["TRIP_RESET"] = False
            self.trips = 0
            self.watchdog.begin_anew()
        if self.remote and self.watchdog.armed and self.watchdog_left_s <= 0.0 and not self.trips & TRIP_WATCHDOG:
            self.trips |= TRIP_WATCHDOG
            self._to_safe()
        # A thermostat of its own, which a wrong probe does not deceive.
        if self.process.temperature_degc > TRIP_DEGC:
            self._hot = True
            self.trips |= TRIP_TEMP
        elif self.process.temperature_degc < TRIP_DEGC - TRIP_HYSTERESIS:
            self._hot = False
        self._link.feeds_shut = bool(self.trips & TRIP_WATCHDOG)

    def regulate(self, h: float) -> None:
        """The loops, for a step of h seconds."""
        self._heat(h)
        self._dose(h)
        self._blend(h)
        wanted = float(self._set["AGIT_SP"])
        self.process.stirrer.target = wanted if self.process.volume_ml > 0.0 else 0.0

    def count(self, h: float) -> None:
        """So many seconds have passed in the process."""
        if self.remote:
            self.watchdog.count(h)

    def scan(self, dt_s: float, time_s: float) -> None:
        """Read every sensor once; ``time_s`` is the process time of what is shown from now on."""
        process = self.process
        readings = {
            "TT": process.temperature_degc,
            "AT_PH": process.ph,
            "AT_DO": process.dissolved.o2,
            "PT_HEAD": process.head_mbar,
            "LT": process.level * 100.0,
            "AGIT": process.stirrer.speed,
            "AT_GLC": process.glucose_mm,
            "AT_LAC": process.lactate_mm,
        }
        for name, truth in readings.items():
            self._shown[name] = self.sensors[name].read(truth, dt_s)
        self._shown.update(
            DO_SP_WORK=self.working_do,
            N2_DEMAND=max(0.0, self.demand),
            WD_LEFT=self.watchdog_left_s,
            REMOTE=self.remote,
            WD_OK=self.watchdog.armed and not self.trips & TRIP_WATCHDOG,
            SAFE=self.safe,
            STATION_OK=self._link.up,
            TRIP=bool(self.trips),
            TRIP_TEMP=bool(self.trips & TRIP_TEMP),
            TRIP_WATCHDOG=bool(self.trips & TRIP_WATCHDOG),
            STARTS=self.starts,
        )
        self.source_time_s = time_s

    def power_up(self) -> None:
        """Start as after a loss of power: safe state, so that cells live on; one start more."""
        self.starts = (self.starts + 1) % (1 << 32)
        self._set.update({name: node.default for name, node in WRITABLE.items() if name not in RETENTIVE})
        self.trips = 0
        self.watchdog.restart()
        self._heat_sum = self._do_sum = 0.0
        self._to_safe()
        self.control()
        self.scan(0.0, self.source_time_s)

    def state(self) -> dict[str, Any]:
        """The controller's retentive memory, and its panel switch."""
        kept = {name: self._set[name] for name in RETENTIVE}
        return {"starts": self.starts, "remote": self.remote, "setpoints": kept}

    def restore(self, state: dict[str, Any], time_s: float = 0.0) -> None:
        """Start with such a memory, after the process was restored.

        Raises KeyError, TypeError or ValueError for a state of another shape.
        """
        self.starts = int(state["starts"])
        self.remote = bool(state["remote"])
        for name in RETENTIVE:
            self._set[name] = float(state["setpoints"][name])
        self.source_time_s = time_s
        self.power_up()

    # -- the panel ------------------------------------------------------------------------------------------------

    def take_over(self, **setpoints: float) -> None:
        """Switch to local and set some setpoints or modes at the panel, by name.

        Raises KeyError for an unknown name, ValueError for a value out of range.
        """
        for name, value in setpoints.items():
            node = WRITABLE[name]
            if not node.low <= value <= node.high:
                raise ValueError(f"{name} {value} is not between {node.low:g} and {node.high:g}")
        self.remote = False
        for name, value in setpoints.items():
            self._take(name, int(value) if WRITABLE[name].data_type is DataType.INT32 else float(value))

    def hand_back(self) -> None:
        """Switch to remote; setpoints stay as the panel left them, and the watchdog starts anew."""
        self.remote = True
        self.watchdog.feed()

    # -- what a tester may know -----------------------------------------------------------------------------------

    @property
    def watchdog_left_s(self) -> float:
        """Process time until the watchdog trips."""
        return self.watchdog.left_s(float(self._set["WD_TIME"]))

    @property
    def actuators(self) -> dict[str, float]:
        """Modes of the loops, and the stirrer in rpm."""
        modes = {name: float(self._set[name]) for name in ("TIC_MODE", "PHIC_MODE", "DOIC_MODE")}
        return {**modes, "AGIT": self.process.stirrer.speed}

    @property
    def safe(self) -> bool:
        """Temperature and pH in control, gas on air."""
        return all(self._set[name] == node.safe for name, node in WRITABLE.items() if node.safe is not None)

    # -- control logic --------------------------------------------------------------------------------------------

    def _take(self, name: str, value: Scalar) -> None:
        if name == "DOIC_MODE" and value == DoMode.AUTO and self._set[name] != DoMode.AUTO:
            # Bumpless: the ramp begins at what is measured.
            self.working_do = min(20.9, max(0.5, self._seen("AT_DO", self.process.dissolved.o2)))
            self._do_sum = 0.0
        self._set[name] = value

    def _to_safe(self) -> None:
        for name, node in WRITABLE.items():
            if node.safe is not None:
                self._set[name] = node.safe

    def _seen(self, name: str, truth: float) -> float:
        return self.sensors[name].shown(truth)

    @property
    def _wet(self) -> bool:
        return self.process.level >= PROBES_WET

    def _heat(self, h: float) -> None:
        process = self.process
        if self.heater_stuck:
            power = 1.0
        elif self._set["TIC_MODE"] != 1 or not self._wet or self.sensors["TT"].failed:
            # Without its probe it keeps the power that holds the setpoint.
            keep = self._set["TIC_MODE"] == 1 and self._wet
            power = self._holding_power if keep else 0.0
            self._heat_sum = 0.0
        else:
            error = float(self._set["TT_SP"]) - self._seen("TT", process.temperature_degc)
            raw = self._holding_power + HEAT_GAIN * error + self._heat_sum
            power = min(1.0, max(0.0, raw))
            if power == raw:
                self._heat_sum += HEAT_GAIN * error * h / HEAT_TI_S
        process.heat = 0.0 if self._hot else power

    @property
    def _holding_power(self) -> float:
        """Heater power that balances the losses at the setpoint."""
        p = self.process.parameters
        loss = (float(self._set["TT_SP"]) - p.ambient_degc) / p.cooling_h
        return min(1.0, max(0.0, loss / p.heating_degc_per_h))

    def _dose(self, h: float) -> None:
        """Base or acid in proportion to the error, which the medium integrates."""
        if self._set["PHIC_MODE"] != 1 or not self._wet or self.sensors["AT_PH"].failed:
            return
        process = self.process
        error = float(self._set["PH_SP"]) - self._seen("AT_PH", process.ph)
        rate = min(MOST_DOSE, max(-MOST_DOSE, DOSE_GAIN * error))
        process.base_mm = min(BASE_MM[1], max(BASE_MM[0], process.base_mm + rate * h / 3600.0))

    def _blend(self, h: float) -> None:
        """Oxygen by N2 in air, or O2 in air: a ramped setpoint, its share of air as a start, and a PI trim."""
        measured = self._seen("AT_DO", self.process.dissolved.o2)
        held = self._link.up and self._link.mixes and not self.sensors["AT_DO"].failed
        if self._set["DOIC_MODE"] != DoMode.AUTO or not held:
            self.demand = self._do_sum = 0.0
            self.working_do = min(20.9, max(0.5, measured))
        elif self._wet:  # else the demand stays as it is until the medium is back
            self._ramp(h)
            start = N2_MOST - 100.0 * self.working_do / AIR_O2
            error = measured - self.working_do
            raw = start + DO_GAIN * error + self._do_sum
            self.demand = min(N2_MOST, max(-O2_MOST, raw))
            # The sum stands still while the gas can do no more.
            if self.demand == raw:
                self._do_sum += DO_GAIN * error * h / DO_TI_S
        self._link.n2_percent = max(0.0, self.demand)
        self._link.o2_percent = max(0.0, -self.demand)

    def _ramp(self, h: float) -> None:
        target, rate = float(self._set["DO_SP"]), float(self._set["DO_RATE"])
        most = math.inf if rate <= 0.0 else rate * h / 3600.0
        self.working_do += max(-most, min(most, target - self.working_do))

    def _status(self, name: str) -> int:
        if name in self.sensors and self.sensors[name].failed:
            return Status.BAD_SENSOR_FAILURE
        if name in IN_MEDIUM and not self._wet:
            return Status.UNCERTAIN_SENSOR
        return Status.GOOD


def _typed(data_type: DataType, value: object) -> Scalar | None:
    """The value when it is of such a type and a number, else None."""
    if data_type is DataType.BOOLEAN:
        return value if isinstance(value, bool) else None
    if data_type is DataType.DOUBLE:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
        return None if math.isnan(number) else number
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None
