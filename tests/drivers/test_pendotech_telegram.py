"""Blocks of a pressure monitor: a channel is a number when its own packet is right, and Bad otherwise."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.pendotech_telegram import Channel, checksum, parse_block
from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_SENSOR_FAILURE, GOOD, is_good

KNOWN = b"AZ,00000.01,4,        0.0,        0.0,        0.5,        0.5,01734,X,X,X,X,X,18"
"""The one packet of a real monitor that is published."""


def packet(port: int, number: str) -> bytes:
    frame = f",00000.{port:02d},4,{0.0:11.1f},{0.0:11.1f},{number:>11},{number:>11},01734,X,X,X,X,X,".encode()
    return b"AZ" + frame + checksum(frame)


def block(*numbers: str, end: bytes = b"\r\n") -> bytes:
    return b"".join(packet(2 * i + 1, number) + end for i, number in enumerate(numbers))


def test_the_known_packet_of_a_real_monitor_is_read_and_its_checksum_is_right() -> None:
    assert KNOWN[2:-2].endswith(b",")
    assert checksum(KNOWN[2:-2]) == KNOWN[-2:]
    pressure = parse_block(KNOWN)[Channel.P1]
    assert (pressure.quality, pressure.value) == (GOOD, 0.5)


@pytest.mark.parametrize("end", [b"", b"\r\n", b" "])
def test_every_channel_has_its_own_number(end: bytes) -> None:
    found = parse_block(block("0.5", "-1.5", "+12.3", "60.0", end=end))
    assert [found[channel].value for channel in Channel] == [0.5, -1.5, 12.3, 60.0]
    assert {one.quality for one in found.values()} == {GOOD}


def test_a_channel_that_the_monitor_does_not_have_is_a_mistake_in_the_plant_file() -> None:
    found = parse_block(block("0.5", "1.5"))
    assert [found[channel].quality for channel in Channel] == [GOOD, GOOD, BAD_CONFIGURATION, BAD_CONFIGURATION]


def test_a_damaged_packet_makes_its_channel_bad_and_no_other() -> None:
    good = block("0.5", "1.5", "2.5", "3.5")
    found = parse_block(good.replace(b"1.5", b"9.5"))
    assert [found[channel].quality for channel in Channel] == [GOOD, BAD_DECODING, GOOD, GOOD]
    assert [found[channel].value for channel in (Channel.P1, Channel.P3, Channel.P4)] == [0.5, 2.5, 3.5]


def test_without_checksums_a_packet_of_the_right_form_counts() -> None:
    wrong = KNOWN[:-2] + b"00"
    assert parse_block(wrong)[Channel.P1].quality == BAD_DECODING
    assert parse_block(wrong, checked=False)[Channel.P1].value == 0.5


def test_a_channel_that_shows_no_number_has_a_failed_sensor() -> None:
    found = parse_block(block("-----", "1.5"))
    assert found[Channel.P1].quality == BAD_SENSOR_FAILURE
    assert math.isnan(found[Channel.P1].value)
    assert found[Channel.P2].value == 1.5


def test_a_channel_that_comes_twice_is_bad() -> None:
    found = parse_block(block("0.5", "1.5") + packet(1, "7.5"))
    assert [found[channel].quality for channel in (Channel.P1, Channel.P2)] == [BAD_DECODING, GOOD]


@given(st.binary(max_size=300), st.booleans())
def test_whatever_comes_each_channel_is_a_number_or_bad(data: bytes, checked: bool) -> None:
    for pressure in parse_block(data, checked=checked).values():
        assert math.isnan(pressure.value) != is_good(pressure.quality)


NUMBERS = st.lists(st.floats(-10, 60).map(lambda value: f"{value:.1f}"), min_size=4, max_size=4)


@given(NUMBERS, st.data())
def test_one_wrong_byte_anywhere_is_never_a_wrong_number(numbers: list[str], draw: st.DataObject) -> None:
    good = block(*numbers)
    at = draw.draw(st.integers(0, len(good) - 1))
    byte = draw.draw(st.integers(0, 255))
    for channel, pressure in parse_block(good[:at] + bytes([byte]) + good[at + 1 :]).items():
        expected = float(numbers[list(Channel).index(channel)])
        assert not is_good(pressure.quality) or pressure.value == expected


@given(NUMBERS, st.data())
def test_bytes_lost_in_a_packet_are_never_a_wrong_number(numbers: list[str], draw: st.DataObject) -> None:
    packets = [packet(2 * i + 1, number) for i, number in enumerate(numbers)]
    which = draw.draw(st.integers(0, 3))
    at = draw.draw(st.integers(0, len(packets[which]) - 1))
    length = draw.draw(st.integers(1, len(packets[which]) - at))
    packets[which] = packets[which][:at] + packets[which][at + length :]
    for channel, pressure in parse_block(b"".join(packets)).items():
        expected = float(numbers[list(Channel).index(channel)])
        assert not is_good(pressure.quality) or pressure.value == expected
