"""Sealing changes where readings lie, and nothing that can be asked of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from evcontrol.clock import NS, LiveClock
from evcontrol.history.cursor import Position
from evcontrol.history.follow import Follower
from evcontrol.history.layout import Gap
from evcontrol.history.month import MonthFile
from evcontrol.history.reader import Column, HistoryError, HistoryReader
from evcontrol.history.seal import STRETCH, seal_next
from evcontrol.signals import Frame
from tests.history.forwarding import Story
from tests.history.plant import START

TAGS = ("TEMP", "FLOW", "COUNT", "VALVE", "STEP")
LATER = START + 10**6 * NS


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The file of two sessions with every kind of reading, none of it sealed."""
    return write(tmp_path, 2 * STRETCH + 57, 80)


def write(data: Path, *sessions: int) -> Path:
    """Sessions of so many scans each, with a gap at the end of each."""
    for number, scans in enumerate(sessions):
        story = Story(data, seed=number, start=START + number * 3600 * NS)
        file = MonthFile(story.directory / "2026-03.db", story.tags, LiveClock())
        file.write([*story.scans(scans), Gap(story.t + 1, story.t + 5, "a gap"), *story.scans(3)])
        file.close()
    return story.directory / "2026-03.db"


def seal_all(file: Path, *, at_once: bool = True) -> int:
    """Seal what can be sealed, and return how many stretches that was."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        count = 0
        while seal_next(db, at_once=at_once):
            count += 1
        return count


def contents(directory: Path) -> dict[str, tuple[list[int], list[int], list[int]]]:
    """All readings, bit for bit."""

    def bits(column: Column) -> tuple[list[int], list[int], list[int]]:
        return column.t.tolist(), column.v.view(np.uint64).tolist(), column.q.tolist()

    return {name: bits(column) for name, column in HistoryReader(directory).raw(TAGS, 0, LATER).items()}


def lines(directory: Path, limit: int, positions: dict[str, Position]) -> list[tuple[str, bytes, int]]:
    """What the forwarder would send, in order."""
    follower = Follower(directory, "plant", False, positions)
    found = []
    while (batch := follower.next(limit)) is not None:
        found += [(item.row, item.line, item.wall) for item in batch.items]
        positions[batch.file] = batch.position
        follower.done(batch)
    follower.close()
    return found


def _others(reader: HistoryReader) -> tuple[object, ...]:
    return reader.span(), reader.scans(0, LATER).tolist(), reader.texts("STEP", 0, LATER), reader.following(START)


def test_everything_reads_as_before(kept: Path) -> None:
    reader = HistoryReader(kept.parent)
    before = contents(kept.parent)
    others = _others(reader)
    assert seal_all(kept) >= 3
    assert contents(kept.parent) == before
    assert others == (
        reader.span(),
        reader.scans(0, LATER).tolist(),
        reader.texts("STEP", 0, LATER),
        reader.following(START),
    )
    with closing(sqlite3.connect(kept)) as db:
        assert db.execute("SELECT count(*) FROM frames").fetchone() == (1,), "the last one counts on"


def test_a_range_cuts_through_a_block(kept: Path) -> None:
    reader = HistoryReader(kept.parent)
    times = reader.scans(0, LATER)
    ranges = [(int(times[i]), int(times[i + 40])) for i in (0, 130, STRETCH - 20, len(times) - 41)]
    before = [reader.raw(["FLOW"], *each)["FLOW"].v.view(np.uint64).tolist() for each in ranges]
    seal_all(kept)
    assert [reader.raw(["FLOW"], *each)["FLOW"].v.view(np.uint64).tolist() for each in ranges] == before
    assert reader.following(ranges[1][0] + 1) == int(times[131])


def test_received_and_source_times_survive(tmp_path: Path) -> None:
    story = Story(tmp_path)
    frames = []
    for i, one in enumerate(story.scans(40)):
        source = None if i % 7 == 3 else np.arange(len(one.index)) // 2 + one.t - i * i
        frames.append(Frame(one.t, one.wall, one.group, one.index, one.value, one.quality, source))
    story.keep(frames)
    story.close()
    (file,) = story.directory.glob("*.db")
    seal_all(file)
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute("SELECT count(*), sum(sourced IS NOT NULL) FROM chunks").fetchone()
        shared = db.execute("SELECT count(*) FROM blocks WHERE typeof(source) = 'integer'").fetchone()
    assert rows == (2, 2)
    assert shared[0] > 0, "tags of one telegram share its time"


def test_new_frames_are_numbered_on(kept: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(kept)) as db:
        (before,) = db.execute("SELECT max(id) FROM frames").fetchone()
    seal_all(kept)
    story = Story(tmp_path, seed=3, start=START + 9 * 3600 * NS)
    story.keep(story.scans(1))
    story.close()
    with closing(sqlite3.connect(kept)) as db:
        assert [number for (number,) in db.execute("SELECT id FROM frames ORDER BY id")] == [
            before, before + 1, before + 2,
        ]  # fmt: skip


def test_only_what_is_old_enough_is_sealed_unless_all_is_to_be(kept: Path) -> None:
    seal_all(kept, at_once=False)
    with closing(sqlite3.connect(kept)) as db:
        first, last = db.execute("SELECT min(id), max(id) FROM frames").fetchone()
    assert 2 * STRETCH <= last - first + 1 < 2 * 2 * STRETCH


@pytest.mark.parametrize("limit", [1, 50, 1000])
def test_the_forwarder_sends_the_same_lines_in_the_same_order(kept: Path, limit: int) -> None:
    before = lines(kept.parent, limit, {})
    seal_all(kept)
    assert lines(kept.parent, limit, {}) == before


def test_sealing_between_two_batches_leaves_nothing_out_and_repeats_nothing(kept: Path) -> None:
    before = lines(kept.parent, 1000, {})
    follower = Follower(kept.parent, "plant", False, {})
    found = []
    with closing(sqlite3.connect(kept, isolation_level=None)) as db:
        while (batch := follower.next(47)) is not None:
            found += [(item.row, item.line, item.wall) for item in batch.items]
            follower.done(batch)
            if len(found) % 3 == 0:
                seal_next(db, at_once=True)
    follower.close()
    assert found == before


def test_a_position_in_what_was_sealed_since_holds(kept: Path) -> None:
    positions: dict[str, Position] = {}
    follower = Follower(kept.parent, "plant", False, positions)
    batch = follower.next(100)
    assert batch is not None
    follower.close()
    positions[batch.file] = batch.position
    rest = lines(kept.parent, 1000, dict(positions))
    seal_all(kept)
    again = lines(kept.parent, 1000, dict(positions))
    readings = [item for item in rest if item[0].startswith("frame")]
    assert [item for item in again if item[0].startswith("frame")] == readings


def test_a_damaged_block_is_told_and_the_rest_is_read_and_sent(kept: Path) -> None:
    seal_all(kept)
    with closing(sqlite3.connect(kept)) as db:
        (block,) = db.execute("SELECT id FROM blocks WHERE length(value) > 40 ORDER BY id LIMIT 1").fetchone()
        db.execute("UPDATE blocks SET value = substr(value, 1, 20) WHERE id = ?", (block,))
        db.commit()
    reader = HistoryReader(kept.parent)
    with pytest.raises(HistoryError, match=r"2026-03\.db: a sealed block is damaged"):
        reader.raw([TAGS[block % 65536]], 0, LATER)
    follower = Follower(kept.parent, "plant", False, {})
    faults, sound = 0, 0
    while (batch := follower.next(1000)) is not None:
        faults += sum(bool(item.fault) for item in batch.items)
        sound += sum(not item.fault for item in batch.items)
        follower.done(batch)
    follower.close()
    assert 0 < faults <= STRETCH
    assert sound > STRETCH


def test_a_frame_that_is_not_as_it_should_be_stops_sealing_and_loses_nothing(kept: Path) -> None:
    with closing(sqlite3.connect(kept, isolation_level=None)) as db:
        db.execute("UPDATE frames SET value = x'00' WHERE id = 9")
        with pytest.raises(ValueError, match="not all of one length"):
            seal_next(db, at_once=True)
        assert not db.in_transaction
        assert db.execute("SELECT min(id) FROM frames").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM chunks").fetchone() == (0,)
