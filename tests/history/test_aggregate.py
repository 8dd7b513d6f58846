"""Means are weighted by time over Good readings, and where there is none there is no number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.clock import NS
from evcontrol.history.aggregate import HOLD_INTERVALS, Aggregate, aggregate
from evcontrol.quality import BAD, BAD_STALE, GOOD_DYNAMIC, UNCERTAIN, is_good
from evcontrol.signals import TimeArray


def _aggregate(readings: list[tuple[float, float, int]], end: float, buckets: int) -> Aggregate:
    t = np.array([round(at * NS) for at, _, _ in readings], dtype=np.int64)
    v = np.array([value for _, value, _ in readings])
    q = np.array([code for _, _, code in readings], dtype=np.uint32)
    return aggregate(t, v, q, "degC", 0, round(end * NS), buckets)


def test_a_mean_is_weighted_by_time() -> None:
    found = _aggregate([(0, 10, 0), (1, 20, 0), (2, 30, 0), (4, 0, 0)], 4, 1)
    assert found.mean.tolist() == [pytest.approx((10 + 20 + 2 * 30) / 4)]
    assert (found.low.tolist(), found.high.tolist(), found.unit) == ([10.0], [30.0], "degC")


def test_a_reading_holds_over_the_edge_of_a_part() -> None:
    found = _aggregate([(0, 1, 0), (1.5, 3, 0), (3, 5, 0)], 4, 4)
    assert found.t.tolist() == [0, NS, 2 * NS, 3 * NS]
    assert found.mean.tolist() == [1.0, 2.0, 3.0, 5.0]
    assert found.low.tolist() == [1.0, 1.0, 3.0, 5.0]


def test_only_good_readings_count_and_the_worst_quality_is_told() -> None:
    found = _aggregate([(0, 1, 0), (1, np.nan, BAD_STALE), (2, 9, UNCERTAIN), (3, 3, GOOD_DYNAMIC)], 4, 2)
    assert found.mean[0] == 1.0
    assert found.mean[1] == 3.0
    assert found.q.tolist() == [BAD_STALE, UNCERTAIN]


def test_a_part_without_a_good_reading_has_no_number() -> None:
    found = _aggregate([(0, 1, 0), (1, 1, 0), (2, 5, UNCERTAIN), (3, 5, UNCERTAIN), (4, 2, 0), (5, 2, 0)], 6, 3)
    assert np.isnan(found.mean).tolist() == np.isnan(found.low).tolist() == [False, True, False]


def test_an_outage_has_no_weight_and_empty_parts_are_bad() -> None:
    readings = [(t, 1.0, 0) for t in range(10)] + [(t, 2.0, 0) for t in range(90, 100)]
    found = _aggregate(readings, 100, 10)
    assert found.mean[0] == 1.0
    assert np.isnan(found.mean[2:9]).all()
    assert found.q.tolist()[2:9] == [BAD] * 7
    assert found.mean[9] == 2.0


def test_nothing_at_all_is_nothing_everywhere() -> None:
    found = _aggregate([], 4, 2)
    assert np.isnan(found.mean).all()
    assert found.q.tolist() == [BAD, BAD]


def test_readings_outside_the_range_are_left_out() -> None:
    assert np.isnan(_aggregate([(-1, 7, 0), (5, 7, 0)], 4, 1).mean[0])


def test_no_part_and_no_duration_are_refused() -> None:
    for end, buckets in ((4, 0), (0, 1)):
        with pytest.raises(ValueError, match="at least one part"):
            _aggregate([], end, buckets)


values = st.floats(-1e6, 1e6)
qualities = st.sampled_from([0, GOOD_DYNAMIC, UNCERTAIN, BAD_STALE])
steps = st.lists(st.tuples(st.integers(1, 50), values, qualities), max_size=20)


@settings(deadline=None)
@given(steps, st.integers(1, 400), st.integers(1, 15))
def test_it_agrees_with_adding_up_nanosecond_by_nanosecond(
    steps: list[tuple[int, float, int]], end: int, buckets: int
) -> None:
    t = np.cumsum([step for step, _, _ in steps], dtype=np.int64)
    v = np.array([value for _, value, _ in steps])
    q = np.array([code for _, _, code in steps], dtype=np.uint32)
    found = aggregate(t, v, q, "", 0, end, buckets)
    held = _by_hand(t[t < end], end)
    for k in range(buckets):
        inside = held[end * k // buckets : end * (k + 1) // buckets]
        good = [v[i] for i in inside if i >= 0 and is_good(int(q[i]))]
        codes = [int(q[i]) for i in inside if i >= 0]
        assert found.q[k] == max(codes, default=BAD)
        if good:
            assert found.mean[k] == pytest.approx(math.fsum(good) / len(good), abs=1e-6)
            assert (found.low[k], found.high[k]) == (min(good), max(good))
        else:
            assert np.isnan([found.mean[k], found.low[k], found.high[k]]).all()


def _by_hand(t: TimeArray, end: int) -> list[int]:
    """Which reading holds in each nanosecond; -1 for none."""
    held = [-1] * end
    intervals = np.diff(t).tolist()
    usual = int(np.median(intervals)) if intervals else 0
    for i, at in enumerate(t.tolist()):
        longest = max(1, HOLD_INTERVALS * max(usual, intervals[i - 1] if i else usual))
        following = int(t[i + 1]) if i + 1 < len(t) else end
        for moment in range(at, min(at + longest, following, end)):
            held[moment] = i
    return held
