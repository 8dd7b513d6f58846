"""The kinds of alarms that are looked at as arrays: each over all its alarms at once, one entry per alarm.

Every kind is asked once a scan, also for alarms that are ``asleep`` (their ``only_while`` does not hold): what it
remembers of those begins anew. A comparison needs readings that are Good, as in expressions; without them it is
UNKNOWN.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from evcontrol.clock import NS
from evcontrol.plant.alarm_specs import (
    BadQualityTest,
    DeviationTest,
    DiscrepancyTest,
    LimitTest,
    RateTest,
    StaleTest,
    StateTest,
    WatchdogTest,
)
from evcontrol.quality import (
    BAD,
    BAD_NO_COMMUNICATION,
    BAD_NOT_CONNECTED,
    BAD_STALE,
    BAD_TIMEOUT,
    BAD_WAITING_FOR_INITIAL,
    UNCERTAIN,
    QualityArray,
)
from evcontrol.signals import FloatArray, IndexArray, TagTable, TimeArray

BoolArray = npt.NDArray[np.bool_]
TruthArray = npt.NDArray[np.int8]

FALSE: Final = 0
TRUE: Final = 1
UNKNOWN: Final = -1

NEVER: Final = -1
"""A time before any."""

NO_NEWS: Final = np.array(
    [BAD_STALE, BAD_NOT_CONNECTED, BAD_NO_COMMUNICATION, BAD_TIMEOUT, BAD_WAITING_FOR_INITIAL], dtype=np.uint32
)
"""Qualities with which a reading comes although the device has said nothing."""
LEAST_LOOKS: Final = 3
"""Scans that a command has to be confirmed, however long they are."""
MIN_POINTS: Final = 3
"""Fewest readings that have a slope."""
POINTS: Final = 120
"""Readings that a slope is taken from at most."""


@dataclass(frozen=True, slots=True)
class Look:
    """The image at one scan: process and real time (ns); per tag its value where Good, else NaN; quality; time."""

    t: int
    real: int
    good: FloatArray
    quality: QualityArray
    times: TimeArray


class KindOfAlarm(Protocol):
    """All alarms of one kind."""

    setpoint: FloatArray
    """Of each alarm, in its unit; a new one takes effect at the next scan."""

    def update(self, look: Look, asleep: BoolArray) -> TruthArray:
        """TRUE, FALSE or UNKNOWN for each alarm."""


class Limits:
    """Tags above or below a setpoint."""

    def __init__(self, tests: Sequence[LimitTest], tags: TagTable) -> None:
        self._index = _index(tags, [test.tag for test in tests])
        self._sign = np.array([1.0 if test.above else -1.0 for test in tests])
        self._beyond = _Beyond([test.deadband for test in tests])
        self.setpoint = np.array([test.setpoint for test in tests])

    def update(self, look: Look, asleep: BoolArray) -> TruthArray:
        """See :class:`KindOfAlarm`."""
        return self._beyond.update(self._sign * look.good[self._index], self._sign * self.setpoint, asleep)


class Deviations:
    """Tags away from a reference."""

    def __init__(self, tests: Sequence[DeviationTest], tags: TagTable) -> None:
        self._index = _index(tags, [test.tag for test in tests])
        self._reference = _index(tags, [test.reference for test in tests])
        self._beyond = _Beyond([test.deadband for test in tests])
        self.setpoint = np.array([test.setpoint for test in tests])

    def update(self, look: Look, asleep: BoolArray) -> TruthArray:
        """See :class:`KindOfAlarm`."""
        off = np.abs(look.good[self._index] - look.good[self._reference])
        return self._beyond.update(off, self.setpoint, asleep)


class Rates:
    """Tags that change fast: the slope by least squares over a window that is one and the same for all of them.

    A reading that is not Good empties a window; until it holds three points over half its length the slope is unknown.
    """

    def __init__(self, tests: Sequence[RateTest], tags: TagTable) -> None:
        self._index = _index(tags, [test.tag for test in tests])
        self._over = round(tests[0].over_s * NS)
        self._per_s = np.array([test.per_s for test in tests])
        self._beyond = _Beyond([test.deadband for test in tests])
        self._points: deque[tuple[int, FloatArray]] = deque()
        self._begun = np.zeros(len(tests), dtype=np.int64)
        self._stands = False
        """Whether the slope is that of the present points."""
        self.slope: FloatArray = np.full(len(tests), np.nan)
        """Of each tag at the last scan, in the unit of the setpoint."""
        self.setpoint = np.array([test.setpoint for test in tests])

    def update(self, look: Look, asleep: BoolArray) -> TruthArray:
        """See :class:`KindOfAlarm`. A window goes on while its alarm is asleep."""
        values = look.good[self._index]
        self._begun = np.where(np.isnan(values), look.t + 1, self._begun)
        points = self._points
        if not points or look.t - points[-1][0] >= self._over // POINTS:
            points.append((look.t, values))
            while points[0][0] < look.t - self._over:
                points.popleft()
            self._stands = False
        if asleep.all():
            return np.zeros(len(asleep), dtype=np.int8)
        if not self._stands:
            self.slope, self._stands = self._slopes() * self._per_s, True
        self.slope = np.where(np.isnan(values), np.nan, self.slope)
        return self._beyond.update(np.abs(self.slope), self.setpoint, asleep)

    def _slopes(self) -> FloatArray:
        """Per second; NaN where there are too few readings."""
        times = np.array([t for t, _ in self._points], dtype=np.int64)
        values = np.stack([value for _, value in self._points])
        usable = (times[:, None] >= self._begun) & ~np.isnan(values)
        n = usable.sum(axis=0)
        seconds = np.where(usable, ((times - times[-1]) / NS)[:, None], 0.0)
        values = np.where(usable, values, 0.0)
        enough = (n >= MIN_POINTS) & (-seconds.min(axis=0) >= self._over / NS / 2)
        n = np.maximum(n, 1)
        s = np.where(usable, seconds - seconds.sum(axis=0) / n, 0.0)
        spread = (s * s).sum(axis=0)
        return np.where(enough, (s * values).sum(axis=0) / np.where(spread > 0, spread, 1.0), np.nan)


class Discrepancies:
    """What was commanded and what is confirmed.

    The time of travel begins anew when they come nearer by more than the tolerance: what is on its way is not stuck.
    """

    def __init__(self, tests: Sequence[DiscrepancyTest], tags: TagTable) -> None:
        n = len(tests)
        self._commanded = _index(tags, [test.commanded for test in tests])
        self._confirmed = _index(tags, [test.confirmed for test in tests])
        self._tolerance = np.array([test.tolerance for test in tests])
        self._runs = np.array([test.runs for test in tests], dtype=bool)
        self._travel = np.array([round(test.travel_s * NS) for test in tests], dtype=np.int64)
        self._since = np.zeros(n, dtype=np.int64)
        self._looks = np.zeros(n, dtype=np.int64)
        self._gap = np.zeros(n)
        self.setpoint = np.empty(0)

    def update(self, look: Look, asleep: BoolArray) -> TruthArray:
        """See :class:`KindOfAlarm`. What cannot be read neither begins nor ends the time of travel."""
        commanded, confirmed = look.good[self._commanded], look.good[self._confirmed]
        known = ~(np.isnan(commanded) | np.isnan(confirmed))
        gap = np.where(self._runs, (commanded > 0) != (confirmed > 0), np.abs(commanded - confirmed))
        apart = gap > self._tolerance
        if known.all() and not apart.any():
            self._since.fill(look.t)
            self._looks.fill(0)
            self._gap = gap
            return _truth(apart, known)
        nearer = gap < self._gap - self._tolerance
        anew = asleep | (known & (~apart | nearer)) | (self._since == 0)
        self._since = np.where(anew, look.t, self._since)
        self._looks = np.where(anew, 0, self._looks + 1)
        self._gap = np.where(anew, np.where(known, gap, 0.0), np.fmax(self._gap, gap))
        stuck = apart & (look.t - self._since >= self._travel) & (self._looks >= LEAST_LOOKS)
        return _truth(stuck, known)


class States:
    """Tags that show one of some labels."""

    def __init__(self, tests: Sequence[StateTest], tags: TagTable) -> None:
        self._index = _index(tags, [test.tag for test in tests])
        most = max(len(test.labels) for test in tests)
        codes = [[tags[test.tag].labels.index(label) for label in test.labels] for test in tests]
        self._codes = np.array([own + own[:1] * (most - len(own)) for own in codes], dtype=np.float64)
        self.setpoint = np.empty(0)

    def update(self, look: Look, asleep: BoolArray) -> TruthArray:
        """See :class:`KindOfAlarm`."""
        values = look.good[self._index]
        return _truth((values[:, None] == self._codes).any(axis=1), ~np.isnan(values))


class BadQualities:
    """Tags that are Bad."""

    def __init__(self, tests: Sequence[BadQualityTest], tags: TagTable) -> None:
        self._index = _index(tags, [test.tag for test in tests])
        self._least = np.array([UNCERTAIN if test.or_uncertain else BAD for test in tests], dtype=np.uint32)
        self.setpoint = np.empty(0)

    def update(self, look: Look, asleep: BoolArray) -> TruthArray:
        """See :class:`KindOfAlarm`; never UNKNOWN."""
        return (look.quality[self._index] >= self._least).astype(np.int8)


class Stale:
    """Tags of which the device says nothing new; in real time, as the time-outs of devices."""

    def __init__(self, tests: Sequence[StaleTest], tags: TagTable) -> None:
        self._index = _index(tags, [test.tag for test in tests])
        self._last = np.full(len(tests), NEVER, dtype=np.int64)
        self.setpoint = np.array([test.setpoint for test in tests])

    def update(self, look: Look, asleep: BoolArray) -> TruthArray:
        """See :class:`KindOfAlarm`; never UNKNOWN."""
        news = (look.times[self._index] == look.t) & ~np.isin(look.quality[self._index], NO_NEWS)
        self._last = np.where(news | asleep | (self._last == NEVER), look.real, self._last)
        return (look.real - self._last > self.setpoint * NS).astype(np.int8)


class Watchdogs:
    """Tags that must move, such as a controller's counter; in real time. While one cannot be read it does not move."""

    def __init__(self, tests: Sequence[WatchdogTest], tags: TagTable) -> None:
        self._index = _index(tags, [test.tag for test in tests])
        self._value = np.full(len(tests), np.nan)
        self._moved = np.full(len(tests), NEVER, dtype=np.int64)
        self.setpoint = np.array([test.setpoint for test in tests])

    def update(self, look: Look, asleep: BoolArray) -> TruthArray:
        """See :class:`KindOfAlarm`; never UNKNOWN."""
        value = look.good[self._index]
        known = ~np.isnan(value)
        moved = asleep | (self._moved == NEVER) | (known & (value != self._value))
        self._moved = np.where(moved, look.real, self._moved)
        self._value = np.where(known, value, self._value)
        return (look.real - self._moved > self.setpoint * NS).astype(np.int8)


class _Beyond:
    """Whether numbers are beyond their setpoints: once they are, until they are back by more than the deadband."""

    def __init__(self, deadbands: Sequence[float]) -> None:
        self._deadband = np.array(deadbands)
        self._is = np.zeros(len(deadbands), dtype=bool)

    def update(self, number: FloatArray, setpoint: FloatArray, asleep: BoolArray) -> TruthArray:
        known = ~np.isnan(number)
        beyond = number > np.where(self._is, setpoint - self._deadband, setpoint)
        self._is = np.where(known, beyond, self._is) & ~asleep
        return _truth(beyond, known)


def _truth(holds: BoolArray, known: BoolArray) -> TruthArray:
    return np.where(known, holds, UNKNOWN).astype(np.int8)


def _index(tags: TagTable, names: Sequence[str]) -> IndexArray:
    return np.array([tags[name].index for name in names], dtype=np.int32)
