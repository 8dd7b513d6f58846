"""How long the event loop stood still: while it does nothing is read, written or tripped."""

from __future__ import annotations

import asyncio
from typing import Final

from evcontrol.clock import Clock

BEAT_S: Final = 0.1
"""Real time between two beats."""


class Standstill:
    """Beats on the running loop, in real time, and tells how late the latest of them came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due = 0.0
        self._worst_s = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._due = self._clock.monotonic() + BEAT_S
        self._handle = asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    def stop(self) -> None:
        """End it."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def take(self) -> float:
        """The longest standstill since the last call, ms; 0 while it does not beat."""
        if self._handle is None:
            return 0.0
        now = self._clock.monotonic()
        worst = max(self._worst_s, now - self._due)
        self._worst_s, self._due = 0.0, max(self._due, now)  # the beat that was due may not have come yet
        return max(0.0, 1000.0 * worst)

    def _beat(self) -> None:
        self._worst_s = max(self._worst_s, self._clock.monotonic() - self._due)
        self.start()
