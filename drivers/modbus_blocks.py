"""How Modbus points share requests: blocks of consecutive addresses, and what to do with one that is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drivers.modbus_points import BIT_TABLES, ModbusPoint, Table
from drivers.modbus_telegram import Request


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What is read in one request; ``members`` are the positions of its points in the driver's list.

    Two blocks are the same only when they are one object.
    """

    request: Request
    members: tuple[int, ...]

    @property
    def unit(self) -> int:
        """The unit that is asked."""
        return self.request.unit

    @property
    def table(self) -> Table:
        """What is read of it."""
        return self.request.table

    @property
    def address(self) -> int:
        """The first of consecutive addresses."""
        return self.request.address

    @property
    def count(self) -> int:
        """How many addresses."""
        return self.request.count


def coalesce(
    points: Sequence[ModbusPoint], limit: int, bit_limit: int, max_gap: int, *, unit_id: int = 1
) -> list[Block]:
    """As few blocks as possible over all points, unit by unit in the order of the points.

    No block is longer than ``limit`` registers (``bit_limit`` coils or discrete inputs) or reads over more than
    ``max_gap`` addresses that no point asked for. ``unit_id`` is the unit of points that name none.
    """
    places: dict[tuple[int, Table], dict[int, ModbusPoint]] = {}
    for unit in dict.fromkeys(unit_of(point, unit_id) for point in points):
        places |= {(unit, table): {} for table in Table}
    for i, point in enumerate(points):
        places[unit_of(point, unit_id), point.table][i] = point
    return [
        block
        for (unit, table), members in places.items()
        for block in _runs(members, unit, table, bit_limit if table in BIT_TABLES else limit, max_gap)
    ]


def apart(points: Sequence[ModbusPoint], block: Block) -> list[Block]:
    """The block's points in smaller blocks, to find the address that a device refuses: without gaps, then halved."""
    runs = _runs({i: points[i] for i in block.members}, block.unit, block.table, block.count, 0)
    if len(runs) > 1:
        return runs
    middle = len(block.members) // 2
    parts = (block.members[:middle], block.members[middle:])
    return [_spanning(points, block.unit, block.table, part) for part in parts]


def block_of(point: ModbusPoint, position: int, unit_id: int) -> Block:
    """A block for one point alone."""
    request = Request.reading(unit_of(point, unit_id), point.table, point.address, point.width)
    return Block(request, (position,))


def unit_of(point: ModbusPoint, unit_id: int) -> int:
    """The unit that has a point, where ``unit_id`` is the device's own."""
    return unit_id if point.unit_id is None else point.unit_id


def _runs(points: Mapping[int, ModbusPoint], unit: int, table: Table, limit: int, max_gap: int) -> list[Block]:
    ordered = sorted(points, key=lambda i: (points[i].address, points[i].width))
    runs: list[list[int]] = []
    start = end = 0
    for i in ordered:
        point = points[i]
        joined_end = max(end, point.address + point.width)
        if not runs or point.address > end + max_gap or joined_end - start > limit:
            runs.append([])
            start, joined_end = point.address, point.address + point.width
        runs[-1].append(i)
        end = joined_end
    return [_spanning(points, unit, table, tuple(run)) for run in runs]


def _spanning(
    points: Sequence[ModbusPoint] | Mapping[int, ModbusPoint], unit: int, table: Table, members: tuple[int, ...]
) -> Block:
    start = min(points[i].address for i in members)
    end = max(points[i].address + points[i].width for i in members)
    return Block(Request.reading(unit, table, start, end - start), members)
