"""The simulated Masterflex drive with the linkable serial interface. No input or output and no clock."""

from __future__ import annotations

import re
from enum import IntEnum
from itertools import pairwise

STX, ENQ, ACK, CR, NAK = b"\x02", b"\x05", b"\x06", b"\r", b"\x15"
EVERYBODY = 99
_COMMAND = re.compile(rb"\x02P([0-9]{2})([A-Z]?)(.*)\r", re.DOTALL)
_NUMBER = re.compile(rb"0[1-9]|[1-8][0-9]")
_SPEED = re.compile(rb"([+-])([0-9]{1,4}(?:\.[0-9])?)")
_REVOLUTIONS = re.compile(rb"[0-9]{1,5}(?:\.[0-9]{1,2})?")


class State(IntEnum):
    """What it does: the fourth figure of its status."""

    IDLE = 1
    WAITING = 2
    RUNNING = 3
    STOPPED_LOCALLY = 4
    NO_FEEDBACK = 5
    OVERLOAD = 6
    EXCESSIVE_FEEDBACK = 7


class LinkablePump:
    """One drive. ``number`` is 0 until it is given one; then it is a satellite, local until ``R``."""

    def __init__(self, max_rpm: float = 600.0, kind: str = "0") -> None:
        self.number = 0
        self.silent = False
        self.max_rpm = max_rpm
        self.kind = kind
        self.before: LinkablePump | None = None
        """The one between it and the computer: while that has no number, this one hears no ENQ."""
        self.remote = False
        self.rpm = 0.0
        self.clockwise = True
        self.state = State.IDLE
        self.error = 0
        self.revolutions = 0.0
        self._left: float | None = None
        self._to_go = 0.0
        self._enquired_of = False

    @property
    def running(self) -> bool:
        """Whether it turns."""
        return self.state is State.RUNNING

    def hear(self, command: bytes) -> bytes:
        """Carry out one command, STX and CR included; see :class:`simulators.devices.bus.Instrument`."""
        if command == ENQ:
            return self._enquired()
        match = _COMMAND.fullmatch(command)
        if match is None:
            return b""
        number, letter, argument = int(match[1]), match[2], match[3]
        if not self.number:
            return self._numbered(number) if not letter and not argument else b""
        if number not in (self.number, EVERYBODY) or not letter:
            return b""
        answer = self._carry_out(letter, argument)
        return b"" if number == EVERYBODY else answer

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""
        if not self.running:
            return
        turned = self.rpm / 60.0 * dt_s
        self.revolutions += turned
        if self._left is not None:
            self._left -= turned
            if self._left <= 0.0:
                self._left, self.state = None, State.IDLE

    def restart(self) -> None:
        """Come back from a loss of power: without a number, local, standing still at 0 rpm."""
        self.number, self.remote, self.rpm, self.clockwise = 0, False, 0.0, True
        self.state, self.error, self._left, self._to_go = State.IDLE, 0, None, 0.0
        self._enquired_of = False

    def take_over(self, **settings: float | bool) -> None:
        """Somebody switches it to local and changes ``rpm``, ``clockwise`` or ``running`` at its panel."""
        self.remote = False
        for name, value in settings.items():
            if name == "running":
                self.state = State.RUNNING if value else State.STOPPED_LOCALLY
            else:
                setattr(self, name, value)

    def _enquired(self) -> bytes:
        if self.number or (self.before is not None and not self.before.number):
            return b""
        self._enquired_of = True
        return STX + f"P?{self.kind}".encode() + CR

    def _numbered(self, number: int) -> bytes:
        """Only the one that has just answered ENQ takes a number."""
        if not 1 <= number <= 89 or not self._enquired_of:
            return b""
        self._enquired_of, self.number = False, number
        return ACK

    def _carry_out(self, letter: bytes, argument: bytes) -> bytes:
        told = None if argument else self._told(letter)
        if told is not None:
            return told
        return self._obey(letter, argument) if self.remote or letter == b"U" else self._refused(4)

    def _told(self, letter: bytes) -> bytes | None:
        """What it says in local as well; None for another letter."""
        match letter:
            case b"I":
                status = f"P{self.number:02d}I{int(self.remote)}00{self.state.value}{self.error}"
                self.error = 0
                return STX + status.encode() + CR
            case b"S":
                return STX + f"S{'+' if self.clockwise else '-'}{self.rpm:06.1f}".encode() + CR
            case b"C":
                return STX + f"C{self.revolutions:010.2f}".encode() + CR
            case b"E":
                return STX + f"E{self._left or 0.0:08.2f}".encode() + CR
            case b"R" | b"L":
                self.remote = letter == b"R"
                return ACK
        return None

    def _obey(self, letter: bytes, argument: bytes) -> bytes:
        match letter:
            case b"S":
                return self._set_speed(argument)
            case b"G" if argument in (b"", b"0"):
                return self._go(argument == b"0")
            case b"U" if _NUMBER.fullmatch(argument):
                self.number = int(argument)
            case b"V" if _REVOLUTIONS.fullmatch(argument):
                self._to_go = float(argument)
            case b"H" if not argument:
                self.state, self._left = State.IDLE, None
            case b"Z" if argument in (b"", b"0"):
                self.revolutions = 0.0
            case _:
                return self._refused(4)
        return ACK

    def _set_speed(self, argument: bytes) -> bytes:
        match = _SPEED.fullmatch(argument)
        if match is None or float(match[2]) > self.max_rpm:
            return self._refused(5)
        clockwise = match[1] == b"+"
        if self.running and clockwise != self.clockwise:
            return self._refused(4)
        self.rpm, self.clockwise = float(match[2]), clockwise
        return ACK

    def _go(self, for_ever: bool) -> bytes:
        if self.state in (State.NO_FEEDBACK, State.OVERLOAD, State.EXCESSIVE_FEEDBACK):
            return self._refused(4)
        self._left = None if for_ever else self._to_go
        self.state = State.RUNNING
        return ACK

    def _refused(self, error: int) -> bytes:
        self.error = error
        return NAK


def linked(pumps: list[LinkablePump]) -> list[LinkablePump]:
    """The same pumps, linked by their cables in this order: the first stands nearest to the computer."""
    for before, after in pairwise(pumps):
        after.before = before
    return pumps
