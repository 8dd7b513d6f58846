import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.units import Quantity, UnitError, number_text, parse, parse_quantity
from evcontrol.units.table import DEFINITIONS

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("30 mL/min", 30.0, "mL/min"),
        ("6 DV", 6.0, "DV"),
        ("2.5e9 particle/mL", 2.5e9, "particle/mL"),
        ("10 x", 10.0, "x"),
        ("-0.3 psig", -0.3, "psig"),
        ("+5psi", 5.0, "psi"),
        ("2000 1/s", 2000.0, "1/s"),
        (" 2 %O2 ", 2.0, "%O2"),
        ("1e3 mL", 1000.0, "mL"),
        ("0.7", 0.7, ""),
    ],
)
def test_a_quantity_is_read_in_the_unit_that_was_written(text: str, value: float, unit: str) -> None:
    assert parse_quantity(text) == Quantity(value, parse(unit))


@pytest.mark.parametrize("text", ["", "mL", "1,5 mL", ".5 mL", "1.2.3 mL", "nan mL", "inf s", "- 5 psi", "0x10 s"])
def test_what_does_not_begin_with_a_number_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match=r"does not begin with a number|is not a unit"):
        parse_quantity(text)


def test_a_decimal_comma_is_refused_with_a_word_on_the_point() -> None:
    with pytest.raises(UnitError, match="decimals with a point"):
        parse_quantity("1,5 mL")


def test_a_number_beyond_the_floats_is_refused() -> None:
    with pytest.raises(UnitError, match="too large"):
        parse_quantity("1e999 s")


def test_a_number_without_unit_is_refused_where_a_unit_is_demanded() -> None:
    with pytest.raises(UnitError, match="30 has no unit: write 30 mL/min"):
        parse_quantity("30", like="mL/min")
    assert parse_quantity("30", like="").value == 30.0


def test_a_quantity_of_another_kind_is_refused_where_a_unit_is_demanded() -> None:
    with pytest.raises(UnitError, match=r"psi \(pressure difference\) does not convert into psig \(gauge pressure\)"):
        parse_quantity("5 psi", like="psig")
    assert parse_quantity("2 L/h", like=parse("mL/min")).unit.text == "L/h"


def test_a_quantity_converts() -> None:
    assert parse_quantity("2 L/h").to("mL/min") == pytest.approx(100 / 3)
    with pytest.raises(UnitError):
        parse_quantity("2 L/h").to("mL")


@given(finite, st.sampled_from([*DEFINITIONS, "mL/min", "1/s", ""]))
def test_the_text_of_a_quantity_reads_back_as_the_same(value: float, unit: str) -> None:
    quantity = Quantity(value, parse(unit))
    assert parse_quantity(str(quantity)) == quantity


@given(finite)
def test_the_text_of_a_number_reads_back_as_the_same(value: float) -> None:
    assert float(number_text(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(30.0, "30"), (1820.0, "1820"), (0.5, "0.5"), (2.5e9, "2.5e9"), (1e6, "1e6"), (3.2e-7, "3.2e-7"), (0.0, "0")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number_text(value) == text


def test_the_text_of_no_number_says_so() -> None:
    assert number_text(math.nan) == "nan"


@given(st.text(max_size=15) | st.text(alphabet="0123456789.eE+- mLps%", max_size=15))
def test_garbage_raises_nothing_but_a_unit_error(text: str) -> None:
    with contextlib.suppress(UnitError):
        assert math.isfinite(parse_quantity(text, like="mL/min").value)
