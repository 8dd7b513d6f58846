"""How fast simulated process time may run: as asked, but never faster than what runs now can bear.

A multiple of real time stretches the scan. A speed that is too high for a phase or a loop is not used, and whenever
something is not as it should be (a unit held, a link lost, a prompt open) time runs at 1, as it would for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from evcontrol.acquisition.scan import Scan
from evcontrol.clock import ScaledClock, VirtualClock
from evcontrol.journal.events import ENGINE, Kind
from evcontrol.journal.store import Journal

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
    """The highest speed that something bears now, and what that is."""

    speed: float
    reason: str


class SpeedGovernor:
    """Sets the speed of a clock that has one; a stage of the scan."""

    def __init__(
        self, clock: ScaledClock | VirtualClock, asked: float, limits: Callable[[], Iterable[Limit]], journal: Journal
    ) -> None:
        self._clock = clock
        self._asked = asked
        self._limits = limits
        self._journal = journal
        self._last = Limit(clock.speed, "")

    def evaluate(self, scan: Scan) -> None:
        """Choose the speed for what this scan found."""
        asked = Limit(self._asked, "as asked")
        chosen = min([*self._limits(), asked], key=lambda limit: limit.speed)
        if chosen.speed == self._last.speed:
            return
        try:
            self._clock.set_speed(chosen.speed)
        except OSError as error:
            # Everybody stays at the old speed, which they agree on; the next scan tries again.
            _log.error("the speed cannot be published", speed=chosen.speed, reason=str(error))
            return
        self._last = chosen
        if self._journal.available:
            self._journal.append(Kind.CLOCK_SPEED, ENGINE, {"speed": chosen.speed, "reason": chosen.reason})
