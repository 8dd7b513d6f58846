"""One alarm: its state, its setpoint, and its condition in words."""

from __future__ import annotations

from collections.abc import Iterator

from evcontrol.alarms.states import ACTIVE, SILENCED, AlarmStatus, Happening, follow
from evcontrol.plant.alarm_specs import AlarmSpec


class Alarm:
    """How one alarm stands. Times are process times, UTC ns; ``until`` is when a shelved one comes back by itself."""

    def __init__(self, spec: AlarmSpec, row: int) -> None:
        self.spec = spec
        self.row = row
        """Its place among all alarms."""
        self.setpoint = spec.setpoint
        self.status = AlarmStatus.NORMAL
        self.since = 0
        self.until = 0
        self.first_out = False
        """Whether it was the first of its group."""

    def happenings(self, now: int, *, present: bool, applies: bool) -> Iterator[Happening]:
        """What happens to the alarm now, one after the other; each is to be applied before the next is asked for."""
        if self.status is AlarmStatus.SHELVED and now >= self.until:
            yield Happening.UNSHELVED
        if self.status is AlarmStatus.SUPPRESSED and applies:
            yield Happening.UNSUPPRESSED
        if present and self.status not in ACTIVE | SILENCED:
            yield Happening.RAISED
        if not present and self.status in ACTIVE:
            yield Happening.CLEARED
        if not applies and self.status is AlarmStatus.NORMAL:
            yield Happening.SUPPRESSED

    def after(self, happening: Happening, *, present: bool) -> AlarmStatus | None:
        """The state that a happening leads to; None when it leads nowhere."""
        return follow(self.status, happening, present=present)

    def apply(self, happening: Happening, now: int, *, present: bool) -> AlarmStatus:
        """Follow the table and return the state before."""
        old = self.status
        self.status = self.after(happening, present=present) or old
        if self.status is not old:
            self.since = now
        if self.status is not AlarmStatus.SHELVED:
            self.until = 0
        if self.status not in ACTIVE:
            self.first_out = False
        return old

    def restore(self, status: AlarmStatus, since: int, until: int, *, first_out: bool) -> None:
        """Take over a state from before the engine was started."""
        self.status, self.since, self.until = status, since, until
        self.first_out = first_out and status in ACTIVE
