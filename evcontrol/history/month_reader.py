"""One month file opened for reading, as of one moment: its layouts, and their frames, sealed or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from evcontrol.history.aggregate import held_until
from evcontrol.history.cell_blob import unpack_cells
from evcontrol.history.layout import NOT_KEPT, Gap, described_tags
from evcontrol.history.rollup import LONGEST_HOLD, NEVER, Cells, filled, make_cells
from evcontrol.history.sealed import Chunk, chunks, columns, has_sealed
from evcontrol.quality import QualityArray
from evcontrol.signals import FloatArray, Tag, TimeArray

ROWS_AT_ONCE: Final = 10_000
Part = tuple[TimeArray, FloatArray, QualityArray]
"""Times, and values and codes with a column for each tag."""


class HistoryError(Exception):
    """The history cannot give what was asked for; one line."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the frames of a group hold in one session."""

    id: int
    session: int
    tags: Sequence[Tag]


class MonthReader:
    """A month file opened for reading; see :func:`opened`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute("BEGIN")
        ready = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'gaps'").fetchone()
        rows = db.execute("SELECT id, session, tags FROM layouts ORDER BY id").fetchall() if ready else []
        self.layouts = [Layout(number, session, described_tags(tags)) for number, session, tags in rows]
        self._ready = bool(ready)
        self.sealed = has_sealed(db)

    def texts(self, session: int) -> dict[int, str]:
        """The texts of one session by code."""
        return dict(self._db.execute("SELECT code, text FROM texts WHERE session = ?", (session,)).fetchall())

    def times(self, layout: Layout, start: int, end: int) -> TimeArray:
        """Times of a layout's frames."""
        sealed = [chunk.t[(chunk.t >= start) & (chunk.t <= end)] for chunk in self._chunks(layout, start, end)]
        rows = self._db.execute("SELECT t FROM frames WHERE layout = ? AND t BETWEEN ? AND ?", (layout.id, start, end))
        return np.concatenate([*sealed, np.array([t for (t,) in rows], dtype=np.int64)])

    def has_frames(self, layout: Layout, start: int, end: int) -> bool:
        """Whether a layout was used in a range."""
        sql = "SELECT 1 FROM frames WHERE layout = ? AND t BETWEEN ? AND ? LIMIT 1"
        if self._db.execute(sql, (layout.id, start, end)).fetchone() is not None:
            return True
        sql = "SELECT 1 FROM chunks WHERE layout = ? AND t_last BETWEEN ? AND ? AND t_first >= ? LIMIT 1"
        if self.sealed and self._db.execute(sql, (layout.id, start, end, start)).fetchone() is not None:
            return True
        return any(((c.t >= start) & (c.t <= end)).any() for c in self._chunks(layout, start, end))

    def span(self, layout: Layout) -> tuple[int | None, int | None]:
        """First and last time of a layout's frames."""
        sources = ["SELECT min(t), max(t) FROM frames WHERE layout = ?"]
        if self.sealed:
            sources.append("SELECT t_first, t_last FROM chunks WHERE layout = ? ORDER BY t_last LIMIT 1")
            sources.append("SELECT t_first, t_last FROM chunks WHERE layout = ? ORDER BY t_last DESC LIMIT 1")
        rows = [self._db.execute(sql, (layout.id,)).fetchone() for sql in sources]
        times = [t for row in rows if row is not None for t in row if t is not None]
        return min(times, default=None), max(times, default=None)

    def following(self, layout: Layout, t: int) -> int | None:
        """Time of a layout's first frame at ``t`` or later."""
        row = self._db.execute("SELECT min(t) FROM frames WHERE layout = ? AND t >= ?", (layout.id, t)).fetchone()
        found: list[int] = [row[0]] if row[0] is not None else []
        for chunk in self._chunks(layout, t, NEVER):
            found += [int(time) for time in chunk.t[chunk.t >= t][:1]]
            break
        return min(found, default=None)

    def gaps(self, start: int, end: int) -> list[Gap]:
        """Gaps that touch a range."""
        if not self._ready:
            return []
        rows = self._db.execute("SELECT start, end, reason FROM gaps WHERE start <= ? AND end >= ?", (end, start))
        return [Gap(*row) for row in rows]

    def parts(self, layout: Layout, start: int, end: int, positions: Sequence[int]) -> Iterator[Part]:
        """A layout's readings of some tags in order of time, sealed ones first."""
        yield from self._sealed_parts(layout, start, end, positions)
        yield from self._hot_parts(layout, start, end, positions)

    def cells(
        self, layout: Layout, width: int, start: int, end: int, wanted: tuple[str, ...], positions: Sequence[int]
    ) -> Iterator[Cells]:
        """Cells of ``width`` ns of some tags that begin in a range (the end excluded); several may be of one time."""
        if self.sealed:
            rows = self._db.execute(
                "SELECT data FROM cells WHERE layout = ? AND width = ? AND t_last >= ? AND t_first < ? ORDER BY t_last",
                (layout.id, width, start, end),
            )
            for (data,) in rows:
                yield unpack_cells(data, width, wanted).of(positions).within(start, end)
        previous: Part | None = None
        for part in self._hot_parts(layout, start - LONGEST_HOLD, end + LONGEST_HOLD, positions):
            if previous is not None:
                yield _hot_cells(previous, int(part[0][0]), width).only(wanted).within(start, end)
            previous = part
        if previous is not None:
            yield _hot_cells(previous, NEVER, width).only(wanted).within(start, end)

    def _sealed_parts(self, layout: Layout, start: int, end: int, positions: Sequence[int]) -> Iterator[Part]:
        for chunk in self._chunks(layout, start, end):
            inside = (chunk.t >= start) & (chunk.t <= end)
            found = list(columns(self._db, chunk, positions))
            v, q = np.column_stack([v for v, _ in found]), np.column_stack([q for _, q in found])
            yield chunk.t[inside], v[inside], q[inside]

    def _hot_parts(self, layout: Layout, start: int, end: int, positions: Sequence[int]) -> Iterator[Part]:
        cursor = self._db.execute(
            "SELECT t, value, quality FROM frames WHERE layout = ? AND t BETWEEN ? AND ? ORDER BY t, id",
            (layout.id, start, end),
        )
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield _decoded(rows, len(layout.tags), positions)

    def _chunks(self, layout: Layout, start: int, end: int) -> Iterator[Chunk]:
        return chunks(self._db, layout.id, start, end) if self.sealed else iter(())


@contextmanager
def opened(path: Path) -> Iterator[MonthReader]:
    """A month file as of now; HistoryError, with its name, for all that is wrong with it."""
    try:
        with closing(_connect(path)) as db:
            yield MonthReader(db)
    except (sqlite3.Error, ValueError) as error:
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


def _hot_cells(part: Part, following: int, width: int) -> Cells:
    t, values, quality = part
    until = np.minimum(held_until(t, following), t + LONGEST_HOLD)
    own = quality != NOT_KEPT
    if not own.all():
        values, quality = filled(values, quality, own)
    return make_cells(t, until, values, quality, own, width)


def _decoded(rows: list[tuple[int, bytes, int | bytes | None]], width: int, positions: Sequence[int]) -> Part:
    """Rows to arrays: times, and values and codes with a column for each position."""
    times, values, qualities = zip(*rows, strict=True)
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
