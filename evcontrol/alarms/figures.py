"""How good a plant's alarms are: the figures of ISA-18.2 (clause 16) and EEMUA 191 over a stretch of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from evcontrol.alarms.states import ACTIVE, AlarmStatus
from evcontrol.clock import NS
from evcontrol.journal.events import Event, Kind

INTERVAL_S: Final = 600.0
"""Alarms are counted per ten minutes."""
FLOOD_BEGINS: Final = 10
"""More alarms than this in an interval are a flood, ..."""
FLOOD_ENDS: Final = 5
"""... which lasts until there are fewer than this in one."""
CHATTER_COUNT: Final = 3
"""An alarm chatters that is raised so often ..."""
CHATTER_S: Final = 60.0
"""... within this time."""
STALE_S: Final = 86_400.0
"""An alarm is stale that has been active for longer."""
MOST: Final = 10


@dataclass(frozen=True, slots=True)
class Change:
    """One change of state of an alarm at ``t`` (process time, UTC ns)."""

    t: int
    alarm: str
    old: str
    new: str
    priority: str


@dataclass(frozen=True, slots=True)
class AlarmFigures:
    """Figures of the time from ``start`` to ``end`` (process time, UTC ns).

    ``per_interval`` is the mean number of alarms raised in ten minutes, ``peak`` the greatest; ``flood_share`` the
    part of the intervals in a flood (0 to 1). ``most`` are the ten that were raised most often with how often,
    ``most_share`` their part of all; ``stale`` were active for more than a day at the end or when they cleared.
    """

    start: int
    end: int
    raised: int
    per_interval: float
    peak: int
    flood_share: float
    by_priority: Mapping[str, int]
    most: tuple[tuple[str, int], ...]
    most_share: float
    chattering: tuple[str, ...]
    stale: tuple[str, ...]


def changes_of(events: Iterable[Event]) -> list[Change]:
    """The changes of alarms among a journal's events."""
    return [
        Change(event.t, event.body["alarm"], event.body["old"], event.body["new"], event.body["priority"])
        for event in events
        if event.kind is Kind.ALARM_STATE
    ]


def figures(changes: Iterable[Change], start: int, end: int) -> AlarmFigures:
    """The figures of a stretch of time; ``changes`` are in their order and may begin before it.

    ValueError when it is empty. An interval that is cut off by ``end`` counts as a whole one.
    """
    if end <= start:
        raise ValueError("the stretch of time is empty")
    until_end = [change for change in changes if change.t < end]
    raised = [c for c in until_end if c.t >= start and c.new == AlarmStatus.UNACKNOWLEDGED and c.old not in ACTIVE]
    interval = round(INTERVAL_S * NS)
    counts = [0] * -(-(end - start) // interval)
    for change in raised:
        counts[(change.t - start) // interval] += 1
    by_alarm = Counter(change.alarm for change in raised)
    most = tuple(sorted(by_alarm.items(), key=lambda item: (-item[1], item[0]))[:MOST])
    return AlarmFigures(
        start=start,
        end=end,
        raised=len(raised),
        per_interval=len(raised) / len(counts),
        peak=max(counts),
        flood_share=_floods(counts) / len(counts),
        by_priority=dict(Counter(change.priority for change in raised)),
        most=most,
        most_share=sum(count for _, count in most) / len(raised) if raised else 0.0,
        chattering=tuple(sorted(name for name in by_alarm if _chatters([c.t for c in raised if c.alarm == name]))),
        stale=tuple(sorted(_stale(until_end, start, end))),
    )


def _floods(counts: list[int]) -> int:
    """How many of the intervals lie in a flood."""
    flooded, total = False, 0
    for count in counts:
        flooded = count >= FLOOD_ENDS if flooded else count > FLOOD_BEGINS
        total += flooded
    return total


def _chatters(times: list[int]) -> bool:
    window = round(CHATTER_S * NS)
    return any(later - first <= window for first, later in zip(times, times[CHATTER_COUNT - 1 :], strict=False))


def _stale(changes: list[Change], start: int, end: int) -> set[str]:
    limit = round(STALE_S * NS)
    since: dict[str, int] = {}
    stale = set()
    for change in changes:
        if change.new in ACTIVE:
            since.setdefault(change.alarm, change.t)
        elif (begun := since.pop(change.alarm, None)) is not None and change.t >= start and change.t - begun > limit:
            stale.add(change.alarm)
    return stale | {alarm for alarm, begun in since.items() if end - begun > limit}
