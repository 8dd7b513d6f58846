"""Uncertainties add in quadrature by cause; a cause that two figures share adds up in products and leaves ratios."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.product.figure import Figure, add, divide, multiply, relative, subtract
from evcontrol.units import UnitError

VALUES = st.floats(1e-6, 1e12)
CVS = st.floats(0.0, 0.5)


@given(VALUES, VALUES, CVS, CVS)
def test_cvs_of_independent_factors_add_in_quadrature(a: float, b: float, cv_a: float, cv_b: float) -> None:
    left, right = relative(a, "", {"a": cv_a}), relative(b, "", {"b": cv_b})
    for result in (multiply(left, right), divide(left, right)):
        assert result.cv == pytest.approx(math.hypot(cv_a, cv_b), abs=1e-9)


@given(VALUES, VALUES, CVS)
def test_what_scales_both_terms_leaves_their_ratio_and_doubles_in_their_product(a: float, b: float, cv: float) -> None:
    left, right = relative(a, "", {"calibration": cv}), relative(b, "", {"calibration": cv})
    assert divide(left, right).cv == pytest.approx(0.0, abs=1e-12)
    assert multiply(left, right).cv == pytest.approx(2.0 * cv)


@given(VALUES, VALUES, CVS, CVS)
def test_a_product_divided_by_its_factor_is_the_other(a: float, b: float, cv_a: float, cv_b: float) -> None:
    left, right = relative(a, "particle/mL", {"a": cv_a}), relative(b, "mL", {"b": cv_b})
    back = divide(multiply(left, right), right)
    assert (back.value, back.unit) == (pytest.approx(a), "particle/mL")
    assert back.cv == pytest.approx(cv_a, abs=1e-9)


def test_sums_and_differences_add_absolute_uncertainties() -> None:
    a, b = relative(100.0, "g", {"a": 0.03}), relative(50.0, "g", {"b": 0.08})
    assert (add([a, b]).value, add([a, b]).uncertainty) == (150.0, pytest.approx(5.0))
    assert (subtract(a, b).value, subtract(a, b).uncertainty) == (50.0, pytest.approx(5.0))
    assert subtract(a, b).cv == pytest.approx(0.1)


def test_a_shared_calibration_stays_the_same_share_of_a_difference() -> None:
    whole, blank = relative(6e9, "particle/mL", {"cal": 0.2}), relative(2e9, "particle/mL", {"cal": 0.2})
    assert subtract(whole, blank).cv == pytest.approx(0.2)


def test_units_go_with_the_numbers() -> None:
    particles = multiply(Figure(2.0, "particle/mL"), Figure(3.0, "mL"))
    assert (particles.value, particles.unit) == (6.0, "particle")
    assert divide(particles, Figure(2.0, "cell")).unit == "particle/cell"
    assert divide(Figure(1.0, "g"), Figure(0.5, "g/mL")).unit == "mL"
    with pytest.raises(UnitError, match="not added"):
        add([particles, Figure(1.0, "cell")])


def test_a_zero_without_uncertainty_is_certain_and_another_is_not() -> None:
    assert Figure(0.0).cv == 0.0
    assert Figure(0.0, "", {"noise": 1.0}).cv == math.inf
