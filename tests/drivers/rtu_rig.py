"""Modbus RTU units on a real pseudo-terminal, or behind a real TCP serial server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.driver import BoundPoint
from drivers.modbus_options import ModbusRtuOptions
from drivers.modbus_points import ModbusPoint
from drivers.modbus_rtu import ModbusRtuDriver
from evcontrol.clock import LiveClock
from simulators.wire.modbus_rtu import RtuUnit, cut_request
from tests.drivers.build import Registers, tag
from tests.drivers.instruments import PtyInstrument, TcpInstrument

Spoil = Callable[[bytes], bytes]
"""What arrives of an answer."""


class RtuLine:
    """Units by their address, and what the line makes of their answers."""

    def __init__(self, devices: Mapping[int, Registers]) -> None:
        self.units = {number: RtuUnit(number, device) for number, device in devices.items()}
        self.heard: list[bytes] = []
        self.spoil: Spoil = lambda answer: answer
        self._received = b""

    def hear(self, data: bytes) -> bytes:
        self._received += data
        said = b""
        while (found := cut_request(self._received)) is not None:
            command, self._received = found
            self.heard.append(command)
            for unit in self.units.values():
                if not unit.silent:
                    said += self.spoil(unit.hear(command))
        return said


class PtyBytes(PtyInstrument):
    """Any bytes instead of lines."""

    def _take(self, data: bytes) -> None:
        if reply := self.answer(data):
            self.send(reply)


class TcpBytes(TcpInstrument):
    """Any bytes instead of lines."""

    def _take(self, data: bytes) -> None:
        if reply := self.answer(data):
            self.send(reply)


@asynccontextmanager
async def served(line: RtuLine, kind: str, folder: Path) -> AsyncIterator[PtyBytes | TcpBytes]:
    """The other end of a line, plugged."""
    instrument = PtyBytes(folder / "line", line.hear) if kind == "pty" else TcpBytes(line.hear)
    await instrument.plug()
    try:
        yield instrument
    finally:
        await instrument.unplug()


class NamedRtuDriver(ModbusRtuDriver):
    """Knows the names of its tags by index."""

    names: list[str]


def rtu_driver(port: str, points: Mapping[str, Mapping[str, Any]], **options: Any) -> NamedRtuDriver:
    bound = [
        BoundPoint(tag(i, name), ModbusPoint.model_validate(point)) for i, (name, point) in enumerate(points.items())
    ]
    # A pseudo-terminal has no parity, and Linux refuses to open one a second time with it.
    made = ModbusRtuOptions.model_validate({"port": port, "baudrate": 115200, "parity": "N"} | options)
    driver = NamedRtuDriver("dev", made, bound, LiveClock())
    driver.names = list(points)
    return driver


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until it holds; TimeoutError when it does not."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
