"""Figures of a size distribution: by hand, against numpy, and for whatever bins may hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.product.size import summary

CENTRES = [i + 0.5 for i in range(1000)]


def test_one_full_bin_is_its_own_mean_mode_and_percentiles() -> None:
    amounts = [0.0] * 1000
    amounts[120] = 5e6
    found = summary(CENTRES, amounts)
    assert (found.total, found.mean, found.mode, found.sd) == (5e6, pytest.approx(120.5), 120.5, 0.0)
    assert (found.d10, found.d50, found.d90) == (pytest.approx(120.1), pytest.approx(120.5), pytest.approx(120.9))
    assert found.fraction_below_200 == 1.0


def test_two_bins_by_hand() -> None:
    found = summary([100.0, 200.0], [3.0, 1.0])
    assert (found.mean, found.mode) == (125.0, 100.0)
    assert found.sd == pytest.approx(math.sqrt(0.75 * 25.0**2 + 0.25 * 75.0**2))
    # from 50 to 150 lie three quarters, evenly: a tenth is at 50 + 100 (0.4/3), the half at 50 + 100 (2/3)
    assert (found.d10, found.d50) == (pytest.approx(50.0 + 40.0 / 3.0), pytest.approx(50.0 + 200.0 / 3.0))
    assert found.d90 == pytest.approx(150.0 + 60.0)
    assert found.fraction_below_200 == pytest.approx(0.875)  # the upper bin reaches from 150 to 250
    assert found.span == pytest.approx((found.d90 - found.d10) / found.d50)


def test_a_normal_distribution_gives_its_parameters_back() -> None:
    amounts = [math.exp(-0.5 * ((d - 150.0) / 20.0) ** 2) for d in CENTRES]
    found = summary(CENTRES, amounts)
    assert found.mean == pytest.approx(150.0)
    assert found.sd == pytest.approx(20.0, rel=1e-3)
    assert found.d50 == pytest.approx(150.0, abs=0.01)
    assert found.d90 - found.d10 == pytest.approx(2 * 1.28155 * 20.0, rel=1e-3)
    assert found.fraction_below_200 == pytest.approx(0.99379, abs=1e-4)


@pytest.mark.parametrize(
    ("centres", "amounts", "reason"),
    [
        ([1.0, 2.0], [1.0], "two bins or more"),
        ([1.0], [1.0], "two bins or more"),
        ([1.0, 2.0, 4.0], [1.0, 1.0, 1.0], "evenly spaced"),
        ([2.0, 1.0], [1.0, 1.0], "evenly spaced"),
        ([1.0, 2.0], [1.0, -1.0], "less than nothing"),
        ([1.0, 2.0], [1.0, math.nan], "less than nothing"),
        ([1.0, 2.0], [0.0, 0.0], "empty"),
    ],
)
def test_what_is_no_distribution_is_refused(centres: list[float], amounts: list[float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        summary(centres, amounts)


@given(st.lists(st.floats(0.0, 1e9), min_size=2, max_size=60).filter(lambda bins: sum(bins) > 1e-3))
def test_every_distribution_keeps_its_order(amounts: list[float]) -> None:
    centres = [5.0 * i + 2.5 for i in range(len(amounts))]
    found = summary(centres, amounts)
    full = [c for c, n in zip(centres, amounts, strict=True) if n > 0.0]
    assert full[0] - 2.5 <= found.d10 <= found.d50 <= found.d90 <= full[-1] + 2.5
    assert found.mean == pytest.approx(float(np.average(centres, weights=amounts)))
    assert amounts[centres.index(found.mode)] == max(amounts)
    assert 0.0 <= found.fraction_below_200 <= 1.0
