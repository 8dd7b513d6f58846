"""One alarm: its condition, its delays and its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evcontrol.alarms.states import ACTIVE, SILENCED, AlarmStatus, Happening, follow
from evcontrol.clock import NS
from evcontrol.expression import Condition, Resolve, Symbol, compile_condition
from evcontrol.plant.model import AlarmSpec


class Alarm:
    """How one alarm stands. Times are process times, UTC ns; ``until`` is when a shelved one comes back by itself."""

    def __init__(self, spec: AlarmSpec, symbols: Mapping[str, Symbol]) -> None:
        self.spec = spec
        self.status = AlarmStatus.NORMAL
        self.since = 0
        self.until = 0
        self.first_out = False
        """Whether it was the first of its group."""
        self._when: Condition = compile_condition(spec.when, symbols)
        self._while = compile_condition(spec.while_, symbols) if spec.while_ else None
        self.leading = min(self._when.names, key=lambda name: (spec.when.find(name), -len(name)), default="")
        self._on = round(spec.on_delay_s * NS)
        self._off = round(spec.off_delay_s * NS)
        self._present = False
        self._applies = True
        self._true_since: int | None = None
        self._false_since: int | None = None

    def look(self, resolve: Resolve, now: int) -> None:
        """Look at the condition with the present readings.

        A reading that is not known neither raises nor clears: it stops the time that leads to clearing, but not the
        time that leads to raising, so that a sensor that comes and goes cannot silence an alarm.
        """
        state = self._state(resolve, now)
        self._true_since = None if state is False else _first(self._true_since, now, begun=state is True)
        self._false_since = _first(self._false_since, now, begun=True) if state is False else None
        if state is True and _lasted(self._true_since, now, self._on):
            self._present = True
        elif state is False and _lasted(self._false_since, now, self._off):
            self._present = False

    def happenings(self, now: int) -> Iterator[Happening]:
        """What happens to the alarm now, one after the other; each is to be applied before the next is asked for."""
        if self.status is AlarmStatus.SHELVED and now >= self.until:
            yield Happening.UNSHELVED
        if self.status is AlarmStatus.SUPPRESSED and self._applies:
            yield Happening.UNSUPPRESSED
        if self._present and self.status not in ACTIVE | SILENCED:
            yield Happening.RAISED
        if not self._present and self.status in ACTIVE:
            yield Happening.CLEARED
        if not self._applies and self.status is AlarmStatus.NORMAL:
            yield Happening.SUPPRESSED

    def after(self, happening: Happening) -> AlarmStatus | None:
        """The state that a happening leads to; None when it leads nowhere."""
        return follow(self.status, happening, present=self._present)

    def apply(self, happening: Happening, now: int) -> AlarmStatus:
        """Follow the table and return the state before."""
        old = self.status
        self.status = self.after(happening) or old
        if self.status is not old:
            self.since = now
        if self.status is not AlarmStatus.SHELVED:
            self.until = 0
        if self.status not in ACTIVE:
            self.first_out = False
        return old

    def restore(self, status: AlarmStatus, since: int, until: int) -> None:
        """Take over a state from before the engine was started."""
        self.status, self.since, self.until = status, since, until
        self._present = status in ACTIVE

    def describe(self, resolve: Resolve) -> str:
        """The condition with the present values."""
        return self._when.describe(resolve)

    def _state(self, resolve: Resolve, now: int) -> bool | None:
        looking = True if self._while is None else self._while.update(resolve, now)
        if looking is not None:
            self._applies = looking
        if looking is False:
            self._when = self._when.fresh()
            return False
        state = self._when.update(resolve, now)
        return None if looking is None and state is True else state


def _first(since: int | None, now: int, *, begun: bool) -> int | None:
    return now if since is None and begun else since


def _lasted(since: int | None, now: int, duration: int) -> bool:
    return since is not None and now - since >= duration
