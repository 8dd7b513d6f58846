"""Telegrams of Masterflex drives with USB: what is exactly right is an answer, and only meant commands can be made."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import masterflex_usb_telegram as telegram
from drivers.masterflex_usb_telegram import ANSWER, Reply, Status, is_blank, parse_reply, parse_speed, parse_status


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"1,1,0", Status(1, running=True, clockwise=True)),
        (b"\n8,0,1", Status(8, running=False, clockwise=False)),
        (b"1,1", None),
        (b"0,1,0", None),
        (b"9,1,0", None),
        (b"1,2,0", None),
        (b"1,1,0,0", None),
        (b"1 1 0", None),
        (b"*", None),
        (b"", None),
    ],
)
def test_a_status_is_read_when_it_is_exactly_right(line: bytes, status: Status | None) -> None:
    assert parse_status(line) == status


@pytest.mark.parametrize(
    ("line", "rpm"),
    [
        (b"123.45", "123.45"),
        (b"0.1", "0.1"),
        (b"100", "100"),
        (b"", None),
        (b"1,1,0", None),
        (b"-1", None),
        (b"1.234", None),
    ],
)
def test_a_speed_is_read_when_it_is_exactly_right(line: bytes, rpm: str | None) -> None:
    assert parse_speed(line) == (None if rpm is None else Decimal(rpm))


@given(st.binary(max_size=40))
def test_no_bytes_raise(line: bytes) -> None:
    for parse in (parse_status, parse_speed, parse_reply, is_blank, ANSWER.find):
        parse(line)


@pytest.mark.parametrize(
    ("line", "reply"), [(b"*", Reply.TAKEN), (b"#", Reply.INVALID), (b"~", Reply.NOT_SERIAL), (b"**", None)]
)
def test_replies(line: bytes, reply: Reply | None) -> None:
    assert parse_reply(line) is reply


def test_a_reply_comes_with_or_without_an_end_of_line() -> None:
    assert ANSWER.find(b"*") == (b"*", 1)
    assert ANSWER.find(b"\r\n*") == (b"", 1)
    assert ANSWER.find(b"123.4") is None
    assert ANSWER.find(b"123.45\r\n") == (b"123.45", 7)


def test_commands_are_those_of_the_vendors_client() -> None:
    assert telegram.ask_status(1) == b"1RC\r"
    assert telegram.ask_speed(1) == b"1R\r"
    assert telegram.set_speed(1, Decimal("123.45")) == b"1R012345\r"
    assert (telegram.run(1), telegram.stop(1)) == (b"1H\r", b"1I\r")
    assert (telegram.turn(1, clockwise=True), telegram.turn(1, clockwise=False)) == (b"1J\r", b"1K\r")
    assert (telegram.serial_mode(1, on=True), telegram.serial_mode(1, on=False)) == (b"1RE1\r", b"1RE0\r")


@given(st.decimals(Decimal("0.01"), Decimal("9999.99"), places=2))
def test_a_speed_has_six_figures_in_hundredths(rpm: Decimal) -> None:
    sent = telegram.set_speed(3, rpm)
    assert sent[:2] == b"3R"
    assert len(sent) == 9
    assert Decimal(sent[2:8].decode()) / 100 == rpm


@pytest.mark.parametrize("rpm", ["0", "-1", "0.005", "10000", "NaN", "Infinity"])
def test_a_speed_that_the_telegram_cannot_carry_is_not_sent(rpm: str) -> None:
    with pytest.raises(ValueError, match="no speed"):
        telegram.set_speed(1, Decimal(rpm))


@pytest.mark.parametrize("address", [0, 9, -1])
def test_only_numbers_of_pumps_are_addressed(address: int) -> None:
    for make in (telegram.ask_status, telegram.run, telegram.stop):
        with pytest.raises(ValueError, match="no number"):
            make(address)


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        (b"77220-00 2\r", True),
        (b"MFLX77420", True),
        (b"#", True),
        (b"~", True),
        (b"*", False),
        (b"1,1,0", False),
        (b"100.00", False),
    ],
)
def test_the_answer_by_which_the_line_is_found_is_none_of_the_others(line: bytes, is_one: bool) -> None:
    assert telegram.is_model(line) is is_one
