"""Modbus points: where a value lies in the registers, how it is coded, and how points share requests."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from drivers.driver import Model
from evcontrol.quality import BAD_SENSOR_FAILURE, GOOD, QualityArray
from evcontrol.signals import FloatArray


class Table(StrEnum):
    """The four address spaces of a Modbus device."""

    INPUT = "input"
    HOLDING = "holding"
    COIL = "coil"
    DISCRETE = "discrete"


class ValueType(StrEnum):
    """How a value is coded in its registers."""

    BOOL = "bool"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    FLOAT32 = "float32"
    FLOAT64 = "float64"


class Order(StrEnum):
    """Which end comes first."""

    BIG = "big"
    LITTLE = "little"


BIT_TABLES: Final = frozenset({Table.COIL, Table.DISCRETE})
_FORMATS: Final = {
    ValueType.INT16: ">h",
    ValueType.UINT16: ">H",
    ValueType.INT32: ">i",
    ValueType.UINT32: ">I",
    ValueType.FLOAT32: ">f",
    ValueType.FLOAT64: ">d",
}
_FLOATS: Final = frozenset({ValueType.FLOAT32, ValueType.FLOAT64})
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_FLOAT64_MAX: Final = float(np.finfo(np.float64).max)
_RANGES: Final[dict[ValueType, tuple[float, float]]] = {
    ValueType.INT16: (-(2**15), 2**15 - 1),
    ValueType.UINT16: (0, 2**16 - 1),
    ValueType.INT32: (-(2**31), 2**31 - 1),
    ValueType.UINT32: (0, 2**32 - 1),
    ValueType.FLOAT32: (-_FLOAT32_MAX, _FLOAT32_MAX),
    ValueType.FLOAT64: (-_FLOAT64_MAX, _FLOAT64_MAX),
}


class ModbusPoint(Model):
    """Where one tag lives in a Modbus device; the tag's value is raw value x scale + offset."""

    table: Table
    address: Annotated[int, Field(ge=0, le=65535)]
    """Counted from 0, as on the wire: register 40001 of a manual that counts from 1 is holding 0."""
    type: ValueType
    word_order: Order = Order.BIG
    """Which register of a value comes first: big is ABCD, little is CDAB."""
    byte_order: Order = Order.BIG
    """Which byte of a register comes first: little is BADC, and DCBA with word_order little."""
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """In the tag's unit."""
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """The bit of a register (0 is the lowest) that is the value."""
    writable: bool = False
    invalid: tuple[float, ...] = ()
    """Raw values by which the device says that the sensor failed."""

    @model_validator(mode="after")
    def _consistent(self) -> ModbusPoint:
        for wrong, message in self._mistakes():
            if wrong:
                raise ValueError(message)
        return self

    def _mistakes(self) -> Iterable[tuple[bool, str]]:
        bits = self.table in BIT_TABLES
        single = bits or self.bit is not None
        yield bits and self.type is not ValueType.BOOL, f"a {self.table} is a single bit: type must be bool"
        yield bits and self.bit is not None, f"a {self.table} is a single bit: leave bit out"
        yield (
            not bits and self.type is ValueType.BOOL and self.bit is None,
            "type bool in a register needs bit (0 to 15)",
        )
        yield (
            self.bit is not None and self.type not in (ValueType.BOOL, ValueType.UINT16),
            "bit goes with type bool or uint16",
        )
        yield single and (self.scale, self.offset) != (1.0, 0.0), "a single bit has no scale and no offset"
        yield not 1e-12 <= abs(self.scale) <= 1e12, "scale must lie between 1e-12 and 1e12 (or be as far below 0)"
        yield (
            self.writable and self.table not in (Table.HOLDING, Table.COIL),
            f"a {self.table} cannot be written: only holding and coil can",
        )
        yield (
            self.writable and self.bit is not None,
            "one bit of a register cannot be written without touching the others",
        )
        yield self.address + self.width > 65536, "the value reaches beyond address 65535"

    @property
    def width(self) -> int:
        """Registers, or coils and discrete inputs, that the value takes."""
        fmt = _FORMATS.get(self.type)
        return 1 if fmt is None or self.bit is not None else struct.calcsize(fmt) // 2


def encode(point: ModbusPoint, value: float) -> list[int]:
    """The registers (or the one bit) for a value in the tag's unit; ValueError, in words, when it does not fit."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a number that can be written")
    if point.type is ValueType.BOOL:
        if value not in (0.0, 1.0):
            raise ValueError(f"{value:g} is neither 0 nor 1")
        return [int(value)]
    numerator, denominator = _ratio(point.scale)
    scaled = (value - point.offset) * denominator / numerator
    raw = scaled if point.type in _FLOATS else _rounded(scaled)
    low, high = _RANGES[point.type]
    if not low <= raw <= high:
        raise ValueError(f"{value:g} does not fit {point.type} (raw value {raw:g}, allowed {low:g} to {high:g})")
    if raw in point.invalid:
        raise ValueError(f"{value:g} is the device's code for a failed sensor (raw value {raw:g})")
    data = struct.pack(_FORMATS[point.type], raw)
    order = "<" if point.byte_order is Order.LITTLE else ">"
    words = list(struct.unpack(f"{order}{len(data) // 2}H", data))
    return words[::-1] if point.word_order is Order.LITTLE else words


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive addresses read in one request; ``members`` are the positions of its points in the driver's list."""

    table: Table
    address: int
    count: int
    members: tuple[int, ...]


def coalesce(points: Sequence[ModbusPoint], limit: int, bit_limit: int, max_gap: int) -> list[Block]:
    """As few blocks as possible over all points.

    No block is longer than ``limit`` registers (``bit_limit`` coils or discrete inputs) or reads over more than
    ``max_gap`` addresses that no point asked for.
    """
    return [
        block
        for table in Table
        for block in _coalesce_table(
            dict(enumerate(points)), table, bit_limit if table in BIT_TABLES else limit, max_gap
        )
    ]


def apart(points: Sequence[ModbusPoint], block: Block) -> list[Block]:
    """The block's points in smaller blocks, to find the address that a device refuses: without gaps, then halved."""
    runs = _coalesce_table({i: points[i] for i in block.members}, block.table, block.count, 0)
    if len(runs) > 1:
        return runs
    middle = len(block.members) // 2
    return [_spanning(points, block.table, part) for part in (block.members[:middle], block.members[middle:])]


class BlockDecoder:
    """Turns one block's raw answer into values and qualities, by arrays."""

    def __init__(self, points: Sequence[ModbusPoint], block: Block) -> None:
        members = [points[i] for i in block.members]
        self._bits = block.table in BIT_TABLES
        self._slots = np.array(block.members, dtype=np.intp)
        self._single = np.array([p.address - block.address for p in members], dtype=np.intp)
        self._groups = [] if self._bits else _groups(members, block.address)
        ratios = [_ratio(p.scale) for p in members]
        self._numerator = np.array([float(r[0]) for r in ratios])
        self._denominator = np.array([float(r[1]) for r in ratios])
        self._offset = np.array([p.offset for p in members])
        sentinels = [(i, raw) for i, p in enumerate(members) for raw in p.invalid]
        self._sentinel_of = np.array([i for i, _ in sentinels], dtype=np.intp)
        self._sentinel = np.array([raw for _, raw in sentinels], dtype=np.float64)

    def decode(self, answer: Sequence[int], value: FloatArray, quality: QualityArray) -> None:
        """Fill in the members' places of ``value`` and ``quality``.

        NaN, infinity and the points' ``invalid`` raw values are a sensor failure.
        """
        if self._bits:
            raw = np.array(answer, dtype=np.float64)[self._single]
        else:
            raw = self._raw(np.array(answer, dtype=np.uint16))
        bad = ~np.isfinite(raw)
        bad[self._sentinel_of[raw[self._sentinel_of] == self._sentinel]] = True
        # One rounding only: 0.01 is no binary fraction, 1/100 is exact in both parts.
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = raw * self._numerator / self._denominator + self._offset
        bad |= ~np.isfinite(scaled)
        scaled[bad] = np.nan
        value[self._slots] = scaled
        quality[self._slots] = np.where(bad, np.uint32(BAD_SENSOR_FAILURE), np.uint32(GOOD))

    def _raw(self, registers: npt.NDArray[np.uint16]) -> FloatArray:
        raw = np.empty(len(self._slots), dtype=np.float64)
        for group in self._groups:
            words = registers[group.offsets]
            if group.bits is not None:
                raw[group.slots] = (words[:, 0] >> group.bits) & 1
                continue
            if group.swap_bytes:
                words = words.byteswap()
            with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN like any other
                raw[group.slots] = words.astype(">u2").view(group.dtype)[:, 0]
        return raw


@dataclass(frozen=True, slots=True)
class _Group:
    """Points of a block that are coded alike: where each one's words lie, most significant first."""

    slots: npt.NDArray[np.intp]
    offsets: npt.NDArray[np.intp]
    swap_bytes: bool
    dtype: str
    bits: npt.NDArray[np.uint16] | None


def _groups(members: Sequence[ModbusPoint], start: int) -> list[_Group]:
    alike: dict[tuple[object, ...], list[int]] = {}
    for i, point in enumerate(members):
        key = (point.bit is not None, point.type, point.byte_order)
        alike.setdefault(key, []).append(i)
    result = []
    for indices in alike.values():
        group = [members[i] for i in indices]
        first = group[0]
        bits = [p.bit for p in group if p.bit is not None]
        result.append(
            _Group(
                np.array(indices, dtype=np.intp),
                np.array([_word_offsets(p, start) for p in group], dtype=np.intp),
                first.byte_order is Order.LITTLE,
                _FORMATS.get(first.type, ">H"),
                np.array(bits, dtype=np.uint16) if bits else None,
            )
        )
    return result


def _word_offsets(point: ModbusPoint, start: int) -> list[int]:
    offsets = list(range(point.address - start, point.address - start + point.width))
    return offsets[::-1] if point.word_order is Order.LITTLE else offsets


def _coalesce_table(points: Mapping[int, ModbusPoint], table: Table, limit: int, max_gap: int) -> list[Block]:
    ordered = sorted(
        (i for i, p in points.items() if p.table is table), key=lambda i: (points[i].address, points[i].width)
    )
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
    return [_spanning(points, table, tuple(run)) for run in runs]


def _spanning(
    points: Sequence[ModbusPoint] | Mapping[int, ModbusPoint], table: Table, members: tuple[int, ...]
) -> Block:
    start = min(points[i].address for i in members)
    end = max(points[i].address + points[i].width for i in members)
    return Block(table, start, end - start, members)


def _rounded(scaled: float) -> float:
    """To the nearest whole number; infinity stays, to be told from what fits."""
    return round(scaled) if math.isfinite(scaled) else scaled


def _ratio(scale: float) -> tuple[int, int]:
    """The scale as the fraction that was meant when it was written down (0.01 is 1/100)."""
    fraction = Fraction(repr(scale))
    return fraction.numerator, fraction.denominator
