"""What a trend keeps of a tag: past and present in order, gaps as gaps, and where it was Bad."""

from array import array

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.api.series import Series
from ui.trace import LONGEST, Trace

NS = 1_000_000_000
BAD = 0x808A_0000
NOTHING = 0x8000_0000
NAN = float("nan")


def series(*points: tuple[float, float, int]) -> Series:
    t, v, q = zip(*points, strict=True) if points else ((), (), ())
    return Series("U.A", "psi", array("q", [round(s * NS) for s in t]), array("d", v), array("I", q))


def test_the_past_comes_before_what_was_recorded_live_and_overlaps_are_left_out() -> None:
    trace = Trace("U.A")
    trace.append(3 * NS, 3.0, False)
    trace.append(4 * NS, 4.0, False)
    trace.begin(series((1, 1.0, 0), (2, 2.0, 0), (3, 9.0, 0)))
    t, v = trace.points()
    assert t.tolist() == [1, 2, 3, 4]
    assert v.tolist() == [1, 2, 3, 4]


def test_a_time_without_readings_is_a_gap_and_a_bad_reading_is_shaded() -> None:
    trace = Trace("U.A")
    trace.begin(series((1, 1.0, 0), (2, NAN, NOTHING), (3, 1.0, 0), (4, NAN, BAD), (5, NAN, BAD), (6, 1.0, 0)))
    _, v = trace.points()
    assert np.isnan(v).tolist() == [False, True, False, True, True, False]
    assert trace.bad_spans(0.0, 10.0) == [(4.0, 6.0)]
    assert trace.bad_spans(0.0, 3.0) == []


def test_a_lost_engine_breaks_the_line() -> None:
    trace = Trace("U.A")
    trace.append(1 * NS, 1.0, False)
    trace.gap()
    trace.append(2 * NS, 2.0, False)
    _, v = trace.points()
    assert np.isnan(v).tolist() == [False, True, False]


@given(st.lists(st.tuples(st.integers(0, 100), st.none() | st.floats(-10, 10))))
def test_time_never_goes_back(readings: list[tuple[int, float | None]]) -> None:
    trace = Trace("U.A")
    for t, value in readings:
        trace.append(t * NS, value, value is None)
    t, v = trace.points()
    assert (np.diff(t) > 0).all()
    assert len(t) == len(v) == len(trace)


def test_what_is_kept_has_an_end() -> None:
    trace = Trace("U.A")
    for t in range(LONGEST + 2):
        trace.append(t * NS, 0.0, False)
    assert len(trace) <= LONGEST
    assert trace.points()[0][-1] == LONGEST + 1


def test_of_parts_of_time_the_lowest_and_highest_are_drawn_so_that_no_peak_is_hidden() -> None:
    trace = Trace("U.A")
    parts = series((1, 2.0, 0), (2, 5.0, BAD))
    parts.low, parts.high = array("d", [1.0, NAN]), array("d", [9.0, NAN])
    trace.begin(parts)
    t, v = trace.points()
    assert t.tolist() == [1.0, 1.0, 2.0, 2.0]
    assert v[:2].tolist() == [1.0, 9.0]
    assert trace.bad_spans(0.0, 9.0) == [(2.0, 2.0)]
