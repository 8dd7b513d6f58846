"""Reading sealed blocks back: by tag for queries, as the frames they were for the forwarder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evcontrol.history import codec
from evcontrol.history.layout import BLOCKS_IN_CHUNK
from evcontrol.quality import BAD, QualityArray
from evcontrol.signals import FloatArray, TimeArray


def has_sealed(db: sqlite3.Connection) -> bool:
    """Whether a file has the tables of sealed readings; one begun by an earlier version has not."""
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'cells'").fetchone() is not None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One layout's frames of a sealed stretch."""

    id: int
    layout: int
    first: int
    last: int
    t: TimeArray
    _row: bytes
    _wall: bytes

    def rows(self) -> TimeArray:
        """The numbers that the frames had."""
        return codec.unpack_integers(self._row, len(self.t)).astype(np.int64) + self.first

    def walls(self) -> TimeArray:
        """When the frames were received, UTC ns."""
        return codec.unpack_integers(self._wall, len(self.t)).astype(np.int64) + self.t


def chunks(db: sqlite3.Connection, layout: int, start: int, end: int) -> Iterator[Chunk]:
    """The chunks of a layout that hold times of a range, in the order of their frames. ValueError for a damaged one."""
    rows = db.execute(
        "SELECT id, layout, first, last, count, t, row, wall FROM chunks "
        "WHERE layout = ? AND t_last >= ? AND t_first <= ? ORDER BY id",
        (layout, start, end),
    )
    for row in rows:
        yield _chunk(*row)


def chunk_of(db: sqlite3.Connection, number: int) -> Chunk:
    """A chunk by its number; ValueError for a damaged one."""
    sql = "SELECT id, layout, first, last, count, t, row, wall FROM chunks WHERE id = ?"
    row = db.execute(sql, (number,)).fetchone()
    return _chunk(*row)


def stretch_after(db: sqlite3.Connection, frame: int) -> list[Chunk]:
    """The chunks of the first stretch that holds frames with a number above ``frame``; none when there is no such."""
    found = db.execute("SELECT min(last) FROM chunks WHERE last > ?", (frame,)).fetchone()[0]
    rows = db.execute(
        "SELECT id, layout, first, last, count, t, row, wall FROM chunks WHERE last = ? ORDER BY id", (found,)
    )
    return [_chunk(*row) for row in rows.fetchall()]


def columns(
    db: sqlite3.Connection, chunk: Chunk, positions: Sequence[int]
) -> Iterator[tuple[FloatArray, QualityArray]]:
    """Values and codes of some tags of a chunk, one after the other; readings not kept have the code NOT_KEPT."""
    count = len(chunk.t)
    for position in positions:
        row = db.execute(
            "SELECT codec, value, quality FROM blocks WHERE id = ?", (chunk.id * BLOCKS_IN_CHUNK + position,)
        ).fetchone()
        if row is None:
            raise ValueError(f"a sealed block is missing: chunk {chunk.id}, tag {position}")
        yield _column(row[0], row[1], row[2], count)


def matrix(db: sqlite3.Connection, chunk: Chunk) -> tuple[FloatArray, QualityArray]:
    """Values and codes of all tags of a chunk, frames x tags."""
    begin = chunk.id * BLOCKS_IN_CHUNK
    rows = db.execute(
        "SELECT codec, value, quality FROM blocks WHERE id BETWEEN ? AND ? ORDER BY id",
        (begin, begin + BLOCKS_IN_CHUNK - 1),
    ).fetchall()
    found = [_column(kind, value, quality, len(chunk.t)) for kind, value, quality in rows]
    if not found:
        return np.empty((len(chunk.t), 0)), np.empty((len(chunk.t), 0), dtype=np.uint32)
    return np.column_stack([v for v, _ in found]), np.column_stack([q for _, q in found])


def _chunk(number: int, layout: int, first: int, last: int, count: int, t: bytes, row: bytes, wall: bytes) -> Chunk:
    return Chunk(number, layout, first, last, codec.unpack_integers(t, count).astype(np.int64), row, wall)


def _column(kind: int, value: bytes, quality: int | bytes | None, count: int) -> tuple[FloatArray, QualityArray]:
    codes = codec.unpack_quality(quality, count)
    present = codes < BAD
    if kind == codec.BITS or present.all():
        return codec.unpack_values(value, kind, count), codes
    values = np.full(count, np.nan)
    values[present] = codec.unpack_values(value, kind, int(present.sum()))
    return values, codes
