"""Commands and status telegrams of Watson-Marlow 520Du, 620Du and 720Du pumps, read strictly.

Source: Watson-Marlow, 620DuN and 620Du user manual, section 25.1 "RS232 and RS485 command strings" (the same in the
manuals of the 520DuN, 24.1, and the 720DuN, 24.1). What counts is asked by ``RS``: its answer has the pump's number in
it, which that of ``ZY`` has not; ``ZY`` is only asked to find back into step with the line. The commands to all pumps
(``#``), to dose (``DO``) and to clear (``TC``, ``CA``) are not here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from drivers.framing import Found

ADDRESSES: Final = range(1, 17)
"""Numbers that a pump can have."""
RESOLUTION_RPM: Final = Decimal("0.1")
"""The steps in which a speed is set and told."""
HIGHEST_RPM: Final = Decimal("999.9")
"""What the four figures of a speed can hold; the pumps' own limits are lower."""
CLOCKWISE: Final = "CW"
COUNTER_CLOCKWISE: Final = "CCW"

_STATUS: Final = re.compile(
    rb"([0-9A-Za-z]{1,12}) ([0-9]{1,6}(?:\.[0-9]{1,3})?) ([0-9A-Za-z/+-]{1,12}) ([0-9A-Za-z./+-]{1,12}) "
    rb"([0-9]{1,3}(?:\.[0-9])?) (CW|CCW) P/N ([0-9]{1,2}) ([0-9]{1,10}) ([01]) !"
)


@dataclass(frozen=True, slots=True)
class Status:
    """One answer to ``RS``: the drive, its head and tube as set at its panel, and what it does."""

    model: str
    ml_per_rev: Decimal
    head: str
    tube: str
    rpm: Decimal
    """The speed that is set, also while the pump stands still."""
    direction: str
    address: int
    tacho: int
    """Pulses since the count was cleared."""
    running: bool


def ask_status(address: int) -> bytes:
    """``nRS``."""
    return _command(address, "RS")


def ask_running(address: int) -> bytes:
    """``nZY``."""
    return _command(address, "ZY")


def is_running_answer(line: bytes) -> bool:
    """Whether a line answers ``ZY``."""
    return line.strip(b"\r\n") in (b"0", b"1")


def set_speed(address: int, rpm: Decimal) -> bytes:
    """``nSPxxx.x``; ValueError for a speed with more than one decimal, negative or beyond 999.9 rpm."""
    if not rpm.is_finite() or rpm % RESOLUTION_RPM or not 0 <= rpm <= HIGHEST_RPM:
        raise ValueError(f"{rpm} rpm is no speed for this telegram")
    return _command(address, f"SP{rpm:.1f}")


def run(address: int) -> bytes:
    """``nGO``."""
    return _command(address, "GO")


def stop(address: int) -> bytes:
    """``nST``."""
    return _command(address, "ST")


def turn(address: int, direction: str) -> bytes:
    """``nRR`` (clockwise) or ``nRL``."""
    return _command(address, {CLOCKWISE: "RR", COUNTER_CLOCKWISE: "RL"}[direction])


def parse_status(line: bytes) -> Status | None:
    """Read one answer to ``RS``, up to its ``!``; None when it is not exactly right."""
    match = _STATUS.fullmatch(line.strip(b"\r\n"))
    if match is None:
        return None
    model, per_rev, head, tube, rpm, direction, address, tacho, running = (part.decode() for part in match.groups())
    if int(address) not in ADDRESSES:
        return None
    return Status(
        model, Decimal(per_rev), head, tube, Decimal(rpm), direction, int(address), int(tacho), running == "1"
    )


def answers(line: bytes, address: int) -> bool:
    """Whether a line can be the answer of this pump: not that of another one, and not the echo of our command."""
    echoes = (b"", ask_status(address).strip(), ask_running(address).strip())
    if line.strip(b"\r\n") in echoes or is_running_answer(line):
        return False
    status = parse_status(line)
    return status is None or status.address == address


@dataclass(frozen=True, slots=True)
class StatusFraming:
    """A status ends with its ``!``, which stays; anything else (an echo, half a status) ends with CR."""

    def find(self, received: bytes) -> Found | None:
        """See :meth:`drivers.framing.Framing.find`."""
        for at, byte in enumerate(received):
            if byte == ord("!"):
                return Found(received[: at + 1], at + 1)
            if byte == ord("\r"):
                return Found(received[:at], at + 1)
        return None


@dataclass(frozen=True, slots=True)
class RunningFraming:
    """The answer to ``ZY`` is one figure, of which no manual says whether CR follows; else as for a status."""

    def find(self, received: bytes) -> Found | None:
        """See :meth:`drivers.framing.Framing.find`."""
        if is_running_answer(received):
            return Found(received.strip(b"\r\n"), len(received))
        return StatusFraming().find(received)


def _command(address: int, text: str) -> bytes:
    if address not in ADDRESSES:
        raise ValueError(f"{address} is no number of a pump")
    return f"{address}{text}\r".encode("ascii")
