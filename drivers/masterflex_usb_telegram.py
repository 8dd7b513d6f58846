"""Telegrams of Masterflex drives with a USB port (serial communications mode, 115200 baud).

Source: the vendor's own client (Masterflex Bioprocessing, masterflex-serial 2.0.2): commands are the pump's number,
letters, a payload and CR; a command is answered by ``*`` (taken), ``#`` (invalid) or ``~`` (not in serial mode), a
question by its value and CR LF. The commands that store or restore the configuration (``*``, ``0``), that reset a
count (``W``) and that give an address (``@``) are not here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from drivers.framing import CR_LINES, EitherOf, SingleBytes

ADDRESSES: Final = range(1, 9)
"""Numbers that a pump can have."""
RESOLUTION_RPM: Final = Decimal("0.01")
"""The steps in which a speed is set and told."""
HIGHEST_RPM: Final = Decimal("9999.99")
"""What the six figures of a speed can hold; the pumps' own limits are lower."""
ANSWER: Final = EitherOf((SingleBytes(b"*#~"), CR_LINES))
"""A reply of one byte, with or without an end of line, or a line."""

_STATUS: Final = re.compile(rb"([1-8]),([01]),([01])")
_MODEL: Final = re.compile(rb"[\x21-\x7e][\x20-\x7e]{3,}")
_SPEED: Final = re.compile(rb"[0-9]{1,4}(?:\.[0-9]{1,2})?")


class Reply(Enum):
    """What a pump says to a command."""

    TAKEN = b"*"
    INVALID = b"#"
    NOT_SERIAL = b"~"
    """It is not in its serial mode: it listens to its panel."""


@dataclass(frozen=True, slots=True)
class Status:
    """One answer to ``RC``."""

    address: int
    running: bool
    clockwise: bool


def ask_status(address: int) -> bytes:
    """``nRC``."""
    return _command(address, "RC")


def ask_speed(address: int) -> bytes:
    """``nR``; its answer has no number, so it is only asked after a status that came."""
    return _command(address, "R")


def ask_model(address: int) -> bytes:
    """``n#``, to find back into step with the line."""
    return _command(address, "#")


def is_model(telegram: bytes) -> bool:
    """Whether it answers ``#``: a text that is none of the other answers, ``#`` itself or ``~``."""
    if parse_reply(telegram) in (Reply.INVALID, Reply.NOT_SERIAL):
        return True
    other = parse_status(telegram) or parse_speed(telegram)
    return other is None and _MODEL.fullmatch(telegram.strip(b"\r\n")) is not None


def set_speed(address: int, rpm: Decimal) -> bytes:
    """``nRxxxxxx`` in hundredths; ValueError for a speed with more than two decimals, not above 0 or too high."""
    if not rpm.is_finite() or rpm % RESOLUTION_RPM or not 0 < rpm <= HIGHEST_RPM:
        raise ValueError(f"{rpm} rpm is no speed for this telegram")
    return _command(address, f"R{int(rpm * 100):06d}")


def run(address: int) -> bytes:
    """``nH``."""
    return _command(address, "H")


def stop(address: int) -> bytes:
    """``nI``."""
    return _command(address, "I")


def turn(address: int, *, clockwise: bool) -> bytes:
    """``nJ`` (clockwise) or ``nK``."""
    return _command(address, "J" if clockwise else "K")


def serial_mode(address: int, *, on: bool) -> bytes:
    """``nRE1`` or ``nRE0``: whether the pump listens to us."""
    return _command(address, "RE1" if on else "RE0")


def parse_reply(telegram: bytes) -> Reply | None:
    """What the pump says to a command; None when it is no such answer."""
    text = telegram.strip(b"\r\n")
    return next((reply for reply in Reply if reply.value == text), None)


def parse_status(telegram: bytes) -> Status | None:
    """Read an answer to ``RC``; None when it is not exactly right."""
    match = _STATUS.fullmatch(telegram.strip(b"\r\n"))
    return None if match is None else Status(int(match[1]), match[2] == b"1", match[3] == b"0")


def parse_speed(telegram: bytes) -> Decimal | None:
    """The speed (rpm) that is set, in an answer to ``R``; None when it is not exactly right."""
    text = telegram.strip(b"\r\n")
    return Decimal(text.decode()) if _SPEED.fullmatch(text) else None


def is_blank(telegram: bytes) -> bool:
    """Whether it is what is left of an end of line."""
    return not telegram.strip(b"\r\n")


def _command(address: int, text: str) -> bytes:
    if address not in ADDRESSES:
        raise ValueError(f"{address} is no number of a pump")
    return f"{address}{text}\r".encode("ascii")
