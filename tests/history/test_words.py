"""Words keep their meaning when sessions are joined."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.history.words import Words

sessions = st.lists(st.dictionaries(st.integers(0, 5), st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=5)


@given(sessions)
def test_every_reading_keeps_its_word(sessions: list[dict[int, str]]) -> None:
    words = Words()
    merged = [words.merge(one, np.array([float(code) for code in one])) for one in sessions]
    for one, values in zip(sessions, merged, strict=True):
        assert [words.by_code[int(value)] for value in values] == list(one.values())
    assert merged[0].tolist() == [float(code) for code in sessions[0]]


def test_what_is_not_a_number_stays_so() -> None:
    words = Words()
    words.merge({0: "a"}, np.array([0.0]))
    found = words.merge({0: "b"}, np.array([np.nan, 0.0]))
    assert np.isnan(found[0])
    assert words.by_code[int(found[1])] == "b"
