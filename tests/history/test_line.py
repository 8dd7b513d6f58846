"""Lines as InfluxDB's line protocol has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.history.layout import Gap
from evcontrol.history.line import Lines, key, string
from evcontrol.quality import BAD_STALE, GOOD_DYNAMIC
from evcontrol.signals import Tag, TagKind
from tests.history.plant import make_tags

LINES = Lines("Suite 1", simulated=True)
HEAD = "readings,group=skid,plant=Suite\\ 1,simulated=true "


def line(tag: int, value: float, quality: int = 0) -> tuple[str, list[tuple[str, str]]]:
    """The fields of a frame with one reading, and what did not fit."""
    made, misfits = LINES.frames("skid", [make_tags()[tag]]).line(7, [value], [quality], {3: 'a "b" \\'})
    text = made.decode()
    assert text.startswith(HEAD)
    assert text.endswith(" 7")
    return text.removeprefix(HEAD).removesuffix(" 7"), misfits


@pytest.mark.parametrize(
    ("tag", "value", "fields"),
    [
        (0, 36.6, "TEMP=36.6,TEMP__q=0i"),
        (0, -0.0, "TEMP=-0.0,TEMP__q=0i"),
        (0, 1e-300, "TEMP=1e-300,TEMP__q=0i"),
        (2, 2.0**53, "COUNT=9007199254740992i,COUNT__q=0i"),
        (3, 1.0, "VALVE=1i,VALVE__q=0i"),
        (4, 3.0, 'STEP="a \\"b\\" \\\\",STEP__q=0i'),
    ],
)
def test_each_kind_has_its_field(tag: int, value: float, fields: str) -> None:
    assert line(tag, value) == (fields, [])


def test_a_bad_value_is_absent_and_its_quality_is_not() -> None:
    assert line(0, 21.5, BAD_STALE) == (f"TEMP__q={BAD_STALE}i", [])
    assert line(0, float("nan")) == ("TEMP__q=0i", [])
    assert line(0, 21.5, GOOD_DYNAMIC) == (f"TEMP=21.5,TEMP__q={GOOD_DYNAMIC}i", [])


@pytest.mark.parametrize(("tag", "value"), [(0, float("inf")), (2, 0.5), (2, 2.0**63), (4, 9.0), (3, -1e300)])
def test_what_no_field_can_hold_is_told_and_its_quality_goes(tag: int, value: float) -> None:
    name = make_tags()[tag].name
    fields, misfits = line(tag, value)
    assert fields == f"{name}__q=0i"
    assert [who for who, _ in misfits] == [name]


def test_a_tag_is_told_with_its_unit() -> None:
    tag = Tag("TFF201.V", 0, "mL/min", TagKind.ENUM, 0.0, 2.0, 'The "valve"', ("a", "b"), True, 1)
    assert LINES.definitions("skid", [tag], 5) == [
        b"definitions,group=skid,plant=Suite\\ 1,simulated=true,tag=TFF201.V "
        b'unit="mL/min",kind="enum",low=0.0,high=2.0,decimals=1i,record=true,labels="a|b",'
        b'description="The \\"valve\\"" 5'
    ]


def test_a_gap_stands_at_its_start() -> None:
    assert LINES.gap(Gap(5, 9, "disk full")) == b'gaps,plant=Suite\\ 1,simulated=true end=9i,reason="disk full" 5'


@given(st.text())
def test_a_key_can_be_read_back_and_holds_no_line_end(text: str) -> None:
    escaped = key(text)
    assert not set(escaped) & set("\r\n\t")
    plain = escaped.replace("\\,", "").replace("\\=", "").replace("\\ ", "")
    assert not set(plain) & set(",= \\")


@given(st.text())
def test_a_text_can_be_read_back(text: str) -> None:
    inside = string(text)[1:-1]
    assert not inside.replace("\\\\", "").replace('\\"', "").count('"')
    assert inside.replace("\\\\", "\0\0").replace('\\"', '"').replace("\0\0", "\\") == text or "\0" in text
