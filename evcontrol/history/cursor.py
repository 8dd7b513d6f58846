"""How far the forwarding has come, on disk: ``forward.db``. It moves on only after the server has acknowledged.

Each target (server, organisation, bucket) has positions of its own, so that a new one is sent everything from the
beginning. Without the file everything is sent again, which changes nothing at the server.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evcontrol.history.target import Target

CURSOR_FILE: Final = "forward.db"
FORMAT: Final = 1
LINES_KEPT: Final = 1000
"""Quarantined lines kept as they are; of more only the place is kept, their readings being in the history."""

TABLES: Final = (
    "CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE targets (id INTEGER PRIMARY KEY, url TEXT NOT NULL, org TEXT NOT NULL, bucket TEXT NOT NULL, "
    "UNIQUE (url, org, bucket))",
    # frame, gap: the last rows of a history file that were sent; t, wall: that frame's, by which it is known again.
    "CREATE TABLE positions (target INTEGER NOT NULL, file TEXT NOT NULL, frame INTEGER NOT NULL, "
    "gap INTEGER NOT NULL, t INTEGER NOT NULL, wall INTEGER NOT NULL, PRIMARY KEY (target, file)) WITHOUT ROWID",
    "CREATE TABLE quarantine (id INTEGER PRIMARY KEY, target INTEGER NOT NULL, file TEXT NOT NULL, row TEXT NOT NULL, "
    "t INTEGER NOT NULL, reason TEXT NOT NULL, line BLOB, UNIQUE (target, file, row))",
)


@dataclass(frozen=True, slots=True)
class Position:
    """The last frame and the last gap of a history file that were sent; the frame's own times (UTC ns) prove it."""

    frame: int = 0
    gap: int = 0
    t: int = 0
    wall: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """One line to send, and where in the history it comes from.

    ``t`` is its process time, ``wall`` when it was received (UTC ns; 0 when not known). With a ``fault`` it cannot be
    sent at all.
    """

    line: bytes
    file: str
    row: str
    t: int
    wall: int
    fault: str = ""


class Cursor:
    """Positions and quarantine of one target; ``quarantined`` lines were set aside so far.

    Every call raises sqlite3.Error when the disk refuses.
    """

    def __init__(self, path: Path, target: Target) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        try:
            self._prepare()
            self._target = self._find(target)
            sql = "SELECT count(*) FROM quarantine WHERE target = ?"
            self.quarantined: int = self._db.execute(sql, (self._target,)).fetchone()[0]
        except BaseException:
            self._db.close()
            raise

    def positions(self) -> dict[str, Position]:
        """How far each history file was sent."""
        sql = "SELECT file, frame, gap, t, wall FROM positions WHERE target = ?"
        return {file: Position(*rest) for file, *rest in self._db.execute(sql, (self._target,))}

    def move(self, positions: Mapping[str, Position]) -> None:
        """Files were sent so far; on the disk when it returns."""
        rows = [(self._target, file, p.frame, p.gap, p.t, p.wall) for file, p in positions.items()]
        self._db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?)", rows)

    def quarantine(self, item: Item, reason: str) -> None:
        """Set a line aside; a repeat changes nothing."""
        line = item.line if self.quarantined < LINES_KEPT else None
        done = self._db.execute(
            "INSERT OR IGNORE INTO quarantine (target, file, row, t, reason, line) VALUES (?, ?, ?, ?, ?, ?)",
            (self._target, item.file, item.row, item.t, reason, line),
        )
        self.quarantined += done.rowcount

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'").fetchone():
                for table in TABLES:
                    self._db.execute(table)
                self._db.execute("INSERT INTO about VALUES ('format', ?)", (str(FORMAT),))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _find(self, target: Target) -> int:
        key = (target.url, target.org, target.bucket)
        self._db.execute("INSERT OR IGNORE INTO targets (url, org, bucket) VALUES (?, ?, ?)", key)
        row = self._db.execute("SELECT id FROM targets WHERE url = ? AND org = ? AND bucket = ?", key).fetchone()
        return int(row[0])
