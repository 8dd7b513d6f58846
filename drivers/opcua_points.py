"""OPC UA points: where a variable lies in the server, and how its values become a tag's and back."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Final

import numpy as np
from pydantic import Field, model_validator

from drivers.driver import Model
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_OUT_OF_RANGE,
    BAD_SENSOR_FAILURE,
    BAD_WAITING_FOR_INITIAL,
    GOOD,
    is_bad,
)
from evcontrol.signals import EXACT_INTEGER_LIMIT, Tag, TagKind


class DataType(StrEnum):
    """The built-in types that a tag can have (OPC 10000-6, 5.1.2)."""

    BOOLEAN = "Boolean"
    SBYTE = "SByte"
    BYTE = "Byte"
    INT16 = "Int16"
    UINT16 = "UInt16"
    INT32 = "Int32"
    UINT32 = "UInt32"
    INT64 = "Int64"
    UINT64 = "UInt64"
    FLOAT = "Float"
    DOUBLE = "Double"
    STRING = "String"


FLOATS: Final = frozenset({DataType.FLOAT, DataType.DOUBLE})
_FLOAT_MAX: Final = float(np.finfo(np.float32).max)
_DOUBLE_MAX: Final = float(np.finfo(np.float64).max)
INTEGERS: Final[dict[DataType, tuple[int, int]]] = {
    DataType.SBYTE: (-(2**7), 2**7 - 1),
    DataType.BYTE: (0, 2**8 - 1),
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.UINT32: (0, 2**32 - 1),
    DataType.INT64: (-EXACT_INTEGER_LIMIT, EXACT_INTEGER_LIMIT),
    DataType.UINT64: (0, EXACT_INTEGER_LIMIT),
}
"""What an integer can hold; of 64 bits, what a tag can carry exactly."""
_LABELLED: Final = frozenset({TagKind.ENUM, TagKind.DISCRETE})
_DATA_VALUE_INFO: Final = 0x0400
_OVERFLOW: Final = 0x0080
_INFO_BITS: Final = 0x03FF
"""Low bits of a data value's status: that they mean something, that the server's queue of the item overflowed, and all
that there are (OPC 10000-4, 7.39.1)."""
_NOTATION: Final = re.compile(r"[isgb]=.+", re.DOTALL)


class OpcUaPoint(Model):
    """Where one tag lives in an OPC UA server; the tag's value is the variable's x scale + offset."""

    node: Annotated[str, Field(min_length=1)] | None = None
    """Identifier of the variable within the namespace: a text, or ``i=``, ``s=``, ``g=``, ``b=`` and the identifier."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """Browse names from the Objects folder to the variable, with ``/`` between."""
    namespace: Annotated[str, Field(min_length=1)] | None = None
    """URI of another namespace than the device's."""
    writable: bool = False
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """In the tag's unit."""

    @model_validator(mode="after")
    def _consistent(self) -> OpcUaPoint:
        for wrong, message in self._mistakes():
            if wrong:
                raise ValueError(message)
        return self

    def _mistakes(self) -> Iterable[tuple[bool, str]]:
        yield (self.node is None) == (self.path is None), "give node or path, one of them"
        yield self.path is not None and "" in self.path.split("/"), "path has an empty browse name"
        yield self.node is not None and not is_identifier(self.node), f"node {self.node!r} is no identifier"
        yield not 1e-12 <= abs(self.scale) <= 1e12, "scale must lie between 1e-12 and 1e12 (or be as far below 0)"

    @property
    def place(self) -> Place:
        """Where the variable is."""
        return Place(self.node, tuple(self.path.split("/")) if self.path is not None else (), self.namespace)


@dataclass(frozen=True, slots=True)
class Place:
    """An identifier, or browse names below the Objects folder; ``namespace`` is a URI, None for the device's."""

    node: str | None
    path: tuple[str, ...] = ()
    namespace: str | None = None

    def __str__(self) -> str:
        return self.node if self.node is not None else "/".join(self.path)


def is_identifier(text: str) -> bool:
    """Whether a text can be a node's identifier: only a number, GUID or byte string in notation can be wrong."""
    if not _NOTATION.match(text) or text.startswith("s="):
        return True
    kind, rest = text[0], text[2:]
    if kind == "i":
        return rest.isascii() and rest.isdigit() and int(rest) < 2**32
    if kind == "g":
        return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", rest) is not None
    return re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", rest) is not None and len(rest) % 4 == 0


def identifier_of(text: str) -> tuple[str, str]:
    """Kind (``i``, ``s``, ``g`` or ``b``) and identifier; a text without notation is a string identifier."""
    return (text[0], text[2:]) if _NOTATION.match(text) else ("s", text)


@dataclass(frozen=True, slots=True)
class Codec:
    """Turns one variable's values into its tag's and back."""

    type: DataType
    numerator: int
    denominator: int
    offset: float
    labels: tuple[str, ...]
    code_of: Callable[[str], float] | None
    """Of a tag that is a text."""
    plain: bool = False
    """Whether a number is the tag's as it is."""

    @classmethod
    def of(
        cls,
        data_type: DataType,
        point: OpcUaPoint,
        tag: Tag | None = None,
        code_of: Callable[[str], float] | None = None,
    ) -> Codec:
        """The codec of a point; ValueError, in words, when the variable's type does not fit the tag."""
        scaled = (point.scale, point.offset) != (1.0, 0.0)
        labels = tag.labels if tag is not None and tag.kind in _LABELLED else ()
        text = tag is not None and tag.kind is TagKind.TEXT
        if data_type is DataType.STRING and not labels and not text:
            raise ValueError("a String fits only a text, or a tag with labels")
        if data_type is not DataType.STRING and text:
            raise ValueError(f"a {data_type} does not fit a text")
        if scaled and data_type in (DataType.BOOLEAN, DataType.STRING):
            raise ValueError(f"a {data_type} has no scale and no offset")
        # The scale as the fraction that was meant when it was written down: 0.01 is 1/100.
        ratio = Fraction(repr(point.scale))
        words = labels if data_type is DataType.STRING else ()
        plain = not scaled and data_type in FLOATS
        return cls(data_type, ratio.numerator, ratio.denominator, point.offset, words, code_of if text else None, plain)

    def decode(self, value: object, status: int) -> tuple[float, int]:
        """The tag's value and quality; NaN when Bad.

        A Good value that is none (null, another type than the variable had, not finite, too large to be exact) is Bad.
        """
        if status == GOOD and type(value) is float and self.plain and math.isfinite(value):
            return value, GOOD  # as nearly all are
        if is_bad(status):
            return math.nan, status
        if value is None:
            return math.nan, BAD_WAITING_FOR_INITIAL
        return self._decode_text(value, status) if self.type is DataType.STRING else self._decode_number(value, status)

    def _decode_number(self, value: object, status: int) -> tuple[float, int]:
        if not isinstance(value, bool | int | float):
            return math.nan, BAD_CONFIGURATION
        if isinstance(value, int) and abs(value) > EXACT_INTEGER_LIMIT:
            return math.nan, BAD_OUT_OF_RANGE
        # One rounding only: 0.01 is no binary fraction, 1/100 is exact in both parts.
        result = float(value)
        if self.numerator != self.denominator or self.offset:
            result = result * self.numerator / self.denominator + self.offset
        return (result, status) if math.isfinite(result) else (math.nan, BAD_SENSOR_FAILURE)

    def _decode_text(self, value: object, status: int) -> tuple[float, int]:
        if isinstance(value, str) and self.code_of is not None:
            return self.code_of(value), status
        return (float(self.labels.index(value)), status) if value in self.labels else (math.nan, BAD_CONFIGURATION)

    def encode(self, value: float) -> bool | int | float | str:
        """The variable's value for a tag's; ValueError, in words, when it does not fit."""
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a number that can be written")
        if self.type is DataType.BOOLEAN:
            if value not in (0.0, 1.0):
                raise ValueError(f"{value:g} is neither 0 nor 1")
            return bool(value)
        if self.type is DataType.STRING:
            if not self.labels:
                raise ValueError("a text cannot be written")
            if value != int(value) or not 0 <= value < len(self.labels):
                raise ValueError(f"{value:g} is none of the tag's labels")
            return self.labels[int(value)]
        raw = (value - self.offset) * self.denominator / self.numerator
        if self.type in FLOATS:
            low, high = (-_FLOAT_MAX, _FLOAT_MAX) if self.type is DataType.FLOAT else (-_DOUBLE_MAX, _DOUBLE_MAX)
        else:
            raw = round(raw) if math.isfinite(raw) else raw
            low, high = INTEGERS[self.type]
        if not low <= raw <= high:
            raise ValueError(f"{value:g} does not fit {self.type} (raw value {raw:g}, allowed {low:g} to {high:g})")
        return raw


def next_beat(data_type: DataType, beat: object) -> bool | int | None:
    """Another value than ``beat`` for a heartbeat: counted up and over its end, or toggled; None for other types."""
    if data_type is DataType.BOOLEAN:
        return not beat
    if data_type not in INTEGERS:
        return None
    top = INTEGERS[data_type][1]
    return beat + 1 if isinstance(beat, int) and 0 <= beat < top else 0


def without_overflow(status: int) -> tuple[int, bool]:
    """A status without the overflow information, and whether it was there."""
    if not (status & _DATA_VALUE_INFO and status & _OVERFLOW):
        return status, False
    status &= ~_OVERFLOW
    return (status if status & _INFO_BITS else status & ~_DATA_VALUE_INFO), True


def notation(kind: str, identifier: object) -> str:
    """An identifier as a point writes it; ``kind`` is asyncua's name of its type, such as ``String`` or ``Numeric``."""
    if isinstance(identifier, bytes):
        return "b=" + base64.b64encode(identifier).decode()
    if kind == "Guid":
        return f"g={identifier}"
    if kind == "String":
        text = str(identifier)
        return f"s={text}" if _NOTATION.match(text) else text
    return f"i={identifier}"
