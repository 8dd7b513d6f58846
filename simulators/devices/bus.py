"""Several simulated instruments on one serial line: bytes in, bytes out, and what can be wrong with the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

MAX_COMMAND = 128
"""Bytes without an end after which what has come is forgotten."""


class Instrument(Protocol):
    """One instrument at its address."""

    silent: bool
    """Its cable is out, or its power is off: it hears and says nothing."""

    def hear(self, command: bytes) -> bytes:
        """Carry out one command; what it says to it, ends included, is empty when the command is not its own."""

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""


class LineFault(StrEnum):
    """What the line does to what the instruments say."""

    NONE = "none"
    SILENT = "silent"
    """Nothing arrives, in neither direction."""
    DEAF = "deaf"
    """What the instruments say does not arrive; they hear and obey."""
    GARBAGE = "garbage"
    """Each byte has its highest bit set."""
    HALF = "half"
    """Only the first half of an answer arrives."""
    MERGED = "merged"
    """An answer arrives twice, the first time without its end."""


Cut = Callable[[bytes], tuple[bytes, bytes] | None]
"""Takes the first whole command off what was received: command and rest, or None."""


class Bus:
    """A line with its instruments. What is not whole yet waits for more; each instrument hears every command."""

    def __init__(self, instruments: Sequence[Instrument], cut: Cut) -> None:
        self.instruments = tuple(instruments)
        self.fault = LineFault.NONE
        self.heard: list[bytes] = []
        """Every command that arrived, for testers."""
        self._cut = cut
        self._received = b""

    def hear(self, data: bytes) -> bytes:
        """Bytes from the other end; what is answered at once."""
        if self.fault is LineFault.SILENT:
            return b""
        self._received += data
        said = b""
        while (found := self._cut(self._received)) is not None:
            command, self._received = found
            self.heard.append(command)
            answers = [one.hear(command) for one in self.instruments if not one.silent]
            said += b"".join(self._spoilt(answer) for answer in answers)
        if len(self._received) > MAX_COMMAND:
            self._received = b""
        return said

    def told(self, data: bytes) -> bytes:
        """What arrives of something that an instrument says without being asked."""
        return b"" if self.fault is LineFault.SILENT else self._spoilt(data)

    def forget(self) -> None:
        """Lose what is not whole, as when the cable is pulled."""
        self._received = b""

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass for every instrument."""
        for one in self.instruments:
            one.step(dt_s)

    def _spoilt(self, answer: bytes) -> bytes:
        match self.fault:
            case LineFault.DEAF:
                return b""
            case LineFault.GARBAGE:
                return bytes(byte | 0x80 for byte in answer)
            case LineFault.HALF:
                return answer[: len(answer) // 2]
            case LineFault.MERGED:
                return answer[:-1] + answer
            case _:
                return answer


def cut_at_cr(received: bytes) -> tuple[bytes, bytes] | None:
    """Commands that end with CR; line feeds are passed over."""
    command, end, rest = received.partition(b"\r")
    return (command.strip(b"\n"), rest) if end else None


def cut_linkable(received: bytes) -> tuple[bytes, bytes] | None:
    """Commands between STX and CR, with both; ENQ and CAN alone; everything else is noise."""
    for at, byte in enumerate(received):
        if byte in b"\x05\x18":
            return received[at : at + 1], received[at + 1 :]
        if byte == 0x02:
            end = received.find(b"\r", at)
            if end < 0:
                return None
            begin = received.rfind(b"\x02", at, end)
            return received[begin : end + 1], received[end + 1 :]
    return None
