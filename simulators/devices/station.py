"""The controller of the simulated gas and pump station: pumps with totaliser stops, gas mixing, filter test, watchdog.

No input or output and no clock of its own: whoever has one drives it as
:class:`simulators.cultivation.Cultivation` does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from simulators.devices.gas_link import GasLink
from simulators.devices.registers import Fault, ModbusFault, window, wrapped
from simulators.devices.sensors import Sensor
from simulators.devices.station_registers import (
    CIRC_BASE,
    DEFAULTS,
    HOLDING,
    INPUT,
    INPUT_WORDS,
    SETPOINTS,
    STATUS_CIRC_RUN,
    STATUS_LINK,
    STATUS_REMOTE,
    STATUS_SAFE,
    STATUS_TRIP,
    STATUS_WD_OK,
    STOPS,
    TRIP_WATCHDOG,
    FilterState,
    Holding,
)
from simulators.devices.watchdog import Watchdog
from simulators.process.bioreactor import FULL, MEDIA, BioreactorProcess

GAS_ML_MIN: Final = 200.0
CO2_PERCENT: Final = 5.0
FILTER_TEST_S: Final = 180.0
FILTER_TEST_PSI: Final = 40.0
"""Pressure at which an intact filter is held before its bubble point is sought."""
EMPTY_ML: Final = 1e-6
MIN_STEP_S: Final = 1e-4
FEEDS: Final = (Holding.MED_SP, Holding.HARV_SP, Holding.CLAR_SP, Holding.MED_FROM, Holding.HARV_TO)
GASES: Final = ("air", "n2", "co2", "o2")

SENSORS: Final = {
    "F_AIR": (0.2, 0.6),
    "F_N2": (0.2, 0.6),
    "F_CO2": (0.02, 0.06),
    "F_O2": (0.1, 0.3),
    "FT_MED": (0.3, 1.2),
    "FT_HARV": (0.3, 1.2),
    "FT_CIRC": (0.3, 1.2),
    "FT_CLAR": (0.3, 1.2),
    "WT_VESSEL": (0.1, 0.0),
    "WT_MEDX": (0.2, 0.0),
    "WT_MEDP": (0.2, 0.0),
    "WT_POOL": (0.1, 0.0),
    "WT_CLAR": (0.1, 0.0),
    "PT_FILT": (0.01, 0.03),
}
"""Noise (standard deviation) and low cut-off of each point in its unit."""


class Station:
    """One station. The reads and writes are what its Modbus server offers; all are cheap and answer at once."""

    def __init__(self, process: BioreactorProcess, link: GasLink, seed: int = 0) -> None:
        self.process = process
        self.sensors = {
            name: Sensor(noise, cut_off, random.Random(f"{seed}/station/{name}"))  # noqa: S311  noise, not a secret
            for name, (noise, cut_off) in SENSORS.items()
        }
        self.watchdog = Watchdog()
        self.starts = 0
        self.remote = True
        self.trips = 0
        self.empty_gases: set[str] = set()
        """Gases whose bottle is empty."""
        self.filter_state = FilterState.IDLE
        self.bubble_point_psi = 0.0
        self._testing_s = 0.0
        self._link = link
        self._offsets_ml = {name: -process.pumps[name].moved_ml for name in STOPS}
        self._holding = list(DEFAULTS)
        self._input = [0] * INPUT_WORDS
        self.power_up()

    # -- the wire -------------------------------------------------------------------------------------------------

    def read_input(self, address: int, count: int) -> list[int]:
        """Input registers (FC4). Raises ModbusFault 2 outside the table."""
        return window(self._input, address, count)

    def read_holding(self, address: int, count: int) -> list[int]:
        """Holding registers (FC3). Raises ModbusFault 2 outside the table."""
        return window(self._holding, address, count)

    def read_coils(self, address: int, count: int) -> list[bool]:
        """There are no coils: raises ModbusFault 2."""
        raise ModbusFault(Fault.ILLEGAL_ADDRESS)

    def read_discrete(self, address: int, count: int) -> list[bool]:
        """There are no discrete inputs: raises ModbusFault 2."""
        raise ModbusFault(Fault.ILLEGAL_ADDRESS)

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        """There are no coils: raises ModbusFault 2."""
        raise ModbusFault(Fault.ILLEGAL_ADDRESS)

    def write_holding(self, address: int, values: Sequence[int]) -> None:
        """Write holding registers (FC6, FC16): all or none.

        Raises ModbusFault: 2 outside the table, 3 out of range, 4 in local mode, for what would move something while a
        trip is active or the bioreactor's controller has shut the feeds, and for a filter test while its pump runs.
        """
        window(self._holding, address, len(values))
        targets = {Holding(address + index): value for index, value in enumerate(values)}
        if any(not HOLDING[target].low <= value <= HOLDING[target].high for target, value in targets.items()):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self._permit(targets)
        for target, value in targets.items():
            if target is Holding.HEARTBEAT and value != self._holding[target]:
                self.watchdog.feed()
            self._holding[target] = value

    # -- time -----------------------------------------------------------------------------------------------------

    def control(self) -> None:
        """Carry out commands, stops and trips, and set pumps, selectors and gas."""
        holding, process = self._holding, self.process
        if holding[Holding.ST_TRIP_RESET]:
            holding[Holding.ST_TRIP_RESET] = 0
            self.trips = 0
            self.watchdog.begin_anew()
        if self.remote and self.watchdog.armed and self.watchdog_left_s <= 0.0:
            self.trips |= TRIP_WATCHDOG
            self._shut()
            self._slow_down()
        if self._link.up and self._link.feeds_shut:
            self._shut()
        self._stop_pumps()
        if holding[Holding.FILT_TEST]:
            holding[Holding.FILT_TEST] = 0
            self.filter_state, self._testing_s = FilterState.TESTING, 0.0
        for name, target in SETPOINTS.items():
            process.pumps[name].rate = self._setpoint(target)
        process.med_from.target = holding[Holding.MED_FROM]
        process.harv_to.target = holding[Holding.HARV_TO]
        self._mix_gas()

    def length(self, left_s: float) -> float:
        """The longest step, up to ``left_s``, before a pump has to be stopped."""
        h = left_s
        for name in STOPS:
            rate = self.process.pumps[name].rate / 60.0
            to_stop = self._to_stop_ml(name)
            if rate > 0.0 and to_stop is not None:
                h = min(h, to_stop / rate)
        filling = (self.process.medium.rate - self.process.harvest.rate) / 60.0
        if filling > 0.0 and self.process.med_from.position:
            h = min(h, (FULL * self.process.vessel.working_ml - self.process.volume_ml) / filling)
        return max(min(MIN_STEP_S, left_s), h)

    def count(self, h: float) -> None:
        """So many seconds have passed in the process."""
        if self.remote:
            self.watchdog.count(h)
        if self.filter_state is FilterState.TESTING:
            self._testing_s += h
            if self._testing_s >= FILTER_TEST_S - 1e-9:
                p = self.process.parameters
                self.bubble_point_psi = p.broken_psi if self.process.filter_broken else p.bubble_point_psi
                self.filter_state = FilterState.DONE

    def scan(self, dt_s: float) -> None:
        """Read every sensor once and fill the input registers."""
        process, bags = self.process, self.process.bags
        readings = {
            "F_AIR": process.gas.air,
            "F_N2": process.gas.n2,
            "F_CO2": process.gas.co2,
            "F_O2": process.gas.o2,
            "FT_MED": process.medium.flow,
            "FT_HARV": process.harvest.flow,
            "FT_CIRC": process.circulation.flow,
            "FT_CLAR": process.clarification.flow,
            "WT_VESSEL": bags.vessel.mass_g,
            "WT_MEDX": bags.expansion.mass_g,
            "WT_MEDP": bags.production.mass_g,
            "WT_POOL": bags.pool.mass_g,
            "WT_CLAR": process.clarified().mass_g,
            "PT_FILT": self._filter_psi,
        }
        for name, truth in readings.items():
            self._put(name, self.sensors[name].read(truth, dt_s))
        for name in STOPS:
            self._put(f"FQ_{name}", wrapped(self.totalised_ml(name) * 100.0, 1 << 32) * 0.01)
        self._put("FILT_BP", self.bubble_point_psi)
        self._put("FILT_STATE", self.filter_state)
        self._put("STATUS", self._status)
        self._put("TRIPS", self.trips)
        self._put("ST_STARTS", self.starts)
        self._put("ST_WD_LEFT", self.watchdog_left_s)
        self._put("MED_FROM_ACT", process.med_from.position)
        self._put("HARV_TO_ACT", process.harv_to.position)
        self._put("HEARTBEAT_ECHO", self._holding[Holding.HEARTBEAT])

    def power_up(self) -> None:
        """Start as after a loss of power: safe state, circulation at its base flow if it ran, one start more."""
        circulating = self.process.circulation.rate > 0.0
        self.process.power_off()
        self.starts = (self.starts + 1) % 0x10000
        self._holding = list(DEFAULTS)
        if circulating:
            self._holding[Holding.CIRC_SP] = CIRC_BASE
        self.trips = 0
        self.filter_state, self.bubble_point_psi = FilterState.IDLE, 0.0
        self.watchdog.restart()
        self.control()
        self.scan(0.0)

    def state(self) -> dict[str, Any]:
        """The controller's retentive memory, its panel switch, and the bottles."""
        return {
            "starts": self.starts,
            "remote": self.remote,
            "totalised_ml": {name: self.totalised_ml(name) for name in STOPS},
            "empty_gases": sorted(self.empty_gases),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Start with such a memory, after the process was restored.

        Raises KeyError, TypeError or ValueError for a state of another shape.
        """
        self.starts = int(state["starts"])
        self.remote = bool(state["remote"])
        self.empty_gases = set(state["empty_gases"])
        for name in STOPS:
            self._offsets_ml[name] = float(state["totalised_ml"][name]) - self.process.pumps[name].moved_ml
        self.power_up()

    # -- the panel ------------------------------------------------------------------------------------------------

    def take_over(self, **setpoints: float) -> None:
        """Switch to local and set some setpoints at the panel: raw holding registers by name.

        Raises KeyError for an unknown name, ModbusFault 3 for a value out of range.
        """
        targets = {Holding[name]: int(value) for name, value in setpoints.items()}
        if any(not HOLDING[target].low <= value <= HOLDING[target].high for target, value in targets.items()):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self.remote = False
        for target, value in targets.items():
            self._holding[target] = value

    def hand_back(self) -> None:
        """Switch to remote; setpoints stay as the panel left them, and the watchdog starts anew."""
        self.remote = True
        self.watchdog.feed()

    # -- what a tester may know -----------------------------------------------------------------------------------

    def totalised_ml(self, pump: str) -> float:
        """What the totaliser of MED, HARV or CLAR has counted."""
        return self._offsets_ml[pump] + self.process.pumps[pump].moved_ml

    @property
    def watchdog_left_s(self) -> float:
        """Process time until the watchdog trips."""
        return self.watchdog.left_s(self._setpoint(Holding.WATCHDOG))

    @property
    def actuators(self) -> dict[str, float]:
        """Pumps in mL/min as they are driven, selectors by position."""
        process = self.process
        return {
            **{name: pump.rate for name, pump in process.pumps.items()},
            "MED_FROM": process.med_from.position,
            "HARV_TO": process.harv_to.position,
        }

    @property
    def safe(self) -> bool:
        """Feeds stopped, selectors shut, no N2 and no O2, circulation not above its base flow."""
        process = self.process
        moving = (process.medium.flow, process.harvest.flow, process.clarification.flow)
        return (
            not any(moving)
            and process.med_from.position == process.harv_to.position == 0
            and process.gas.n2 == process.gas.o2 == 0.0
            and process.circulation.rate <= CIRC_BASE * HOLDING[Holding.CIRC_SP].scale
        )

    # -- control logic --------------------------------------------------------------------------------------------

    def _permit(self, targets: dict[Holding, int]) -> None:
        moving = [target for target, value in targets.items() if _moves(target, value)]
        feeds_shut = self._link.up and self._link.feeds_shut
        if not self.remote or (moving and self.trips):
            raise ModbusFault(Fault.DEVICE_FAILURE)
        if feeds_shut and any(target in FEEDS for target in moving):
            raise ModbusFault(Fault.DEVICE_FAILURE)
        if targets.get(Holding.FILT_TEST) and self._holding[Holding.CLAR_SP]:
            raise ModbusFault(Fault.DEVICE_FAILURE)
        if targets.get(Holding.CLAR_SP) and self.filter_state is FilterState.TESTING:
            raise ModbusFault(Fault.DEVICE_FAILURE)
        if moving:
            self.watchdog.arm()

    def _shut(self) -> None:
        """Stop what feeds, harvests and clarifies."""
        for target in FEEDS:
            self._holding[target] = 0

    def _slow_down(self) -> None:
        self._holding[Holding.CIRC_SP] = min(self._holding[Holding.CIRC_SP], CIRC_BASE)

    def _stop_pumps(self) -> None:
        """Stop pumps at their totaliser, MED at a full vessel or an empty bag, HARV and CLAR when nothing is left."""
        holding, process = self._holding, self.process
        for name in STOPS:
            to_stop = self._to_stop_ml(name)
            if to_stop is not None and to_stop <= 1e-4:
                holding[SETPOINTS[name]] = 0
        if process.volume_ml >= FULL * process.vessel.working_ml - 1e-3:
            holding[Holding.MED_SP] = 0
        bag = process.med_from.position
        if bag and getattr(process.bags, MEDIA[bag]).volume_ml <= EMPTY_ML:
            holding[Holding.MED_SP] = 0
        if process.harvestable_ml <= EMPTY_ML:
            holding[Holding.HARV_SP] = 0
        if process.bags.pool.volume_ml <= EMPTY_ML:
            holding[Holding.CLAR_SP] = 0

    def _to_stop_ml(self, pump: str) -> float | None:
        """How much a pump may still move; None without a stop."""
        register = STOPS[pump]
        stop = register.decode(self._holding[register.address : register.address + register.words])
        return stop - self.totalised_ml(pump) if stop > 0.0 else None

    def _setpoint(self, which: Holding) -> float:
        return self._holding[which] * HOLDING[which].scale

    @property
    def _mixes(self) -> bool:
        """Whether N2 and O2 are let through: not before somebody feeds the watchdog or stands at the panel."""
        return self._link.up and not self.trips and (self.watchdog.armed or not self.remote)

    def _mix_gas(self) -> None:
        """200 mL/min with 5 % CO2; the rest is air, and N2 or O2 as the bioreactor's controller demands."""
        self._link.mixes = self._mixes
        rest = 100.0 - CO2_PERCENT
        n2 = min(rest, max(0.0, self._link.n2_percent)) if self._mixes else 0.0
        o2 = min(rest - n2, max(0.0, self._link.o2_percent)) if self._mixes else 0.0
        shares = {"air": rest - n2 - o2, "n2": n2, "co2": CO2_PERCENT, "o2": o2}
        for name, share in shares.items():
            setattr(self.process.gas, name, 0.0 if name in self.empty_gases else GAS_ML_MIN * share / 100.0)

    # -- measurement ----------------------------------------------------------------------------------------------

    @property
    def _filter_psi(self) -> float:
        if self.filter_state is not FilterState.TESTING:
            return self.process.filter_psi
        return min(1.0, 2.0 * self._testing_s / FILTER_TEST_S) * FILTER_TEST_PSI

    def _put(self, name: str, value: float) -> None:
        register = INPUT[name]
        self._input[register.address : register.address + register.words] = register.encode(value)

    @property
    def _status(self) -> int:
        return (
            self.remote * STATUS_REMOTE
            | (self.watchdog.armed and not self.trips) * STATUS_WD_OK
            | bool(self.trips) * STATUS_TRIP
            | self.safe * STATUS_SAFE
            | (self.process.circulation.flow > 0.0) * STATUS_CIRC_RUN
            | self._link.up * STATUS_LINK
        )


def _moves(target: Holding, raw: int) -> bool:
    """Whether it would move something away from the safe state; circulation up to its base flow does not."""
    return raw > CIRC_BASE if target is Holding.CIRC_SP else HOLDING[target].moves(raw)
