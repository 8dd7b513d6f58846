"""The plant's alarms: conditions watched each scan, delayed, journalled, acknowledged, shelved (ISA-18.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.alarms.alarm import Alarm
from evcontrol.alarms.describe import describe, in_words, leading_tag
from evcontrol.alarms.states import ACTIVE, SILENCED, WAITING, AlarmStatus, Happening
from evcontrol.alarms.watch import Watch
from evcontrol.clock import NS, Clock
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.store import Journal, JournalUnavailableError
from evcontrol.plant.alarm_specs import AlarmSpec, ExpressionTest, RateTest
from evcontrol.plant.model import Plant
from evcontrol.quality import is_bad

SCANS_OF_RATE: Final = 4
"""Scans that the window of a rate holds at least."""
_CODES: Final = {status: code for code, status in enumerate(AlarmStatus)}
_IS_ACTIVE: Final = np.array([status in ACTIVE for status in AlarmStatus])
_STANDS: Final = np.array([status not in (AlarmStatus.NORMAL, AlarmStatus.SUPPRESSED) for status in AlarmStatus])
_IS_SILENCED: Final = np.array([status in SILENCED for status in AlarmStatus])
_NONE: Final = np.zeros(0, dtype=bool)


@dataclass(frozen=True, slots=True)
class AlarmState:
    """How an alarm stands: since and until when (process time, UTC ns; 0 = since the start)."""

    spec: AlarmSpec
    state: AlarmStatus
    since: int
    until: int = 0
    """When a shelved alarm comes back by itself; 0 for every other."""
    first_out: bool = False
    setpoint: float | None = None
    """The one that holds now, in the alarm's ``setpoint_unit``; None for a kind that has none."""


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
        self._alarms = {spec.name: Alarm(spec, row) for row, spec in enumerate(plant.alarms.values())}
        self._rows = list(self._alarms.values())
        self._words = {
            alarm.row: in_words(alarm.spec, alarm.setpoint, plant.symbols)
            for alarm in self._rows
            if not isinstance(alarm.spec.test, ExpressionTest)
        }
        self._watch = Watch([alarm.spec for alarm in self._rows], plant.symbols, image)
        self._status = np.zeros(len(self._rows), dtype=np.int8)
        self._until = np.zeros(len(self._rows), dtype=np.int64)
        self._shelved = False
        """Whether any alarm is."""
        groups = {group: code for code, group in enumerate(dict.fromkeys(["", *(a.spec.group for a in self._rows)]))}
        self._group = np.array([groups[alarm.spec.group] for alarm in self._rows], dtype=np.int32)
        """Of each alarm; 0 for none."""
        self._leading = [leading_tag(alarm.spec, self._watch.condition(alarm.row)) for alarm in self._rows]
        self._touched = True
        """Whether somebody changed a state since the last scan."""
        self._rate_alarms = [alarm for alarm in self._rows if isinstance(alarm.spec.test, RateTest)]
        self._owed: deque[Mapping[str, Any]] = deque()

    def evaluate(self, scan: Scan) -> None:
        """Look at every alarm's condition with the readings of this scan."""
        changed = self._watch.update(scan.t, round(self._clock.monotonic() * NS))
        moved = self._moves(scan.t) if changed or self._touched or self._shelved else _NONE
        self._touched = False
        for row in np.flatnonzero(moved).tolist():
            alarm = self._rows[row]
            present, applies = bool(self._watch.present[row]), bool(self._watch.applies[row])
            for happened in alarm.happenings(scan.t, present=present, applies=applies):
                first_out = happened is Happening.RAISED and self._is_first(alarm)
                old = alarm.apply(happened, scan.t, present=present)
                alarm.first_out |= first_out
                self._note(alarm)
                self._owed.append(self._body(alarm, old, self._describe(alarm)))
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

    def adjust(self, name: str, setpoint: float, origin: Origin, reason: str) -> None:
        """Change an alarm's setpoint, in its unit and within the plant file's range, from the next scan on."""
        alarm = self._alarms[name]
        low, high, unit = alarm.spec.setpoint_low, alarm.spec.setpoint_high, alarm.spec.setpoint_unit
        if alarm.setpoint is None or low is None or high is None:
            raise ValueError(f"the setpoint of alarm {name} may not be changed (adjustable in the plant file)")
        if not low <= setpoint <= high:
            raise ValueError(
                f"the setpoint of alarm {name} may be {low:g} to {high:g} {unit}, not {setpoint:g}".rstrip()
            )
        self._journal_owed()
        self._journal.append(Kind.ALARM_SETPOINT, origin, _changed(alarm, setpoint, reason))
        self._use(alarm, setpoint)

    def restore_setpoint(self, name: str, setpoint: float, configured: float) -> None:
        """Take over a setpoint that was changed before the engine ended, when the plant file had ``configured``.

        A plant file that has another setpoint now, or another range, is newer than the change: its own holds, and the
        journal says so. KeyError for an unknown alarm.
        """
        alarm = self._alarms[name]
        if alarm.setpoint is None or setpoint == alarm.setpoint:
            return
        low, high = alarm.spec.setpoint_low, alarm.spec.setpoint_high
        if configured == alarm.setpoint and low is not None and high is not None and low <= setpoint <= high:
            self._use(alarm, setpoint)
            return
        body = _changed(alarm, alarm.setpoint, "the plant file has changed since") | {"old": setpoint}
        self._journal.append(Kind.ALARM_SETPOINT, ENGINE, body)

    def check(self, name: str, happening: Happening) -> AlarmStatus:
        """The state that a happening would lead to now; ValueError, in words, when it leads nowhere."""
        alarm = self._alarms[name]
        new = alarm.after(happening, present=bool(self._watch.present[alarm.row]))
        if new is None:
            raise ValueError(f"alarm {name} is {alarm.status}: it cannot be {happening}")
        return new

    def is_active(self, name: str) -> bool:
        """Whether an alarm's condition counts as present and nobody has put it aside; KeyError for an unknown one."""
        return self._alarms[name].status in ACTIVE

    def states(self) -> list[AlarmState]:
        """Every alarm in the order of the plant file."""
        return [_state(alarm) for alarm in self._rows]

    def longest_scans(self) -> Iterator[tuple[str, float]]:
        """For each alarm that applies and needs short scans, its name and the longest one (process s).

        A rate needs readings over half of its window, and more than two of them.
        """
        for alarm in self._rate_alarms:
            if self._watch.applies[alarm.row] and isinstance(alarm.spec.test, RateTest):
                yield alarm.spec.name, alarm.spec.test.over_s / SCANS_OF_RATE

    def standing(self) -> list[AlarmState]:
        """Those that are neither normal nor suppressed by design."""
        return [_state(self._rows[row]) for row in np.flatnonzero(_STANDS[self._status]).tolist()]

    def state(self, name: str) -> AlarmState:
        """One alarm; KeyError for an unknown one."""
        return _state(self._alarms[name])

    def describe(self, name: str) -> str:
        """What an alarm looks at, with the present readings; KeyError for an unknown one."""
        return self._describe(self._alarms[name])

    def restore(self, name: str, state: AlarmStatus, since: int, until: int = 0, *, first_out: bool = False) -> None:
        """Take over the state that the journal tells of before the engine ended; KeyError for an unknown alarm."""
        alarm = self._alarms[name]
        alarm.restore(state, since, until, first_out=first_out)
        self._watch.restore(alarm.row, present=state in ACTIVE)
        self._note(alarm)

    def _do(self, alarm: Alarm, happening: Happening, origin: Origin, text: str, until: int = 0) -> None:
        new = self.check(alarm.spec.name, happening)
        self._journal_owed()
        body = self._body(alarm, alarm.status, text) | {"new": new.value, "until": until}
        self._journal.append(Kind.ALARM_STATE, origin, body)
        alarm.apply(happening, self._clock.now(), present=bool(self._watch.present[alarm.row]))
        alarm.until = until
        self._note(alarm)

    def _moves(self, t: int) -> npt.NDArray[np.bool_]:
        """Which alarms something happens to by itself."""
        status, present, applies = self._status, self._watch.present, self._watch.applies
        shelved, suppressed = status == _CODES[AlarmStatus.SHELVED], status == _CODES[AlarmStatus.SUPPRESSED]
        active, silenced = _IS_ACTIVE[status], _IS_SILENCED[status]
        moved = (shelved & (t >= self._until)) | (suppressed & applies) | (active & ~present)
        moved |= present & ~active & ~silenced
        return np.asarray(moved | (~applies & (status == _CODES[AlarmStatus.NORMAL])))

    def _note(self, alarm: Alarm) -> None:
        """Keep the arrays as the alarm is."""
        self._status[alarm.row], self._until[alarm.row] = _CODES[alarm.status], alarm.until
        self._shelved = bool((self._status == _CODES[AlarmStatus.SHELVED]).any())
        self._touched = True

    def _describe(self, alarm: Alarm) -> str:
        condition = self._watch.condition(alarm.row) or self._words[alarm.row]
        if condition is not None:
            return condition.describe(self._image.resolve)
        slope = self._watch.slope(alarm.row)
        return describe(alarm.spec, alarm.setpoint, slope, self._plant.symbols, self._image.resolve)

    def _use(self, alarm: Alarm, setpoint: float) -> None:
        alarm.setpoint = setpoint
        self._watch.set_setpoint(alarm.row, setpoint)
        self._words[alarm.row] = in_words(alarm.spec, setpoint, self._plant.symbols)

    def _is_first(self, alarm: Alarm) -> bool:
        """Whether no other alarm of its group is active."""
        group = alarm.spec.group
        return bool(group) and not any(other.status in ACTIVE for other in self._rows if other.spec.group == group)

    def _journal_owed(self) -> None:
        while self._owed:
            body = self._owed.popleft()
            try:
                self._journal.append(Kind.ALARM_STATE, ENGINE, body)
            except JournalUnavailableError:
                self._owed.appendleft(body)
                raise

    def _body(self, alarm: Alarm, old: AlarmStatus, text: str) -> dict[str, Any]:
        value, unit = self._value_of(self._leading[alarm.row])
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

    def _value_of(self, tag: str) -> tuple[float | None, str]:
        if not tag:
            return None, ""
        value, quality = self._image.reading(tag)
        return None if is_bad(quality) or not isfinite(value) else value, self._plant.tags[tag].unit


def _state(alarm: Alarm) -> AlarmState:
    return AlarmState(alarm.spec, alarm.status, alarm.since, alarm.until, alarm.first_out, alarm.setpoint)


def _changed(alarm: Alarm, setpoint: float, reason: str) -> dict[str, Any]:
    """The body of a change of an alarm's setpoint."""
    spec = alarm.spec
    return {
        "alarm": spec.name, "old": alarm.setpoint, "new": setpoint, "unit": spec.setpoint_unit,
        "configured": spec.setpoint, "reason": reason,
    }  # fmt: skip
