"""Sartorius SBI lines: what is exactly right is a weight, and nothing else ever is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.balance import Weight
from drivers.sbi_telegram import is_weight, parse_serial_number, weight_of
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_DEVICE_FAILURE,
    BAD_OUT_OF_RANGE,
    BAD_OUT_OF_SERVICE,
    GOOD,
    GOOD_DYNAMIC,
    is_bad,
)


def line(number: str, unit: str = "g", sign: str = "+", label: str = "N") -> bytes:
    return f"{label:<6}{sign}{number:>9} {unit:<3}".encode()


@pytest.mark.parametrize(
    ("data", "grams"),
    [
        (b"N     +    0.006 g  ", "0.006"),
        (b"+     0.00 g  ", "0.00"),
        (b"-   12.345 mg ", "-0.012345"),
        (b"     123.0 g  ", "123.0"),
        (b"+  1.23456 kg ", "1234.56"),
        (line("5999.99", sign="-"), "-5999.99"),
    ],
)
def test_a_weight_at_rest_is_good_and_exact(data: bytes, grams: str) -> None:
    weight, _ = weight_of(data, None, None)
    assert weight == Weight(GOOD, Decimal(grams), stable=True)


def test_a_weight_in_motion_counts_only_in_the_unit_that_is_configured() -> None:
    moving = b"N     +    0.031    "
    assert weight_of(moving, "g", None)[0] == Weight(GOOD_DYNAMIC, Decimal("0.031"))
    assert weight_of(moving, "kg", None)[0].grams == Decimal(31)
    weight, _ = weight_of(moving, None, "g")
    assert (weight.quality, weight.grams) == (BAD_CONFIGURATION, None)
    assert "option unit" in weight.reason


def test_a_weight_in_motion_is_bad_while_the_balance_shows_another_unit() -> None:
    at_rest, seen = weight_of(line("1.00000", "kg"), "g", None)
    assert (at_rest.quality, seen) == (BAD_CONFIGURATION, "kg")
    moving, seen = weight_of(line("1.00000", ""), "g", seen)
    assert (moving.quality, seen) == (BAD_CONFIGURATION, "kg")
    again, seen = weight_of(line("1000.00", "g"), "g", seen)
    assert (again.quality, seen) == (GOOD, "g")
    assert weight_of(line("1000.00", ""), "g", seen)[0].quality == GOOD_DYNAMIC


@pytest.mark.parametrize(
    ("data", "quality", "words"),
    [
        (b"Stat       High     ", BAD_OUT_OF_RANGE, "overload"),
        (b"     High     ", BAD_OUT_OF_RANGE, "overload"),
        (b"H", BAD_OUT_OF_RANGE, "overload"),
        (b"Stat       Low      ", BAD_OUT_OF_RANGE, "underload"),
        (b"Stat     Cal.Ext.   ", BAD_OUT_OF_SERVICE, "adjusted"),
        (b"Stat Cal. Ext.", BAD_OUT_OF_SERVICE, "adjusted"),
        (b"Stat     ERR 054    ", BAD_DEVICE_FAILURE, "error 054"),
        (b"    Err 101   ", BAD_DEVICE_FAILURE, "error 101"),
        (b"Stat     APP.ERR    ", BAD_DEVICE_FAILURE, "APP.ERR"),
        (b"Stat     DIS.ERR    ", BAD_OUT_OF_RANGE, "DIS.ERR"),
        (b"Stat     PRT.ERR    ", BAD_CONFIGURATION, "PRT.ERR"),
        (line("1.234", "lb"), BAD_CONFIGURATION, "shows lb"),
        (line("253", "pcs", label="Qnt"), BAD_CONFIGURATION, "'Qnt'"),
        (line("10.00", label="T1"), BAD_CONFIGURATION, "'T1'"),
    ],
)
def test_every_other_line_has_its_reason_and_no_weight(data: bytes, quality: int, words: str) -> None:
    weight, _ = weight_of(data, "g", "g")
    assert (weight.quality, weight.grams) == (quality, None)
    assert words in weight.reason


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"+",
        b"N     +    0.006 g ",
        b"N     +    0.006 g   ",
        b"N     +   0.0061 g",
        b"N     +    0.0N     +    0.006 g  ",
        b"N     +    0.0 6 g  ",
        b"N     +    0,006 g  ",
        b"N     +         g   ",
        b"N     *    0.006 g  ",
        b"N     +    0.006g   ",
        b"N     +   12.3[4]g  ",
        b"SerNo.    0031801165",
        b"  12345678    ",
        b"\xff" * 14,
        b"+     1e3 g   ",
        b"+      nan g  ",
    ],
)
def test_what_is_not_exactly_right_is_no_weight(data: bytes) -> None:
    weight, seen = weight_of(data, "g", "g")
    assert (weight.quality, weight.grams, seen) == (BAD_DECODING, None, "g")


def test_the_serial_number_is_found_in_both_forms() -> None:
    assert parse_serial_number(b"SerNo.    0031801165") == "0031801165"
    assert parse_serial_number(b"      31801165") == "31801165"
    assert parse_serial_number(b"SIM0006001    ") == "SIM0006001"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"031",
        b"31250",
        b"N     +    0.006 g  ",
        b"+     0.00 g  ",
        b"Stat       High     ",
        b"Stat     ERR 054    ",
    ],
)
def test_a_weight_a_status_or_the_rest_of_a_line_is_no_serial_number(data: bytes) -> None:
    assert parse_serial_number(data) is None


@given(st.binary(max_size=30), st.sampled_from([None, "g", "kg", "mg"]), st.sampled_from([None, "g", "lb"]))
def test_whatever_comes_a_weight_is_a_number_or_bad(data: bytes, unit: str | None, seen: str | None) -> None:
    weight, _ = weight_of(data, unit, seen)
    assert (weight.grams is None) == is_bad(weight.quality)
    assert isinstance(is_weight(data), bool)
    parse_serial_number(data)


WEIGHTS = st.builds(
    line,
    st.decimals(0, 99999, places=2).map(str),
    st.sampled_from(["g", "kg", "mg", ""]),
    st.sampled_from("+-"),
    st.sampled_from(["N"]),
)


@given(WEIGHTS, st.data())
def test_a_line_that_has_lost_gained_or_doubled_bytes_is_no_weight(whole: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(whole)))
    length = draw.draw(st.integers(1, len(whole)))
    cut = whole[:at] + whole[at + length :]
    doubled = whole[:at] + whole[max(0, at - length) :] if at else whole + whole
    for damaged in (cut, doubled):
        if len(damaged) in (14, 20):
            continue  # the last 14 characters are a line of their own: see the test below
        assert is_bad(weight_of(damaged, "g", None)[0].quality)


@given(WEIGHTS, st.integers(0, 19), st.integers(128, 255))
def test_a_byte_that_is_no_ascii_never_leaves_a_weight(whole: bytes, at: int, byte: int) -> None:
    damaged = whole[:at] + bytes([byte]) + whole[at + 1 :]
    assert is_bad(weight_of(damaged, "g", None)[0].quality)


@given(WEIGHTS)
def test_the_end_of_a_long_line_says_the_same_as_the_line(whole: bytes) -> None:
    assert weight_of(whole[6:], "g", None) == weight_of(whole, "g", None)
