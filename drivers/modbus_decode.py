"""Turns the answers to a whole scan of a Modbus device into values and qualities, by arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.modbus_blocks import Block
from drivers.modbus_points import BIT_TABLES, FLOATS, FORMATS, LONG_INTEGERS, ModbusPoint, Order, ValueType
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_OUT_OF_RANGE,
    BAD_SENSOR_FAILURE,
    GOOD,
    QualityArray,
)
from evcontrol.signals import EXACT_INTEGER_LIMIT, FloatArray

TextCode = Callable[[str], float]
"""The number under which a text travels in a frame; ValueError for a text that the tag does not know."""

_FIRST_PRINTABLE: Final = " "
_DELETE: Final = "\x7f"


class PlanDecoder:
    """Decodes the answers to the blocks of one plan.

    ``text_codes`` has, for the position of each point that is a string, what its texts become.
    """

    def __init__(
        self, points: Sequence[ModbusPoint], blocks: Sequence[Block], text_codes: dict[int, TextCode] | None = None
    ) -> None:
        self._sizes = [block.request.data_size for block in blocks]
        starts = [0, *accumulate(size + size % 2 for size in self._sizes)]
        places = [
            _Place(points[i], i, number, starts[number] + _byte_offset(points[i], block))
            for number, block in enumerate(blocks)
            for i in block.members
        ]
        numbers = [each for each in places if each.point.type is not ValueType.STRING]
        self._slots = np.array([each.position for each in numbers], dtype=np.intp)
        self._all_slots = _run_of(self._slots)
        self._block_of = np.array([each.block for each in numbers], dtype=np.intp)
        self._coils = _Coils.of(numbers, blocks)
        self._groups = _groups(numbers)
        ratios = [each.point.ratio for each in numbers]
        self._numerator = np.array([float(r[0]) for r in ratios])
        self._denominator = np.array([float(r[1]) for r in ratios])
        self._offset = np.array([each.point.offset for each in numbers])
        self._scaled = any((each.point.scale, each.point.offset) != (1.0, 0.0) for each in numbers)
        self._all_finite = all(each.point.type not in FLOATS for each in numbers)
        sentinels = [(i, raw) for i, each in enumerate(numbers) for raw in each.point.invalid]
        self._sentinel_of = np.array([i for i, _ in sentinels], dtype=np.intp)
        self._sentinel = np.array([raw for _, raw in sentinels], dtype=np.float64)
        codes = text_codes or {}
        self._texts = [_Text(each, codes[each.position]) for each in places if each.point.type is ValueType.STRING]

    def decode(self, answers: Sequence[bytes | None], value: FloatArray, quality: QualityArray) -> None:
        """Fill in the places of the answered blocks in ``value`` and ``quality``; None is a block without answer.

        An answer is the data of a Modbus response: registers of two bytes each, or coils packed in bytes. NaN,
        infinity and the points' ``invalid`` raw values are a sensor failure, integers beyond 2^53 out of range.
        """
        image = b"".join(
            [
                bytes(size + size % 2) if answer is None else answer + b"\0" if size % 2 else answer
                for answer, size in zip(answers, self._sizes, strict=True)
            ]
        )
        self._decode_numbers(image, answers, value, quality)
        for text in self._texts:
            if answers[text.place.block] is not None:
                value[text.place.position], quality[text.place.position] = text.decode(image)

    def _decode_numbers(
        self, image: bytes, answers: Sequence[bytes | None], value: FloatArray, quality: QualityArray
    ) -> None:
        raw = np.empty(len(self._slots), dtype=np.float64)
        status = np.zeros(len(self._slots), dtype=np.uint32)  # GOOD
        words = np.frombuffer(image, dtype=">u2")
        if self._coils is not None:
            self._coils.decode(words.view(np.uint8), raw)
        if self._all_finite:
            scaled = self._read(words, raw, status)
        else:
            with np.errstate(over="ignore", invalid="ignore"):  # a signalling NaN is a NaN like any other
                scaled = self._read(words, raw, status)
            status[~np.isfinite(scaled)] = BAD_SENSOR_FAILURE
        if len(self._sentinel):
            status[self._sentinel_of[raw[self._sentinel_of] == self._sentinel]] = BAD_SENSOR_FAILURE
        if status.any():
            scaled[status != GOOD] = np.nan
        if None in answers:
            answered = np.array([answer is not None for answer in answers])[self._block_of]
            slots = self._slots[answered]
            value[slots], quality[slots] = scaled[answered], status[answered]
        else:
            value[self._all_slots], quality[self._all_slots] = scaled, status

    def _read(self, words: npt.NDArray[np.uint16], raw: FloatArray, status: QualityArray) -> FloatArray:
        """The groups' values, raw and scaled."""
        for group in self._groups:
            group.decode(words, raw, status)
        # One rounding only: 0.01 is no binary fraction, 1/100 is exact in both parts.
        return raw * self._numerator / self._denominator + self._offset if self._scaled else raw


def _run_of(indices: npt.NDArray[np.intp]) -> npt.NDArray[np.intp] | slice:
    """Indices in a row as a slice, with which numpy is several times faster."""
    if len(indices) == 0 or np.any(np.diff(indices) != 1):
        return indices
    return slice(int(indices[0]), int(indices[-1]) + 1)


@dataclass(frozen=True, slots=True)
class _Place:
    """A point, its position in the driver's list, its block, and its first byte in the image of all answers."""

    point: ModbusPoint
    position: int
    block: int
    first: int

    @property
    def words(self) -> list[int]:
        """Where its registers lie in the image, most significant first."""
        words = list(range(self.first // 2, self.first // 2 + self.point.width))
        return words[::-1] if self.point.word_order is Order.LITTLE else words


def _byte_offset(point: ModbusPoint, block: Block) -> int:
    offset = point.address - block.address
    return offset // 8 if block.table in BIT_TABLES else 2 * offset


@dataclass(frozen=True, slots=True)
class _Coils:
    """Coils and discrete inputs: the byte of each, and its bit in it."""

    slots: npt.NDArray[np.intp]
    octets: npt.NDArray[np.intp]
    shifts: npt.NDArray[np.uint8]

    def decode(self, octets: npt.NDArray[np.uint8], raw: FloatArray) -> None:
        raw[self.slots] = (octets[self.octets] >> self.shifts) & 1

    @classmethod
    def of(cls, places: Sequence[_Place], blocks: Sequence[Block]) -> _Coils | None:
        coils = [(i, each) for i, each in enumerate(places) if each.point.table in BIT_TABLES]
        if not coils:
            return None
        return cls(
            np.array([i for i, _ in coils], dtype=np.intp),
            np.array([each.first for _, each in coils], dtype=np.intp),
            np.array([(each.point.address - blocks[each.block].address) % 8 for _, each in coils], dtype=np.uint8),
        )


@dataclass(frozen=True, slots=True)
class _Group:
    """Points that are coded alike: their places in the plan, and all their words, each most significant first."""

    slots: npt.NDArray[np.intp]
    run: npt.NDArray[np.intp] | slice
    words: npt.NDArray[np.intp] | slice
    type: ValueType
    swap_bytes: bool
    shifts: npt.NDArray[np.uint16] | None
    masks: npt.NDArray[np.uint16] | None

    def decode(self, image: npt.NDArray[np.uint16], raw: FloatArray, status: QualityArray) -> None:
        words = image[self.words]
        if self.swap_bytes:
            words = words.byteswap()
        if self.shifts is not None and self.masks is not None:
            raw[self.run] = (words >> self.shifts) & self.masks
            return
        numbers = words.view(FORMATS[self.type])
        if self.type in LONG_INTEGERS:
            limit = EXACT_INTEGER_LIMIT
            beyond = numbers > limit if self.type is ValueType.UINT64 else (numbers > limit) | (numbers < -limit)
            status[self.slots[beyond]] = BAD_OUT_OF_RANGE
        raw[self.run] = numbers


def _groups(places: Sequence[_Place]) -> list[_Group]:
    alike: dict[tuple[object, ...], list[int]] = {}
    for i, each in enumerate(places):
        if each.point.table not in BIT_TABLES:
            key = (each.point.bit is not None, each.point.type, each.point.byte_order)
            alike.setdefault(key, []).append(i)
    result = []
    for indices in alike.values():
        members = [places[i] for i in indices]
        first = members[0].point
        bits = [(each.point.bit, 2**each.point.bits - 1) for each in members if each.point.bit is not None]
        slots = np.array(indices, dtype=np.intp)
        words = np.array([word for each in members for word in each.words], dtype=np.intp)
        result.append(
            _Group(
                slots,
                _run_of(slots),
                _run_of(words),
                first.type,
                first.byte_order is Order.LITTLE,
                np.array([shift for shift, _ in bits], dtype=np.uint16) if bits else None,
                np.array([mask for _, mask in bits], dtype=np.uint16) if bits else None,
            )
        )
    return result


@dataclass(slots=True)
class _Text:
    """A string point; what it was last is kept, since names and versions hardly ever change."""

    place: _Place
    code_of: TextCode
    _data: bytes = b""
    _last: tuple[float, int] | None = field(default=None)

    def decode(self, image: bytes) -> tuple[float, int]:
        data = b"".join(self._word(image, 2 * word) for word in self.place.words)
        if self._last is None or data != self._data:
            self._data, self._last = data, self._reading(data)
        return self._last

    def _word(self, image: bytes, at: int) -> bytes:
        word = image[at : at + 2]
        return word[::-1] if self.place.point.byte_order is Order.LITTLE else word

    def _reading(self, data: bytes) -> tuple[float, int]:
        text = text_of(data)
        if text is None:
            return np.nan, BAD_DECODING
        try:
            return self.code_of(text), GOOD
        except ValueError:
            return np.nan, BAD_CONFIGURATION


def text_of(data: bytes) -> str | None:
    """The text (UTF-8) up to the first NUL and without spaces behind it; None for what is none."""
    try:
        text = data.split(b"\0", 1)[0].decode("utf-8").rstrip(" ")
    except UnicodeDecodeError:
        return None
    return None if any(sign < _FIRST_PRINTABLE or sign == _DELETE for sign in text) else text
