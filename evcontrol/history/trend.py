"""Trends: a long time in few parts, from the cells of the roll-ups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from evcontrol.clock import NS
from evcontrol.history.aggregate import aggregate
from evcontrol.history.cell_blob import EVERY
from evcontrol.history.month_reader import Layout, MonthReader, opened
from evcontrol.history.rollup import WIDTHS, Cells, merged
from evcontrol.quality import BAD, QualityArray, good_mask
from evcontrol.signals import FloatArray, Tag, TagKind, TimeArray

CountArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trend:
    """Equal parts of time of one tag, one after the other.

    ``t`` where each begins (process time, UTC ns) and ``width`` their length in ns; ``mean``, ``low`` and ``high`` over
    the Good readings in ``unit``, ``first`` and ``last`` of them, NaN where there is none; how many were ``good`` and
    ``bad``; ``q`` the worst quality, Bad where there was nothing.
    """

    t: TimeArray
    width: int
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    first: FloatArray
    last: FloatArray
    good: CountArray
    bad: CountArray
    q: QualityArray
    unit: str


@dataclass(frozen=True, slots=True)
class Window:
    """A range in equal parts of ``width`` ns, each of whole cells of ``cell`` ns; ``cell`` 0 when no cell fits."""

    start: int
    width: int
    count: int
    cell: int

    @property
    def end(self) -> int:
        """Where the last part ends."""
        return self.start + self.width * self.count

    @classmethod
    def snapped(cls, start: int, end: int, buckets: int) -> Self:
        """About ``buckets`` parts of a range; ValueError without a part or duration."""
        if buckets < 1 or end <= start:
            raise ValueError("a trend needs at least one part and an end after its start")
        wanted = (end - start) / buckets
        fitting = [cell for cell in WIDTHS if cell <= wanted]
        if not fitting:
            return cls(start, 0, buckets, 0)
        cell = fitting[-1]
        width = max(1, round(wanted / cell)) * cell
        first = start // cell * cell
        return cls(first, width, -(-(end - first) // width), cell)


class _Sums:
    """What is known so far of each part (rows) and tag (columns)."""

    def __init__(self, window: Window, tags: int, columns: tuple[str, ...]) -> None:
        shape = (window.count, tags)
        self._window = window
        self._counted = "first" in columns
        self.weight = np.zeros(shape, dtype=np.int64)
        self.total = np.zeros(shape)
        self.low, self.high = np.full(shape, np.nan), np.full(shape, np.nan)
        self.quality = np.zeros(shape, dtype=np.uint32)
        more = shape if self._counted else (window.count, 0)
        self.first, self.last = np.full(more, np.nan), np.full(more, np.nan)
        self.good, self.bad = np.zeros(more, dtype=np.int64), np.zeros(more, dtype=np.int64)

    def add(self, cells: Cells, slots: Sequence[int]) -> None:
        """Add cells as wide as the parts, of the tags in ``slots``; what comes later is later."""
        at = _place((cells.start - self._window.start) // self._window.width, slots)
        self.weight[at] += cells.weight
        self.total[at] += np.where(cells.weight > 0, cells.mean * cells.weight, 0.0)
        self.low[at] = np.fmin(self.low[at], cells.low)
        self.high[at] = np.fmax(self.high[at], cells.high)
        self.quality[at] = np.maximum(self.quality[at], cells.quality)
        if self._counted:
            self.first[at] = np.where(np.isnan(self.first[at]), cells.first, self.first[at])
            self.last[at] = np.where(np.isnan(cells.last), self.last[at], cells.last)
            self.good[at] += cells.good
            self.bad[at] += cells.bad

    def trends(self, tags: Mapping[str, Tag]) -> dict[str, Trend]:
        """The trend of each tag."""
        mean = np.full(self.weight.shape, np.nan)
        np.divide(self.total, self.weight, out=mean, where=self.weight > 0)
        mean = np.clip(mean, self.low, self.high)
        nothing = (self.weight == 0) & (self.quality == 0)
        quality = np.where(nothing, np.uint32(BAD), self.quality)
        columns: list[Any] = [np.ascontiguousarray(c.T) for c in (mean, self.low, self.high, quality)]
        more: list[Any] = [np.ascontiguousarray(c.T) for c in (self.first, self.last, self.good, self.bad)]
        nothing_asked: list[Any] = [np.full(self._window.count, np.nan)] * 2 + [
            np.zeros(self._window.count, dtype=np.int64)
        ] * 2
        t = self._window.start + np.arange(self._window.count, dtype=np.int64) * self._window.width
        found = {}
        for slot, (name, tag) in enumerate(tags.items()):
            means, low, high, q = (column[slot] for column in columns)
            first, last, good, bad = [column[slot] for column in more] if self._counted else nothing_asked
            trend = Trend(t, self._window.width, means, low, high, first, last, good, bad, q, tag.unit)
            found[name] = _without_numbers(trend, tag)
        return found


def _place(rows: TimeArray, slots: Sequence[int]) -> Any:
    """Where to find rows and columns of a matrix; as slices, which cost no copy, where they are neighbours."""
    row: Any = rows
    if int(rows[-1] - rows[0]) == len(rows) - 1:
        row = slice(int(rows[0]), int(rows[-1]) + 1)
    if list(slots) == list(range(slots[0], slots[0] + len(slots))):
        return row, slice(slots[0], slots[0] + len(slots))
    return (row, np.array(slots)) if isinstance(row, slice) else np.ix_(row, np.array(slots))


def trend(
    files: Iterable[Path], tags: Mapping[str, Tag], window: Window, columns: tuple[str, ...] = EVERY
) -> dict[str, Trend]:
    """The trend of every tag from the month files that hold its time; only of ``columns`` (see ``cell_blob``)."""
    slots = {name: slot for slot, name in enumerate(tags)}
    sums = _Sums(window, len(tags), columns)
    for path in files:
        with opened(path) as file:
            for layout in file.layouts:
                _add(file, layout, window, columns, slots, sums)
    return sums.trends(tags)


def from_readings(t: TimeArray, v: FloatArray, q: QualityArray, tag: Tag, start: int, end: int, buckets: int) -> Trend:
    """The trend of one tag in exactly equal parts, from its readings in order of time."""
    means = aggregate(t, v, q, tag.unit, start, end, buckets, round(tag.max_interval_s * NS))
    part = np.searchsorted(means.t, t, side="right") - 1
    good = good_mask(q)
    n_good, n_bad = (np.bincount(part[which], minlength=buckets).astype(np.int64) for which in (good, q >= BAD))
    first, last = np.full(buckets, np.nan), np.full(buckets, np.nan)
    good &= ~np.isnan(v)
    last[part[good]] = v[good]
    first[part[good][::-1]] = v[good][::-1]
    width = (end - start) // buckets
    found = Trend(means.t, width, means.mean, means.low, means.high, first, last, n_good, n_bad, means.q, tag.unit)
    return _without_numbers(found, tag)


def _add(
    file: MonthReader,
    layout: Layout,
    window: Window,
    columns: tuple[str, ...],
    slots: Mapping[str, int],
    sums: _Sums,
) -> None:
    positions = [position for position, tag in enumerate(layout.tags) if tag.name in slots]
    if not positions:
        return
    into = [slots[layout.tags[position].name] for position in positions]
    found = file.cells(layout, window.cell, window.start, window.end, columns, positions)
    parts = [cells for cells in found if len(cells.start)]
    # First and last need the parts in the order of time; sums do not, and each by itself spares a copy of all of them.
    groups = [parts] if "first" in columns else [[part] for part in parts]
    for group in groups if parts else []:
        sums.add(merged(group, window.width, window.start), into)


def _without_numbers(found: Trend, tag: Tag) -> Trend:
    """The codes of texts are no numbers, and differ between sessions."""
    if tag.kind is not TagKind.TEXT:
        return found
    nothing: Any = np.full(len(found.t), np.nan)
    return Trend(
        found.t, found.width, nothing, nothing, nothing, nothing, nothing, found.good, found.bad, found.q, found.unit
    )  # fmt: skip
