"""The process image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.acquisition.image import ProcessImage
from evcontrol.expression import Reading
from evcontrol.quality import BAD_NOT_CONNECTED, BAD_WAITING_FOR_INITIAL, GOOD
from evcontrol.signals import Tag, TagKind, TagTable, make_frame


def image() -> ProcessImage:
    tags = TagTable(
        [
            Tag("U.A", 0, "g", TagKind.ANALOG, 0, 10),
            Tag("U.MODE", 1, "", TagKind.ENUM, 0, 1, labels=("closed", "open")),
            Tag("U.TEXT", 2, "", TagKind.TEXT, 0, 0),
        ]
    )
    return ProcessImage(tags, internal=["U.MODE", "U.TEXT"])


def test_before_its_first_reading_a_tag_is_bad() -> None:
    value, quality = image().reading("U.A")
    assert math.isnan(value)
    assert quality == BAD_WAITING_FOR_INITIAL


READINGS = st.tuples(
    st.integers(0, 2), st.sampled_from([0.0, 1.0, math.nan]), st.sampled_from([GOOD, BAD_NOT_CONNECTED])
)


@given(st.lists(st.lists(READINGS, max_size=4)))
def test_a_reading_by_name_is_what_the_arrays_have(frames: list[list[tuple[int, float, int]]]) -> None:
    it = image()
    for number, readings in enumerate(frames):
        if number % 3 == 2:
            for index, value, quality in readings:
                it.put(index, Reading(value, quality))
        else:
            it.apply(make_frame(number, number, "g", readings))
        if readings and not math.isnan(readings[0][1]):
            it.set_internal("U.MODE", readings[0][1], readings[0][2])
        for tag in it.tags:
            value, quality = it.reading(tag.name)
            assert quality == it.quality[tag.index]
            assert value == it.value[tag.index] or (math.isnan(value) and math.isnan(it.value[tag.index]))


def test_a_bad_reading_takes_the_old_value_away() -> None:
    it = image()
    it.apply(make_frame(5, 5, "g", [(0, 3.5, GOOD)]))
    assert it.reading("U.A") == (3.5, GOOD)
    changed = it.apply(make_frame(6, 6, "g", [(0, 3.5, BAD_NOT_CONNECTED)]))
    assert math.isnan(it.reading("U.A").value)
    assert it.reading("U.A").quality == BAD_NOT_CONNECTED
    assert list(changed) == [0]


def test_only_what_changed_is_reported_as_changed() -> None:
    it = image()
    frame = make_frame(5, 5, "g", [(0, 3.5, GOOD)])
    assert list(it.apply(frame)) == [0]
    assert list(it.apply(frame)) == []
    gone = make_frame(6, 6, "g", [(0, 0.0, BAD_NOT_CONNECTED)])
    assert list(it.apply(gone)) == [0]
    assert list(it.apply(gone)) == []


def test_internal_tags_take_labels_and_texts_and_appear_in_every_frame() -> None:
    it = image()
    assert list(np.isnan(it.internal_frame(1, 1, "e").value)) == [True, True]
    it.set_internal("U.MODE", "open")
    it.set_internal("U.TEXT", "concentrate")
    assert it.text("U.MODE") == "open"
    assert it.text("U.TEXT") == "concentrate"
    assert list(it.take_internal_changes()) == [1, 2]
    assert list(it.take_internal_changes()) == []
    assert list(it.internal_frame(2, 2, "e").index) == [1, 2]


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(ValueError, match="no label 'ajar'"):
        image().set_internal("U.MODE", "ajar")


def test_a_tag_of_a_device_cannot_be_set_by_the_engine() -> None:
    with pytest.raises(ValueError, match="not a tag of the engine's own"):
        image().set_internal("U.A", 1.0)
