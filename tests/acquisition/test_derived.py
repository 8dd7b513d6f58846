"""Rates and spreads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.acquisition.derived import Rate, Spread
from evcontrol.clock import NS
from evcontrol.expression import Reading
from evcontrol.plant.model import RateSpec, SpreadSpec
from evcontrol.quality import BAD, BAD_NOT_CONNECTED, GOOD, GOOD_DYNAMIC, is_bad, is_good


@given(
    slope=st.floats(-50, 50),
    start=st.floats(-1e4, 1e4),
    step=st.sampled_from([0.1, 1.0, 1.5]),
)
def test_the_rate_of_a_straight_line_is_its_slope(slope: float, start: float, step: float) -> None:
    rate = Rate(RateSpec("U.W", 30.0, 60.0))
    last = Reading(math.nan, 0)
    for i in range(40):
        last = rate.update(round(i * step * NS), Reading(start + slope / 60 * i * step, GOOD_DYNAMIC))
    assert math.isclose(last.value, slope, rel_tol=1e-6, abs_tol=1e-6)


def test_a_bad_reading_makes_the_rate_bad_and_starts_it_anew() -> None:
    rate = Rate(RateSpec("U.W", 10.0, 60.0))
    for i in range(12):
        good = rate.update(i * NS, Reading(float(i), GOOD))
    assert is_good(good.quality)
    gone = rate.update(12 * NS, Reading(math.nan, BAD_NOT_CONNECTED))
    assert gone.quality == BAD_NOT_CONNECTED
    back = rate.update(13 * NS, Reading(500.0, GOOD))
    assert is_bad(back.quality)
    assert math.isnan(back.value)
    for i in range(14, 18):
        unsettled = rate.update(i * NS, Reading(500.0, GOOD))
    assert not is_good(unsettled.quality)
    assert not is_bad(unsettled.quality)
    assert unsettled.value == 0.0


def test_a_slow_ramp_is_no_scatter_and_noise_is() -> None:
    quiet, noisy = Spread(SpreadSpec("U.P", 15.0)), Spread(SpreadSpec("U.P", 15.0))
    for i in range(30):
        ramp = quiet.update(i * NS, Reading(i * 0.01, GOOD))
        jump = noisy.update(i * NS, Reading((-1.0) ** i, GOOD))
    assert ramp.value < 0.01
    assert math.isclose(jump.value, math.sqrt(2.0))


@given(
    st.lists(st.tuples(st.floats(0.1, 40.0), st.floats(-100.0, 100.0), st.booleans()), min_size=4, max_size=80),
    st.floats(1e-3, 1e6),
)
def test_the_slope_is_that_of_least_squares_over_the_window_however_long_it_ran(
    readings: list[tuple[float, float, bool]], offset: float
) -> None:
    rate = Rate(RateSpec("U.X", 60.0, 1.0))
    t, kept = 0, []
    for after_s, value, bad in readings:
        t += round(after_s * NS)
        told = rate.update(t, Reading(value + offset, BAD if bad and after_s < 1.0 else GOOD))
        kept = [] if bad and after_s < 1.0 else [p for p in [*kept, (t, value)] if p[0] >= t - 60 * NS]
        if len(kept) >= 3:
            times = np.array([(at - kept[0][0]) / NS for at, _ in kept])
            expected = np.polyfit(times, [v for _, v in kept], 1)[0]
            assert told.value == pytest.approx(expected, rel=1e-6, abs=1e-6 * max(1.0, offset / 1e3))
