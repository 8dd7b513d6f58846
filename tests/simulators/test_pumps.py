"""The simulated pumps: what they obey, what they say, and what they forget without power."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.bus import Bus, LineFault, cut_at_cr, cut_linkable
from simulators.devices.masterflex import LinkablePump, State, linked
from simulators.devices.masterflex_usb import UsbPump
from simulators.devices.watson_marlow import PULSES_PER_REV, WatsonMarlowPump


def test_a_watson_marlow_pump_obeys_without_a_word_and_turns_as_it_was_set() -> None:
    one = WatsonMarlowPump(1)
    for command in (b"1SP60.0", b"1GO", b"1RL"):
        assert one.hear(command) == b""
    one.step(2.0)
    assert one.hear(b"1RS") == f"520Du 15.84 520R 9.6MM 60.0 CCW P/N 1 {2 * PULSES_PER_REV} 1 !\r".encode()
    assert one.hear(b"1ZY") == b"1\r"
    one.hear(b"1ST")
    one.step(2.0)
    assert one.hear(b"1RT") == f"{2 * PULSES_PER_REV}\r".encode()


def test_a_watson_marlow_pump_hears_its_number_and_the_call_to_all() -> None:
    one = WatsonMarlowPump(2)
    assert one.hear(b"1RS") == b""
    one.hear(b"12GO")
    assert not one.running
    one.hear(b"#GO")
    assert one.running


@pytest.mark.parametrize("command", [b"1SP220.1", b"1SP", b"1SPx", b"1GO1", b"1DO100", b"SP1", b"1sp10", b"\xff"])
def test_a_watson_marlow_pump_passes_over_what_it_cannot_do(command: bytes) -> None:
    one = WatsonMarlowPump(1)
    assert one.hear(command) == b""
    assert (one.rpm, one.running) == (220.0, False)


def test_a_watson_marlow_pump_at_its_panel_answers_and_does_not_obey() -> None:
    one = WatsonMarlowPump(1)
    one.take_over(rpm=10.0)
    one.hear(b"1GO")
    assert b" 10.0 CW P/N 1 0 0 !" in one.hear(b"1RS")
    one.hand_back()
    one.hear(b"1GO")
    assert one.running
    one.restart()
    assert (one.running, one.rpm) == (False, 10.0)
    one.reset()
    assert one.rpm == 220.0


def test_linked_pumps_get_their_numbers_one_after_the_other() -> None:
    first, second = linked([LinkablePump(), LinkablePump()])
    bus = Bus([first, second], cut_linkable)
    assert bus.hear(b"\x02P05\r") == b""
    assert bus.hear(b"\x05") == b"\x02P?0\r"
    assert bus.hear(b"\x02P05\r") == b"\x06"
    assert (first.number, second.number) == (5, 0)
    assert bus.hear(b"\x05\x02P06\r\x05") == b"\x02P?0\r\x06"
    assert (first.number, second.number) == (5, 6)
    first.restart()
    assert bus.hear(b"\x02P05I\r") == b""
    assert bus.hear(b"\x02P06I\r") == b"\x02P06I00010\r"


def test_a_linkable_pump_obeys_in_remote_only_and_says_what_was_wrong() -> None:
    one = LinkablePump()
    one.number = 1
    bus = Bus([one], cut_linkable)
    assert bus.hear(b"\x02P01S+100.0\r") == b"\x15"
    assert bus.hear(b"\x02P01I\r") == b"\x02P01I00014\r"
    assert bus.hear(b"\x02P01R\r\x02P01S+100.0\r\x02P01G0\r") == b"\x06" * 3
    one.step(60.0)
    assert bus.hear(b"\x02P01C\r") == b"\x02C0000100.00\r"
    assert bus.hear(b"\x02P01S-100.0\r") == b"\x15"
    assert bus.hear(b"\x02P01S+601.0\r\x02P01I\r") == b"\x15\x02P01I10035\r"
    assert bus.hear(b"\x02P99H\r") == b""
    assert one.state is State.IDLE


def test_a_linkable_pump_runs_for_the_revolutions_that_were_set() -> None:
    one = LinkablePump()
    one.number, one.remote = 1, True
    for command in (b"\x02P01S+060.0\r", b"\x02P01V10.00\r", b"\x02P01G\r"):
        assert one.hear(command) == b"\x06"
    one.step(9.0)
    assert one.running
    one.step(2.0)
    assert not one.running


def test_a_usb_pump_obeys_in_its_serial_mode_only() -> None:
    one = UsbPump(1)
    assert one.hear(b"1H") == one.hear(b"1RC") == b"~\r\n"
    assert one.hear(b"2RE1") == b""
    assert one.hear(b"1RE1") == b"*\r\n"
    assert one.hear(b"1R012345") == b"*\r\n"
    assert [one.hear(c) for c in (b"1R12345", b"1R000000", b"1R060001", b"1XX", b"1H1")] == [b"#\r\n"] * 5
    assert one.hear(b"1H") == b"*\r\n"
    assert one.hear(b"1RC") == b"1,1,0\r\n"
    one.step(60.0)
    assert one.hear(b"1RB") == b"123.45\r\n"
    one.restart()
    assert (one.serial, one.running) == (False, False)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_no_bytes_make_a_line_fail_or_an_instrument_start(chunks: list[bytes]) -> None:
    pumps = [WatsonMarlowPump(1), UsbPump(1)]
    bus = Bus(pumps, cut_at_cr)
    other = Bus([LinkablePump()], cut_linkable)
    for chunk in chunks:
        bus.hear(chunk.replace(b"G", b"").replace(b"H", b""))
        other.hear(chunk)
    assert not any(pump.running for pump in pumps)


def test_what_is_wrong_with_a_line_is_done_to_what_the_instruments_say() -> None:
    bus = Bus([WatsonMarlowPump(1)], cut_at_cr)
    whole = bus.hear(b"1RS\r")
    said = {}
    for fault in LineFault:
        bus.fault = fault
        said[fault] = bus.hear(b"1RS\r")
    assert said[LineFault.SILENT] == said[LineFault.DEAF] == b""
    assert said[LineFault.HALF] == whole[: len(whole) // 2]
    assert said[LineFault.MERGED] == whole[:-1] + whole
    assert bytes(byte & 0x7F for byte in said[LineFault.GARBAGE]) == whole
    bus.fault = LineFault.DEAF
    bus.hear(b"1GO\r")
    assert bus.instruments[0].running  # type: ignore[attr-defined]
