"""Numbers as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.numbers import NumberError, limits, parse


@given(st.floats(-1e6, 1e6))
def test_a_number_is_read_with_a_point_and_with_a_comma(number: float) -> None:
    assert parse(repr(number), "g", None, None) == number
    assert parse(repr(number).replace(".", ","), "g", None, None) == number


@pytest.mark.parametrize("text", ["", " ", "1.2.3", "twelve", "nan", "inf", "1 000", "0x10"])
def test_what_is_no_number_is_refused_in_words(text: str) -> None:
    with pytest.raises(NumberError, match="is not a number"):
        parse(text, "g", None, None)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_only_numbers_in_the_limits_are_taken(number: float) -> None:
    if 1.0 <= number <= 2.0:
        assert parse(repr(number), "g", 1.0, 2.0) == number
    else:
        with pytest.raises(NumberError, match="is outside 1 to 2 g"):
            parse(repr(number), "g", 1.0, 2.0)


def test_limits_are_told_as_far_as_there_are_any() -> None:
    assert limits(1.0, 2.0, "g") == "1 to 2 g"
    assert (limits(None, 2.0, ""), limits(1.0, None, "g"), limits(None, None, "g")) == ("up to 2", "from 1 g", "")
