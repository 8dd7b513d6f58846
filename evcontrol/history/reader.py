"""Reading the history: needs no engine and may run while one writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evcontrol.history.aggregate import Aggregate, aggregate
from evcontrol.history.layout import Gap, described_tags, month_files, month_of
from evcontrol.history.words import Words
from evcontrol.quality import BAD, QualityArray
from evcontrol.signals import FloatArray, Tag, TagKind, TimeArray

ROWS_AT_ONCE = 10_000
_LABELLED = (TagKind.TEXT, TagKind.ENUM, TagKind.DISCRETE)


class HistoryError(Exception):
    """The history cannot give what was asked for; one line."""


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
            with _opened(path) as file:
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
                with _opened(path) as file:
                    times = [time for layout in file.layouts if (time := file.following(layout, t)) is not None]
                if times:
                    return min(times)
        return None

    def scans(self, start: int, end: int) -> TimeArray:
        """Times of all scans, each once."""
        times = [np.empty(0, dtype=np.int64)]
        for path in self._files(start, end):
            with _opened(path) as file:
                times.extend(file.times(layout, start, end) for layout in file.layouts)
        return np.unique(np.concatenate(times))

    def gaps(self, start: int, end: int) -> list[Gap]:
        """The gaps that touch a range, in order of time."""
        found: list[Gap] = []
        for path in self._files():
            with _opened(path) as file:
                found.extend(file.gaps(start, end))
        return sorted(found, key=lambda gap: (gap.start, gap.end))

    def definitions(self, tags: Sequence[str], start: int, end: int) -> dict[str, Tag]:
        """What the tags were in a range; one without a reading there is as it was last.

        HistoryError when a tag's unit changed within the range.
        """
        found: dict[str, Tag] = {}
        for path in self._files(start, end):
            with _opened(path) as file:
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
            with _opened(path) as file:
                for layout in reversed(file.layouts):
                    _read(file, layout, start, end, pieces, words)
        return {name: _column(meant[name], pieces[name], words[name]) for name in pieces}

    def aggregate(self, tags: Sequence[str], start: int, end: int, buckets: int) -> dict[str, Aggregate]:
        """Time-weighted means, lowest and highest values over Good readings in equal parts of a range."""
        columns = self.raw(tags, start, end)
        return {name: aggregate(c.t, c.v, c.q, c.unit, start, end, buckets) for name, c in columns.items()}

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
class _Layout:
    id: int
    session: int
    tags: list[Tag]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one layout has of one tag."""

    tag: Tag
    t: TimeArray
    v: FloatArray
    q: QualityArray


class _File:
    """One month file opened for reading, as of one moment."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute("BEGIN")
        ready = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'gaps'").fetchone()
        rows = db.execute("SELECT id, session, tags FROM layouts ORDER BY id").fetchall() if ready else []
        self.layouts = [_Layout(number, session, described_tags(tags)) for number, session, tags in rows]
        self._ready = bool(ready)

    def texts(self, session: int) -> dict[int, str]:
        """The texts of one session by code."""
        return dict(self._db.execute("SELECT code, text FROM texts WHERE session = ?", (session,)).fetchall())

    def times(self, layout: _Layout, start: int, end: int) -> TimeArray:
        """Times of a layout's frames."""
        rows = self._db.execute("SELECT t FROM frames WHERE layout = ? AND t BETWEEN ? AND ?", (layout.id, start, end))
        return np.array([t for (t,) in rows], dtype=np.int64)

    def has_frames(self, layout: _Layout, start: int, end: int) -> bool:
        """Whether a layout was used in a range."""
        sql = "SELECT 1 FROM frames WHERE layout = ? AND t BETWEEN ? AND ? LIMIT 1"
        return self._db.execute(sql, (layout.id, start, end)).fetchone() is not None

    def span(self, layout: _Layout) -> tuple[int | None, int | None]:
        """First and last time of a layout's frames."""
        first = self._db.execute("SELECT min(t) FROM frames WHERE layout = ?", (layout.id,)).fetchone()
        last = self._db.execute("SELECT max(t) FROM frames WHERE layout = ?", (layout.id,)).fetchone()
        return first[0], last[0]

    def following(self, layout: _Layout, t: int) -> int | None:
        """Time of a layout's first frame at ``t`` or later."""
        row = self._db.execute("SELECT min(t) FROM frames WHERE layout = ? AND t >= ?", (layout.id, t)).fetchone()
        found: int | None = row[0]
        return found

    def gaps(self, start: int, end: int) -> list[Gap]:
        """Gaps that touch a range."""
        if not self._ready:
            return []
        rows = self._db.execute("SELECT start, end, reason FROM gaps WHERE start <= ? AND end >= ?", (end, start))
        return [Gap(*row) for row in rows]

    def frames(
        self, layout: _Layout, start: int, end: int
    ) -> Iterator[tuple[list[int], list[bytes], list[int | bytes | None]]]:
        """A layout's frames in order of time, some thousands at once: times, value blobs, quality cells."""
        cursor = self._db.execute(
            "SELECT t, value, quality FROM frames WHERE layout = ? AND t BETWEEN ? AND ? ORDER BY t, id",
            (layout.id, start, end),
        )
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            times, values, qualities = zip(*rows, strict=True)
            yield list(times), list(values), list(qualities)


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    try:
        with closing(_connect(path)) as db:
            yield _File(db)
    except sqlite3.Error as error:
        raise HistoryError(f"{path}: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    uri = path.resolve().as_uri()
    db = sqlite3.connect(f"{uri}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        db.close()
        wal = path.with_name(f"{path.name}-wal")
        if wal.exists() and wal.stat().st_size:
            raise
        # On a read-only medium the shared index cannot be made; without a log it is not needed.
        db = sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
    return db


def _check_units(known: Mapping[str, Tag], found: Mapping[str, Tag]) -> None:
    for name, tag in found.items():
        if name in known and known[name].unit != tag.unit:
            units = f"{known[name].unit or '1'} and then in {tag.unit or '1'}"
            raise HistoryError(f"{name} was recorded in {units}: ask for a time with one unit")


def _span(path: Path) -> tuple[int, int] | None:
    with _opened(path) as file:
        spans = [file.span(layout) for layout in file.layouts]
    first = [t for t, _ in spans if t is not None]
    last = [t for _, t in spans if t is not None]
    return (min(first), max(last)) if first else None


def _read(
    file: _File, layout: _Layout, start: int, end: int, pieces: dict[str, list[_Piece]], words: Mapping[str, Words]
) -> None:
    wanted = [(position, tag) for position, tag in enumerate(layout.tags) if tag.name in pieces]
    if not wanted:
        return
    positions = [position for position, _ in wanted]
    parts = [_decoded(*rows, len(layout.tags), positions) for rows in file.frames(layout, start, end)]
    if not parts:
        return
    t = np.concatenate([part[0] for part in parts])
    v = np.concatenate([part[1] for part in parts])
    q = np.concatenate([part[2] for part in parts])
    texts = file.texts(layout.session) if any(tag.kind is TagKind.TEXT for _, tag in wanted) else {}
    for column, (_, tag) in enumerate(wanted):
        values = np.ascontiguousarray(v[:, column])
        if tag.kind in _LABELLED:
            values = words[tag.name].merge(texts if tag.kind is TagKind.TEXT else dict(enumerate(tag.labels)), values)
        pieces[tag.name].append(_Piece(tag, t, values, np.ascontiguousarray(q[:, column])))


def _decoded(
    times: list[int], values: list[bytes], qualities: list[int | bytes | None], width: int, positions: list[int]
) -> tuple[TimeArray, FloatArray, QualityArray]:
    """Rows to arrays: times, and values and codes with a column for each position."""
    t = np.array(times, dtype=np.int64)
    v = np.frombuffer(b"".join(values), dtype="<f8").reshape(len(values), width)[:, positions]
    q = np.zeros((len(values), len(positions)), dtype=np.uint32)
    each = [i for i, cell in enumerate(qualities) if isinstance(cell, bytes)]
    if each:
        blob = b"".join(cell for cell in qualities if isinstance(cell, bytes))
        q[each] = np.frombuffer(blob, dtype="<u4").reshape(len(each), width)[:, positions]
    one = [i for i, cell in enumerate(qualities) if isinstance(cell, int)]
    if one:
        q[one] = np.array([cell for cell in qualities if isinstance(cell, int)], dtype=np.uint32)[:, None]
    return t, v.astype(np.float64, copy=False), q


def _column(tag: Tag, pieces: list[_Piece], words: Words) -> Column:
    t = np.concatenate([np.empty(0, dtype=np.int64), *(p.t for p in reversed(pieces))])
    v = np.concatenate([np.empty(0), *(p.v for p in reversed(pieces))])
    q = np.concatenate([np.empty(0, dtype=np.uint32), *(p.q for p in reversed(pieces))])
    if len(t) > 1 and bool((np.diff(t) < 0).any()):
        order = np.argsort(t, kind="stable")
        t, v, q = t[order], v[order], q[order]
    return Column(t, v, q, tag.unit, words.by_code)
