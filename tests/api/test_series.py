"""Series of readings travel bit for bit, with or without the limits of parts of time."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.api.series import Series, pack_series, unpack_series

readings = st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.integers(0, 2**32 - 1))


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=20), st.booleans(), st.lists(readings, max_size=20)), max_size=5)
)
def test_series_come_back_bit_for_bit(data: list[tuple[str, bool, list[tuple[int, float, int]]]]) -> None:
    series = []
    for tag, limits, rows in data:
        values = array("d", [r[1] for r in rows])
        more = (array("d", values), array("d", values)) if limits else (None, None)
        series.append(
            Series(tag, "psi", array("q", [r[0] for r in rows]), values, array("I", [r[2] for r in rows]), *more)
        )
    back = unpack_series(pack_series(series))
    assert [(s.tag, s.unit, s.columns()) for s in back] == [(s.tag, s.unit, s.columns()) for s in series]


@given(st.integers(0, 110))
def test_series_that_are_cut_off_are_refused(kept: int) -> None:
    whole = pack_series([Series("A.B", "g", array("q", [1, 2]), array("d", [1.0, 2.0]), array("I", [0, 0]))])
    with pytest.raises(ValueError, match=r"series|Expecting|Unterminated|delimiter|value"):
        unpack_series(whole[: min(kept, len(whole) - 1)])


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        Series("A", "", array("q"), array("d"), array("I"), low=array("d"))
    with pytest.raises(ValueError, match="different lengths"):
        Series("A", "", array("q", [1]), array("d"), array("I"))
