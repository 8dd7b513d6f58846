"""The plant's alarms: conditions watched each scan, delayed, journalled, acknowledged, shelved (ISA-18.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.alarms.alarm import Alarm
from evcontrol.alarms.states import ACTIVE, WAITING, AlarmStatus, Happening
from evcontrol.clock import NS, Clock
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.store import Journal, JournalUnavailableError
from evcontrol.plant.model import AlarmSpec, Plant
from evcontrol.quality import is_bad


@dataclass(frozen=True, slots=True)
class AlarmState:
    """How an alarm stands: since and until when (process time, UTC ns; 0 = since the start), its condition in words."""

    spec: AlarmSpec
    state: AlarmStatus
    since: int
    value_text: str
    until: int = 0
    """When a shelved alarm comes back by itself; 0 for every other."""
    first_out: bool = False


class Alarms:
    """All alarms of a plant.

    ``evaluate`` is a stage of the scan. While the journal refuses, changes of state still happen; they are journalled
    in their order when it is available again. What a person does raises KeyError for an unknown alarm, ValueError, in
    words, when it cannot be done now, and JournalUnavailableError; then nothing has changed.
    """

    def __init__(self, plant: Plant, image: ProcessImage, journal: Journal, clock: Clock) -> None:
        self._plant = plant
        self._image = image
        self._journal = journal
        self._clock = clock
        self._alarms = {name: Alarm(spec, plant.symbols) for name, spec in plant.alarms.items()}
        self._owed: deque[Mapping[str, Any]] = deque()

    def evaluate(self, scan: Scan) -> None:
        """Look at every alarm's condition with the readings of this scan."""
        for alarm in self._alarms.values():
            alarm.look(self._image.resolve, scan.t)
            for happened in alarm.happenings(scan.t):
                first_out = happened is Happening.RAISED and self._is_first(alarm)
                old = alarm.apply(happened, scan.t)
                alarm.first_out |= first_out
                self._owed.append(self._body(alarm, old, alarm.describe(self._image.resolve)))
        with suppress(JournalUnavailableError):  # the journal itself tells of its trouble; what is owed is kept
            self._journal_owed()

    def acknowledge(self, name: str, origin: Origin, comment: str) -> None:
        """Acknowledge an alarm for a person."""
        alarm = self._alarms[name]
        if alarm.status not in WAITING:
            raise ValueError(f"alarm {name} is {alarm.status}: there is nothing to acknowledge")
        self._do(alarm, Happening.ACKNOWLEDGED, origin, f"acknowledged: {comment}" if comment else "acknowledged")

    def acknowledge_all(self, names: Iterable[str], origin: Origin, comment: str) -> list[str]:
        """Acknowledge those of the alarms that wait for it, and return them."""
        waiting = [name for name in names if self._alarms[name].status in WAITING]
        for name in waiting:
            self.acknowledge(name, origin, comment)
        return waiting

    def shelve(self, name: str, duration_s: float, origin: Origin, reason: str) -> None:
        """Put an alarm aside for so many seconds of process time, at most as many as the plant file allows."""
        alarm = self._alarms[name]
        longest = alarm.spec.shelve_longest_s
        if not longest:
            raise ValueError(f"alarm {name} may not be shelved (shelve_longest in the plant file)")
        if not 0 < duration_s <= longest:
            raise ValueError(f"alarm {name} may be shelved for at most {longest:g} s, not {duration_s:g} s")
        until = self._clock.now() + round(duration_s * NS)
        self._do(alarm, Happening.SHELVED, origin, f"shelved for {duration_s:g} s: {reason}", until)

    def unshelve(self, name: str, origin: Origin, reason: str) -> None:
        """Bring a shelved alarm back before its time."""
        self._do(self._alarms[name], Happening.UNSHELVED, origin, f"unshelved: {reason}")

    def remove(self, name: str, origin: Origin, reason: str) -> None:
        """Take an alarm out of service, for as long as nobody puts it back; the caller has it signed."""
        self._do(self._alarms[name], Happening.REMOVED, origin, f"out of service: {reason}")

    def put_back(self, name: str, origin: Origin, reason: str) -> None:
        """Put an alarm back in service."""
        self._do(self._alarms[name], Happening.PUT_BACK, origin, f"back in service: {reason}")

    def check(self, name: str, happening: Happening) -> AlarmStatus:
        """The state that a happening would lead to now; ValueError, in words, when it leads nowhere."""
        alarm = self._alarms[name]
        new = alarm.after(happening)
        if new is None:
            raise ValueError(f"alarm {name} is {alarm.status}: it cannot be {happening}")
        return new

    def is_active(self, name: str) -> bool:
        """Whether an alarm's condition counts as present and nobody has put it aside; KeyError for an unknown one."""
        return self._alarms[name].status in ACTIVE

    def states(self) -> list[AlarmState]:
        """Every alarm in the order of the plant file."""
        return [
            AlarmState(
                alarm.spec,
                alarm.status,
                alarm.since,
                alarm.describe(self._image.resolve),
                alarm.until,
                alarm.first_out,
            )
            for alarm in self._alarms.values()
        ]

    def restore(self, name: str, state: AlarmStatus, since: int, until: int = 0) -> None:
        """Take over the state that the journal tells of before the engine ended; KeyError for an unknown alarm."""
        self._alarms[name].restore(state, since, until)

    def _do(self, alarm: Alarm, happening: Happening, origin: Origin, text: str, until: int = 0) -> None:
        new = self.check(alarm.spec.name, happening)
        self._journal_owed()
        body = self._body(alarm, alarm.status, text) | {"new": new.value, "until": until}
        self._journal.append(Kind.ALARM_STATE, origin, body)
        alarm.apply(happening, self._clock.now())
        alarm.until = until

    def _is_first(self, alarm: Alarm) -> bool:
        """Whether no other alarm of its group is active."""
        group = alarm.spec.group
        return bool(group) and not any(
            other.status in ACTIVE for other in self._alarms.values() if other.spec.group == group
        )

    def _journal_owed(self) -> None:
        while self._owed:
            body = self._owed.popleft()
            try:
                self._journal.append(Kind.ALARM_STATE, ENGINE, body)
            except JournalUnavailableError:
                self._owed.appendleft(body)
                raise

    def _body(self, alarm: Alarm, old: AlarmStatus, text: str) -> dict[str, Any]:
        value, unit = self._leading(alarm.leading)
        return {
            "alarm": alarm.spec.name,
            "old": old.value,
            "new": alarm.status.value,
            "priority": alarm.spec.priority.value,
            "value": value,
            "unit": unit,
            "text": text,
            "until": alarm.until,
            "first_out": alarm.first_out,
        }

    def _leading(self, tag: str) -> tuple[float | None, str]:
        if not tag:
            return None, ""
        value, quality = self._image.reading(tag)
        return None if is_bad(quality) or not isfinite(value) else value, self._plant.tags[tag].unit
