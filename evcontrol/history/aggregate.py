"""Readings in equal parts of time: means weighted by time, lowest and highest values, over Good readings only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evcontrol.quality import BAD, QualityArray, good_mask
from evcontrol.signals import FloatArray, TimeArray

_Array = npt.NDArray[Any]

HOLD_INTERVALS = 3
"""A reading holds until the next one, but for at most so many usual intervals: an outage has no weight."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Equal parts of time, one after the other.

    ``t`` where each begins (process time, UTC ns); ``mean``, ``low`` and ``high`` over the Good readings in ``unit``,
    NaN where there is none; ``q`` the worst quality in it, Bad where there is no reading at all.
    """

    t: TimeArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    q: QualityArray
    unit: str


def aggregate(
    t: TimeArray, v: FloatArray, q: QualityArray, unit: str, start: int, end: int, buckets: int, holds: int = 0
) -> Aggregate:
    """Parts of ``start`` to ``end`` (UTC ns) from readings in order of time; ValueError without a part or duration.

    ``holds``: for how long (ns) a reading holds at least when none follows, of a tag that is kept on change.
    """
    if buckets < 1 or end <= start:
        raise ValueError("an aggregate needs at least one part and an end after its start")
    edges = np.array([start + (end - start) * k // buckets for k in range(buckets + 1)], dtype=np.int64)
    inside = (t >= start) & (t < end)
    t, v, q = t[inside], v[inside], q[inside]
    part, reading, weight = _spread(t, held_until(t, end, holds), edges)
    worst = np.full(buckets, BAD, dtype=np.uint32)
    _reduce(worst, part, q[reading], np.maximum)
    good = good_mask(q[reading]) & ~np.isnan(v[reading])
    part, value, weight = part[good], v[reading][good], weight[good]
    low, high, mean = (np.full(buckets, np.nan) for _ in range(3))
    _reduce(low, part, value, np.minimum)
    _reduce(high, part, value, np.maximum)
    total = np.bincount(part, weight, minlength=buckets)
    some = total > 0
    mean[some] = np.bincount(part, weight * value, minlength=buckets)[some] / total[some]
    # Rounding may carry the mean of equal values past them.
    mean[some] = np.clip(mean[some], low[some], high[some])
    return Aggregate(edges[:-1], mean, low, high, worst, unit)


def held_until(t: TimeArray, end: int, holds: int = 0) -> TimeArray:
    """When each reading (in order of time, the next one at ``end``) stops to hold; at least 1 ns after it."""
    if len(t) == 0:
        return t
    intervals = np.diff(t)
    usual = int(np.median(intervals)) if len(intervals) else 0
    before = np.concatenate([[usual], intervals])
    longest = np.maximum(HOLD_INTERVALS * np.maximum(before, usual), holds)
    following = np.concatenate([t[1:], [end]])
    until: TimeArray = np.maximum(np.minimum(following, t + longest), t + 1)
    return until


def _spread(t: TimeArray, until: TimeArray, edges: TimeArray) -> tuple[TimeArray, TimeArray, FloatArray]:
    """Each piece of a reading's time within one part: the part, the reading, and the length in seconds; by part."""
    first = np.searchsorted(edges, t, side="right") - 1
    last = np.minimum(np.searchsorted(edges, until, side="left") - 1, len(edges) - 2)
    pieces = last - first + 1
    reading = np.repeat(np.arange(len(t)), pieces)
    offset = np.arange(len(reading)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    part = first[reading] + offset
    length = np.minimum(until[reading], edges[part + 1]) - np.maximum(t[reading], edges[part])
    return part, reading, length / 1e9


def _reduce(into: _Array, part: TimeArray, values: _Array, function: np.ufunc) -> None:
    """Put the lowest or highest value of each part into its place; ``part`` never falls."""
    if len(part):
        begins = np.flatnonzero(np.concatenate([[True], part[1:] != part[:-1]]))
        into[part[begins]] = function.reduceat(values, begins)
