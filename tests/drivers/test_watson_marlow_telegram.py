"""Watson-Marlow telegrams: what is exactly right is a status, and only the commands that are meant can be made."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import watson_marlow_telegram as telegram
from drivers.watson_marlow_telegram import Status, StatusFraming, answers, parse_status

MANUAL = b"520Du 15.84 520R 9.6MM 220.0 CW P/N 1 123456789 1 !"
"""The example of the user manual."""
STATUS = Status("520Du", Decimal("15.84"), "520R", "9.6MM", Decimal("220.0"), "CW", 1, 123456789, running=True)


def test_the_status_of_the_manual_is_read() -> None:
    assert parse_status(MANUAL) == STATUS
    assert parse_status(MANUAL + b"\r") == STATUS
    assert parse_status(b"\n" + MANUAL) == STATUS


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"!",
        MANUAL[:-1],
        MANUAL[:-2],
        MANUAL[:20],
        MANUAL[1:] + b"!",
        MANUAL + MANUAL,
        MANUAL.replace(b"CW", b"CX"),
        MANUAL.replace(b"220.0", b"220,0"),
        MANUAL.replace(b"220.0", b"2200.0"),
        MANUAL.replace(b"220.0", b"-20.0"),
        MANUAL.replace(b"P/N 1 ", b"P/N 17 "),
        MANUAL.replace(b"P/N 1 ", b"P/N 0 "),
        MANUAL.replace(b" 1 !", b" 2 !"),
        MANUAL.replace(b" ", b"  "),
        MANUAL.replace(b"220.0", b"2\xb20.0"),
        bytes(byte | 0x80 for byte in MANUAL),
        b"1RS",
    ],
)
def test_a_line_that_is_not_exactly_right_is_no_status(line: bytes) -> None:
    assert parse_status(line) is None


@given(
    st.integers(1, 16),
    st.decimals(Decimal(0), Decimal("999.9"), places=1),
    st.sampled_from(["CW", "CCW"]),
    st.booleans(),
    st.integers(0, 10**10 - 1),
)
def test_every_status_that_a_pump_can_send_is_read_exactly(
    address: int, rpm: Decimal, direction: str, running: bool, tacho: int
) -> None:
    line = f"620Du 0.05 620RE 12.0MM {rpm} {direction} P/N {address} {tacho} {int(running)} !".encode()
    status = parse_status(line)
    assert status is not None
    assert (status.address, status.rpm, status.direction) == (address, rpm, direction)
    assert (status.running, status.tacho) == (running, tacho)


@given(st.binary(max_size=80))
def test_no_bytes_raise(line: bytes) -> None:
    assert parse_status(line) is None or line.rstrip(b"\r\n").endswith(b"!")
    answers(line, 1)


@given(st.data())
def test_a_status_cut_anywhere_is_none(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(MANUAL) - 1))
    end = data.draw(st.integers(begin, len(MANUAL)))
    cut = parse_status(MANUAL[begin:end])
    # A drive's name has no length: from its first letter cut away, it is another name, which the options do not allow.
    assert cut is None or (end == len(MANUAL) and (begin == 0 or cut.model != "520Du"))


def test_the_answer_of_another_pump_and_an_echo_are_no_answers() -> None:
    assert answers(MANUAL, 1)
    assert not answers(MANUAL, 2)
    assert not answers(b"1RS", 1)
    assert not answers(b"", 1)
    assert answers(b"nonsense", 1)


def test_commands_are_those_of_the_manual() -> None:
    assert telegram.ask_status(1) == b"1RS\r"
    assert telegram.set_speed(1, Decimal(100)) == b"1SP100.0\r"
    assert telegram.set_speed(16, Decimal("0.1")) == b"16SP0.1\r"
    assert (telegram.run(1), telegram.stop(1)) == (b"1GO\r", b"1ST\r")
    assert (telegram.turn(1, "CW"), telegram.turn(1, "CCW")) == (b"1RR\r", b"1RL\r")


@pytest.mark.parametrize("rpm", ["-0.1", "0.05", "1000", "NaN", "Infinity", "1E+3"])
def test_a_speed_that_the_telegram_cannot_carry_is_not_sent(rpm: str) -> None:
    with pytest.raises(ValueError, match="no speed"):
        telegram.set_speed(1, Decimal(rpm))


@pytest.mark.parametrize("address", [0, 17, -1, 99])
def test_only_numbers_of_pumps_are_addressed(address: int) -> None:
    for make in (telegram.ask_status, telegram.run, telegram.stop):
        with pytest.raises(ValueError, match="no number"):
            make(address)


def test_a_status_ends_with_its_mark_and_anything_else_with_a_carriage_return() -> None:
    framing = StatusFraming()
    assert framing.find(MANUAL[:-1]) is None
    assert framing.find(MANUAL + b"\r1RS\r") == (MANUAL, len(MANUAL))
    assert framing.find(b"1RS\r" + MANUAL) == (b"1RS", 4)


@pytest.mark.parametrize("data", [b"0", b"1\r", b"\r\n0\r"])
def test_the_figure_that_answers_zy_needs_no_end(data: bytes) -> None:
    framing = telegram.RunningFraming()
    found = framing.find(data)
    assert found is not None
    assert telegram.is_running_answer(found.telegram)
    assert not answers(found.telegram, 1)
    assert framing.find(MANUAL[:-1]) is None
    assert framing.find(MANUAL) == (MANUAL, len(MANUAL))
