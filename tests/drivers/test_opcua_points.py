"""Where OPC UA variables lie, and their values as a tag's and back."""

from __future__ import annotations

import base64
import math
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.opcua_points import (
    FLOATS,
    INTEGERS,
    Codec,
    DataType,
    OpcUaPoint,
    identifier_of,
    is_identifier,
    next_beat,
    notation,
    without_overflow,
)
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_OUT_OF_RANGE,
    BAD_SENSOR_FAILURE,
    BAD_WAITING_FOR_INITIAL,
    GOOD,
    UNCERTAIN_SENSOR_NOT_ACCURATE,
    is_bad,
)
from evcontrol.signals import Tag, TagKind, TagTable

SCALES = st.sampled_from([1.0, 0.1, 0.01, -0.5, 2.0, 1000.0, 1 / 3])
STATUSES = st.integers(0, 2**32 - 1)


def tag(kind: TagKind = TagKind.ANALOG, labels: tuple[str, ...] = ()) -> Tag:
    return Tag("T", 0, "", kind, 0, 100, labels=labels)


def codec(data_type: DataType, of: Tag | None = None, **point: Any) -> Codec:
    return Codec.of(data_type, OpcUaPoint(node="x", **point), of or tag())


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({}, "give node or path"),
        ({"node": "a", "path": "b"}, "give node or path"),
        ({"path": "A//B"}, "empty browse name"),
        ({"node": "i=-1"}, "no identifier"),
        ({"node": "i=4294967296"}, "no identifier"),
        ({"node": "g=12"}, "no identifier"),
        ({"node": "b=abc"}, "no identifier"),
        ({"node": "x", "scale": 0}, "scale must lie"),
        ({"node": "x", "scale": math.nan}, "finite"),
        ({"node": "x", "index": 2}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_told(point: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        OpcUaPoint.model_validate(point)


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("BR101.TT", ("s", "BR101.TT")),
        ("s=i=5", ("s", "i=5")),
        ("ns=2;s=x", ("s", "ns=2;s=x")),
        ("i=2258", ("i", "2258")),
        ("b=AAEC", ("b", "AAEC")),
        ("g=09087e75-8e5e-499b-954f-f2a9603db28a", ("g", "09087e75-8e5e-499b-954f-f2a9603db28a")),
    ],
)
def test_an_identifier_is_a_text_unless_it_is_in_notation(text: str, identifier: tuple[str, str]) -> None:
    assert is_identifier(text)
    assert identifier_of(text) == identifier


@given(st.sampled_from(sorted(FLOATS | INTEGERS.keys())), SCALES, st.floats(-50, 50), st.floats(-1e6, 1e6))
def test_what_is_written_reads_back_within_a_count(kind: DataType, scale: float, offset: float, value: float) -> None:
    one = codec(kind, scale=scale, offset=offset)
    try:
        raw = one.encode(value)
    except ValueError:
        low, high = INTEGERS[kind]
        assert not low + 1 <= (value - offset) / scale <= high - 1
        return
    if kind is DataType.FLOAT:
        raw = float(np.float32(raw))
    back, quality = one.decode(raw, GOOD)
    within = abs(scale) / 2 if kind in INTEGERS else 1e-7 * (abs(value) + abs(offset))
    assert quality == GOOD
    assert back == pytest.approx(value, abs=within * (1 + 1e-6) + 1e-9)


@given(st.sampled_from(sorted(INTEGERS)), st.integers(-(2**70), 2**70))
def test_an_integer_is_exact_or_refused(kind: DataType, value: int) -> None:
    back, quality = codec(kind).decode(value, GOOD)
    if abs(value) > 2**53:
        assert math.isnan(back)
        assert quality == BAD_OUT_OF_RANGE
    else:
        assert (int(back), quality) == (value, GOOD)


@given(
    st.sampled_from(sorted(DataType)),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.floats()), st.binary()),
    STATUSES,
)
def test_whatever_a_server_sends_is_a_number_or_bad_and_bad_is_never_a_number(
    kind: DataType, value: object, status: int
) -> None:
    words = tag(TagKind.ENUM, ("off", "on")) if kind is DataType.STRING else tag()
    back, quality = codec(kind, words).decode(value, status)
    assert math.isnan(back) == is_bad(quality)
    if is_bad(status) or not is_bad(quality):
        assert quality == status


@pytest.mark.parametrize(
    ("value", "quality"),
    [
        (None, BAD_WAITING_FOR_INITIAL),
        ([1.0], BAD_CONFIGURATION),
        ("1", BAD_CONFIGURATION),
        (math.inf, BAD_SENSOR_FAILURE),
        (math.nan, BAD_SENSOR_FAILURE),
    ],
)
def test_a_good_value_that_is_no_number_has_its_reason(value: object, quality: int) -> None:
    assert codec(DataType.DOUBLE).decode(value, GOOD)[1] == quality


def test_an_uncertain_value_stays_with_its_code() -> None:
    assert codec(DataType.DOUBLE).decode(7.0, UNCERTAIN_SENSOR_NOT_ACCURATE) == (7.0, UNCERTAIN_SENSOR_NOT_ACCURATE)


def test_a_scale_of_a_hundredth_is_one_rounding_only() -> None:
    assert codec(DataType.INT32, scale=0.01).decode(2999, GOOD)[0] == 29.99


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (DataType.BOOLEAN, 2.0, "neither 0 nor 1"),
        (DataType.UINT32, -1.0, "does not fit UInt32"),
        (DataType.FLOAT, 1e39, "does not fit Float"),
        (DataType.DOUBLE, math.nan, "no number"),
        (DataType.INT32, math.inf, "no number"),
    ],
)
def test_a_value_that_does_not_fit_is_told_in_words(kind: DataType, value: float, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("no number", "not a number")):
        codec(kind).encode(value)


def test_a_boolean_is_written_as_one() -> None:
    assert codec(DataType.BOOLEAN).encode(1.0) is True
    assert codec(DataType.BOOLEAN).decode(True, GOOD) == (1.0, GOOD)


def test_a_word_is_the_place_of_its_label() -> None:
    one = codec(DataType.STRING, tag(TagKind.ENUM, ("off", "air", "auto")))
    assert one.decode("auto", GOOD) == (2.0, GOOD)
    assert one.encode(1.0) == "air"
    assert one.decode("else", GOOD)[1] == BAD_CONFIGURATION
    for wrong in (3.0, -1.0, 0.5):
        with pytest.raises(ValueError, match="none of the tag's labels"):
            one.encode(wrong)


def test_a_text_has_the_code_of_the_plant_and_is_not_written() -> None:
    text = tag(TagKind.TEXT)
    table = TagTable([text])
    one = Codec.of(DataType.STRING, OpcUaPoint(node="x"), text, table.code_of)
    code, quality = one.decode("lot 7", GOOD)
    assert (table.text_of(code), quality) == ("lot 7", GOOD)
    assert one.decode(7, GOOD)[1] == BAD_CONFIGURATION
    with pytest.raises(ValueError, match="cannot be written"):
        one.encode(code)


@pytest.mark.parametrize(
    ("kind", "of", "point", "words"),
    [
        (DataType.STRING, tag(), {}, "fits only a text"),
        (DataType.DOUBLE, tag(TagKind.TEXT), {}, "does not fit a text"),
        (DataType.BOOLEAN, tag(), {"scale": 2.0}, "no scale"),
        (DataType.STRING, tag(TagKind.TEXT), {"offset": 1.0}, "no scale"),
    ],
)
def test_a_type_that_does_not_fit_its_tag_is_told(kind: DataType, of: Tag, point: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        codec(kind, of, **point)


@given(st.sampled_from(sorted(INTEGERS)), st.integers(0, 2**53))
def test_a_heartbeat_always_changes_and_stays_within_its_type(kind: DataType, beat: int) -> None:
    beat = min(beat, INTEGERS[kind][1])
    after = next_beat(kind, beat)
    assert after != beat
    assert after is not None
    assert 0 <= after <= INTEGERS[kind][1]


def test_a_heartbeat_is_toggled_begun_anew_or_impossible() -> None:
    assert next_beat(DataType.BOOLEAN, True) is False
    assert next_beat(DataType.BOOLEAN, False) is True
    assert next_beat(DataType.UINT32, 2**32 - 1) == 0
    assert next_beat(DataType.UINT32, None) == 0
    assert next_beat(DataType.DOUBLE, 1.0) is None


@given(STATUSES)
def test_overflow_is_taken_off_and_nothing_else(status: int) -> None:
    rest, overflow = without_overflow(status)
    assert overflow == (status & 0x0480 == 0x0480)
    assert rest & ~0x0480 == status & ~0x0480
    assert overflow or rest == status


def test_a_good_value_after_an_overflow_is_plainly_good() -> None:
    assert without_overflow(0x0000_0480) == (GOOD, True)
    assert without_overflow(0x0000_0580) == (0x0000_0500, True)


@given(st.one_of(st.text(min_size=1), st.integers(0, 2**32 - 1), st.binary(min_size=1), st.uuids()))
def test_an_identifier_in_a_points_notation_is_the_same_node(identifier: object) -> None:
    kind = {str: "String", int: "Numeric", bytes: "ByteString", UUID: "Guid"}[type(identifier)]
    text = notation(kind, identifier)
    assert is_identifier(text)
    letter, rest = identifier_of(text)
    back = {"s": str, "i": int, "b": base64.b64decode, "g": UUID}[letter](rest)
    assert back == identifier
