"""Readings over time as they travel to consoles: binary columns, since JSON costs a second for a long trend."""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Iterable
from typing import Any, Final

SERIES_MEDIA_TYPE: Final = "application/vnd.evcontrol.series"

_HEAD: Final = struct.Struct("<4sI")
_MAGIC: Final = b"EVS2"
_COLUMNS: Final = {"t": "q", "v": "d", "q": "I", "low": "d", "high": "d"}
"""Columns by name, in their order, with the type of their numbers."""
_PLAIN: Final = ("t", "v", "q")


class Series:
    """Readings of one tag as columns: process time (UTC ns), value in ``unit`` (NaN when Bad), OPC UA status code.

    Of parts of time ``v`` is the mean and ``low`` and ``high`` what it lay between; single readings have neither.
    """

    __slots__ = ("high", "low", "q", "t", "tag", "unit", "v")

    def __init__(
        self,
        tag: str,
        unit: str,
        t: array[int],
        v: array[float],
        q: array[int],
        low: array[float] | None = None,
        high: array[float] | None = None,
    ) -> None:
        if (low is None) != (high is None):
            raise ValueError(f"series of {tag}: low and high go together")
        if len({len(column) for column in (t, v, q, low, high) if column is not None}) != 1:
            raise ValueError(f"series of {tag}: columns of different lengths")
        self.tag, self.unit = tag, unit
        self.t, self.v, self.q = t, v, q
        self.low, self.high = low, high

    def __len__(self) -> int:
        return len(self.t)

    def columns(self) -> dict[str, array[Any]]:
        """The columns that there are, by name."""
        every = {name: getattr(self, name) for name in _COLUMNS}
        return {name: column for name, column in every.items() if column is not None}


def pack_series(series: Iterable[Series]) -> bytes:
    """Series as bytes: ``EVS2``, the length of a JSON head, the head, then each column, little-endian."""
    every = list(series)
    head = json.dumps([{"tag": s.tag, "unit": s.unit, "n": len(s), "columns": list(s.columns())} for s in every])
    parts = [_HEAD.pack(_MAGIC, len(head.encode())), head.encode()]
    for one in every:
        parts.extend(_little(column).tobytes() for column in one.columns().values())
    return b"".join(parts)


def unpack_series(data: bytes) -> list[Series]:
    """The series that :func:`pack_series` wrote; ValueError for anything else."""
    if len(data) < _HEAD.size:
        raise ValueError("series: cut off in the head")
    magic, length = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("series: not an EVS2 message")
    at = _HEAD.size + length
    result = []
    for entry in json.loads(data[_HEAD.size : at]):
        columns: dict[str, array[Any]] = {}
        if not set(_PLAIN) <= set(entry["columns"]) <= set(_COLUMNS):
            raise ValueError(f"series: odd columns of {entry['tag']}")
        for name in entry["columns"]:
            column = array(_COLUMNS[name])
            end = at + entry["n"] * column.itemsize
            if end > len(data):
                raise ValueError(f"series: cut off in {entry['tag']}")
            column.frombytes(data[at:end])
            columns[name] = _little(column)
            at = end
        result.append(Series(entry["tag"], entry["unit"], **columns))
    if at != len(data):
        raise ValueError("series: more bytes than the head says")
    return result


def _little(column: array[Any]) -> array[Any]:
    if sys.byteorder == "little":
        return column
    swapped = array(column.typecode, column)
    swapped.byteswap()
    return swapped
