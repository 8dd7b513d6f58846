"""Modbus points: where a value lies in the registers, how it is coded, and its registers for a write."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Final

import numpy as np
from pydantic import Field, model_validator

from drivers.driver import Model
from evcontrol.signals import EXACT_INTEGER_LIMIT


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
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"


class Order(StrEnum):
    """Which end comes first."""

    BIG = "big"
    LITTLE = "little"


BIT_TABLES: Final = frozenset({Table.COIL, Table.DISCRETE})
FORMATS: Final = {
    ValueType.INT16: ">h",
    ValueType.UINT16: ">H",
    ValueType.INT32: ">i",
    ValueType.UINT32: ">I",
    ValueType.INT64: ">q",
    ValueType.UINT64: ">Q",
    ValueType.FLOAT32: ">f",
    ValueType.FLOAT64: ">d",
}
"""How each type lies in its registers with the most significant byte first."""
LONG_INTEGERS: Final = frozenset({ValueType.INT64, ValueType.UINT64})
FLOATS: Final = frozenset({ValueType.FLOAT32, ValueType.FLOAT64})
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_FLOAT64_MAX: Final = float(np.finfo(np.float64).max)
_RANGES: Final[dict[ValueType, tuple[float, float]]] = {
    ValueType.INT16: (-(2**15), 2**15 - 1),
    ValueType.UINT16: (0, 2**16 - 1),
    ValueType.INT32: (-(2**31), 2**31 - 1),
    ValueType.UINT32: (0, 2**32 - 1),
    ValueType.INT64: (-EXACT_INTEGER_LIMIT, EXACT_INTEGER_LIMIT),
    ValueType.UINT64: (0, EXACT_INTEGER_LIMIT),
    ValueType.FLOAT32: (-_FLOAT32_MAX, _FLOAT32_MAX),
    ValueType.FLOAT64: (-_FLOAT64_MAX, _FLOAT64_MAX),
}
"""What a value can hold; of 64-bit integers, what a tag can carry exactly."""


class ModbusPoint(Model):
    """Where one tag lives in a Modbus device; the tag's value is raw value x scale + offset."""

    table: Table
    address: Annotated[int, Field(ge=0, le=65535)]
    """Counted from 0, as on the wire: register 40001 of a manual that counts from 1 is holding 0."""
    type: ValueType
    unit_id: Annotated[int, Field(ge=0, le=255)] | None = None
    """The unit that has it, on a line or gateway with several; the device's when not given."""
    word_order: Order = Order.BIG
    """Which register of a value comes first: big is ABCD, little is CDAB."""
    byte_order: Order = Order.BIG
    """Which byte of a register comes first: little is BADC, and DCBA with word_order little."""
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """In the tag's unit."""
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """The bit of a register (0 is the lowest) that is the value, or its lowest one."""
    bits: Annotated[int, Field(ge=1, le=16)] = 1
    """How many bits from ``bit`` upwards are the value, an unsigned integer."""
    length: Annotated[int, Field(ge=1, le=125)] | None = None
    """Registers of a string, two characters each."""
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
        coil = self.table in BIT_TABLES
        text = self.type is ValueType.STRING
        scaled = (self.scale, self.offset) != (1.0, 0.0)
        yield coil and self.type is not ValueType.BOOL, f"a {self.table} is a single bit: type must be bool"
        yield coil and self.bit is not None, f"a {self.table} is a single bit: leave bit out"
        yield (
            not coil and self.type is ValueType.BOOL and self.bit is None,
            "type bool in a register needs bit (0 to 15)",
        )
        yield (
            self.bit is not None and self.type not in (ValueType.BOOL, ValueType.UINT16),
            "bit goes with type bool or uint16",
        )
        yield self.bits > 1 and self.bit is None, "bits needs bit, the lowest of them"
        yield self.bits > 1 and self.type is ValueType.BOOL, "several bits are no bool: type must be uint16"
        yield (self.bit or 0) + self.bits > 16, "bit and bits reach beyond the register's 16"
        yield text != (self.length is not None), "length (in registers) goes with type string, and a string needs it"
        yield text and (scaled or bool(self.invalid)), "a string has no scale, no offset and no invalid numbers"
        yield scaled and (coil or (self.bit is not None and self.bits == 1)), "a single bit has no scale and no offset"
        yield not 1e-12 <= abs(self.scale) <= 1e12, "scale must lie between 1e-12 and 1e12 (or be as far below 0)"
        yield (
            self.writable and self.table not in (Table.HOLDING, Table.COIL),
            f"a {self.table} cannot be written: only holding and coil can",
        )
        yield (
            self.writable and self.bit is not None,
            "bits of a register cannot be written without touching the others",
        )
        yield self.writable and text, "a string cannot be written"
        yield self.address + self.width > 65536, "the value reaches beyond address 65535"

    @property
    def width(self) -> int:
        """Registers, or coils and discrete inputs, that the value takes."""
        if self.length is not None:
            return self.length
        fmt = FORMATS.get(self.type)
        return 1 if fmt is None or self.bit is not None else struct.calcsize(fmt) // 2

    @property
    def ratio(self) -> tuple[int, int]:
        """The scale as the fraction that was meant when it was written down (0.01 is 1/100)."""
        fraction = Fraction(repr(self.scale))
        return fraction.numerator, fraction.denominator


def encode(point: ModbusPoint, value: float) -> list[int]:
    """The registers (or the one bit) for a value in the tag's unit; ValueError, in words, when it does not fit."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a number that can be written")
    if point.type is ValueType.STRING:
        raise ValueError("a string cannot be written")
    if point.type is ValueType.BOOL:
        if value not in (0.0, 1.0):
            raise ValueError(f"{value:g} is neither 0 nor 1")
        return [int(value)]
    numerator, denominator = point.ratio
    scaled = (value - point.offset) * denominator / numerator
    raw = scaled if point.type in FLOATS else _rounded(scaled)
    low, high = _RANGES[point.type]
    if not low <= raw <= high:
        raise ValueError(f"{value:g} does not fit {point.type} (raw value {raw:g}, allowed {low:g} to {high:g})")
    if raw in point.invalid:
        raise ValueError(f"{value:g} is the device's code for a failed sensor (raw value {raw:g})")
    data = struct.pack(FORMATS[point.type], raw)
    order = "<" if point.byte_order is Order.LITTLE else ">"
    words = list(struct.unpack(f"{order}{len(data) // 2}H", data))
    return words[::-1] if point.word_order is Order.LITTLE else words


def _rounded(scaled: float) -> float:
    """To the nearest whole number; infinity stays, to be told from what fits."""
    return round(scaled) if math.isfinite(scaled) else scaled
