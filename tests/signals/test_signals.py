import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.quality import BAD_NOT_CONNECTED, GOOD, UNCERTAIN
from evcontrol.signals import Frame, Tag, TagKind, TagTable, make_frame


def tag(name: str, index: int) -> Tag:
    return Tag(name, index, "psi", TagKind.ANALOG, -10.0, 60.0)


def test_a_table_finds_tags_by_name_and_by_index() -> None:
    tags = [tag("TFF201.TMP", 0), tag("TFF201.DP", 1)]
    table = TagTable(tags)
    assert len(table) == 2
    assert list(table) == tags
    assert table.names() == ["TFF201.TMP", "TFF201.DP"]
    assert table["TFF201.DP"] is table[1] is tags[1]
    assert "TFF201.TMP" in table
    assert "TFF201.PH" not in table


def test_a_tag_that_is_not_there_is_an_error() -> None:
    table = TagTable([tag("TFF201.TMP", 0)])
    with pytest.raises(KeyError):
        table["TFF201.PH"]
    with pytest.raises(IndexError):
        table[1]


def test_two_tags_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        TagTable([tag("TFF201.TMP", 0), tag("TFF201.TMP", 1)])


@pytest.mark.parametrize("indices", [(1, 2), (0, 2), (1, 0), (0, 0)])
def test_indices_count_from_zero_without_gap(indices: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="indices"):
        TagTable([tag("A", indices[0]), tag("B", indices[1])])


@given(st.lists(st.text()))
def test_a_text_keeps_its_code_and_a_code_its_text(texts: list[str]) -> None:
    table = TagTable([])
    codes = [table.code_of(text) for text in texts]
    assert [table.text_of(code) for code in codes] == texts
    assert [table.code_of(text) for text in texts] == codes
    assert len(set(codes)) == len(set(texts))
    assert all(isinstance(code, float) for code in codes)


def test_a_code_that_was_never_given_out_is_an_error() -> None:
    table = TagTable([])
    table.code_of("PBS lot 7")
    with pytest.raises(IndexError):
        table.text_of(1.0)


def test_a_frame_of_readings_has_no_bad_value() -> None:
    frame = make_frame(7, 8, "fast", [(3, 1.5, GOOD), (1, 9.9, BAD_NOT_CONNECTED), (2, 2.5, UNCERTAIN)])
    assert (frame.t, frame.wall, frame.group, frame.source_t) == (7, 8, "fast", None)
    assert frame.index.tolist() == [3, 1, 2]
    assert frame.value[0] == 1.5
    assert math.isnan(frame.value[1])
    assert frame.value[2] == 2.5
    assert frame.quality.tolist() == [GOOD, BAD_NOT_CONNECTED, UNCERTAIN]
    assert (frame.index.dtype, frame.value.dtype, frame.quality.dtype) == (np.int32, np.float64, np.uint32)


def test_a_frame_may_be_empty() -> None:
    assert len(make_frame(0, 0, "fast", []).index) == 0


@pytest.mark.parametrize(
    ("index", "value", "quality", "source"), [(2, 1, 1, 1), (1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2)]
)
def test_arrays_of_different_lengths_are_refused(index: int, value: int, quality: int, source: int) -> None:
    with pytest.raises(ValueError, match="frame of group slow: arrays of different lengths"):
        Frame(
            0,
            0,
            "slow",
            np.zeros(index, dtype=np.int32),
            np.zeros(value),
            np.zeros(quality, dtype=np.uint32),
            np.zeros(source, dtype=np.int64),
        )
