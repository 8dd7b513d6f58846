"""Viable cells: the last count of the harvest, never an estimate for a count, and an integral that invents nothing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from evcontrol.product.cells import DAY_NS, CellCount, at_harvest, cell_days, integral, log_mean
from evcontrol.product.evaluation import Source


def cells(days: float, viable: float | None, method: str = "counted", when: str = "harvest") -> CellCount:
    return CellCount(round(days * DAY_NS), when, viable, method, Source("cells", round(10 * days)))


def test_without_a_viable_count_there_is_no_number() -> None:
    assert at_harvest([]).missing == ("no viable count at harvest",)
    assert at_harvest([cells(0, 2e8, when="inoculation")]).figure is None
    dead = at_harvest([cells(3, 0.0)])
    assert (dead.figure, dead.missing) == (None, ("the viable count at harvest gives no living cells",))
    assert at_harvest([cells(3, None)]).figure is None


def test_an_estimate_is_provisional_until_the_cells_are_counted() -> None:
    estimate = at_harvest([cells(3, 7e8, "estimated")])
    assert estimate.figure is not None
    assert estimate.figure.cv == pytest.approx(0.3)
    assert estimate.provisional == ("viable cells at harvest are estimated, not counted",)
    for order in ([cells(3, 7e8, "estimated"), cells(4, 8e8)], [cells(3, 8e8), cells(4, 7e8, "estimated")]):
        counted = at_harvest(order)
        assert counted.figure is not None
        assert (counted.figure.value, counted.provisional) == (8e8, ())


def test_the_uncertainty_that_was_given_is_taken_before_the_declared_one() -> None:
    counted = at_harvest([CellCount(0, "harvest", 8e8, "counted", Source("cells", 1), cv=0.07)]).figure
    assert counted is not None
    assert counted.cv == pytest.approx(0.07)


def test_the_integral_by_hand() -> None:
    # 2e8 cells that double in a day: 2e8/ln 2; then a day of 4e8
    found = cell_days([cells(0, 2e8), cells(1, 4e8), cells(2, 4e8)], 0, 2 * DAY_NS).figure
    assert found is not None
    assert (found.value, found.unit) == (pytest.approx(2e8 / math.log(2.0) + 4e8), "cell.d")


def test_only_the_time_asked_for_counts() -> None:
    counts = [cells(0, 1e8), cells(2, 4e8)]
    found = cell_days(counts, DAY_NS, 2 * DAY_NS).figure
    assert found is not None
    assert found.value == pytest.approx(2e8 / math.log(2.0))


def test_nothing_is_extrapolated() -> None:
    counts = [cells(1, 1e8), cells(2, 4e8)]
    for start, end in ((0, 2), (1, 3)):
        found = cell_days(counts, start * DAY_NS, end * DAY_NS)
        assert found.figure is None
        assert found.missing == ("viable cells were not counted both before and after conditioning",)
    assert cell_days(counts, 2 * DAY_NS, 2 * DAY_NS).missing == ("the time of conditioning is empty",)


def test_an_estimate_among_the_counts_makes_the_integral_provisional() -> None:
    counts = [cells(0, 1e8), cells(1, 2e8, "estimated", "collection"), cells(2, 4e8)]
    assert cell_days(counts, 0, 2 * DAY_NS).provisional == ("viable cells at collection are estimated, not counted",)
    assert cell_days(counts, 0, DAY_NS // 2).inputs == (counts[0].input, counts[1].input)


CURVES = st.lists(st.floats(1e3, 1e10), min_size=2, max_size=5)


@given(CURVES, st.floats(0.0, 0.4), st.floats(0.6, 1.0))
def test_the_integral_is_that_of_the_exponential_curve(values: list[float], low: float, high: float) -> None:
    span = len(values) - 1
    start, end = low * span, high * span

    def curve(t: float) -> float:
        i = min(int(t), span - 1)
        return values[i] * (values[i + 1] / values[i]) ** (t - i)

    inner = [float(i) for i in range(1, span) if start < i < end]
    reference = quad(curve, start, end, points=inner or None, epsrel=1e-10, limit=200)[0]
    times = [i * DAY_NS for i in range(len(values))]
    assert integral(times, values, round(start * DAY_NS), round(end * DAY_NS)) == pytest.approx(reference, rel=1e-6)


@given(st.floats(1e-3, 1e12), st.floats(1e-3, 1e12))
def test_the_logarithmic_mean_lies_between_geometric_and_arithmetic_mean(a: float, b: float) -> None:
    mean = log_mean(a, b)
    assert math.sqrt(a * b) * (1.0 - 1e-9) <= mean <= (a + b) / 2.0 * (1.0 + 1e-9)


@given(CURVES)
def test_the_integral_is_as_uncertain_as_its_counts_allow(values: list[float]) -> None:
    counts = [cells(i, value) for i, value in enumerate(values)]
    figure = cell_days(counts, 0, counts[-1].t).figure
    assert figure is not None
    # CV of a sum of parts with the same CV: at most that CV (all in one part), at least that over sqrt(n)
    assert 0.1 / math.sqrt(len(values)) * 0.99 <= figure.cv <= 0.101
