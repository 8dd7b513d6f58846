"""Reading the history: needs no engine and may run while one writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evcontrol.clock import NS
from evcontrol.history.aggregate import Aggregate, aggregate
from evcontrol.history.cell_blob import EVERY
from evcontrol.history.layout import NOT_KEPT, Gap, month_files, month_of
from evcontrol.history.month_reader import HistoryError, Layout, MonthReader, opened
from evcontrol.history.trend import Trend, Window, from_readings, trend
from evcontrol.history.words import Words
from evcontrol.quality import BAD, QualityArray
from evcontrol.signals import FloatArray, Tag, TagKind, TimeArray

__all__ = ["Column", "HistoryError", "HistoryReader", "UnknownTagError"]

_LABELLED = (TagKind.TEXT, TagKind.ENUM, TagKind.DISCRETE)


class UnknownTagError(HistoryError):
    """A tag that was never recorded."""


@dataclass(frozen=True, slots=True)
class Column:
    """The readings of one tag in order of time.

    ``t`` process time (UTC ns), ``v`` values in ``unit`` (NaN when Bad), ``q`` OPC UA status codes. ``labels`` are the
    words behind the codes of a text, enumerated or discrete tag.
    """

    t: TimeArray
    v: FloatArray
    q: QualityArray
    unit: str
    labels: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.t)

    def text(self, position: int) -> str:
        """The word behind one reading; empty when Bad or without a word."""
        code = self.v[position]
        return "" if self.q[position] >= BAD or np.isnan(code) else self.labels.get(int(code), "")


class HistoryReader:
    """The readings in ``directory/YYYY-MM.db``, over as many month files as needed.

    Times are process time in UTC ns; a range holds both its ends. HistoryError when a file is damaged or unreadable,
    UnknownTagError for a tag that was never recorded.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def tags(self) -> list[Tag]:
        """All tags that were ever recorded, by name, each as it was last; ``index`` is that of its time."""
        latest: dict[str, Tag] = {}
        for path in self._files():
            with opened(path) as file:
                latest.update({tag.name: tag for layout in file.layouts for tag in layout.tags})
        return [latest[name] for name in sorted(latest)]

    def span(self) -> tuple[int, int] | None:
        """Times of the first and the last frame; None when there is none."""
        spans = [span for path in self._files() if (span := _span(path)) is not None]
        return (min(s[0] for s in spans), max(s[1] for s in spans)) if spans else None

    def following(self, t: int) -> int | None:
        """Time of the first frame at ``t`` or later; None when there is none."""
        for month, path in month_files(self._directory):
            if month >= month_of(t):
                with opened(path) as file:
                    times = [time for layout in file.layouts if (time := file.following(layout, t)) is not None]
                if times:
                    return min(times)
        return None

    def scans(self, start: int, end: int) -> TimeArray:
        """Times of all scans, each once."""
        times = [np.empty(0, dtype=np.int64)]
        for path in self._files(start, end):
            with opened(path) as file:
                times.extend(file.times(layout, start, end) for layout in file.layouts)
        return np.unique(np.concatenate(times))

    def gaps(self, start: int, end: int) -> list[Gap]:
        """The gaps that touch a range, in order of time."""
        found: list[Gap] = []
        for path in self._files():
            with opened(path) as file:
                found.extend(file.gaps(start, end))
        return sorted(found, key=lambda gap: (gap.start, gap.end))

    def definitions(self, tags: Sequence[str], start: int, end: int) -> dict[str, Tag]:
        """What the tags were in a range; one without a reading there is as it was last.

        HistoryError when a tag's unit changed within the range.
        """
        found: dict[str, Tag] = {}
        for path in self._files(start, end):
            with opened(path) as file:
                for layout in file.layouts:
                    here = {tag.name: tag for tag in layout.tags if tag.name in tags}
                    if here and file.has_frames(layout, start, end):
                        _check_units(found, here)
                        found.update(here)
        if any(name not in found for name in tags):
            found = {**{tag.name: tag for tag in self.tags()}, **found}
        if unknown := [name for name in tags if name not in found]:
            raise UnknownTagError(f"never recorded: {', '.join(unknown)}")
        return {name: found[name] for name in tags}

    def raw(self, tags: Sequence[str], start: int, end: int) -> dict[str, Column]:
        """Every reading of the tags, bit for bit as it was kept.

        The codes of a text are those of its latest session; one that meant something else in an older session gets a
        new number here. HistoryError when a tag's unit changed within the range.
        """
        meant = self.definitions(tags, start, end)
        pieces: dict[str, list[_Piece]] = {name: [] for name in meant}
        words = {name: Words() for name in meant}
        for path in reversed(self._files(start, end)):
            with opened(path) as file:
                for layout in reversed(file.layouts):
                    _read(file, layout, start, end, pieces, words)
        return {name: _column(meant[name], pieces[name], words[name]) for name in pieces}

    def aggregate(self, tags: Sequence[str], start: int, end: int, buckets: int) -> dict[str, Aggregate]:
        """Time-weighted means, lowest and highest values over Good readings in equal parts of a range."""
        meant = self.definitions(tags, start, end)
        return {
            name: aggregate(c.t, c.v, c.q, c.unit, start, end, buckets, round(meant[name].max_interval_s * NS))
            for name, c in self.raw(tags, start, end).items()
        }

    def trend(
        self, tags: Sequence[str], start: int, end: int, buckets: int, columns: tuple[str, ...] = EVERY
    ) -> dict[str, Trend]:
        """About so many equal parts of a range that begin and end with the cells of the roll-ups.

        ``start`` is rounded down and ``end`` up; parts that would be shorter than a cell are exactly those of
        :meth:`aggregate`. Texts have qualities and counts only. With the ``columns`` of ``cell_blob.TREND`` there is no
        first, last, good and bad. ValueError without a part or duration.
        """
        meant = self.definitions(tags, start, end - 1)
        window = Window.snapped(start, end, buckets)
        if window.cell == 0:
            raw = self.raw(tags, start, end - 1).items()
            return {name: from_readings(c.t, c.v, c.q, meant[name], start, end, buckets) for name, c in raw}
        return trend(self._files(window.start, window.end - 1), meant, window, columns)

    def texts(self, tag: str, start: int, end: int) -> list[tuple[int, str]]:
        """The words of a text, enumerated or discrete tag: the first, and each change with its time; "" is Bad."""
        column = self.raw([tag], start, end)[tag]
        bad = column.q >= BAD
        codes = np.where(bad | np.isnan(column.v), -1.0, column.v)
        changed = np.flatnonzero(np.diff(codes, prepend=np.nan) != 0).tolist()
        return [(int(column.t[i]), column.text(i)) for i in changed]

    def _files(self, start: int | None = None, end: int | None = None) -> list[Path]:
        files = month_files(self._directory)
        if start is not None and end is not None:
            files = [entry for entry in files if month_of(start) <= entry[0] <= month_of(end)]
        return [path for _, path in files]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one layout has of one tag."""

    tag: Tag
    t: TimeArray
    v: FloatArray
    q: QualityArray


def _check_units(known: Mapping[str, Tag], found: Mapping[str, Tag]) -> None:
    for name, tag in found.items():
        if name in known and known[name].unit != tag.unit:
            units = f"{known[name].unit or '1'} and then in {tag.unit or '1'}"
            raise HistoryError(f"{name} was recorded in {units}: ask for a time with one unit")


def _span(path: Path) -> tuple[int, int] | None:
    with opened(path) as file:
        spans = [file.span(layout) for layout in file.layouts]
    first = [t for t, _ in spans if t is not None]
    last = [t for _, t in spans if t is not None]
    return (min(first), max(last)) if first else None


def _read(
    file: MonthReader, layout: Layout, start: int, end: int, pieces: dict[str, list[_Piece]], words: Mapping[str, Words]
) -> None:
    wanted = [(position, tag) for position, tag in enumerate(layout.tags) if tag.name in pieces]
    if not wanted:
        return
    positions = [position for position, _ in wanted]
    parts = list(file.parts(layout, start, end, positions))
    if not parts:
        return
    t = np.concatenate([part[0] for part in parts])
    v = np.concatenate([part[1] for part in parts])
    q = np.concatenate([part[2] for part in parts])
    texts = file.texts(layout.session) if any(tag.kind is TagKind.TEXT for _, tag in wanted) else {}
    for column, (_, tag) in enumerate(wanted):
        kept = q[:, column] != NOT_KEPT
        values = np.ascontiguousarray(v[kept, column])
        if tag.kind in _LABELLED:
            values = words[tag.name].merge(texts if tag.kind is TagKind.TEXT else dict(enumerate(tag.labels)), values)
        pieces[tag.name].append(_Piece(tag, t[kept], values, np.ascontiguousarray(q[kept, column])))


def _column(tag: Tag, pieces: list[_Piece], words: Words) -> Column:
    t = np.concatenate([np.empty(0, dtype=np.int64), *(p.t for p in reversed(pieces))])
    v = np.concatenate([np.empty(0), *(p.v for p in reversed(pieces))])
    q = np.concatenate([np.empty(0, dtype=np.uint32), *(p.q for p in reversed(pieces))])
    if len(t) > 1 and bool((np.diff(t) < 0).any()):
        order = np.argsort(t, kind="stable")
        t, v, q = t[order], v[order], q[order]
    return Column(t, v, q, tag.unit, words.by_code)
