"""Blocks of a PendoTECH PressureMAT: one packet for each channel, each with its own checksum, read strictly.

Sources: HiFiveJazz/Pendotech-Reader-Win, the one published program that reads this monitor (poll, frame, channels,
which number is the pressure). The packets are those of Brooks Instrument's model 0254 (installation and operation
manual X-SE-0254-eng, section C: C-3-1 structures and checksum, C-4-5 measured values), and the checksum of the one
known packet of a PressureMAT is right by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_SENSOR_FAILURE, GOOD


class Channel(StrEnum):
    """An input of the monitor."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


PORTS: Final = {b"01": Channel.P1, b"03": Channel.P2, b"05": Channel.P3, b"07": Channel.P4}
"""The port of each input; the even ones are outputs."""
START: Final = b"AZ"
_PACKET: Final = re.compile(
    rb"(,[0-9]{5}\.([0-9]{2}),4,[^,]{11},[^,]{11},[^,]{11},([^,]{11}),(?:[^,]{1,11},){6})([0-9A-F]{2})[\r\n ]*"
)
_NUMBER: Final = re.compile(rb" *[-+]?[0-9]+(?:\.[0-9]+)? *")


@dataclass(frozen=True, slots=True)
class Pressure:
    """What one channel shows, in the monitor's unit; NaN unless the quality is Good."""

    quality: int
    value: float = float("nan")
    reason: str = ""


def parse_block(block: bytes, *, checked: bool = True) -> Mapping[Channel, Pressure]:
    """Every channel of a block, without its DLE STX and DLE ETX; never raises.

    A packet that is damaged makes its own channel Bad, and none of the others. Without ``checked`` the checksums are
    not looked at.
    """
    before, *packets = block.split(START)
    found: dict[Channel, Pressure] = {}
    damaged = bool(before.strip(b"\r\n ")) or not packets
    for packet in packets:
        match = _PACKET.fullmatch(packet)
        if match is None or (checked and checksum(match.group(1)) != match.group(4)):
            damaged = True
            continue
        channel = PORTS.get(match.group(2))
        if channel in found:
            found[channel] = Pressure(BAD_DECODING, reason="the channel comes twice in one answer")
        elif channel is not None:
            found[channel] = _pressure(match.group(3))
    missing = (
        Pressure(BAD_DECODING, reason="unreadable answer")
        if damaged
        else Pressure(BAD_CONFIGURATION, reason="the monitor does not report this channel")
    )
    return {channel: found.get(channel, missing) for channel in Channel}


def checksum(frame: bytes) -> bytes:
    """The negated sum modulo 256 of a packet's information frame (from its first comma to the last), as two digits."""
    return b"%02X" % (-sum(frame) & 0xFF)


def _pressure(number: bytes) -> Pressure:
    if _NUMBER.fullmatch(number) is None:
        return Pressure(BAD_SENSOR_FAILURE, reason=f"the channel shows {number.decode('ascii', 'backslashreplace')!r}")
    return Pressure(GOOD, float(number))
