"""Cells of a roll-up as one blob: each column over all tags, in the few types in which the tags' numbers fit."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from evcontrol.history import codec
from evcontrol.history.rollup import BoolArray, Cells
from evcontrol.signals import FloatArray

COUNTS: Final = ("weight", "quality", "readings", "good", "bad")
NUMBERS: Final = ("mean", "low", "high", "first", "last")
TREND: Final = ("weight", "quality", "mean", "low", "high")
"""The columns that a trend is drawn from."""
EVERY: Final = COUNTS + NUMBERS
_HEAD: Final = struct.Struct("<II")
_LENGTH: Final = struct.Struct("<I")


def pack_cells(cells: Cells, width: int) -> bytes:
    """Cells of ``width`` ns as a blob: cells, tags, then each part with its length before it."""
    held, made = cells.weight > 0, cells.good > 0
    parts = [codec.pack_integers(cells.start // width)]
    parts += [codec.pack_integers(_flat(getattr(cells, name))) for name in COUNTS]
    for name in NUMBERS:
        parts += _pack_matrix(getattr(cells, name), made if name in ("first", "last") else held)
    packed = [_HEAD.pack(*cells.weight.shape)]
    for part in parts:
        packed += [_LENGTH.pack(len(part)), part]
    return b"".join(packed)


def unpack_cells(blob: bytes, width: int, columns: tuple[str, ...] = EVERY) -> Cells:
    """The cells in a blob; columns not asked for have no rows. ValueError when it is damaged."""
    reading = _Parts(blob)
    shape = reading.shape
    start = codec.unpack_integers(reading.next(), shape[0]).astype(np.int64) * width
    found: dict[str, npt.NDArray[Any]] = {}
    for name in COUNTS:
        part = reading.next()
        if name in columns:
            found[name] = codec.unpack_integers(part, shape[0] * shape[1]).reshape(shape[1], shape[0]).T.copy()
    for name in NUMBERS:
        packed = reading.matrix()
        if name in columns:
            present = found["good" if name in ("first", "last") else "weight"] > 0
            found[name] = _unpack_matrix(packed, present)
    nothing: Mapping[str, npt.NDArray[Any]] = {
        name: np.zeros((0, shape[1]), dtype=np.int64 if name in COUNTS else np.float64) for name in EVERY
    }
    return Cells(start=start, **{**nothing, **found})


class _Parts:
    """The parts of a blob, one after the other."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = _HEAD.size
        try:
            self.shape: tuple[int, int] = _HEAD.unpack_from(blob)
        except struct.error as error:
            raise ValueError(f"cells are damaged: {error}") from None

    def next(self) -> bytes:
        try:
            (length,) = _LENGTH.unpack_from(self._blob, self._at)
        except struct.error as error:
            raise ValueError(f"cells are damaged: {error}") from None
        begin = self._at + _LENGTH.size
        self._at = begin + length
        return self._blob[begin : self._at]

    def matrix(self) -> list[bytes]:
        """The codec of each tag, and a part for each codec that occurs."""
        kinds = self.next()
        return [kinds, *(self.next() for _ in set(kinds))]


def _pack_matrix(values: FloatArray, present: BoolArray) -> list[bytes]:
    kinds = codec.codecs(values, ~present, constants=False)
    parts = [kinds.astype(np.uint8).tobytes()]
    for kind in sorted(set(kinds.tolist())):
        tags = kinds == kind
        parts.append(codec.pack_values(_flat(values[:, tags])[_flat(present[:, tags])], kind))
    return parts


def _unpack_matrix(parts: list[bytes], present: BoolArray) -> FloatArray:
    kinds = np.frombuffer(parts[0], dtype=np.uint8)
    if len(parts) == 2 and present.all():
        whole = codec.unpack_values(parts[1], int(kinds[0]), present.size).astype(np.float64, copy=False)
        return whole.reshape(present.shape[::-1]).T.copy()
    # Tags first, as they were packed.
    found = np.full(present.shape[::-1], np.nan)
    there = np.ascontiguousarray(present.T)
    for kind, part in zip(sorted(set(kinds.tolist())), parts[1:], strict=True):
        tags = kinds == kind
        if there[tags].all():
            found[tags] = codec.unpack_values(part, kind, int(tags.sum()) * there.shape[1]).reshape(-1, there.shape[1])
            continue
        rows = found[tags]
        rows[there[tags]] = codec.unpack_values(part, kind, int(there[tags].sum()))
        found[tags] = rows
    return found.T.copy()


def _flat(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One tag after the other."""
    return np.ascontiguousarray(matrix.T).reshape(-1)
