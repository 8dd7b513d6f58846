"""Following the history while it grows: what was not sent yet, sealed or not, in order, as lines."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np

from evcontrol.clock import ClockKind
from evcontrol.history.cursor import Item, Position
from evcontrol.history.layout import Gap, described_tags, month_files
from evcontrol.history.line import NO_TEXT, FrameLines, Lines, Misfit
from evcontrol.history.sealed import Chunk, has_sealed, matrix, stretch_after
from evcontrol.signals import Tag

MAX_BYTES: Final = 1 << 20
"""Of lines in one batch, before it is compressed."""
DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""SQLite's error codes (without their details) of a file that no waiting mends."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines in order, and where the file stands when all of them are sent."""

    items: list[Item]
    file: str
    position: Position


class Follower:
    """Reads ``directory/YYYY-MM.db`` from the positions on, only sessions that are ``simulated`` or only those not.

    A damaged file is left out (``damaged`` names it); any other trouble of the disk is a sqlite3.Error.
    """

    def __init__(self, directory: Path, plant: str, simulated: bool, positions: Mapping[str, Position]) -> None:
        self._directory = directory
        self._lines = Lines(plant, simulated)
        self._simulated = simulated
        self._positions = dict(positions)
        self._ended: set[str] = set()
        self._file: _File | None = None
        self.damaged: list[str] = []

    def next(self, limit: int) -> Batch | None:
        """The next lines, at most ``limit`` frames of them; None when there is nothing new."""
        files = month_files(self._directory)
        for number, (_, path) in enumerate(files):
            if path.name in self._ended:
                continue
            batch = self._read(path, limit)
            if batch is not None:
                return batch
            if number < len(files) - 1:  # the historian has gone on to the next one
                self._ended.add(path.name)
        return None

    def done(self, batch: Batch) -> None:
        """A batch was sent: go on behind it."""
        self._positions[batch.file] = batch.position

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, path: Path, limit: int) -> Batch | None:
        try:
            if self._file is None or self._file.path != path:
                self.close()
                self._file = _File(path, self._lines, self._simulated)
                self._positions[path.name] = self._file.proven(self._positions.get(path.name, Position()))
            return self._file.read(self._positions[path.name], limit)
        except (sqlite3.Error, ValueError) as error:
            self.close()
            if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
                raise
            self.damaged.append(path.name)
            self._ended.add(path.name)
            return None


_Row = tuple[int, int, int, int, bytes, int | bytes | None]
"""Number, layout, t, wall, values, codes, as they stand in the table of frames."""


@dataclass(frozen=True, slots=True)
class _Layout:
    session: int
    group: str
    tags: Sequence[Tag]
    lines: FrameLines


class _File:
    """One month file, kept open for reading."""

    def __init__(self, path: Path, lines: Lines, simulated: bool) -> None:
        self.path = path
        self._lines = lines
        self._simulated = simulated
        self._layouts: dict[int, _Layout] = {}
        self._texts: dict[int, dict[int, str]] = {}
        self._sessions: dict[int, tuple[int, bool]] = {}
        self._stretch: list[_Row] = []
        self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0)

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def proven(self, position: Position) -> Position:
        """The position, or the file's beginning when this is not the file that it was taken in."""
        if not self._ready() or position.frame == 0:
            return position if position.frame == 0 else Position()
        with self._one_moment():
            row = self._db.execute("SELECT t, wall FROM frames WHERE id = ?", (position.frame,)).fetchone()
            if row is None and has_sealed(self._db):
                row = self._sealed_times(position.frame)
        return position if row == (position.t, position.wall) else Position()

    def read(self, after: Position, limit: int) -> Batch | None:
        """What comes after a position; None when there is nothing."""
        if not self._ready():
            return None
        items = []
        gap = after.gap
        for number, item in self._gaps(after.gap):
            gap = number
            items += [item] if item is not None else []
        rows = self._rows(after.frame, limit)
        last, size = (after.frame, after.t, after.wall), 0
        for number, layout, t, wall, value, quality in rows:
            made = list(self._items(number, layout, t, wall, value, quality))
            items += made
            last, size = (number, t, wall), size + sum(len(item.line) for item in made)
            if size >= MAX_BYTES:
                break
        if not rows and gap == after.gap:
            return None
        return Batch(items, self.path.name, Position(last[0], gap, last[1], last[2]))

    def _rows(self, after: int, limit: int) -> list[_Row]:
        """The next frames: sealed ones come before those that are not."""
        if self._stretch and self._stretch[-1][0] > after:
            return [row for row in self._stretch if row[0] > after][:limit]
        self._stretch = []
        with self._one_moment():
            chunks = stretch_after(self._db, after) if has_sealed(self._db) else []
            if not chunks:
                return self._db.execute(
                    "SELECT id, layout, t, wall, value, quality FROM frames WHERE id > ? ORDER BY id LIMIT ?",
                    (after, limit),
                ).fetchall()
            for chunk in chunks:
                self._stretch += _unsealed(self._db, chunk)
        self._stretch.sort(key=itemgetter(0))
        return [row for row in self._stretch if row[0] > after][:limit]

    def _sealed_times(self, frame: int) -> tuple[int, int] | None:
        for chunk in stretch_after(self._db, frame - 1):
            at = np.flatnonzero(chunk.rows() == frame)
            if len(at):
                return int(chunk.t[at[0]]), int(chunk.walls()[at[0]])
        return None

    @contextmanager
    def _one_moment(self) -> Iterator[None]:
        """What is sealed meanwhile stays as it was."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def _ready(self) -> bool:
        return self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'gaps'").fetchone() is not None

    def _gaps(self, after: int) -> Iterator[tuple[int, Item | None]]:
        session = "session" if "session" in self._columns("gaps") else "NULL"
        rows = self._db.execute(
            f"SELECT id, start, end, reason, {session} FROM gaps WHERE id > ? ORDER BY id",  # noqa: S608  (a constant)
            (after,),
        ).fetchall()
        for number, start, end, reason, of in rows:
            kind = self._session(of)[1] if of is not None else self._last_kind()
            line = self._lines.gap(Gap(start, end, reason))
            yield number, Item(line, self.path.name, f"gap {number}", start, 0) if kind is self._simulated else None

    def _items(
        self, number: int, layout_id: int, t: int, wall: int, value: bytes, quality: int | bytes | None
    ) -> Iterator[Item]:
        layout = self._layouts.get(layout_id)
        if layout is None:
            layout = self._layouts[layout_id] = self._new_layout(layout_id)
            begun, kind = self._session(layout.session)
            if kind is self._simulated:
                lines = self._lines.definitions(layout.group, layout.tags, begun)
                for told, line in zip(layout.tags, lines, strict=True):
                    yield Item(line, self.path.name, f"layout {layout_id} {told.name}", begun, wall)
        if not layout.tags or self._session(layout.session)[1] is not self._simulated:
            return
        try:
            line, misfits = self._line(layout, t, value, quality)
        except ValueError as error:  # a damaged row must not stop those behind it
            yield Item(b"", self.path.name, f"frame {number}", t, wall, f"unreadable: {error}")
            return
        if line:
            yield Item(line, self.path.name, f"frame {number}", t, wall)
        for tag, why in misfits:
            yield Item(b"", self.path.name, f"frame {number} {tag}", t, wall, f"{tag}: {why}")

    def _line(self, layout: _Layout, t: int, value: bytes, quality: int | bytes | None) -> tuple[bytes, list[Misfit]]:
        values = np.frombuffer(value, dtype="<f8").tolist()
        codes = _codes(quality, len(values))
        line, misfits = layout.lines.line(t, values, codes, self._texts_of(layout.session))
        if any(why.startswith(NO_TEXT) for _, why in misfits):  # a new text came with this frame
            line, misfits = layout.lines.line(t, values, codes, self._texts_of(layout.session, anew=True))
        return line, misfits

    def _new_layout(self, number: int) -> _Layout:
        session, group, text = self._db.execute(
            "SELECT session, grp, tags FROM layouts WHERE id = ?", (number,)
        ).fetchone()
        tags = described_tags(text)
        return _Layout(session, group, tags, self._lines.frames(group, tags))

    def _session(self, number: int) -> tuple[int, bool]:
        """When a session began (process time), and whether its readings are simulated."""
        found = self._sessions.get(number)
        if found is None:
            simulated = "simulated" if "simulated" in self._columns("sessions") else "NULL"
            t, clock, mark = self._db.execute(
                f"SELECT t, clock, {simulated} FROM sessions WHERE id = ?",  # noqa: S608  (a constant)
                (number,),
            ).fetchone()
            found = self._sessions[number] = (t, bool(mark) or clock != ClockKind.LIVE.value)
        return found

    def _last_kind(self) -> bool:
        return self._session(self._db.execute("SELECT max(id) FROM sessions").fetchone()[0])[1]

    def _texts_of(self, session: int, anew: bool = False) -> dict[int, str]:
        if anew or session not in self._texts:
            rows = self._db.execute("SELECT code, text FROM texts WHERE session = ?", (session,)).fetchall()
            self._texts[session] = dict(rows)
        return self._texts[session]

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}


def _unsealed(db: sqlite3.Connection, chunk: Chunk) -> Iterator[_Row]:
    """The frames of a chunk as they were; what cannot be read is a frame without values, which is told as such."""
    numbers, walls = chunk.rows().tolist(), chunk.walls().tolist()
    try:
        values, quality = matrix(db, chunk)
    except ValueError:
        values, quality = np.empty((len(numbers), 0)), np.empty((len(numbers), 0), dtype=np.uint32)
    for i, (number, t) in enumerate(zip(numbers, chunk.t.tolist(), strict=True)):
        yield number, chunk.layout, t, walls[i], values[i].tobytes(), quality[i].astype("<u4").tobytes()


def _codes(quality: int | bytes | None, width: int) -> list[int]:
    if isinstance(quality, bytes):
        codes: list[int] = np.frombuffer(quality, dtype="<u4").tolist()
        return codes
    return [quality or 0] * width
