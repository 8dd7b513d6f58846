"""Sealing: the oldest frames of a month file become compressed blocks by tag, and are summed up for trends.

One transaction puts the blocks in and takes the frames out, so that whoever reads, at whatever moment the process is
killed, finds each reading once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from evcontrol.history import codec
from evcontrol.history.aggregate import held_until
from evcontrol.history.cell_blob import pack_cells, unpack_cells
from evcontrol.history.layout import BLOCKS_IN_CHUNK
from evcontrol.history.rollup import LONGEST_HOLD, NEVER, WIDTHS, Cells, filled, make_cells, merged
from evcontrol.history.sealed import chunk_of, columns
from evcontrol.quality import BAD, GOOD, QualityArray
from evcontrol.signals import FloatArray, TimeArray

STRETCH: Final = 300
"""Scans that are sealed at once."""
HOT_STRETCHES: Final = 2
"""So many stretches must wait as frames before the oldest is sealed: what was read last stays quick to read."""
MOST_STRETCHES: Final = 16
MOST_READINGS: Final = 400_000
"""In one transaction."""
FAN: Final = 16
"""So many rows of cells are merged into one of the next level,"""
ENOUGH_CELLS: Final = 150
"""or fewer that have so many cells together;"""
MOST_CELLS: Final = 600
"""but never more than so many cells."""

_Row = tuple[int, int, int, int, bytes, int | bytes | None, bytes | None]


def seal_next(db: sqlite3.Connection, *, at_once: bool = False) -> bool:
    """Seal the oldest stretch of frames when enough of them wait (``at_once``: when there is any); whether it did.

    The last frame is never sealed: its number is what the next one counts on from. ValueError for a frame that is not
    as its layout says, sqlite3.Error when the disk refuses; both leave everything as it was.
    """
    first, last = db.execute("SELECT min(id), max(id) FROM frames").fetchone()
    if first is None or first == last:
        return False
    amount, waiting = _stretch(db, first), last - first + 1
    if not at_once and waiting < HOT_STRETCHES * amount:
        return False
    if not at_once:
        amount *= _stretches(db, first, amount, waiting)
    db.execute("BEGIN IMMEDIATE")
    try:
        rows: list[_Row] = db.execute(
            "SELECT id, layout, t, wall, value, quality, source FROM frames WHERE id < ? ORDER BY id LIMIT ?",
            (last, amount),
        ).fetchall()
        stretch = rows[0][0], rows[-1][0]
        for layout in sorted({row[1] for row in rows}):
            _seal_layout(db, layout, stretch, [row for row in rows if row[1] == layout])
        db.execute("DELETE FROM frames WHERE id BETWEEN ? AND ?", stretch)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return True


def _stretch(db: sqlite3.Connection, first: int) -> int:
    """How many frames a stretch from a frame on has."""
    sql = "SELECT count(DISTINCT layout) FROM frames WHERE id < ?"
    return STRETCH * int(db.execute(sql, (first + STRETCH,)).fetchone()[0])


def _stretches(db: sqlite3.Connection, first: int, amount: int, waiting: int) -> int:
    """How many are sealed as one: more when they come so fast that many wait, since each has its fixed cost."""
    (widest,) = db.execute("SELECT max(length(value)) / 8 FROM frames WHERE id < ?", (first + STRETCH,)).fetchone()
    room = MOST_READINGS // max(1, amount * int(widest))
    return max(1, min(MOST_STRETCHES, room, waiting // amount - HOT_STRETCHES))


@dataclass(frozen=True, slots=True)
class _Readings:
    """Frames of one layout as matrices of frames x tags, in the order of their numbers."""

    row: TimeArray
    t: TimeArray
    wall: TimeArray
    values: FloatArray
    quality: QualityArray
    source: TimeArray | None
    sourced: codec.BoolArray
    held: tuple[FloatArray, QualityArray] | None = None
    """What was kept last of each tag before these frames."""


def _seal_layout(db: sqlite3.Connection, layout: int, stretch: tuple[int, int], rows: Sequence[_Row]) -> None:
    found = _readings(rows)
    following = db.execute(
        "SELECT min(t) FROM frames WHERE layout = ? AND id > ? AND t > ?", (layout, stretch[1], int(found.t.max()))
    ).fetchone()[0]
    before = db.execute("SELECT max(id) FROM chunks WHERE layout = ?", (layout,)).fetchone()[0]
    held = _held(db, before, found)
    _write_chunk(db, layout, stretch, found)
    cells = _cells(held, following, WIDTHS[0])
    for width in WIDTHS:
        _write_cells(db, layout, width, 0, merged([cells], width))
        _merge_cells(db, layout, width)


def _readings(rows: Sequence[_Row]) -> _Readings:
    row, _, t, wall, value, quality, source = (list(column) for column in zip(*rows, strict=True))
    width = len(value[0])
    if width % 8 or any(len(blob) != width for blob in value):
        raise ValueError(f"frames {row[0]} to {row[-1]} are not all of one length")
    tags = width // 8
    values = np.frombuffer(b"".join(value), dtype="<f8").astype(np.float64).reshape(len(rows), tags)
    codes = np.empty((len(rows), tags), dtype=np.uint32)
    for i, cell in enumerate(quality):
        codes[i] = np.frombuffer(cell, dtype="<u4") if isinstance(cell, bytes) else cell or 0
    sourced = np.array([blob is not None for blob in source], dtype=np.bool_)
    times = np.frombuffer(b"".join(blob for blob in source if blob is not None), dtype="<i8").astype(np.int64)
    return _Readings(
        row=np.array(row, dtype=np.int64),
        t=np.array(t, dtype=np.int64),
        wall=np.array(wall, dtype=np.int64),
        values=values,
        quality=codes,
        source=times.reshape(-1, tags) if sourced.any() else None,
        sourced=sourced,
    )


def _held(db: sqlite3.Connection, before: int | None, found: _Readings) -> _Readings:
    """With what was kept last in the chunk before of the tags of which the first frame tells nothing."""
    silent = np.flatnonzero(~codec.kept(found.quality[0])).tolist()
    if before is None or not silent:
        return found
    values, codes = np.full(found.values.shape[1], np.nan), np.zeros(found.values.shape[1], dtype=np.uint32)
    chunk = chunk_of(db, before)
    for position, (v, q) in zip(silent, columns(db, chunk, silent), strict=True):
        kept = np.flatnonzero(codec.kept(q))
        if len(kept):
            values[position], codes[position] = v[kept[-1]], q[kept[-1]]
    return replace(found, held=(values, codes))


def _write_chunk(db: sqlite3.Connection, layout: int, stretch: tuple[int, int], found: _Readings) -> None:
    new = db.execute(
        "INSERT INTO chunks (layout, first, last, count, t_first, t_last, row, t, wall, sourced) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(layout, *stretch, len(found.t), int(found.t.min()), int(found.t.max())),
            codec.pack_integers(found.row - stretch[0]),
            codec.pack_integers(found.t),
            codec.pack_integers(found.wall - found.t),
            None if found.sourced.all() or found.source is None else np.packbits(found.sourced).tobytes(),
        ),
    )
    chunk = int(new.lastrowid or 0)
    kinds = codec.value_codecs(found.values, found.quality).tolist()
    delta = codec.creeping(found.values).tolist()
    present: codec.BoolArray = found.quality < BAD
    whole: list[bool] = np.all(present, axis=0).tolist()
    all_good: list[bool] = np.all(found.quality == GOOD, axis=0).tolist()
    by_tag = np.ascontiguousarray(found.values.T)
    known: dict[bytes, int] = {}
    blocks = []
    for i, kind in enumerate(kinds):
        values = by_tag[i] if whole[i] or kind == codec.BITS else by_tag[i][present[:, i]]
        source = _source(found, i, known)
        quality = None if all_good[i] else codec.pack_quality(np.ascontiguousarray(found.quality[:, i]))
        blocks.append((chunk * BLOCKS_IN_CHUNK + i, kind, codec.pack_values(values, kind, delta[i]), quality, source))
    db.executemany("INSERT INTO blocks (id, codec, value, quality, source) VALUES (?, ?, ?, ?, ?)", blocks)


def _source(found: _Readings, position: int, known: dict[bytes, int]) -> int | bytes | None:
    """The device's own times of one tag: those of a tag before, if they are the same (one telegram, one time)."""
    if found.source is None:
        return None
    distance = found.source[:, position] - found.t[found.sourced]
    raw = distance.tobytes()
    if raw in known:
        return known[raw]
    known[raw] = position
    return codec.pack_integers(distance)


def _cells(found: _Readings, following: int | None, width: int) -> Cells:
    order = np.argsort(found.t, kind="stable")
    t, values, quality = found.t[order], found.values[order], found.quality[order]
    own = codec.kept(quality)
    if not own.all():
        if found.held is not None:
            held, codes = found.held
            values[0], quality[0] = np.where(own[0], values[0], held), np.where(own[0], quality[0], codes)
        values, quality = filled(values, quality, own)
    until = np.minimum(held_until(t, NEVER if following is None else following), t + LONGEST_HOLD)
    return make_cells(t, until, values, quality, own, width)


def _write_cells(db: sqlite3.Connection, layout: int, width: int, level: int, cells: Cells) -> None:
    db.execute(
        "INSERT INTO cells (layout, width, level, t_first, t_last, count, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(layout, width, level, int(cells.start[0]), int(cells.start[-1]) + width - 1, len(cells.start)),
            pack_cells(cells, width),
        ),
    )


def _merge_cells(db: sqlite3.Connection, layout: int, width: int) -> None:
    level = 0
    while True:
        rows: list[tuple[int, int, bytes]] = db.execute(
            "SELECT id, count, data FROM cells WHERE layout = ? AND width = ? AND level = ? ORDER BY id DESC LIMIT ?",
            (layout, width, level, FAN),
        ).fetchall()
        total = sum(count for _, count, _ in rows)
        enough = len(rows) == FAN or (len(rows) > 1 and total >= ENOUGH_CELLS)
        if not enough or total > MOST_CELLS:
            return
        rows.reverse()
        db.executemany("DELETE FROM cells WHERE id = ?", [(number,) for number, _, _ in rows])
        level += 1
        _write_cells(db, layout, width, level, merged([unpack_cells(data, width) for _, _, data in rows], width))
