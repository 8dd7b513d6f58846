"""Where one telegram ends and the next begins, for instruments on serial lines. Nothing here reads or waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

STX: Final = b"\x02"
ETX: Final = b"\x03"
ACK: Final = b"\x06"
NAK: Final = b"\x15"
DLE: Final = b"\x10"
CR: Final = b"\r"
CRLF: Final = b"\r\n"


class Found(NamedTuple):
    """A telegram, without its marks, and how many received bytes it uses up (noise before it included)."""

    telegram: bytes
    used: int


class Framing(Protocol):
    """How the telegrams of a protocol are told apart."""

    def find(self, received: bytes) -> Found | None:
        """The first whole telegram in what was received; None when there is none yet."""


@dataclass(frozen=True, slots=True)
class EndedBy:
    """Lines: whatever comes before an end mark, which is never empty."""

    end: bytes

    def find(self, received: bytes) -> Found | None:
        """See :meth:`Framing.find`."""
        at = received.find(self.end)
        return None if at < 0 else Found(received[:at], at + len(self.end))


@dataclass(frozen=True, slots=True)
class Between:
    """Frames between a start and an end mark; what comes before the start, or a frame that starts anew, is noise."""

    start: bytes
    end: bytes

    def find(self, received: bytes) -> Found | None:
        """See :meth:`Framing.find`."""
        begin = received.find(self.start)
        if begin < 0:
            return None
        at = received.find(self.end, begin + len(self.start))
        if at < 0:
            return None
        begin = received.rfind(self.start, begin, at)
        return Found(received[begin + len(self.start) : at], at + len(self.end))


@dataclass(frozen=True, slots=True)
class SingleBytes:
    """Telegrams of one byte, such as ACK and NAK; every other byte is noise."""

    allowed: bytes

    def find(self, received: bytes) -> Found | None:
        """See :meth:`Framing.find`."""
        for at, byte in enumerate(received):
            if byte in self.allowed:
                return Found(received[at : at + 1], at + 1)
        return None


@dataclass(frozen=True, slots=True)
class FixedLength:
    """Telegrams of so many bytes."""

    length: int

    def find(self, received: bytes) -> Found | None:
        """See :meth:`Framing.find`."""
        return Found(received[: self.length], self.length) if len(received) >= self.length else None


@dataclass(frozen=True, slots=True)
class EitherOf:
    """Telegrams of several kinds on one line: whichever is whole first."""

    kinds: tuple[Framing, ...]

    def find(self, received: bytes) -> Found | None:
        """See :meth:`Framing.find`."""
        found = [each for kind in self.kinds if (each := kind.find(received)) is not None]
        return min(found, key=lambda each: each.used, default=None)


LINES: Final = EndedBy(CRLF)
CR_LINES: Final = EndedBy(CR)
STX_CR: Final = Between(STX, CR)
DLE_FRAMES: Final = Between(DLE + STX, DLE + ETX)
