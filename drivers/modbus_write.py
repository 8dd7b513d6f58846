"""Writes to a Modbus device: values coded, and those of adjacent registers or coils put into one request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.modbus_client import ModbusClient
from drivers.modbus_points import ModbusPoint, Table, encode

WRITE_LIMIT: Final = 123
"""Most registers in one write (Modbus Application Protocol V1.1b3, 6.12)."""


class MisfitError(Exception):
    """A value that its point cannot carry; the message says why."""

    def __init__(self, tag: str, reason: str) -> None:
        super().__init__(f"{tag}: {reason}")
        self.tag = tag


@dataclass(frozen=True, slots=True)
class WriteGroup:
    """Adjacent registers or coils for one request; ``order`` is the place of the tag that was named first."""

    table: Table
    address: int
    order: int
    tags: tuple[str, ...]
    data: tuple[int, ...]

    async def send(self, client: ModbusClient) -> None:
        """Write the group over a connection."""
        if self.table is Table.COIL:
            await client.write_coils(self.address, self.data)
        else:
            await client.write_registers(self.address, self.data)


def write_groups(values: Mapping[str, tuple[ModbusPoint, float]], max_registers: int) -> list[WriteGroup]:
    """As few requests as possible, in the order of the tags; :class:`MisfitError` when a value does not fit."""
    single = [
        WriteGroup(point.table, point.address, order, (tag,), _coded(tag, point, value))
        for order, (tag, (point, value)) in enumerate(values.items())
    ]
    adjacent = sorted(single, key=lambda group: (group.table, group.address))
    return sorted(_joined(adjacent, min(max_registers, WRITE_LIMIT)), key=lambda group: group.order)


def _coded(tag: str, point: ModbusPoint, value: float) -> tuple[int, ...]:
    try:
        return tuple(encode(point, value))
    except ValueError as error:
        raise MisfitError(tag, str(error)) from None


def _joined(groups: Sequence[WriteGroup], limit: int) -> Iterator[WriteGroup]:
    run: WriteGroup | None = None
    for group in groups:
        if run is None:
            run = group
        elif _adjacent(run, group) and len(run.data) + len(group.data) <= limit:
            order, tags = min(run.order, group.order), run.tags + group.tags
            run = WriteGroup(run.table, run.address, order, tags, run.data + group.data)
        else:
            yield run
            run = group
    if run is not None:
        yield run


def _adjacent(run: WriteGroup, group: WriteGroup) -> bool:
    return run.table is group.table and run.address + len(run.data) == group.address
