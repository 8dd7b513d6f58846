"""What a month file of the history looks like: its name, its tables, and how tags are described in it.

Readings come in as rows of ``frames`` and are sealed some hundred scans later: the same readings, compressed by tag in
``chunks`` and ``blocks``, take their place in one transaction, and ``cells`` sum them up for trends.
A file describes itself: each layout holds the tags of a kind of frame with units and labels, so that it stays readable
when the plant has changed since.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from evcontrol.clock import NS
from evcontrol.signals import Tag, TagKind

FORMAT: Final = 2
_DAY_NS: Final = 86_400 * NS
NOT_KEPT: Final = 0xFFFF_FFFF
"""Status code, in files only, of a reading that was left out since it told nothing new."""
BLOCKS_IN_CHUNK: Final = 1 << 16

TABLES: Final = (
    "CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # One row for each time that a historian opened the file; texts, layouts and gaps belong to it.
    "CREATE TABLE sessions (id INTEGER PRIMARY KEY, t INTEGER NOT NULL, wall INTEGER NOT NULL, clock TEXT NOT NULL, "
    "speed REAL NOT NULL, simulated INTEGER)",
    "CREATE TABLE layouts (id INTEGER PRIMARY KEY, session INTEGER NOT NULL, grp TEXT NOT NULL, tags TEXT NOT NULL)",
    "CREATE TABLE texts (session INTEGER NOT NULL, code INTEGER NOT NULL, text TEXT NOT NULL, "
    "PRIMARY KEY (session, code)) WITHOUT ROWID",
    # value: float64 little-endian; quality: NULL all Good, an integer one code for all, or uint32 little-endian;
    # source: int64 little-endian or NULL.
    "CREATE TABLE frames (id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, t INTEGER NOT NULL, wall INTEGER NOT NULL, "
    "value BLOB NOT NULL, quality, source BLOB)",
    "CREATE INDEX frames_by_time ON frames (layout, t)",
    "CREATE TABLE gaps (id INTEGER PRIMARY KEY, start INTEGER NOT NULL, end INTEGER NOT NULL, reason TEXT NOT NULL, "
    "session INTEGER)",
)
SEALED_TABLES: Final = (
    # One row for each layout of a stretch of frames; first and last are the ids that the stretch had in frames.
    # row (id less first), t, wall (less t): packed integers, in the order of the rows. sourced: which rows have source
    # times (bits), NULL when all have or none has.
    "CREATE TABLE IF NOT EXISTS chunks (id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, first INTEGER NOT NULL, "
    "last INTEGER NOT NULL, count INTEGER NOT NULL, t_first INTEGER NOT NULL, t_last INTEGER NOT NULL, "
    "row BLOB NOT NULL, t BLOB NOT NULL, wall BLOB NOT NULL, sourced BLOB)",
    "CREATE INDEX IF NOT EXISTS chunks_by_time ON chunks (layout, t_last)",
    "CREATE INDEX IF NOT EXISTS chunks_by_row ON chunks (last)",
    # One row for each tag of a chunk; id is 65536 x chunk + position in the layout. value: see codec; quality: NULL,
    # one code, or packed; source (less t): packed, NULL for none, or the position of the tag that has the same.
    "CREATE TABLE IF NOT EXISTS blocks (id INTEGER PRIMARY KEY, codec INTEGER NOT NULL, value BLOB NOT NULL, "
    "quality, source)",
    # Sums over parts of width ns, for all tags of a layout: see rollup. Each sealed reading is in one row a width.
    "CREATE TABLE IF NOT EXISTS cells (id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, width INTEGER NOT NULL, "
    "level INTEGER NOT NULL, t_first INTEGER NOT NULL, t_last INTEGER NOT NULL, count INTEGER NOT NULL, "
    "data BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS cells_by_time ON cells (layout, width, t_last)",
)
"""Tables that files begun by an earlier version do not have."""
ADDED: Final = (("sessions", "simulated"), ("gaps", "session"))
"""Columns (integers) that files begun by an earlier version do not have; NULL there."""

_NAME = re.compile(r"(\d{4}-\d{2})(?:\.\d+)?\.db")


@dataclass(frozen=True, slots=True)
class Gap:
    """Readings that were not kept, between two process times (UTC ns, both ends lost or not read), and why."""

    start: int
    end: int
    reason: str


def month_of(t: int) -> str:
    """The month of a process time (UTC ns), such as ``2026-03``."""
    return _month_of_day(t // _DAY_NS)


@cache
def _month_of_day(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_NS // NS, tz=UTC).strftime("%Y-%m")


def file_name(month: str, number: int = 0) -> str:
    """The name of a month's file; ``number`` counts those begun beside a damaged one."""
    return f"{month}.{number}.db" if number else f"{month}.db"


def month_files(directory: Path) -> list[tuple[str, Path]]:
    """All history files of a directory with their months, oldest first; none when there is no such directory."""
    if not directory.is_dir():
        return []
    found = [(match[1], path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    return sorted(found, key=lambda entry: (entry[0], len(entry[1].name), entry[1].name))


def describe_tags(tags: Sequence[Tag]) -> str:
    """Tags as the JSON that a layout holds."""
    return json.dumps(
        [
            {
                "name": tag.name,
                "index": tag.index,
                "unit": tag.unit,
                "kind": tag.kind.value,
                "low": tag.low,
                "high": tag.high,
                "description": tag.description,
                "labels": list(tag.labels),
                "record": tag.record,
                "decimals": tag.decimals,
                **({"deadband": tag.deadband, "max_interval_s": tag.max_interval_s} if tag.max_interval_s else {}),
            }
            for tag in tags
        ],
        ensure_ascii=False,
    )


@lru_cache(maxsize=64)
def described_tags(text: str) -> tuple[Tag, ...]:
    """The tags that :func:`describe_tags` wrote; remembered, since a reader opens a file again and again."""
    return tuple(
        Tag(**{**entry, "kind": TagKind(entry["kind"]), "labels": tuple(entry["labels"])}) for entry in json.loads(text)
    )
