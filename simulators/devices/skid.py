"""The controller of the simulated filtration skid: registers, flow loop, totaliser stop, watchdog and trips.

No input or output and no clock of its own: whoever has one calls :meth:`Skid.step`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from simulators.devices.registers import Fault, ModbusFault, window, wrapped
from simulators.devices.sensors import Sensor
from simulators.devices.skid_registers import (
    DEFAULTS,
    FQ_STOP,
    HOLDING,
    INPUT,
    INPUT_WORDS,
    STATUS_FED,
    STATUS_P101,
    STATUS_P102,
    STATUS_REMOTE,
    STATUS_SAFE,
    STATUS_TRIP,
    TRIP_LEVEL,
    TRIP_PRESSURE,
    TRIP_WATCHDOG,
    Holding,
)
from simulators.devices.watchdog import Watchdog
from simulators.process.membrane import PA_PER_PSI
from simulators.process.tff import MAX_STEP_S, TffProcess

LOW_LEVEL = 0.01
MIN_STEP_S = 0.002
RUN_ON_S = 0.08
"""How long the transfer pump runs on after a stop, as time at its speed: the totaliser's stop comes so much earlier."""
MAX_SLIP = 0.5
SLIP_S = 2.0

SENSORS = {
    "PT_FEED": (0.015, 0.0),
    "PT_RET": (0.015, 0.0),
    "PT_PERM": (0.01, 0.0),
    "FT_FEED": (2.0, 8.0),
    "FT_PERM": (0.1, 0.4),
    "FT_IN": (0.3, 1.2),
    "CT": (0.005, 0.02),
    "TT": (0.01, 0.0),
    "LT": (0.02, 0.0),
    "P101_SPEED": (0.1, 0.5),
    "PCV101_POS": (0.0, 0.0),
}
"""Noise (standard deviation) and low cut-off of each point in its unit."""


class Skid:
    """One skid. The reads and writes are what its Modbus server offers; all are cheap and answer at once."""

    def __init__(self, process: TffProcess, seed: int = 0) -> None:
        self.process = process
        self.sensors = {
            name: Sensor(noise, cut_off, random.Random(f"{seed}/{name}"))  # noqa: S311  noise, not a secret
            for name, (noise, cut_off) in SENSORS.items()
        }
        self.starts = 0
        self.remote = True
        self.trips = 0
        self.watchdog = Watchdog()
        self._totaliser_offset = -process.transferred_ml
        self._holding = list(DEFAULTS)
        self._coil = False
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
        """Coils (FC1). Raises ModbusFault 2 outside the table."""
        return [bool(word) for word in window([self._coil], address, count)]

    def read_discrete(self, address: int, count: int) -> list[bool]:
        """Discrete inputs (FC2). Raises ModbusFault 2 outside the table."""
        return [bool(word) for word in window([self.process.permeate_valve.position > 0.95], address, count)]

    def write_holding(self, address: int, values: Sequence[int]) -> None:
        """Write holding registers (FC6, FC16): all or none.

        Raises ModbusFault: 2 outside the table, 3 out of range, 4 in local mode or for what would move something
        while a trip is active.
        """
        window(self._holding, address, len(values))
        targets = [(Holding(address + index), value) for index, value in enumerate(values)]
        if any(not HOLDING[target].low <= value <= HOLDING[target].high for target, value in targets):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self._permit(any(HOLDING[target].moves(value) for target, value in targets))
        for target, value in targets:
            if target is Holding.HEARTBEAT and value != self._holding[target]:
                self.watchdog.feed()
            self._holding[target] = value

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        """Write coils (FC5, FC15). Raises ModbusFault as :meth:`write_holding` does."""
        window([self._coil], address, len(values))
        self._permit(any(values))
        self._coil = bool(values[0])

    # -- time -----------------------------------------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass for the controller and its process."""
        self.watchdog.scan(dt_s)
        left = dt_s
        while left > 1e-9:
            self._control()
            h = self._length(left)
            self._regulate(h)
            if h > MAX_STEP_S:
                self.process.rest(h)
            else:
                self.process.advance(h)
            left -= h
            if self.remote:
                self.watchdog.count(h)
            self._protect()
        self._control()
        self._scan(dt_s)

    def power_up(self) -> None:
        """Start as after a loss of power: safe state, setpoints at their defaults, one start more."""
        self.starts = (self.starts + 1) % 0x10000
        self._holding = list(DEFAULTS)
        self._coil = False
        self.trips = 0
        self.watchdog.restart()
        self._slip = 0.0
        self.process.power_off()
        self._scan(0.0)

    def state(self) -> dict[str, Any]:
        """The controller's retentive memory, and its panel switch."""
        return {"starts": self.starts, "totalised_ml": self.totalised_ml, "remote": self.remote}

    def restore(self, state: dict[str, Any]) -> None:
        """Start with such a memory, after the process was restored.

        Raises KeyError, TypeError or ValueError for a state of another shape.
        """
        self.starts = int(state["starts"])
        self.remote = bool(state["remote"])
        self._totaliser_offset = float(state["totalised_ml"]) - self.process.transferred_ml
        self.power_up()

    # -- the panel ------------------------------------------------------------------------------------------------

    def take_over(self, **setpoints: float) -> None:
        """Switch to local and set some setpoints at the panel: raw holding registers by name, ``XV102`` 0 or 1.

        Raises KeyError for an unknown name, ModbusFault 3 for a value out of range.
        """
        values = {name: int(value) for name, value in setpoints.items()}
        coil = values.pop("XV102", int(self._coil))
        targets = {Holding[name]: value for name, value in values.items()}
        if any(not HOLDING[target].low <= value <= HOLDING[target].high for target, value in targets.items()):
            raise ModbusFault(Fault.ILLEGAL_VALUE)
        self.remote = False
        self._coil = bool(coil)
        for target, value in targets.items():
            self._holding[target] = value

    def hand_back(self) -> None:
        """Switch to remote; setpoints stay as the panel left them, and the watchdog starts anew."""
        self.remote = True
        self.watchdog.feed()

    # -- what a tester may know -----------------------------------------------------------------------------------

    @property
    def totalised_ml(self) -> float:
        """What the transfer totaliser has counted."""
        return self._totaliser_offset + self.process.transferred_ml

    @property
    def watchdog_left_s(self) -> float:
        """Process time until the watchdog trips."""
        return self.watchdog.left_s(self._setpoint(Holding.WATCHDOG))

    @property
    def actuators(self) -> dict[str, float]:
        """Where each actuator stands: pumps in rpm, valves in per cent or 0 and 1, selectors by position."""
        process = self.process
        return {
            "P101": process.feed_pump.speed,
            "P102": process.transfer_pump.speed,
            "PCV101": process.retentate_valve.position * 100.0,
            "XV102": process.permeate_valve.position,
            "INLET": process.inlet.position,
            "OUTLET": process.outlet.position,
        }

    @property
    def safe(self) -> bool:
        """Pumps stopped, permeate shut, retentate open, selectors closed."""
        process = self.process
        return (
            process.feed_pump.speed == 0.0
            and process.transfer_pump.speed == 0.0
            and process.permeate_valve.position == 0.0
            and process.retentate_valve.position > 0.99
            and process.inlet.position == 0
            and process.outlet.position == 0
        )

    # -- control logic --------------------------------------------------------------------------------------------

    def _permit(self, moves: bool) -> None:
        if not self.remote or (moves and self.trips):
            raise ModbusFault(Fault.DEVICE_FAILURE)
        if moves:
            self.watchdog.arm()

    def _length(self, left: float) -> float:
        """A step short enough for the physics, and ending at the totaliser's stop or when the watchdog trips."""
        if self.process.idle and not self._holding[Holding.P101]:
            # Nothing can move before the watchdog trips, and in its safe state nothing will.
            return min(left, max(MAX_STEP_S, self.watchdog_left_s)) if self.watchdog.armed and not self.trips else left
        h = left / math.ceil(left / MAX_STEP_S)
        if (to_stop := self._to_stop_ml) is not None and self._holding[Holding.P102]:
            pump = self.process.transfer_pump
            h = min(h, max(MIN_STEP_S, to_stop / (max(pump.speed, self._setpoint(Holding.P102)) / 60.0)))
        return h

    @property
    def _to_stop_ml(self) -> float | None:
        """How much may still pass until the transfer pump has to be stopped, which then runs on a little."""
        stop = FQ_STOP.decode(self._holding[Holding.FQ_STOP_HIGH : Holding.FQ_STOP_LOW + 1])
        if stop <= 0.0:
            return None
        return stop - self.totalised_ml - self.process.transfer_pump.speed / 60.0 * RUN_ON_S

    def _setpoint(self, which: Holding) -> float:
        return self._holding[which] * HOLDING[which].scale

    def _control(self) -> None:
        holding, process = self._holding, self.process
        if holding[Holding.COMMAND]:
            holding[Holding.COMMAND] = 0
            self.trips = 0
            self.watchdog.begin_anew()
        if self.watchdog.armed and self.remote and self.watchdog_left_s <= 0.0:
            self._trip(TRIP_WATCHDOG)
        if (to_stop := self._to_stop_ml) is not None and to_stop <= 1e-4:
            holding[Holding.P102] = 0
        process.transfer_pump.target = self._setpoint(Holding.P102)
        process.retentate_valve.target = self._setpoint(Holding.PCV101) / 100.0
        process.permeate_valve.target = float(self._coil)
        process.inlet.target = holding[Holding.INLET]
        process.outlet.target = holding[Holding.OUTLET]

    def _regulate(self, h: float) -> None:
        """The flow loop of P101: correct the speed by the slip that the flow meter shows."""
        process, circuit = self.process, self.process.parameters.circuit
        setpoint = self._setpoint(Holding.P101)
        if setpoint <= 0.0:
            process.feed_pump.target = self._slip = 0.0
            return
        if process.q_feed > 0.0:
            ideal = process.feed_pump.speed * circuit.displacement_ml_per_rev / 60.0
            self._slip += (min(MAX_SLIP, ideal / process.q_feed - 1.0) - self._slip) * min(1.0, h / SLIP_S)
        process.feed_pump.target = min(circuit.max_rpm, setpoint / circuit.displacement_ml_per_rev * (1.0 + self._slip))

    def _protect(self) -> None:
        """Trip on feed pressure (a switch of its own), and on low level while recirculating.

        Through an open outlet the vessel is meant to empty.
        """
        if self.process.p_feed / PA_PER_PSI > self._setpoint(Holding.TRIP_LIMIT):
            self._trip(TRIP_PRESSURE)
        running = self._holding[Holding.P101] > 0
        if running and self._holding[Holding.OUTLET] == 0 and self.process.level < LOW_LEVEL:
            self._trip(TRIP_LEVEL)

    def _trip(self, trip: int) -> None:
        self.trips |= trip
        self._coil = False
        for address, setpoint in HOLDING.items():
            if setpoint.safe is not None:
                self._holding[address] = setpoint.safe

    # -- measurement ----------------------------------------------------------------------------------------------

    def _scan(self, dt_s: float) -> None:
        """Read every sensor once and fill the input registers."""
        process = self.process
        flows = {"FT_FEED": process.q_feed, "FT_PERM": process.q_perm, "FT_IN": process.q_in}
        readings = {
            "PT_FEED": process.p_feed / PA_PER_PSI,
            "PT_RET": process.p_ret / PA_PER_PSI,
            "PT_PERM": process.p_perm / PA_PER_PSI,
            **{name: flow * 60.0 for name, flow in flows.items()},
            "CT": process.conductivity,
            "TT": process.temperature_degc,
            "LT": process.level * 100.0,
            "P101_SPEED": process.feed_pump.speed,
            "PCV101_POS": process.retentate_valve.position * 100.0,
        }
        for name, truth in readings.items():
            self._put(name, self.sensors[name].read(truth, dt_s))
        self._put("STATUS", self._status)
        self._put("TRIPS", self.trips)
        self._put("FQ_IN", wrapped(self.totalised_ml * 100.0, 1 << 32) * 0.01)
        self._put("HEARTBEAT_ECHO", self._holding[Holding.HEARTBEAT])
        self._put("STARTS", self.starts)
        self._put("WATCHDOG_LEFT", self.watchdog_left_s)
        self._put("INLET_ACTUAL", process.inlet.position)
        self._put("OUTLET_ACTUAL", process.outlet.position)

    def _put(self, name: str, value: float) -> None:
        register = INPUT[name]
        self._input[register.address : register.address + register.words] = register.encode(value)

    @property
    def _status(self) -> int:
        return (
            (self.process.feed_pump.speed > 0.0) * STATUS_P101
            | (self.process.transfer_pump.speed > 0.0) * STATUS_P102
            | self.remote * STATUS_REMOTE
            | (self.watchdog.armed and not self.trips & TRIP_WATCHDOG) * STATUS_FED
            | bool(self.trips) * STATUS_TRIP
            | self.safe * STATUS_SAFE
        )
