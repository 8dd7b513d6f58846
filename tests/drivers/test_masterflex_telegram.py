"""Telegrams of linkable Masterflex drives: what is exactly right is an answer, and only meant commands can be made."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import masterflex_telegram as telegram
from drivers.masterflex_telegram import CommandError, Speed, State, Status, parse_speed, parse_status, parse_unnumbered


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"P01I00010", Status(1, False, State.IDLE, CommandError.NONE)),
        (b"P89I10030", Status(89, True, State.RUNNING, CommandError.NONE)),
        (b"P12I10064", Status(12, True, State.OVERLOAD, CommandError.INVALID_COMMAND)),
        (b"P12I01145", Status(12, False, State.STOPPED_LOCALLY, CommandError.INVALID_DATA)),
    ],
)
def test_a_status_is_read(line: bytes, status: Status) -> None:
    assert parse_status(line) == status


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"P01I0001",
        b"P01I000100",
        b"P00I00010",
        b"P90I00010",
        b"P99I00010",
        b"P1I00010",
        b"P01I20010",
        b"P01I00080",
        b"P01I00016",
        b"P01S00010",
        b"p01I00010",
        b"P01I00010\r",
        b"P01I0001\xb0",
        b"P01I00010P01I00010",
    ],
)
def test_what_is_not_exactly_right_is_no_status(line: bytes) -> None:
    assert parse_status(line) is None


def test_a_speed_is_read_with_its_direction() -> None:
    assert parse_speed(b"S+0432.9") == Speed(Decimal("432.9"), clockwise=True)
    assert parse_speed(b"S-012.0") == Speed(Decimal(12), clockwise=False)


@pytest.mark.parametrize(
    "line", [b"", b"S0432.9", b"S+432", b"S+32.9", b"S+00432.9", b"S+0432.90", b"S+ 432.9", b"C+0432.9"]
)
def test_what_is_not_exactly_right_is_no_speed(line: bytes) -> None:
    assert parse_speed(line) is None


@given(st.binary(max_size=40))
def test_no_bytes_raise(line: bytes) -> None:
    for parse in (parse_status, parse_speed, parse_unnumbered, telegram.is_acknowledged):
        parse(line)


@given(st.decimals(Decimal(0), Decimal("999.9"), places=1), st.booleans())
def test_a_speed_that_is_sent_is_the_one_that_is_read_back(rpm: Decimal, clockwise: bool) -> None:
    sent = telegram.set_speed(7, rpm, clockwise=clockwise)
    assert sent[:4] == b"\x02P07"
    assert parse_speed(sent[4:-1]) == Speed(rpm, clockwise)


def test_commands_are_those_of_the_manual() -> None:
    assert telegram.ask_status(1) == b"\x02P01I\r"
    assert telegram.ask_speed(1) == b"\x02P01S\r"
    assert telegram.set_speed(1, Decimal(100), clockwise=True) == b"\x02P01S+100.0\r"
    assert (telegram.run(1), telegram.halt(1)) == (b"\x02P01G0\r", b"\x02P01H\r")
    assert (telegram.take_over(1), telegram.hand_back(1)) == (b"\x02P01R\r", b"\x02P01L\r")
    assert telegram.give_number(25) == b"\x02P25\r"


@pytest.mark.parametrize("rpm", ["-1", "0.05", "1000", "NaN", "Infinity"])
def test_a_speed_that_the_telegram_cannot_carry_is_not_sent(rpm: str) -> None:
    with pytest.raises(ValueError, match="no speed"):
        telegram.set_speed(1, Decimal(rpm), clockwise=True)


@pytest.mark.parametrize("address", [0, 90, 99, -1])
def test_only_numbers_of_satellites_are_addressed(address: int) -> None:
    for make in (telegram.ask_status, telegram.run, telegram.halt, telegram.give_number):
        with pytest.raises(ValueError, match="no number"):
            make(address)


def test_a_pump_without_a_number_and_acknowledgements_are_told_apart() -> None:
    assert parse_unnumbered(b"P?0") == "0"
    assert parse_unnumbered(b"P01I00010") is None
    assert telegram.is_acknowledged(b"\x06") is True
    assert telegram.is_acknowledged(b"\x15") is False
    assert telegram.is_acknowledged(b"P01I00010") is None
