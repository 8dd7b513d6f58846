"""Writes to a Modbus device: values coded, and those of adjacent registers or coils put into one request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.modbus_blocks import unit_of
from drivers.modbus_points import ModbusPoint, Table, encode
from drivers.modbus_telegram import Request

WRITE_LIMIT: Final = 123
"""Most registers in one write (Modbus Application Protocol V1.1b3, 6.12)."""


class MisfitError(Exception):
    """A value that its point cannot carry; the message says why."""

    def __init__(self, tag: str, reason: str) -> None:
        super().__init__(f"{tag}: {reason}")
        self.tag = tag
        self.reason = reason


@dataclass(frozen=True, slots=True)
class WriteGroup:
    """Adjacent registers or coils for one request; ``order`` is the place of the tag that was named first."""

    unit: int
    table: Table
    address: int
    order: int
    tags: tuple[str, ...]
    data: tuple[int, ...]

    @property
    def request(self) -> Request:
        """The request that writes it."""
        return Request.writing(self.unit, self.table, self.address, self.data)


def write_groups(
    values: Mapping[str, tuple[ModbusPoint, float]], max_registers: int, *, unit_id: int = 1
) -> list[WriteGroup]:
    """As few requests as possible, in the order of the tags; :class:`MisfitError` when a value does not fit.

    ``unit_id`` is the unit of points that name none.
    """
    single = [
        WriteGroup(unit_of(point, unit_id), point.table, point.address, order, (tag,), _coded(tag, point, value))
        for order, (tag, (point, value)) in enumerate(values.items())
    ]
    adjacent = sorted(single, key=lambda group: (group.unit, group.table, group.address))
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
            run = WriteGroup(run.unit, run.table, run.address, order, tags, run.data + group.data)
        else:
            yield run
            run = group
    if run is not None:
        yield run


def _adjacent(run: WriteGroup, group: WriteGroup) -> bool:
    same = (run.unit, run.table) == (group.unit, group.table)
    return same and run.address + len(run.data) == group.address
