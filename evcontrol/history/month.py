"""Writing one month file of the history: frames to rows, and what is needed to read them later."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from evcontrol.clock import Clock, ClockKind
from evcontrol.history.layout import ADDED, FORMAT, NOT_KEPT, SEALED_TABLES, TABLES, Gap, describe_tags
from evcontrol.history.on_change import OnChange
from evcontrol.history.seal import STRETCH, seal_next
from evcontrol.signals import Frame, TagKind, TagTable

Row = tuple[int, int, int, bytes, int | bytes | None, bytes | None]


class MonthFile:
    """A month file opened for writing; after an error it must be closed and opened anew.

    ``simulated`` marks what this session writes as no reading of real equipment. Every call raises sqlite3.Error or
    OSError when the disk refuses.
    """

    def __init__(self, path: Path, tags: TagTable, clock: Clock, simulated: bool = False) -> None:
        self._tags = tags
        self._simulated = simulated or clock.kind is not ClockKind.LIVE
        self._layouts: dict[tuple[str, bytes], _Layout] = {}
        self._texts: set[int] = set()
        self._on_change = OnChange(tags)
        self._unsealed = STRETCH
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            # In virtual time a run that loses its power is begun anew: nobody waits for the disk.
            self._prepare("OFF" if clock.kind is ClockKind.VIRTUAL else "FULL")
            self._session = self._begin_session(clock)
        except BaseException:
            self._db.close()
            raise

    def write(self, items: Iterable[Frame | Gap]) -> None:
        """Write frames and gaps in one transaction; they are on the disk when it returns."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            rows = []
            for item in items:
                if isinstance(item, Gap):
                    self._write_gap(item)
                else:
                    rows.append(self._row(self._on_change.thinned(_told(item))))
            self._db.executemany(
                "INSERT INTO frames (layout, t, wall, value, quality, source) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._unsealed += len(rows)

    def seal(self) -> bool:
        """Seal the oldest stretch of frames, if it is time to; whether more may wait. ValueError for a damaged one."""
        if self._unsealed < STRETCH:
            return False
        sealed = seal_next(self._db)
        self._unsealed = STRETCH if sealed else 0
        return sealed

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._db.close()

    def _prepare(self, synchronous: str) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={synchronous}")
        self._db.execute(f"PRAGMA journal_size_limit={16 << 20}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'").fetchone():
                for table in TABLES:
                    self._db.execute(table)
            for table in SEALED_TABLES:
                self._db.execute(table)
            self._db.execute("INSERT OR REPLACE INTO about VALUES ('format', ?)", (str(FORMAT),))
            for table, column in ADDED:
                if column not in [row[1] for row in self._db.execute(f"PRAGMA table_info({table})")]:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER")
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _begin_session(self, clock: Clock) -> int:
        begun = self._db.execute(
            "INSERT INTO sessions (t, wall, clock, speed, simulated) VALUES (?, ?, ?, ?, ?)",
            (clock.now(), clock.wall(), clock.kind.value, clock.speed, int(self._simulated)),
        )
        return int(begun.lastrowid or 0)

    def _write_gap(self, gap: Gap) -> None:
        self._db.execute(
            "INSERT INTO gaps (start, end, reason, session) VALUES (?, ?, ?, ?)",
            (gap.start, gap.end, gap.reason, self._session),
        )

    def _row(self, frame: Frame) -> Row:
        key = (frame.group, frame.index.tobytes())
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layouts[key] = self._new_layout(frame)
        for position in layout.texts:
            self._keep_text(float(frame.value[position]))
        source = None if frame.source_t is None else np.asarray(frame.source_t, dtype="<i8").tobytes()
        return layout.id, frame.t, frame.wall, _value(frame), _quality(frame), source

    def _new_layout(self, frame: Frame) -> _Layout:
        tags = [self._tags[int(index)] for index in frame.index]
        new = self._db.execute(
            "INSERT INTO layouts (session, grp, tags) VALUES (?, ?, ?)",
            (self._session, frame.group, describe_tags(tags)),
        )
        return _Layout(int(new.lastrowid or 0), tuple(i for i, tag in enumerate(tags) if tag.kind is TagKind.TEXT))

    def _keep_text(self, code: float) -> None:
        if not code.is_integer() or int(code) in self._texts:
            return
        try:
            text = self._tags.text_of(code)
        except IndexError:
            return  # a code that was never given out has no text; its number is kept all the same
        self._db.execute("INSERT INTO texts (session, code, text) VALUES (?, ?, ?)", (self._session, int(code), text))
        self._texts.add(int(code))


class _Layout:
    """A layout's id in the file, and the positions of its text tags."""

    __slots__ = ("id", "texts")

    def __init__(self, number: int, texts: tuple[int, ...]) -> None:
        self.id = number
        self.texts = texts


def _told(frame: Frame) -> Frame:
    """A device may say any code, even the one by which files mark what was not kept."""
    if (frame.quality == NOT_KEPT).any():
        return replace(frame, quality=np.minimum(frame.quality, NOT_KEPT - 1))
    return frame


def _value(frame: Frame) -> bytes:
    return frame.value.astype("<f8", copy=False).tobytes()


def _quality(frame: Frame) -> int | bytes | None:
    raw = frame.quality.tobytes()
    if not raw.strip(b"\0"):
        return None
    first = int(frame.quality[0])
    if (frame.quality == first).all():
        return first
    return np.asarray(frame.quality, dtype="<u4").tobytes()
