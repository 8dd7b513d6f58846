"""How late something that is done each scan was in the last minute."""

from __future__ import annotations

from collections import deque
from statistics import quantiles

from evcontrol.clock import NS

WINDOW_S = 60.0
EVERY_S = 1.0
"""Real time that is looked back on, and between two figures."""


class Lateness:
    """``p99_ms`` is the lateness (real ms) that 99 % of the times in the last minute kept below."""

    def __init__(self) -> None:
        self.p99_ms = 0.0
        self._late: deque[tuple[int, float]] = deque()
        self._told = 0

    def take(self, wall: int, late_ms: float) -> float:
        """Take in how late it was at a wall time (UTC ns), and tell the figure; it is worked out anew once a second."""
        self._late.append((wall, max(0.0, late_ms)))
        while self._late[0][0] < wall - WINDOW_S * NS:
            self._late.popleft()
        if not self._told <= wall < self._told + EVERY_S * NS:
            self._told = wall
            late = [late for _, late in self._late]
            self.p99_ms = quantiles(late, n=100, method="inclusive")[-1] if len(late) > 1 else late[0]
        return self.p99_ms
