"""A trend from the roll-ups is the one that the readings themselves give."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from evcontrol.clock import NS, LiveClock
from evcontrol.history.aggregate import aggregate
from evcontrol.history.cell_blob import TREND
from evcontrol.history.month import MonthFile
from evcontrol.history.reader import HistoryReader
from evcontrol.history.rollup import WIDTHS
from evcontrol.history.trend import Trend, Window
from evcontrol.quality import BAD, BAD_NOT_CONNECTED, UNCERTAIN
from evcontrol.signals import Frame
from tests.history.plant import START, frame, make_tags
from tests.history.test_seal import seal_all

CELL = WIDTHS[0]
DAY = 24 * 3600 * NS


def write(directory: Path, start: int, count: int, *, step: int = NS, seed: int = 1, seal: bool = False) -> Path:
    """A session of readings of two tags, now and then Bad or Uncertain."""
    random = np.random.default_rng(seed)
    file = MonthFile(directory / "2026-03.db", make_tags(), LiveClock())
    frames: list[Frame] = []
    for i in range(count):
        q = random.choice([0, 0, 0, 0, UNCERTAIN, BAD_NOT_CONNECTED], 2)
        v = np.where(q == BAD_NOT_CONNECTED, np.nan, np.round(random.normal(20, 1, 2), 2))
        frames.append(
            frame(start + i * step + int(random.integers(0, step // 10)), v.tolist(), q.tolist(), index=(0, 1))
        )
    for at in range(0, count, 100):
        file.write(frames[at : at + 100])
        while seal and file.seal():
            pass
    file.close()
    return directory / "2026-03.db"


def expected(directory: Path, tag: str, found: Trend) -> None:
    """The same parts worked out from the readings."""
    end = int(found.t[-1]) + found.width
    column = HistoryReader(directory).raw([tag], int(found.t[0]), end - 1)[tag]
    means = aggregate(column.t, column.v, column.q, column.unit, int(found.t[0]), end, len(found.t))
    assert found.t.tolist() == means.t.tolist()
    np.testing.assert_array_equal(found.low, means.low)
    np.testing.assert_array_equal(found.high, means.high)
    np.testing.assert_allclose(found.mean, means.mean, rtol=1e-3)
    # How long the last reading of a session counts hangs on what is usual, which each works out by itself.
    assert (~np.isclose(found.mean, means.mean, rtol=1e-9, atol=0.0, equal_nan=True)).sum() <= 2
    assert found.q.tolist() == means.q.tolist()
    part = (column.t - found.t[0]) // found.width
    for i in range(len(found.t)):
        here = part == i
        good = column.v[here & (column.q == 0)]
        assert (found.good[i], found.bad[i]) == (len(good), int((column.q[here] >= BAD).sum()))
        assert len(good) == 0 or (found.first[i], found.last[i]) == (good[0], good[-1])


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("buckets", [3, 10, 40])
def test_cells_give_what_the_readings_give(tmp_path: Path, sealed: bool, buckets: int) -> None:
    file = write(tmp_path, START, 2500, seal=sealed)
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM chunks").fetchone()[0] >= 5 * sealed
    begin = START + 70 * NS
    found = HistoryReader(tmp_path).trend(["TEMP", "FLOW"], begin, START + 2500 * NS, buckets)
    assert all(0 <= begin - one.t[0] < (WIDTHS[1] if buckets == 3 else CELL) for one in found.values())
    assert all(one.width % CELL == 0 for one in found.values())
    drawn = HistoryReader(tmp_path).trend(["FLOW"], begin, START + 2500 * NS, buckets, TREND)["FLOW"]
    for name in ("mean", "low", "high", "q"):
        np.testing.assert_allclose(getattr(drawn, name), getattr(found["FLOW"], name), rtol=1e-12)
    for tag, one in found.items():
        expected(tmp_path, tag, one)


def test_cells_of_many_stretches_are_merged_and_of_two_sessions_added(tmp_path: Path) -> None:
    write(tmp_path, START, 6100, step=10 * NS)
    file = write(tmp_path, START + 61_010 * NS, 700, step=10 * NS, seed=2)
    assert seal_all(file) >= 20
    with closing(sqlite3.connect(file)) as db:
        levels = dict(db.execute("SELECT level, count(*) FROM cells WHERE width = ? GROUP BY level", (WIDTHS[1],)))
    assert max(levels) >= 1
    assert sum(levels.values()) < 20
    for tag, one in HistoryReader(tmp_path).trend(["FLOW"], START, START + 68_000 * NS, 30).items():
        assert one.width == 4 * WIDTHS[1]
        expected(tmp_path, tag, one)


def test_parts_are_whole_cells_near_to_what_was_asked() -> None:
    month = Window.snapped(START + 5, START + 30 * DAY, 2000)
    assert (month.cell, month.width, month.start) == (600 * NS, 1200 * NS, START)
    assert month.end >= START + 30 * DAY
    assert Window.snapped(START, START + 3600 * NS, 30).width == 120 * NS
    later = Window.snapped(START + 61 * NS, START + 3661 * NS, 30)
    assert (later.start, later.end) == (START + 60 * NS, START + 3780 * NS), "no more than a cell is added before"
    assert Window.snapped(START, START + 60 * NS, 2).cell == 0
    with pytest.raises(ValueError, match="at least one part"):
        Window.snapped(START, START, 5)


def test_parts_shorter_than_a_cell_are_exact(tmp_path: Path) -> None:
    seal_all(write(tmp_path, START, 900))
    (found,) = HistoryReader(tmp_path).trend(["TEMP"], START, START + 100 * NS, 7).values()
    expected_t = [START + 100 * NS * k // 7 for k in range(7)]
    assert found.t.tolist() == expected_t
    expected(tmp_path, "TEMP", HistoryReader(tmp_path).trend(["TEMP"], START, START + 100 * NS, 10)["TEMP"])


def test_where_nothing_was_read_a_part_is_bad(tmp_path: Path) -> None:
    write(tmp_path, START, 10)
    (found,) = HistoryReader(tmp_path).trend(["TEMP"], START, START + 3600 * NS, 6).values()
    assert found.q.tolist()[1:] == [BAD] * 5
    assert np.isnan(found.mean[1:]).all()


def test_texts_have_qualities_and_no_means(tmp_path: Path) -> None:
    tags = make_tags()
    file = MonthFile(tmp_path / "2026-03.db", tags, LiveClock())
    file.write([frame(START + i * NS, [tags.code_of("fill")], index=(4,)) for i in range(300)])
    file.close()
    (found,) = HistoryReader(tmp_path).trend(["STEP"], START, START + 300 * NS, 5).values()
    assert np.isnan(found.mean).all()
    assert found.good.sum() == 300
