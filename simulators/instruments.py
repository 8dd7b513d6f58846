"""Instruments on serial lines that are served beside a plant or alone, each named by the driver that speaks to it.

To add one, add its maker to :data:`MAKERS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.bus_makers import BUSES
from simulators.devices.balance import Balance, BalanceParameters
from simulators.devices.bus import Bus, cut_at_cr
from simulators.devices.pressure_monitor import PressureMonitor
from simulators.devices.sbi_balance import SbiBalance, SbiSettings, cut_sbi

VESSEL_G: Final = 500.0
"""What stands on a balance that belongs to no plant, in the middle; it rises and falls by a fifth in a minute."""
PRESSURES_PSI: Final = (10.0, 8.0, 0.5, 0.0)
"""At P1 to P4 of a monitor, in the middle; they rise and fall by a twentieth in a minute."""
PERIOD_S: Final = 60.0
SERIAL: Final = "SIM0000500"

Options = Mapping[str, Any]
"""What a plant file says of a device, in plain form."""


@dataclass(slots=True)
class OnLine:
    """Instruments on one line, and what they need to live."""

    bus: Bus
    step: Callable[[float], None]
    """Lets so many seconds of process time pass."""
    options: dict[str, Any] = field(default_factory=dict)
    """What the driver should be told beside the port."""
    stream: Callable[[], bytes] = bytes
    """What they have said by themselves since the last call."""


def sartorius(cell: Balance, options: Options) -> OnLine:
    """A Sartorius balance around a weighing cell that somebody else steps."""
    balance = SbiBalance(
        cell, SbiSettings(unit=options.get("unit") or "g", auto_print=bool(options.get("auto_print", False)))
    )
    serial = cell.parameters.serial
    return OnLine(Bus([balance], cut_sbi), balance.step, {"serial_number": serial}, balance.stream)


def _alone_sartorius(name: str, options: Options) -> OnLine:
    wave = _Wave()
    parameters = BalanceParameters(model="SIMSBI", serial=options.get("serial_number") or SERIAL)
    cell = Balance(lambda: VESSEL_G * (1 + wave.now / 5), parameters, name)
    made = sartorius(cell, options)
    of_balance = made.step

    def step(dt_s: float) -> None:
        wave.step(dt_s)
        cell.step(dt_s)
        of_balance(dt_s)

    made.step = step
    return made


def _alone_monitor(name: str, options: Options) -> OnLine:
    wave = _Wave()
    monitor = PressureMonitor([_around(psi, wave) for psi in PRESSURES_PSI], options.get("unit") or "psi", name)
    return OnLine(Bus([monitor], cut_at_cr), wave.step)


def _bus(driver: str) -> Callable[[str, Options], OnLine]:
    def make(_name: str, options: Options) -> OnLine:
        bus = BUSES[driver](options)
        return OnLine(bus, bus.step)

    return make


def _around(middle: float, wave: _Wave) -> Callable[[], float]:
    return lambda: middle * (1 + wave.now / 20)


@dataclass(slots=True)
class _Wave:
    """A sine of the process time."""

    time_s: float = 0.0

    @property
    def now(self) -> float:
        return math.sin(2 * math.pi * self.time_s / PERIOD_S)

    def step(self, dt_s: float) -> None:
        self.time_s += dt_s


MAKERS: Final[Mapping[str, Callable[[str, Options], OnLine]]] = {
    "pendotech-pressuremat": _alone_monitor,
    "sartorius-sbi": _alone_sartorius,
} | {driver: _bus(driver) for driver in BUSES}
"""A new instrument for a device of that name."""
OF_CELLS: Final[Mapping[str, Callable[[Balance, Options], OnLine]]] = {"sartorius-sbi": sartorius}
"""What a plant's balance may be instead of what it is."""
