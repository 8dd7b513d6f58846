"""Drivers with a few points, and the devices that tests put behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from drivers.driver import BoundPoint, Link, LinkState
from drivers.modbus import ModbusDriver
from drivers.modbus_options import ModbusOptions
from drivers.modbus_points import ModbusPoint
from drivers.mtsics import MtSicsDriver, MtSicsOptions, MtSicsPoint
from evcontrol.clock import Clock
from evcontrol.signals import Frame, Tag, TagKind
from simulators.devices.registers import ModbusFault


def tag(index: int, name: str, unit: str = "") -> Tag:
    return Tag(name, index, unit, TagKind.ANALOG, 0, 1e6)


def modbus_driver(
    clock: Clock, points: dict[str, dict[str, Any]], connect: Any = None, **options: Any
) -> NamedModbusDriver:
    bound = [BoundPoint(tag(i, name), ModbusPoint(**point)) for i, (name, point) in enumerate(points.items())]
    driver = NamedModbusDriver("dev", ModbusOptions(**{"host": "127.0.0.1"} | options), bound, clock, connect=connect)
    driver.names = list(points)
    return driver


def balance_driver(
    clock: Clock, connect: Any = None, fields: Sequence[tuple[str, str]] = (("weight", "g"),), **options: Any
) -> NamedMtSicsDriver:
    bound = [
        BoundPoint(tag(i, f"{field}.{unit}", unit), MtSicsPoint.model_validate({"field": field}))
        for i, (field, unit) in enumerate(fields)
    ]
    driver = NamedMtSicsDriver("dev", MtSicsOptions(**{"port": "x"} | options), bound, clock, connect=connect)
    driver.names = [each.tag.name for each in bound]
    return driver


class NamedModbusDriver(ModbusDriver):
    """Knows the names of its tags by index."""

    names: Sequence[str]


class NamedMtSicsDriver(MtSicsDriver):
    """Knows the names of its tags by index."""

    names: Sequence[str]


def readings(driver: NamedModbusDriver | NamedMtSicsDriver, frame: Frame) -> dict[str, tuple[float, int]]:
    """Value and quality by tag, of a frame of a driver made here."""
    assert frame.group == driver.name
    names = driver.names
    return {
        names[index]: (float(value), int(quality))
        for index, value, quality in zip(frame.index, frame.value, frame.quality, strict=True)
    }


async def link_is(driver: Any, state: LinkState, within_s: float, words: str = "") -> None:
    """Wait until the link is in that state, with those words in its reason; TimeoutError when it is not in time."""
    changed = asyncio.Event()
    before = driver.on_link

    def seen(link: Link) -> None:
        if before is not None:
            before(link)
        changed.set()

    driver.on_link = seen
    try:
        async with asyncio.timeout(within_s):
            while driver.link.state is not state or words not in driver.link.reason:
                changed.clear()
                await changed.wait()
    finally:
        driver.on_link = before


class RefusalError(ModbusFault):
    """Any Modbus exception response; the simulated servers answer it as they answer their own."""

    def __init__(self, code: int) -> None:
        Exception.__init__(self, f"exception {code}")
        self.code = code


class Registers:
    """A Modbus device: holding and input registers are one dictionary, coils and discrete inputs another."""

    def __init__(self, registers: dict[int, int] | None = None, coils: dict[int, bool] | None = None) -> None:
        self.registers = registers or {}
        self.coils = coils or {}
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, list[int]]] = []
        self.refuse_reads: int | None = None
        self.refuse_writes: int | None = None
        self.silent = False

    @property
    def requests(self) -> int:
        """How many have come."""
        return len(self.reads) + len(self.writes)

    def read_input(self, address: int, count: int) -> list[int]:
        return self._read(self.registers, address, count)

    read_holding = read_input

    def read_coils(self, address: int, count: int) -> list[bool]:
        return self._read(self.coils, address, count)

    read_discrete = read_coils

    def write_holding(self, address: int, values: Sequence[int]) -> None:
        self._put(self.registers, address, values)

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        self._put(self.coils, address, values)

    def _read(self, table: dict[int, Any], address: int, count: int) -> list[Any]:
        self.reads.append((address, count))
        if self.silent:
            raise TimeoutError
        if self.refuse_reads is not None:
            raise RefusalError(self.refuse_reads)
        return self._get(table, address, count)

    def _get(self, table: dict[int, Any], address: int, count: int) -> list[Any]:
        try:
            return [table[address + i] for i in range(count)]
        except KeyError:
            raise RefusalError(2) from None

    def _put(self, table: dict[int, Any], address: int, values: Sequence[Any]) -> None:
        self.writes.append((address, list(values)))
        if self.silent:
            raise TimeoutError
        if self.refuse_writes is not None:
            raise RefusalError(self.refuse_writes)
        self._get(table, address, len(values))
        table.update(enumerate(values, address))
