"""A controller's watchdog: counts process time since it was fed, but never faster than the controller's own scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WIRE_SCAN_S: Final = 0.05
WATCHDOG_SCANS: Final = 3


@dataclass(slots=True)
class Watchdog:
    """Armed by the first feed; not disarmed but by :meth:`restart`."""

    nominal_step_s: float | None = None
    """Process seconds between two regular scans when wall time paces them; None in virtual time."""
    armed: bool = False
    unfed_s: float = 0.0
    _countable_s: float = 0.0

    def time_s(self, setpoint_s: float) -> float:
        """The time after which it trips: never shorter than three scans."""
        return max(setpoint_s, WATCHDOG_SCANS * (self.nominal_step_s or WIRE_SCAN_S))

    def left_s(self, setpoint_s: float) -> float:
        """Process time until it trips."""
        return max(0.0, self.time_s(setpoint_s) - self.unfed_s)

    def feed(self) -> None:
        """Arm it, or begin anew."""
        self.armed = True
        self.unfed_s = 0.0

    def arm(self) -> None:
        """Arm it if it is not."""
        if not self.armed:
            self.feed()

    def restart(self) -> None:
        """As after a loss of power."""
        self.armed = False
        self.unfed_s = 0.0

    def scan(self, dt_s: float) -> None:
        """A controller scan of so many seconds begins: one that comes late is not a heartbeat that came late."""
        self._countable_s = dt_s if self.nominal_step_s is None else min(dt_s, 2.0 * self.nominal_step_s)

    def count(self, h: float) -> None:
        """A part of the scan has passed."""
        if self.armed:
            self.unfed_s += min(h, self._countable_s)
            self._countable_s -= min(h, self._countable_s)
