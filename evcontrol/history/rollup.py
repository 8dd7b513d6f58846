"""Readings summed up over cells of 60 s and 600 s of process time, so that a long trend is drawn from few numbers.

Cells add up: those of two stretches of readings merge into the cells of both, whatever the order of sealing. Every
reading is in exactly one stretch. Means are weighted by time over Good readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from evcontrol.clock import NS
from evcontrol.history.layout import NOT_KEPT
from evcontrol.quality import BAD, QualityArray, good_mask
from evcontrol.signals import FloatArray, TimeArray

LONGEST_HOLD: Final = 3600 * NS
"""For so long at most does a reading count when none follows."""
NEVER: Final = (1 << 63) - 1
WIDTHS: Final = (60 * NS, 600 * NS)
"""Widths of cells in ns, the finest first; a day is a multiple of each, so no cell belongs to two months."""
BoolArray = npt.NDArray[np.bool_]
CountArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cells:
    """Sums for a row of cells and some tags.

    ``start``: where each cell begins (UTC ns), rising. All others are matrices of cells x tags: ``weight`` the time in
    ns for which a Good reading held; ``mean``, ``low``, ``high`` over these, NaN where there is none; ``first`` and
    ``last`` Good reading made in the cell, NaN for none; how many ``readings`` were made, and of them ``good`` and
    ``bad``; ``quality`` the worst code that held.
    """

    start: TimeArray
    weight: CountArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    first: FloatArray
    last: FloatArray
    readings: CountArray
    good: CountArray
    bad: CountArray
    quality: QualityArray

    def columns(self) -> list[npt.NDArray[Any]]:
        """All of it in order."""
        return [getattr(self, name) for name in self.__slots__]

    def only(self, names: Sequence[str]) -> Cells:
        """The same with no rows in all other columns."""
        columns = (getattr(self, name) for name in self.__slots__[1:])
        kept = (
            column if name in names else column[:0] for name, column in zip(self.__slots__[1:], columns, strict=True)
        )
        return Cells(self.start, *kept)

    def of(self, positions: Sequence[int]) -> Cells:
        """The same for some of the tags."""
        if list(positions) == list(range(self.weight.shape[1])):
            return self
        return Cells(self.start, *(getattr(self, name)[:, positions] for name in self.__slots__[1:]))

    def within(self, start: int, end: int) -> Cells:
        """Those that begin in a range of time, its end excluded."""
        if len(self.start) == 0 or (start <= self.start[0] and self.start[-1] < end):
            return self
        inside = (self.start >= start) & (self.start < end)
        columns = (getattr(self, name) for name in self.__slots__[1:])
        return Cells(self.start[inside], *(column[inside] if len(column) else column for column in columns))


def make_cells(
    t: TimeArray, until: TimeArray, values: FloatArray, quality: QualityArray, own: BoolArray, width: int
) -> Cells:
    """Cells of ``width`` ns from a matrix of readings x tags in order of time, each holding from ``t`` to ``until``.

    Where ``own`` is false there was no reading; its value is the one that still held.
    """
    begin, end = t // width, (until - 1) // width
    pieces = end - begin + 1
    row = np.repeat(np.arange(len(t)), pieces)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = (begin[row] + offset) * width
    order = np.lexsort((row, start))
    row, offset, start = row[order], offset[order], start[order]
    length = np.minimum(until[row], start + width) - np.maximum(t[row], start)
    made = offset == 0
    q, v, mine = quality[row], values[row], own[row] & made[:, None]
    good = good_mask(q)
    held = ~np.isnan(v) & good
    v = v if held.all() else np.where(held, v, np.nan)
    new = v if mine.all() else np.where(mine, v, np.nan)
    every = Cells(
        start=start,
        weight=np.where(held, length[:, None], 0),
        mean=v,
        low=v,
        high=v,
        first=new,
        last=new,
        readings=mine.astype(np.int64),
        good=(good & mine).astype(np.int64),
        bad=((q >= BAD) & mine).astype(np.int64),
        quality=q,
    )
    return grouped(every, start)


def filled(values: FloatArray, quality: QualityArray, own: BoolArray) -> tuple[FloatArray, QualityArray]:
    """Values and codes with what was kept last, and still held, where nothing was kept."""
    told = own.copy()
    told[0] |= ~np.isnan(values[0]) | (quality[0] != NOT_KEPT)  # what was kept before the first of these frames
    last = np.maximum.accumulate(np.where(told, np.arange(len(own))[:, None], -1), axis=0)
    known = last >= 0
    at = np.maximum(last, 0)
    held = np.where(known, np.take_along_axis(values, at, axis=0), np.nan)
    codes = np.where(known, np.take_along_axis(quality, at, axis=0), 0)
    return held, codes.astype(np.uint32)


def merged(parts: Sequence[Cells], width: int, origin: int = 0) -> Cells:
    """Several stretches of the same tags, given in order of time, as cells of ``width`` ns (a multiple of theirs).

    One of them begins at ``origin``.
    """
    every = parts[0]
    if len(parts) > 1:
        every = Cells(*(np.concatenate([getattr(part, name) for part in parts]) for name in Cells.__slots__))
    if bool((np.diff(every.start) < 0).any()):
        order = np.argsort(every.start, kind="stable")
        every = Cells(*(column[order] if len(column) else column for column in every.columns()))
    return grouped(every, (every.start - origin) // width * width + origin)


def grouped(cells: Cells, key: TimeArray) -> Cells:
    """Rows with the same ``key``, which never falls, as one whose start is the key."""
    groups = _Groups(key)
    if groups.single:
        return Cells(key, *(getattr(cells, name) for name in Cells.__slots__[1:]))
    weight = groups.reduced(np.add, cells.weight)
    low, high = groups.reduced(np.fmin, cells.low), groups.reduced(np.fmax, cells.high)
    total = groups.reduced(np.add, np.where(cells.weight > 0, cells.mean * cells.weight, 0.0))
    mean = np.full(weight.shape, np.nan)
    np.divide(total, weight, out=mean, where=weight > 0)
    return Cells(
        start=key[groups.begins],
        weight=weight,
        # Rounding may carry the mean of equal values past them.
        mean=np.clip(mean, low, high),
        low=low,
        high=high,
        first=groups.picked(np.minimum, cells.first, len(key)),
        last=groups.picked(np.maximum, cells.last, -1),
        readings=groups.reduced(np.add, cells.readings),
        good=groups.reduced(np.add, cells.good),
        bad=groups.reduced(np.add, cells.bad),
        quality=groups.reduced(np.maximum, cells.quality),
    )


class _Groups:
    """Neighbouring rows with the same key.

    ``ufunc.reduceat`` along rows costs 20 times what whole rows at once do; so it goes either group by group, or by the
    first row of every group, then the second, and so on.
    """

    def __init__(self, key: TimeArray) -> None:
        self.begins = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        self._sizes = np.diff(np.append(self.begins, len(key)))
        self.single = len(self.begins) == len(key)

    def picked(self, choose: np.ufunc, column: FloatArray, none: int) -> FloatArray:
        """The number in the lowest or highest row that has one, of each group; ``none`` is a row beyond all."""
        if len(column) == 0:
            return column
        at = self.reduced(choose, np.where(np.isnan(column), none, np.arange(len(column))[:, None]))
        found = np.take_along_axis(column, np.clip(at, 0, len(column) - 1), axis=0)
        return np.where(at == none, np.nan, found)

    def reduced(self, function: np.ufunc, column: npt.NDArray[Any]) -> Any:
        """A column with one row for each group; one that was not asked for has none."""
        if len(column) == 0:
            return column
        most = int(self._sizes.max())
        if most * len(self.begins) == len(column) and most < len(self.begins):
            found = column[::most].copy()
            for step in range(1, most):
                found = function(found, column[step::most])
            return found
        found = column[self.begins]
        if len(self.begins) < most:
            for i, (begin, size) in enumerate(zip(self.begins.tolist(), self._sizes.tolist(), strict=True)):
                found[i] = function.reduce(column[begin : begin + size], axis=0)
            return found
        for step in range(1, most):
            at = np.flatnonzero(self._sizes > step)
            found[at] = function(found[at], column[self.begins[at] + step])
        return found
