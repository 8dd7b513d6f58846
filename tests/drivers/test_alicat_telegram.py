"""Alicat telegrams: what is exactly right is a data frame, and no command can be taken for a setpoint by accident."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import alicat_telegram as telegram
from drivers.alicat_telegram import (
    STATUS_WORDS,
    FullScale,
    Statistic,
    answers,
    is_refusal,
    parse_firmware,
    parse_frame,
    parse_full_scale,
    parse_serial_number,
    parse_setpoint_source,
)

FRAME = b"A +014.70 +025.00 +02.004 +02.004 2.004 Air"
TOTAL = b"B +014.70 +025.00 +0200.4 +0200.4 0200.4 +0000001.25 N2 HLD LCK"


def test_the_frame_of_the_manual_is_read() -> None:
    frame = parse_frame(FRAME, totaliser=False)
    assert frame is not None
    assert (frame.unit, frame.gas, frame.words, frame.total) == ("A", "Air", frozenset(), None)
    assert (frame.pressure, frame.temperature) == (Decimal("14.70"), Decimal("25.00"))
    assert (frame.volumetric_flow, frame.mass_flow, frame.setpoint) == (Decimal("2.004"),) * 3


def test_a_frame_with_a_total_and_status_words_is_read() -> None:
    frame = parse_frame(TOTAL, totaliser=True)
    assert frame is not None
    assert (frame.total, frame.gas, frame.words) == (Decimal("1.25"), "N2", {"HLD", "LCK"})


@pytest.mark.parametrize(
    ("line", "totaliser"),
    [
        (FRAME, True),
        (TOTAL, False),
        (b"", False),
        (b"A", False),
        (b"?", False),
        (FRAME[:-4], False),
        (FRAME[2:], False),
        (FRAME + b" XXX", False),
        (FRAME + b" HLD HLD", False),
        (FRAME + b" " + FRAME, False),
        (FRAME.replace(b"+014.70", b"+14.70"), False),
        (FRAME.replace(b"+014.70", b"014.70"), False),
        (FRAME.replace(b"+014.70", b"-------"), False),
        (FRAME.replace(b" 2.004", b" 2.04"), False),
        (FRAME.replace(b" 2.004", b" 2004"), False),
        (FRAME.replace(b" 2.004", b" +2.004"), False),
        (FRAME.replace(b"+025.00", b"+025,00"), False),
        (FRAME.replace(b"Air", b"HLD"), False),
        (FRAME.replace(b"A ", b"a "), False),
        (bytes(byte | 0x80 for byte in FRAME), False),
        (b"A +24.57 +100.0 +0021513.0 +100.0 +55.13 N2", False),
    ],
)
def test_what_is_not_exactly_right_is_no_frame(line: bytes, totaliser: bool) -> None:
    assert parse_frame(line, totaliser=totaliser) is None


@given(
    st.decimals(Decimal("-99.99"), Decimal("99.99"), places=2),
    st.decimals(Decimal(0), Decimal("99.999"), places=3),
    st.decimals(Decimal(0), Decimal("99.999"), places=3),
    st.sampled_from(["Air", "N2", "CO2", "C-25", "i-C4H10", "O2"]),
    st.sets(st.sampled_from(sorted(STATUS_WORDS))),
)
def test_every_frame_that_a_controller_can_send_is_read_exactly(
    temperature: Decimal, flow: Decimal, setpoint: Decimal, gas: str, words: set[str]
) -> None:
    line = " ".join((f"C +014.70 {temperature:+07.2f} {flow:+07.3f} {flow:+07.3f} {setpoint:+07.3f} {gas}", *words))
    frame = parse_frame(line.encode(), totaliser=False)
    assert frame is not None
    assert (frame.temperature, frame.mass_flow, frame.setpoint) == (temperature, flow, setpoint)
    assert (frame.gas, frame.words) == (gas, words)


@given(st.integers(0, len(FRAME) - 1))
def test_a_frame_that_lost_one_byte_is_never_one_with_other_numbers(where: int) -> None:
    frame = parse_frame(FRAME[:where] + FRAME[where + 1 :], totaliser=False)
    if frame is not None:
        whole = parse_frame(FRAME, totaliser=False)
        assert whole is not None
        assert (frame.pressure, frame.mass_flow, frame.setpoint) == (whole.pressure, whole.mass_flow, whole.setpoint)


@given(st.binary(max_size=80))
def test_no_bytes_raise(line: bytes) -> None:
    parse_frame(line, totaliser=False)
    for parse in (parse_full_scale, parse_serial_number, parse_firmware, parse_setpoint_source, is_refusal):
        parse(line)
    answers(line, "A", b"A\r")


SETTERS = re.compile(rb"[A-Z]S -?\d+(\.\d+)?\r")
ASKERS = re.compile(rb"[A-Z](FPF \d+|\?\?M[59]|LSS)?\r")


@given(
    st.sampled_from(telegram.LETTERS),
    st.one_of(st.decimals(allow_nan=True, allow_infinity=True), st.decimals(-10, 10**7, places=3)),
)
def test_only_a_setpoint_that_is_meant_can_be_sent_and_never_in_the_old_form(unit: str, value: Decimal) -> None:
    for asked in (
        telegram.ask_frame(unit),
        telegram.ask_serial_number(unit),
        telegram.ask_firmware(unit),
        telegram.ask_setpoint_source(unit),
        *(telegram.ask_full_scale(unit, statistic) for statistic in Statistic),
    ):
        assert ASKERS.fullmatch(asked), asked
    try:
        sent = telegram.set_setpoint(unit, value)
    except ValueError:
        return
    assert SETTERS.fullmatch(sent), sent
    assert Decimal(sent[3:-1].decode()) == value


def test_a_setpoint_is_sent_as_in_the_manual() -> None:
    assert telegram.set_setpoint("A", Decimal("15.44")) == b"AS 15.44\r"


@pytest.mark.parametrize("unit", ["a", "", "AB", "1", "@", "*"])
def test_only_letters_are_addressed(unit: str) -> None:
    with pytest.raises(ValueError, match="no unit letter"):
        telegram.ask_frame(unit)


def test_other_answers_are_read_when_they_are_exactly_right() -> None:
    assert parse_full_scale(b"A +010.00 7 SLPM") == FullScale(Decimal(10), "SLPM")
    assert parse_full_scale(b"A 100 12 SCCM") == FullScale(Decimal(100), "SCCM")
    assert parse_full_scale(b"A +010.00 SLPM") is None
    assert parse_serial_number(b"A M05 Serial Number 123456") == "123456"
    assert parse_serial_number(b"A M05 Serial Number") is None
    assert parse_serial_number(b"A M04 Model Number MC-10SLPM-D") is None
    assert parse_firmware(b"A M09 Software Revision 10v20.0-R24") == (10, 20)
    assert parse_firmware(b"A M09 Software Revision 8v17") == (8, 17)
    assert parse_firmware(b"A M09 Software Revision GP07R54") is None
    assert [parse_setpoint_source(line) for line in (b"A U", b"A S", b"A A", b"A X", b"U")] == [
        "U",
        "S",
        "A",
        None,
        None,
    ]


def test_the_answer_of_another_unit_and_an_echo_are_no_answers() -> None:
    assert answers(FRAME, "A", b"A\r")
    assert not answers(FRAME, "B", b"B\r")
    assert not answers(b"AFPF 5", "A", b"AFPF 5\r")
    assert not answers(b"", "A", b"A\r")
    assert answers(b"?", "A", b"AFPF 5\r")
    assert is_refusal(b"?")
    assert is_refusal(b"A ?")
    assert not is_refusal(FRAME)
