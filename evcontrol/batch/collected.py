"""Collected masses against the readings of the load cells that they went to, as other results are set against actual.

What phases put down was measured where the liquid left (the vessel's weight) or as a gain; the load cell's readings in
the history tell of it independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from evcontrol.batch.entries import BatchRecord, ElementEntry
from evcontrol.batch.liquids import CLARIFIED, POOL, RESULTS, Liquids
from evcontrol.batch.readings import REACH_NS, held_at
from evcontrol.clock import iso
from evcontrol.history.reader import Column, HistoryError, HistoryReader
from evcontrol.journal.events import Event, Kind
from evcontrol.product.yields import Closure
from evcontrol.quality import good_mask

WEIGHED: Final[Mapping[str, str]] = {POOL: "WT_POOL", CLARIFIED: "WT_CLAR"}
"""The load cell under the container of a liquid."""
LIMIT, LEAST_G = 0.02, 5.0
"""Share and mass by which the two may differ (engineering default: the warning of a medium exchange)."""
FALL_G: Final = 20.0
"""A load cell that falls by more from one reading to the next was tared, or its container was changed."""


@dataclass(frozen=True, slots=True)
class MassCheck:
    """What one phase put down of a liquid (g), and the gain of its load cell; None with the reason."""

    path: str
    result: str
    put_down_g: float
    tag: str
    read_g: float | None
    reason: str = ""

    @property
    def difference_g(self) -> float | None:
        """What the load cell missed (positive) or had too much."""
        return None if self.read_g is None else self.put_down_g - self.read_g

    @property
    def closure(self) -> Closure:
        """Whether the two agree."""
        if self.difference_g is None:
            return Closure.INCONCLUSIVE
        agrees = abs(self.difference_g) <= max(LEAST_G, LIMIT * self.put_down_g)
        return Closure.CLOSES if agrees else Closure.OPEN


def mass_checks(record: BatchRecord, reader: HistoryReader, liquids: Liquids) -> list[MassCheck]:
    """One check for each phase that collected or clarified on a unit."""
    found = []
    for liquid, tag in WEIGHED.items():
        by_path: dict[str, list[Event]] = {}
        for event in liquids.results(liquid):
            by_path.setdefault(event.path, []).append(event)
        for path, events in by_path.items():
            phase = record.elements[path]
            if phase.unit:
                found.append(_check(record, reader, phase, RESULTS[liquid].name, f"{phase.unit}.{tag}", events))
    return found


def _check(
    record: BatchRecord, reader: HistoryReader, phase: ElementEntry, result: str, tag: str, events: list[Event]
) -> MassCheck:
    put_down = sum(float(event.body["value"]) for event in events)
    start, end = _began(record, phase), events[-1].t
    if start is None:
        return MassCheck(phase.path, result, put_down, tag, None, "the phase has no beginning")
    try:
        column = reader.raw([tag], start - REACH_NS, end)[tag]
    except HistoryError as error:
        return MassCheck(phase.path, result, put_down, tag, None, str(error))
    before, missing_before = held_at(column, tag, start)
    after, missing_after = held_at(column, tag, end)
    reason = missing_before or missing_after or _fall(column, tag, start, end)
    if reason or before is None or after is None:
        return MassCheck(phase.path, result, put_down, tag, None, reason)
    return MassCheck(phase.path, result, put_down, tag, after - before)


def _began(record: BatchRecord, phase: ElementEntry) -> int | None:
    """When the phase began, or registered the container that it filled: before that, it need not hang there."""
    registered = [event.t for event in record.containers
                  if event.kind is Kind.CONTAINER_REGISTERED and event.path == phase.path]  # fmt: skip
    return registered[-1] if registered else phase.started


def _fall(column: Column, tag: str, start: int, end: int) -> str:
    inside = (column.t >= start) & (column.t <= end) & good_mask(column.q)
    times, values = column.t[inside], column.v[inside]
    for i in np.flatnonzero(np.diff(values) < -FALL_G).tolist():
        fell = f"from {values[i]:.1f} to {values[i + 1]:.1f} {column.unit}"
        return f"{tag} fell {fell} at {iso(int(times[i + 1]))}: it was set anew, or its container was changed"
    return ""
