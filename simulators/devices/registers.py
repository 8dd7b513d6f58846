"""Values in 16-bit registers: scaled integers and floats, one or two registers, both word orders."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class Fault(IntEnum):
    """Exception codes that the devices answer (MODBUS Application Protocol 1.1b3, section 7)."""

    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4


class ModbusFault(Exception):  # noqa: N818  the standard's word
    """A request refused with an exception code; nothing was changed."""

    def __init__(self, code: Fault) -> None:
        super().__init__(f"exception {int(code)} ({code.name.lower().replace('_', ' ')})")
        self.code = code


class Form(StrEnum):
    """How a value lies in registers. ABCD: high word first; CDAB: low word first; bytes always big-endian."""

    INT16 = "int16"
    UINT16 = "uint16"
    UINT32_ABCD = "uint32 ABCD"
    FLOAT32_CDAB = "float32 CDAB"


_RANGES: Final = {Form.INT16: (-0x8000, 0x7FFF), Form.UINT16: (0, 0xFFFF), Form.UINT32_ABCD: (0, 0xFFFFFFFF)}


@dataclass(frozen=True, slots=True)
class Register:
    """One value of a register table: value = raw x scale."""

    address: int
    name: str
    form: Form = Form.UINT16
    scale: float = 1.0
    unit: str = ""

    @property
    def words(self) -> int:
        """How many registers it takes."""
        return 2 if self.form in (Form.UINT32_ABCD, Form.FLOAT32_CDAB) else 1

    def encode(self, value: float) -> list[int]:
        """The registers of a value, which saturates at the ends of its form's range."""
        if self.form is Form.FLOAT32_CDAB:
            high, low = struct.unpack(">HH", struct.pack(">f", value))
            return [low, high]
        low, high = _RANGES[self.form]
        raw = max(low, min(high, round(value / self.scale)))
        if self.form is Form.UINT32_ABCD:
            return [raw >> 16, raw & 0xFFFF]
        return [raw & 0xFFFF]

    def decode(self, words: Sequence[int]) -> float:
        """The value of its registers."""
        return self.raw(words) * self.scale

    def raw(self, words: Sequence[int]) -> float:
        """The value before scaling."""
        match self.form:
            case Form.FLOAT32_CDAB:
                return float(struct.unpack(">f", struct.pack(">HH", words[1], words[0]))[0])
            case Form.UINT32_ABCD:
                return (words[0] << 16) | words[1]
            case Form.INT16:
                return words[0] - 0x10000 if words[0] >= 0x8000 else words[0]
            case Form.UINT16:
                return words[0]


@dataclass(frozen=True, slots=True)
class Setpoint:
    """Limits and default of one holding register, raw; value = raw x scale.

    ``safe`` is its raw value in the safe state; None: not touched.
    """

    low: int
    high: int
    default: int
    safe: int | None = None
    scale: float = 1.0
    unit: str = ""

    def moves(self, raw: int) -> bool:
        """Whether it would move something away from the safe state."""
        return self.safe is not None and raw != self.safe


def wrapped(value: float, modulus: int) -> int:
    """A counter as its register shows it after overflow; rounded down, so that it never shows too much."""
    return math.floor(value + 1e-6) % modulus


def window(words: list[int], address: int, count: int) -> list[int]:
    """``count`` registers from ``address``. Raises ModbusFault 2 outside the table."""
    if address < 0 or count < 1 or address + count > len(words):
        raise ModbusFault(Fault.ILLEGAL_ADDRESS)
    return words[address : address + count]
