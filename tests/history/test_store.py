"""What is kept is on the disk, bit for bit, or it is a recorded gap."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.clock import NS, LiveClock, VirtualClock, run_virtual
from evcontrol.history import store
from evcontrol.history.layout import NOT_KEPT
from evcontrol.history.month import MonthFile
from evcontrol.history.reader import HistoryReader
from evcontrol.history.store import Historian
from evcontrol.quality import BAD_NOT_CONNECTED, BAD_STALE, GOOD_DYNAMIC
from evcontrol.signals import Frame
from tests.history.plant import START, frame, make_tags

bits = st.integers(0, 2**64 - 1)
codes = st.one_of(st.just(0), st.integers(0, NOT_KEPT - 1))
numeric = st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3, unique=True)


@st.composite
def _frames(draw: st.DrawFn, t: int) -> Frame:
    index = draw(numeric)
    n = len(index)
    value = np.array(draw(st.lists(bits, min_size=n, max_size=n)), dtype=np.uint64).view(np.float64)
    quality = draw(st.one_of(codes.map(lambda code: [code] * n), st.lists(codes, min_size=n, max_size=n)))
    source = draw(st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=n, max_size=n))
    source_t = None if source is None else np.array(source, dtype=np.int64)
    group = "".join(str(i) for i in index)
    return Frame(t, t + 5, group, np.array(index, dtype=np.int32), value, np.array(quality, dtype=np.uint32), source_t)


@st.composite
def _scans(draw: st.DrawFn) -> list[Frame]:
    steps = draw(st.lists(st.integers(1, 40 * 24 * 3600 * NS), min_size=1, max_size=12))
    return [draw(_frames(START + t)) for t in np.cumsum(steps).tolist()]


@settings(deadline=None, max_examples=60)
@given(_scans())
def test_every_kept_frame_comes_back_bit_for_bit(kept: list[Frame]) -> None:
    with tempfile.TemporaryDirectory() as name:
        _keep_all(Path(name), kept)
        reader = HistoryReader(Path(name))
        recorded = {int(i) for one in kept for i in one.index}
        names = [make_tags()[i].name for i in sorted(recorded)]
        columns = reader.raw(names, kept[0].t, kept[-1].t)
        for tag in sorted(recorded):
            column = columns[make_tags()[tag].name]
            expected = [(one, one.index.tolist().index(tag)) for one in kept if tag in one.index]
            assert column.t.tolist() == [one.t for one, _ in expected]
            assert column.v.view(np.uint64).tolist() == [int(one.value.view(np.uint64)[i]) for one, i in expected]
            assert column.q.tolist() == [int(one.quality[i]) for one, i in expected]
        assert reader.scans(kept[0].t, kept[-1].t).tolist() == [one.t for one in kept]
        assert reader.span() == (kept[0].t, kept[-1].t)


def _keep_all(directory: Path, frames: list[Frame]) -> None:
    async def main(clock: VirtualClock) -> None:
        historian = Historian(directory, make_tags(), clock)
        for one in frames:
            historian.keep(one.t, one.wall, [one])
        await historian.close()

    run_virtual(main, START)


def test_source_and_wall_times_are_kept(tmp_path: Path) -> None:
    one = Frame(START, 7, "skid", np.array([0], np.int32), np.array([1.0]), np.array([0], np.uint32), np.array([42]))
    _keep_all(tmp_path, [one])
    with sqlite3.connect(tmp_path / "2026-03.db") as db:
        wall, source = db.execute("SELECT wall, source FROM frames").fetchone()
    db.close()
    assert (wall, np.frombuffer(source, "<i8").tolist()) == (7, [42])


def test_one_code_for_all_takes_no_array(tmp_path: Path) -> None:
    frames = [
        frame(START, [1, 2], index=[0, 1]),
        frame(START + 1, [np.nan, np.nan], BAD_STALE, index=[0, 1]),
        frame(START + 2, [1, 2], [0, GOOD_DYNAMIC], index=[0, 1]),
    ]
    _keep_all(tmp_path, frames)
    with sqlite3.connect(tmp_path / "2026-03.db") as db:
        kinds = [kind for (kind,) in db.execute("SELECT typeof(quality) FROM frames ORDER BY t")]
    db.close()
    assert kinds == ["null", "integer", "blob"]


def test_a_month_has_its_own_file(tmp_path: Path) -> None:
    april = START + 31 * 24 * 3600 * NS
    _keep_all(tmp_path, [frame(april - 1, [1.0]), frame(april, [2.0]), frame(april + 1, [3.0])])
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["2026-03.db", "2026-04.db"]
    assert HistoryReader(tmp_path).raw(["TEMP"], april - 1, april)["TEMP"].v.tolist() == [1.0, 2.0]


def test_in_virtual_time_every_scan_is_committed_at_once(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> list[int]:
        historian = Historian(tmp_path, make_tags(), clock)
        counts = []
        for i in range(3):
            historian.keep(START + i, START + i, [frame(START + i, [i])])
            counts.append(len(HistoryReader(tmp_path).scans(START, START + 100)))
        await historian.close()
        return counts

    assert run_virtual(main, START) == [1, 2, 3]


def test_live_a_reading_is_on_the_disk_within_a_second(tmp_path: Path) -> None:
    async def main(historian: Historian, clock: LiveClock) -> float:
        took = []
        for number in range(3):  # a machine that stands still meanwhile is no fault of the historian
            now = clock.now()
            historian.keep(now, now, [frame(now, [1.0])])
            assert historian.lag_s > 0
            while len(HistoryReader(tmp_path).scans(0, now)) <= number:
                await clock.sleep(0.02)
            took.append((clock.now() - now) / NS)
        return min(took)

    assert _live(tmp_path, main) < 1.0


def test_live_readings_reach_the_disk_while_the_event_loop_is_held_up(tmp_path: Path) -> None:
    async def main(historian: Historian, clock: LiveClock) -> float:
        await clock.sleep(0)
        took = []
        for number in range(3):
            now = clock.now()
            historian.keep(now, now, [frame(now, [1.0])])
            while len(HistoryReader(tmp_path).scans(0, now)) <= number:
                pass
            took.append((clock.now() - now) / NS)
        return min(took)

    assert _live(tmp_path, main) < 1.0


def test_live_a_flush_leaves_nothing_behind(tmp_path: Path) -> None:
    async def main(historian: Historian, clock: LiveClock) -> float:
        now = clock.now()
        historian.keep(now, now, [frame(now, [1.0])])
        await historian.flush()
        assert len(HistoryReader(tmp_path).scans(0, now)) == 1
        return historian.lag_s

    assert _live(tmp_path, main) == 0.0


def _live(directory: Path, main: Callable[[Historian, LiveClock], Awaitable[float]]) -> float:
    async def run() -> float:
        clock = LiveClock()
        historian = Historian(directory, make_tags(), clock)
        running = asyncio.create_task(historian.run())
        await clock.sleep(0)
        try:
            return await main(historian, clock)
        finally:
            running.cancel()
            await historian.close()

    return asyncio.run(run())


def test_a_fault_of_the_program_ends_run_with_it(tmp_path: Path) -> None:

    async def run() -> None:
        clock = LiveClock()
        historian = Historian(tmp_path, make_tags(), clock)
        historian.keep(1, 1, [frame(1, [1.0], index=[99])])
        with pytest.raises(IndexError):
            await historian.run()
        assert "history stopped" in historian.trouble

    asyncio.run(run())


def test_nothing_can_be_kept_after_close(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        historian = Historian(tmp_path, make_tags(), clock)
        await historian.close()
        with pytest.raises(RuntimeError):
            historian.keep(START, START, [])

    run_virtual(main, START)


class FullDisk:
    """Makes every transaction fail as SQLite does on a full disk, while ``full``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        write = MonthFile.write

        def refusing(file: MonthFile, items: list[Frame]) -> None:
            if self.full:
                raise sqlite3.OperationalError("database or disk is full")
            write(file, items)

        monkeypatch.setattr(MonthFile, "write", refusing)


def test_a_short_refusal_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk(monkeypatch)

    async def main(clock: VirtualClock) -> None:
        historian = Historian(tmp_path, make_tags(), clock)
        gaps: list[tuple[int, int, str]] = []
        historian.on_gap = lambda *gap: gaps.append(gap)
        disk.full = True
        for i in range(100):
            historian.keep(START + i, START + i, [frame(START + i, [i])])
        assert "disk is full" in historian.trouble
        await clock.sleep(5)
        assert historian.lag_s == pytest.approx(5)
        disk.full = False
        await historian.flush()
        assert (historian.trouble, historian.lag_s, gaps) == ("", 0.0, [])
        await historian.close()

    run_virtual(main, START)
    assert HistoryReader(tmp_path).raw(["TEMP"], START, START + 99)["TEMP"].v.tolist() == list(range(100))


def test_what_does_not_fit_in_memory_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk(monkeypatch)
    told: list[tuple[int, int, str]] = []

    async def main(clock: VirtualClock) -> None:
        historian = Historian(tmp_path, make_tags(), clock, buffer_frames=70)
        historian.on_gap = lambda *gap: told.append(gap)
        disk.full = True
        for i in range(100):
            historian.keep(START + i, START + i, [frame(START + i, [i])])
        disk.full = False
        await historian.flush()
        historian.keep(START + 100, START + 100, [frame(START + 100, [100])])
        await historian.close()

    run_virtual(main, START)
    reason = "history cannot be written: database or disk is full"
    assert told == [(START + 70, START + 70, reason), (START + 70, START + 99, reason)]
    reader = HistoryReader(tmp_path)
    assert reader.raw(["TEMP"], START, START + 200)["TEMP"].v.tolist() == [*range(70), 100.0]
    assert [(gap.start, gap.end, gap.reason) for gap in reader.gaps(START, START + 200)] == [told[1]]


def test_who_is_told_of_a_gap_may_fail_and_nothing_more_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)

    def unable(start: int, end: int, reason: str) -> None:
        raise OSError("this disk is full, too")

    async def main(clock: VirtualClock) -> None:
        historian = Historian(tmp_path, make_tags(), clock, buffer_frames=60)
        historian.on_gap = unable
        disk.full = True
        for i in range(60):
            historian.keep(START + i, START + i, [frame(START + i, [i])])
        with pytest.raises(OSError, match="too"):
            historian.keep(START + 60, START + 60, [frame(START + 60, [60])])
        disk.full = False
        await historian.flush()
        with pytest.raises(OSError, match="too"):
            historian.keep(START + 61, START + 61, [frame(START + 61, [61])])
        await historian.close()

    run_virtual(main, START)
    reader = HistoryReader(tmp_path)
    assert reader.raw(["TEMP"], START, START + 99)["TEMP"].v.tolist() == [*range(60), 61.0]
    assert [(gap.start, gap.end) for gap in reader.gaps(START, START + 99)] == [(START + 60, START + 60)]


def test_what_the_disk_refuses_to_the_end_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk(monkeypatch)
    told: list[tuple[int, int, str]] = []

    async def main(clock: VirtualClock) -> None:
        historian = Historian(tmp_path, make_tags(), clock)
        historian.on_gap = lambda *gap: told.append(gap)
        disk.full = True
        for i in range(3):
            historian.keep(START + i, START + i, [frame(START + i, [i])])
        await historian.close()

    run_virtual(main, START)
    assert [(gap[0], gap[1]) for gap in told] == [(START, START + 2)]


def test_the_time_without_an_engine_is_a_gap(tmp_path: Path) -> None:
    _keep_all(tmp_path, [frame(START, [1.0])])
    _keep_all(tmp_path, [frame(START + 60 * NS, [2.0])])
    gaps = HistoryReader(tmp_path).gaps(START, START + 60 * NS)
    assert [(gap.start, gap.end, gap.reason) for gap in gaps] == [(START, START + 60 * NS, store.NOT_RUNNING)]


def test_beside_a_damaged_file_a_new_one_is_begun(tmp_path: Path) -> None:
    (tmp_path / "2026-03.db").write_bytes(b"not a database, but long enough to be one" * 100)

    async def main(clock: VirtualClock) -> None:
        historian = Historian(tmp_path, make_tags(), clock)
        historian.keep(START, START, [frame(START, [1.0], BAD_NOT_CONNECTED)])
        assert "not a database" in historian.trouble
        await historian.flush()
        await historian.close()
        assert historian.trouble == ""

    run_virtual(main, START)
    (tmp_path / "2026-03.db").unlink()
    assert HistoryReader(tmp_path).span() == (START, START)
