"""What all kinds of lines share: taking a telegram off what was received, the pause before the next, a listener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from drivers.connection import UnreadableError
from drivers.framing import Framing

MAX_TELEGRAM: Final = 256
"""Bytes without a whole telegram after which the other end is not talking this protocol (to us)."""

Skip = Callable[[bytes], bool]


def skip_none(_telegram: bytes) -> bool:
    """Take the first telegram, whatever it is."""
    return False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which telegram answers a request: how to cut it, which ones to pass over, and how long it may be."""

    framing: Framing
    skip: Skip = skip_none
    longest: int = MAX_TELEGRAM

    def take(self, received: bytearray) -> bytes | None:
        """The first telegram that is wanted, taken off with all before it; UnreadableError when none can come."""
        while (found := self.framing.find(bytes(received))) is not None:
            del received[: found.used]
            if not self.skip(found.telegram):
                return found.telegram
        if len(received) > self.longest:
            raise UnreadableError(f"more than {self.longest} bytes without a whole telegram")
        return None


class Tap(Protocol):
    """Hears every byte of a line, in the thread that moves it; must not block and must not raise."""

    def sent(self, data: bytes) -> None:
        """These went out."""

    def received(self, data: bytes) -> None:
        """These came in, in one piece."""

    def lost(self, reason: str) -> None:
        """The line is gone."""

    def close(self) -> None:
        """The line is closed."""


class NoTap:
    """Hears nothing."""

    def sent(self, data: bytes) -> None:
        """Nothing."""

    def received(self, data: bytes) -> None:
        """Nothing."""

    def lost(self, reason: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@dataclass(slots=True)
class Silence:
    """The least time (real s) between the end of one telegram and our next one."""

    least_s: float
    _over: float = field(default=0.0, init=False)

    async def kept(self) -> None:
        """Wait until it is over."""
        left = self._over - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    def begins(self, in_s: float = 0.0) -> None:
        """A telegram has ended, or ends in so many seconds."""
        self._over = asyncio.get_running_loop().time() + in_s + self.least_s
