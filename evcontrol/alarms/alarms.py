"""The plant's alarms: conditions watched each scan, delayed, journalled and acknowledged (ISA-18.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.alarms.states import ACTIVE, TRANSITIONS, WAITING, AlarmStatus, Happening
from evcontrol.clock import NS, Clock
from evcontrol.expression import Condition, Resolve, Symbol, compile_condition
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.store import Journal, JournalUnavailableError
from evcontrol.plant.model import AlarmSpec, Plant
from evcontrol.quality import is_bad


@dataclass(frozen=True, slots=True)
class AlarmState:
    """How an alarm stands: since when (process time, UTC ns; 0 = since the start), and its condition in words now."""

    spec: AlarmSpec
    state: AlarmStatus
    since: int
    value_text: str


class Alarms:
    """All alarms of a plant.

    ``evaluate`` is a stage of the scan. While the journal refuses, changes of state still happen; they are journalled
    in their order when it is available again.
    """

    def __init__(self, plant: Plant, image: ProcessImage, journal: Journal, clock: Clock) -> None:
        self._plant = plant
        self._image = image
        self._journal = journal
        self._clock = clock
        self._alarms = {name: _Alarm(spec, plant.symbols) for name, spec in plant.alarms.items()}
        self._owed: deque[Mapping[str, Any]] = deque()

    def evaluate(self, scan: Scan) -> None:
        """Look at every alarm's condition with the readings of this scan."""
        for alarm in self._alarms.values():
            happened = alarm.look(self._image.resolve, scan.t)
            if happened is not None:
                old = alarm.apply(happened, scan.t)
                self._owed.append(self._body(alarm, old, alarm.describe(self._image.resolve)))
        with suppress(JournalUnavailableError):  # the journal itself tells of its trouble; what is owed is kept
            self._journal_owed()

    def acknowledge(self, name: str, origin: Origin, comment: str) -> None:
        """Acknowledge an alarm for a person.

        ValueError when it does not wait for that, KeyError when there is no such alarm; JournalUnavailableError, and
        then it stays unacknowledged.
        """
        alarm = self._alarms[name]
        if alarm.status not in WAITING:
            raise ValueError(f"alarm {name} is {alarm.status}: there is nothing to acknowledge")
        self._journal_owed()
        new = TRANSITIONS[alarm.status, Happening.ACKNOWLEDGED]
        text = f"acknowledged: {comment}" if comment else "acknowledged"
        self._journal.append(Kind.ALARM_STATE, origin, self._body(alarm, alarm.status, text) | {"new": new.value})
        alarm.apply(Happening.ACKNOWLEDGED, self._clock.now())

    def states(self) -> list[AlarmState]:
        """Every alarm in the order of the plant file."""
        return [
            AlarmState(alarm.spec, alarm.status, alarm.since, alarm.describe(self._image.resolve))
            for alarm in self._alarms.values()
        ]

    def restore(self, name: str, state: AlarmStatus, since: int) -> None:
        """Take over the state that the journal tells of before the engine ended; KeyError for an unknown alarm."""
        alarm = self._alarms[name]
        alarm.status, alarm.since = state, since

    def _journal_owed(self) -> None:
        while self._owed:
            body = self._owed.popleft()
            try:
                self._journal.append(Kind.ALARM_STATE, ENGINE, body)
            except JournalUnavailableError:
                self._owed.appendleft(body)
                raise

    def _body(self, alarm: _Alarm, old: AlarmStatus, text: str) -> dict[str, Any]:
        value, unit = self._leading(alarm.leading)
        return {
            "alarm": alarm.spec.name,
            "old": old.value,
            "new": alarm.status.value,
            "priority": alarm.spec.priority.value,
            "value": value,
            "unit": unit,
            "text": text,
        }

    def _leading(self, tag: str) -> tuple[float | None, str]:
        if not tag:
            return None, ""
        value, quality = self._image.reading(tag)
        return None if is_bad(quality) or not isfinite(value) else value, self._plant.tags[tag].unit


class _Alarm:
    """One alarm: its condition, its delays and its state."""

    def __init__(self, spec: AlarmSpec, symbols: Mapping[str, Symbol]) -> None:
        self.spec = spec
        self.status = AlarmStatus.NORMAL
        self.since = 0
        self._when: Condition = compile_condition(spec.when, symbols)
        self._while = compile_condition(spec.while_, symbols) if spec.while_ else None
        self.leading = min(self._when.names, key=lambda name: (spec.when.find(name), -len(name)), default="")
        self._on = round(spec.on_delay_s * NS)
        self._off = round(spec.off_delay_s * NS)
        self._true_since: int | None = None
        self._false_since: int | None = None

    def look(self, resolve: Resolve, now: int) -> Happening | None:
        """Whether the alarm is to be raised or cleared now.

        A reading that is not known neither raises nor clears: it stops the time that leads to clearing, but not the
        time that leads to raising, so that a sensor that comes and goes cannot silence an alarm.
        """
        state = self._state(resolve, now)
        self._true_since = None if state is False else _first(self._true_since, now, begun=state is True)
        self._false_since = _first(self._false_since, now, begun=True) if state is False else None
        if state is True and self.status not in ACTIVE and _lasted(self._true_since, now, self._on):
            return Happening.RAISED
        if state is False and self.status in ACTIVE and _lasted(self._false_since, now, self._off):
            return Happening.CLEARED
        return None

    def apply(self, happening: Happening, now: int) -> AlarmStatus:
        """Follow the table and return the state before."""
        old = self.status
        self.status = TRANSITIONS.get((old, happening), old)
        if self.status is not old:
            self.since = now
        return old

    def describe(self, resolve: Resolve) -> str:
        """The condition with the present values."""
        return self._when.describe(resolve)

    def _state(self, resolve: Resolve, now: int) -> bool | None:
        looking = True if self._while is None else self._while.update(resolve, now)
        if looking is False:
            self._when = self._when.fresh()
            return False
        state = self._when.update(resolve, now)
        return None if looking is None and state is True else state


def _first(since: int | None, now: int, *, begun: bool) -> int | None:
    return now if since is None and begun else since


def _lasted(since: int | None, now: int, duration: int) -> bool:
    return since is not None and now - since >= duration
