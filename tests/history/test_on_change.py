"""What is kept on change reproduces the signal within its deadband; tags of the batch record are never thinned."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.clock import NS, LiveClock
from evcontrol.history.follow import Follower
from evcontrol.history.layout import NOT_KEPT
from evcontrol.history.month import MonthFile
from evcontrol.history.on_change import OnChange
from evcontrol.history.reader import HistoryReader
from evcontrol.quality import BAD_STALE, UNCERTAIN
from evcontrol.signals import Frame, Tag, TagKind, TagTable
from tests.history.plant import START, frame
from tests.history.test_seal import seal_all

DEADBAND = 0.5
LONGEST_S = 60.0
TAGS = TagTable(
    [
        Tag("RECORD", 0, "bar", TagKind.ANALOG, 0, 100),
        Tag("ROOM", 1, "degC", TagKind.ANALOG, 0, 100, record=False, deadband=DEADBAND, max_interval_s=LONGEST_S),
    ]
)
numbers = st.floats(-100, 100) | st.just(float("nan"))
readings = st.tuples(st.integers(1, 30), numbers, st.sampled_from([0, 0, UNCERTAIN]))


def frames(values: np.ndarray, step: int = NS) -> list[Frame]:
    """A frame for each value, of both tags."""
    return [frame(START + i * step, [v, v], index=(0, 1)) for i, v in enumerate(values.tolist())]


@settings(deadline=None)
@given(st.lists(readings, min_size=1, max_size=60))
def test_holding_what_was_kept_is_never_further_off_than_the_deadband(signal: list[tuple[int, float, int]]) -> None:
    on_change = OnChange(TAGS)
    t, last, last_q, last_t = START, float("nan"), -1, 0
    for wait, value, q in signal:
        t += wait * NS
        code = BAD_STALE if np.isnan(value) else q
        found = on_change.thinned(frame(t, [value, value], code, index=(0, 1)))
        assert found.quality[0] == code, "the batch record"
        if found.quality[1] != NOT_KEPT:
            last, last_q, last_t = value, code, t
        assert last_q == code
        assert (np.isnan(last) and np.isnan(value)) or abs(last - value) <= DEADBAND
        assert t - last_t < LONGEST_S * NS


def write(directory: Path, values: np.ndarray) -> Path:
    """A month with both tags."""
    file = MonthFile(directory / "2026-03.db", TAGS, LiveClock())
    file.write(frames(values))
    file.close()
    return directory / "2026-03.db"


def test_less_is_kept_sealed_or_not_and_the_record_stays_whole(tmp_path: Path) -> None:
    values = 20 + np.random.default_rng(3).normal(0, 0.1, 1000).round(2)
    file = write(tmp_path, values)
    reader = HistoryReader(tmp_path)
    before = reader.raw(["RECORD", "ROOM"], START, START + 10**4 * NS)
    assert before["RECORD"].v.tolist() == values.tolist()
    assert 1000 / 60 <= len(before["ROOM"]) < 120
    assert seal_all(file) > 2
    after = reader.raw(["RECORD", "ROOM"], START, START + 10**4 * NS)
    for name in before:
        assert after[name].v.tolist() == before[name].v.tolist()
        assert after[name].t.tolist() == before[name].t.tolist()


def test_a_trend_holds_what_was_kept_over_the_edges_of_blocks(tmp_path: Path) -> None:
    values = np.repeat([20.0, 25.0, 22.0], 450)
    seal_all(write(tmp_path, values))
    with closing(sqlite3.connect(tmp_path / "2026-03.db")) as db:
        assert db.execute("SELECT count(*) FROM chunks").fetchone()[0] > 3
    (found,) = HistoryReader(tmp_path).trend(["ROOM"], START, START + 1320 * NS, 22).values()
    expected = [values[60 * i : 60 * i + 60].mean() for i in range(22)]
    np.testing.assert_allclose(found.mean, expected, atol=0.1)
    (exact,) = HistoryReader(tmp_path).aggregate(["ROOM"], START, START + 1320 * NS, 22).values()
    np.testing.assert_allclose(exact.mean[1:], expected[1:], atol=0.1)


def test_what_was_left_out_is_not_forwarded(tmp_path: Path) -> None:
    file = MonthFile(tmp_path / "2026-03.db", TAGS, LiveClock())
    file.write([frame(START + i * NS, [7.0], index=(1,)) for i in range(20)])
    file.write([frame(START + i * NS, [7.0, 7.0], index=(0, 1)) for i in range(20, 22)])
    file.close()
    follower = Follower(tmp_path, "p", False, {})
    batch = follower.next(100)
    follower.close()
    assert batch is not None
    lines = [item.line for item in batch.items if item.row.startswith("frame")]
    assert [b"ROOM=" in line for line in lines] == [True, False, False]
    assert not any(item.fault for item in batch.items)
