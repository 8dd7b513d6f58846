"""Columns of readings as compressed blobs: numbers in the type of the wire where that loses no bit.

An instrument's float32, scaled integer or decimal digits travel as float64 in a frame. Packed as what they were they
take a third; each column is turned back before it is accepted, so that every value returns bit for bit.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

from evcontrol.history.layout import NOT_KEPT
from evcontrol.quality import BAD, QualityArray
from evcontrol.signals import FloatArray, TimeArray

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
CodecArray = npt.NDArray[np.int16]

NONE: Final = 0
"""No value at all: every reading Bad, or not kept."""
CONSTANT: Final = 1
"""One float64, little-endian, for all."""
FLOAT32: Final = 2
FLOAT64: Final = 3
BITS: Final = 4
"""The float64's bits as integers: not a number with Good quality, or with a payload."""
DECIMAL: Final = 10
"""DECIMAL + d: integers to be divided by 10 to the power of d."""
DIGITS: Final = (0, 1, 2, 3, 4)
MORE_DIGITS: Final = (5, 6)

LEVEL: Final = 4
PROBE_ROWS: Final = 8
_NAN_BITS: Final = np.float64(np.nan).view(np.uint64)
_LARGEST: Final = float(2**53)
_CLASSIC: Final = ModeSpec.classic()
_PLAIN: Final = ChunkConfig(compression_level=LEVEL, mode_spec=_CLASSIC, delta_spec=DeltaSpec.no_op())
_DELTA: Final = ChunkConfig(compression_level=LEVEL, mode_spec=_CLASSIC, delta_spec=DeltaSpec.try_consecutive(1))
_AUTO: Final = ChunkConfig(compression_level=LEVEL)


def value_codecs(values: FloatArray, quality: QualityArray) -> CodecArray:
    """The codec for each tag of a matrix of readings x tags.

    All but BITS leave out what is Bad or was not kept; that is the codec where one of these has a value nevertheless.
    """
    bad = quality >= BAD
    kinds = codecs(values, bad)
    kinds[(bad & (_bits(values) != _NAN_BITS)).any(axis=0)] = BITS
    return kinds


def codecs(values: FloatArray, missing: BoolArray, *, constants: bool = True) -> CodecArray:
    """The codec for each column of a matrix of numbers, of which some are ``missing``.

    Without ``constants`` what never changes gets the codec of its number.
    """
    found = np.full(values.shape[1], FLOAT64, dtype=np.int16)
    present = ~missing
    any_present = present.any(axis=0)
    first = np.take_along_axis(values, present.argmax(axis=0)[None, :], axis=0)
    found[~any_present] = NONE
    odd = any_present & (present & np.isnan(values)).any(axis=0)
    found[odd] = BITS
    same = (_bits(values) == _bits(first)) | missing
    constant = any_present & ~odd & same.all(axis=0) & constants
    found[constant] = CONSTANT
    left = np.flatnonzero(any_present & ~odd & ~constant)
    # A gap is filled with a value of its column, so that one comparison does for all.
    filled = np.where(missing[:, left], first[:, left], values[:, left])
    for digits in DIGITS:
        left, filled = _settle(found, left, filled, _is_decimal, DECIMAL + digits, digits)
    left, filled = _settle(found, left, filled, _is_float32, FLOAT32, 0)
    for digits in MORE_DIGITS:
        left, filled = _settle(found, left, filled, _is_decimal, DECIMAL + digits, digits)
    return found


def creeping(values: FloatArray) -> BoolArray:
    """For each column whether neighbours differ less than all do: packed as differences it takes less."""
    if len(values) < 3:
        return np.zeros(values.shape[1], dtype=np.bool_)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.abs(np.diff(values, axis=0)).mean(axis=0)
        spread: BoolArray = steps < np.abs(values - values.mean(axis=0)).mean(axis=0)
    return spread


def pack_values(values: FloatArray, codec: int, delta: bool = False) -> bytes:
    """One column without its missing values, packed with the codec that was found for it.

    ``delta``: as differences, see :func:`creeping`.
    """
    config = _DELTA if delta else _PLAIN
    if codec == NONE:
        return b""
    if codec == CONSTANT:
        return np.asarray(values[:1], dtype="<f8").tobytes()
    if codec >= DECIMAL:
        return _compressed(_narrowed(np.rint(values * 10.0 ** (codec - DECIMAL)).astype(np.int64)), config)
    if codec == FLOAT32:
        return _compressed(values.astype(np.float32), config)
    if codec == BITS:
        return _compressed(values.view(np.uint64), _AUTO)
    return _compressed(values, _AUTO)


def unpack_values(blob: bytes, codec: int, count: int) -> FloatArray:
    """The column that :func:`pack_values` packed, ``count`` values; ValueError when the blob is damaged."""
    if codec == NONE:
        return np.full(count, np.nan)
    if codec == CONSTANT:
        return np.full(count, np.frombuffer(blob, dtype="<f8", count=1)[0])
    found = _decompressed(blob, count)
    if codec >= DECIMAL:
        return np.asarray(found / 10.0 ** (codec - DECIMAL))
    if codec == BITS:
        return found.view(np.float64)
    return found.astype(np.float64, copy=False)


def pack_integers(values: npt.NDArray[Any]) -> bytes:
    """Times or codes (int64 or uint32) as a blob."""
    if values.dtype == np.uint32:
        return _compressed(values, _AUTO)
    return _packed(values.astype(np.int64, copy=False))


def unpack_integers(blob: bytes, count: int) -> npt.NDArray[Any]:
    """What :func:`pack_integers` packed; ValueError when the blob is damaged."""
    return _decompressed(blob, count)


def pack_quality(quality: QualityArray) -> int | bytes | None:
    """A column of status codes: None all Good, one code for all, or a blob."""
    first = int(quality[0])
    if (quality == first).all():
        return first or None
    return pack_integers(quality)


def unpack_quality(cell: int | bytes | None, count: int) -> QualityArray:
    """The status codes that :func:`pack_quality` packed; ValueError when the blob is damaged."""
    if isinstance(cell, bytes):
        return unpack_integers(cell, count).astype(np.uint32, copy=False)
    return np.full(count, cell or 0, dtype=np.uint32)


def kept(quality: QualityArray) -> BoolArray:
    """Which readings were kept at all."""
    mask: BoolArray = quality != NOT_KEPT
    return mask


def delta_times(times: TimeArray, reference: TimeArray) -> bytes:
    """Times that stay close to others, as a blob of their distances."""
    return _packed(_narrowed(times - reference))


def _settle(
    found: CodecArray, left: IntArray, values: FloatArray, fits: Any, codec: int, digits: int
) -> tuple[IntArray, FloatArray]:
    """Give the codec to the columns that fit; what is left of the others."""
    if len(left) == 0:
        return left, values
    maybe = np.flatnonzero(fits(values[:PROBE_ROWS], digits))
    if len(maybe) == 0:
        return left, values
    fitting = maybe[fits(values[:, maybe], digits)]
    found[left[fitting]] = codec
    rest = np.ones(len(left), dtype=np.bool_)
    rest[fitting] = False
    return left[rest], values[:, rest]


def _is_decimal(values: FloatArray, digits: int) -> BoolArray:
    scale = 10.0**digits
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.rint(values * scale)
        ok: BoolArray = ((np.abs(whole) < _LARGEST) & (_bits(whole / scale + 0.0) == _bits(values))).all(axis=0)
    return ok


def _is_float32(values: FloatArray, _: int) -> BoolArray:
    with np.errstate(over="ignore", invalid="ignore"):
        ok: BoolArray = (_bits(values.astype(np.float32).astype(np.float64)) == _bits(values)).all(axis=0)
    return ok


def _bits(values: FloatArray) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(values).view(np.uint64)


def _narrowed(values: IntArray) -> npt.NDArray[Any]:
    """Integers in the narrowest type that holds them."""
    low, high = int(values.min()), int(values.max())
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values


def _packed(values: npt.NDArray[Any]) -> bytes:
    return _compressed(values, _DELTA if creeping(values[:, None].astype(np.float64))[0] else _PLAIN)


def _compressed(values: npt.NDArray[Any], config: ChunkConfig) -> bytes:
    return bytes(standalone.simple_compress(np.ascontiguousarray(values), config))


def _decompressed(blob: bytes, count: int) -> npt.NDArray[Any]:
    try:
        found = standalone.simple_decompress(blob)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"a sealed block is damaged: {error}") from None
    if found is None or len(found) != count:
        raise ValueError(f"a sealed block is damaged: {0 if found is None else len(found)} values, not {count}")
    return np.asarray(found)
