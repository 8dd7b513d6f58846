"""Telegrams of Masterflex drives with the linkable serial interface (L/S 7523, 7550, I/P 77301 and their kin).

Source: Masterflex, Operating manual: pump drives, A-1299-0996 edition 04, sections 1.4 to 1.13 (table 2 "Sample pump
commands and responses"). The meaning of the five figures of ``I`` is section 1.8, as public programs for these drives
use it. The commands to all pumps (``P99``), to a number of revolutions (``V``, ``G`` without ``0``) and to clear
(``Z``) are not here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Final

from drivers.framing import ACK, CR, NAK, STX

ADDRESSES: Final = range(1, 90)
"""Numbers that a satellite can be given."""
ENQ: Final = b"\x05"
RESOLUTION_RPM: Final = Decimal("0.1")
"""The steps in which a speed is set and told."""
HIGHEST_RPM: Final = Decimal("999.9")
"""What the four figures of a speed can hold; the pumps' own limits are lower."""

_STATUS: Final = re.compile(rb"P([0-9]{2})I([01])([0-9])([0-9])([1-7])([0-5])")
_SPEED: Final = re.compile(rb"S([+-])([0-9]{3,4}\.[0-9])")
_REVOLUTIONS: Final = re.compile(rb"C[0-9]{1,7}\.[0-9]{2}")
_UNNUMBERED: Final = re.compile(rb"P\?([0-9A-Z])")


class State(IntEnum):
    """What the drive does: the fourth figure of its status."""

    IDLE = 1
    WAITING = 2
    """For a go."""
    RUNNING = 3
    STOPPED_LOCALLY = 4
    NO_FEEDBACK = 5
    OVERLOAD = 6
    EXCESSIVE_FEEDBACK = 7


FAILURES: Final = {
    State.NO_FEEDBACK: "no feedback of the motor",
    State.OVERLOAD: "the motor is overloaded",
    State.EXCESSIVE_FEEDBACK: "the motor runs away",
}
"""States in which neither the motor nor what is told of it can be trusted."""


class CommandError(IntEnum):
    """What was wrong with a command: the fifth figure of the status."""

    NONE = 0
    PARITY = 1
    FRAMING = 2
    OVERRUN = 3
    INVALID_COMMAND = 4
    INVALID_DATA = 5


@dataclass(frozen=True, slots=True)
class Status:
    """One answer to ``I``."""

    address: int
    remote: bool
    state: State
    error: CommandError


@dataclass(frozen=True, slots=True)
class Speed:
    """One answer to ``S``: the speed that is set, and the direction."""

    rpm: Decimal
    clockwise: bool


def ask_status(address: int) -> bytes:
    """``PnnI``."""
    return _command(address, "I")


def ask_speed(address: int) -> bytes:
    """``PnnS``; its answer has no number, so it is only asked after a status that came."""
    return _command(address, "S")


def ask_revolutions(address: int) -> bytes:
    """``PnnC``, to find back into step with the line."""
    return _command(address, "C")


def is_revolutions(telegram: bytes) -> bool:
    """Whether it answers ``C``."""
    return _REVOLUTIONS.fullmatch(telegram) is not None


def set_speed(address: int, rpm: Decimal, *, clockwise: bool) -> bytes:
    """``PnnS+xxx.x``; ValueError for a speed with more than one decimal, negative or beyond 999.9 rpm."""
    if not rpm.is_finite() or rpm % RESOLUTION_RPM or not 0 <= rpm <= HIGHEST_RPM:
        raise ValueError(f"{rpm} rpm is no speed for this telegram")
    return _command(address, f"S{'+' if clockwise else '-'}{abs(rpm):05.1f}")


def run(address: int) -> bytes:
    """``PnnG0``: go on until it is halted."""
    return _command(address, "G0")


def halt(address: int) -> bytes:
    """``PnnH``."""
    return _command(address, "H")


def take_over(address: int) -> bytes:
    """``PnnR``: the pump listens to us and not to its panel."""
    return _command(address, "R")


def hand_back(address: int) -> bytes:
    """``PnnL``: the pump listens to its panel."""
    return _command(address, "L")


def give_number(address: int) -> bytes:
    """``Pnn`` alone: the number of the satellite that has just said ``P?``."""
    return _command(address, "")


def change_number(address: int, to: int) -> bytes:
    """``PnnUmm``: another number for a satellite that has one."""
    if to not in ADDRESSES:
        raise ValueError(f"{to} is no number of a satellite")
    return _command(address, f"U{to:02d}")


def parse_status(telegram: bytes) -> Status | None:
    """Read what stands between STX and CR of an answer to ``I``; None when it is not exactly right."""
    match = _STATUS.fullmatch(telegram)
    if match is None or int(match[1]) not in ADDRESSES:
        return None
    return Status(int(match[1]), match[2] == b"1", State(int(match[5])), CommandError(int(match[6])))


def parse_speed(telegram: bytes) -> Speed | None:
    """Read what stands between STX and CR of an answer to ``S``; None when it is not exactly right."""
    match = _SPEED.fullmatch(telegram)
    return None if match is None else Speed(Decimal(match[2].decode()), match[1] == b"+")


def parse_unnumbered(telegram: bytes) -> str | None:
    """The letter of its kind when a satellite without a number has answered ``ENQ``; else None."""
    match = _UNNUMBERED.fullmatch(telegram)
    return None if match is None else match[1].decode()


def is_acknowledged(telegram: bytes) -> bool | None:
    """Whether a command was taken (ACK) or not (NAK); None for anything else."""
    return {ACK: True, NAK: False}.get(telegram)


def _command(address: int, text: str) -> bytes:
    if address not in ADDRESSES:
        raise ValueError(f"{address} is no number of a satellite")
    return STX + f"P{address:02d}{text}".encode("ascii") + CR
