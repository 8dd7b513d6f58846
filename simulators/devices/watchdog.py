"""A controller's watchdog: counts process time since it was fed, and never trips within three of its own scans.

The scans are counted, and not reckoned from their length: that changes when somebody changes the speed of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WATCHDOG_SCANS: Final = 3


@dataclass(slots=True)
class Watchdog:
    """Armed by the first feed; not disarmed but by :meth:`restart`."""

    armed: bool = False
    unfed_s: float = 0.0
    _unfed_scans: int = 0
    _countable_s: float = 0.0
    _nominal_s: float | None = None

    @property
    def nominal_step_s(self) -> float | None:
        """Process seconds between two regular scans when wall time paces them; None in virtual time.

        When they become shorter it counts anew: the seconds so far went by so fast that nobody could have fed it.
        """
        return self._nominal_s

    @nominal_step_s.setter
    def nominal_step_s(self, seconds: float | None) -> None:
        if (seconds or 0.0) < (self._nominal_s or 0.0):
            self.begin_anew()
        self._nominal_s = seconds

    def left_s(self, setpoint_s: float) -> float:
        """Process time until it trips: not before the setpoint is over, nor before so many scans are."""
        scans_s = (WATCHDOG_SCANS - self._unfed_scans) * (self.nominal_step_s or 0.0)
        return max(0.0, setpoint_s - self.unfed_s, scans_s)

    def feed(self) -> None:
        """Arm it, or begin anew."""
        self.armed = True
        self.begin_anew()

    def begin_anew(self) -> None:
        """Count from here on."""
        self.unfed_s, self._unfed_scans = 0.0, 0

    def arm(self) -> None:
        """Arm it if it is not."""
        if not self.armed:
            self.feed()

    def restart(self) -> None:
        """As after a loss of power."""
        self.armed = False
        self.begin_anew()

    def scan(self, dt_s: float) -> None:
        """A controller scan of so many seconds begins: one that comes late is not a heartbeat that came late."""
        self._unfed_scans += 1
        self._countable_s = dt_s if self.nominal_step_s is None else min(dt_s, 2.0 * self.nominal_step_s)

    def count(self, h: float) -> None:
        """A part of the scan has passed."""
        if self.armed:
            self.unfed_s += min(h, self._countable_s)
            self._countable_s -= min(h, self._countable_s)
