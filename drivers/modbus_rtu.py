"""Modbus RTU: as Modbus TCP, on a serial line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from drivers.driver import BoundPoint, Link, Model
from drivers.modbus import Connect, ModbusDriver
from drivers.modbus_client import ModbusClient
from drivers.modbus_options import LineOptions, ModbusRtuOptions
from drivers.modbus_rtu_client import connect_rtu
from evcontrol.clock import Clock


class ModbusRtuDriver(ModbusDriver):
    """Modbus units on one serial line, or on one behind a TCP serial server (``socket://``).

    ValueError besides for a unit that cannot be on a serial line (1 to 247 can).
    """

    options_model: ClassVar[type[Model]] = ModbusRtuOptions

    def __init__(
        self,
        name: str,
        options: Model,
        points: Sequence[BoundPoint],
        clock: Clock,
        *,
        connect: Connect | None = None,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        super().__init__(name, options, points, clock, connect=connect, on_link=on_link)
        for unit in self._units.all:
            if not 1 <= unit.number <= 247:
                raise ValueError(f"device {name}: unit {unit.number} cannot be on a serial line (1 to 247 can)")

    async def _connect(self, options: LineOptions) -> ModbusClient:
        if not isinstance(options, ModbusRtuOptions):
            raise TypeError(f"device {self._name}: no port to open")
        return await connect_rtu(options)
