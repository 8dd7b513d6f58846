"""Which months of the history may go: the oldest first, and never what somebody still needs.

A month stays while it is the latest, while a reading of it has not been forwarded, and while it touches a protected
time (that of a batch that has not been released).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from evcontrol.clock import NS
from evcontrol.history.cursor import Cursor, Position
from evcontrol.history.layout import Gap, month_files
from evcontrol.history.month_reader import HistoryError, opened
from evcontrol.history.target import Target

REMOVED: Final = "removed as the plant's retention says"
_BESIDE: Final = ("-wal", "-shm", "")
"""Files of a month, its readings last: what a crash leaves behind is still a history."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long readings stay (seconds of process time), and how many bytes of them; 0 for without end."""

    keep_s: float = 0.0
    most_bytes: int = 0


def forwarded_so_far(cursor: Path, target: Target) -> dict[str, Position]:
    """How far each month was forwarded; sqlite3.Error when the file cannot be read."""
    opened_cursor = Cursor(cursor, target)
    try:
        return opened_cursor.positions()
    finally:
        opened_cursor.close()


def removable(
    directory: Path,
    retention: Retention,
    now: int,
    forwarded: Mapping[str, Position] | None,
    protected: Sequence[tuple[int, int]],
) -> list[tuple[Path, Gap]]:
    """The months that may go at ``now`` (process time, UTC ns), each with the gap that it leaves.

    ``forwarded``: how far each file was, None when nothing is to be; ``protected``: times of which nothing goes. A
    month that cannot be read stays.
    """
    paths = [path for _, path in month_files(directory)]
    size = sum(_size(path) for path in paths)
    found = []
    for path in paths[:-1]:
        too_large = retention.most_bytes and size > retention.most_bytes
        try:
            span = _span(path)
            gap = Gap(*span, REMOVED) if span is not None else None
            too_old = retention.keep_s and gap is not None and gap.end < now - retention.keep_s * NS
            if gap is None or not (too_large or too_old) or not _free(path, gap, forwarded, protected):
                continue
        except (HistoryError, sqlite3.Error) as error:
            _log.warning("a month that cannot be read is left", file=path.name, error=str(error))
            continue
        found.append((path, gap))
        size -= _size(path)
    return found


def remove(path: Path) -> None:
    """Remove a month file with what SQLite keeps beside it; OSError when that cannot be done."""
    for suffix in _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _free(path: Path, gap: Gap, forwarded: Mapping[str, Position] | None, protected: Sequence[tuple[int, int]]) -> bool:
    if any(start <= gap.end and end >= gap.start for start, end in protected):
        return False
    return forwarded is None or _is_forwarded(path, forwarded.get(path.name, Position()))


def _is_forwarded(path: Path, position: Position) -> bool:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        (frame,) = db.execute("SELECT coalesce(max(id), 0) FROM frames").fetchone()
        (gap,) = db.execute("SELECT coalesce(max(id), 0) FROM gaps").fetchone()
    return bool(position.frame >= frame and position.gap >= gap)


def _span(path: Path) -> tuple[int, int] | None:
    with opened(path) as file:
        spans = [file.span(layout) for layout in file.layouts]
    known = [(first, last) for first, last in spans if first is not None and last is not None]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None


def _size(path: Path) -> int:
    beside = [path.with_name(path.name + suffix) for suffix in _BESIDE]
    return sum(one.stat().st_size for one in beside if one.exists())
