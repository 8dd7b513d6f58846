"""The tests behind sensor checks, each over many tags at once, on process time (ns).

Every test is asked once a scan with arrays of one entry per tag: ``value`` and ``usable`` (not Bad) of its latest
reading, ``fresh`` (it came with this scan), and ``looking`` (one of LOOKING, BLIND, ASLEEP). It answers with an array
of verdicts. A gap (a reading that is not usable, or none) never counts for a failure: what was seen before it is
forgotten, or, for jumps, the change that is possible grows with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from evcontrol.clock import NS
from evcontrol.plant.sensor_checks import FrozenTest, ImplausibleTest, JumpTest
from evcontrol.signals import FloatArray, TimeArray

BoolArray = npt.NDArray[np.bool_]
CodeArray = npt.NDArray[np.int8]

NEVER: Final = -1
"""A time before any."""


class Verdict(IntEnum):
    """What a test says of one tag, from the best to the worst for whoever must choose one of several."""

    OFF = 0
    GOOD = 1
    UNKNOWN = 2
    FAILED = 3


class Looking(IntEnum):
    """Whether a check looks: its ``only_while`` holds, is not known, or does not hold."""

    ASLEEP = 0
    BLIND = 1
    LOOKING = 2


@dataclass(slots=True)
class Readings:
    """The latest readings of some tags, one entry each."""

    value: FloatArray
    usable: BoolArray
    fresh: BoolArray


class FrozenTests:
    """Tags that stay within a band: it begins anew at the reading that leaves it."""

    def __init__(self, tests: Sequence[FrozenTest]) -> None:
        n = len(tests)
        self._within = np.array([test.within for test in tests])
        self._over = _ns([test.over_s for test in tests])
        self._readings = np.array([test.readings for test in tests])
        self._paired = np.array([bool(test.partner) for test in tests], dtype=bool)
        self._partner_by = np.array([test.partner_by for test in tests])
        self._count = np.zeros(n, dtype=np.int64)
        self._low, self._high = np.full(n, np.nan), np.full(n, np.nan)
        self._since = np.full(n, NEVER, dtype=np.int64)
        self._partner_at = np.full(n, np.nan)
        self._partner_moved = np.full(n, NEVER, dtype=np.int64)

    def update(self, t: int, tag: Readings, partner: Readings, looking: CodeArray) -> CodeArray:
        """Verdicts at process time ``t``; ``partner`` has any readings where a tag has none."""
        able = (looking == Looking.LOOKING) & tag.usable
        self._forget(~able)
        self._take(t, able & tag.fresh, tag.value)
        paired = able & self._paired
        self._watch_partner(t, paired, partner)
        since = np.where(self._paired, self._partner_moved, self._since)
        stands = (self._count >= np.where(self._paired, 2, self._readings)) & (since != NEVER)
        failed = able & stands & (t - since >= self._over)
        return _verdicts(looking, able & ~(paired & ~partner.usable), failed)

    def _forget(self, rows: BoolArray) -> None:
        self._count[rows] = 0
        self._since[rows] = self._partner_moved[rows] = NEVER
        self._low[rows] = self._high[rows] = self._partner_at[rows] = np.nan

    def _take(self, t: int, rows: BoolArray, value: FloatArray) -> None:
        low, high = np.fmin(self._low, value), np.fmax(self._high, value)
        leaves = rows & (high - low > self._within)
        self._forget(leaves)
        begins = rows & (self._count == 0)
        self._low = np.where(begins, value, np.where(rows, low, self._low))
        self._high = np.where(begins, value, np.where(rows, high, self._high))
        self._since[begins] = t
        self._count[rows] += 1

    def _watch_partner(self, t: int, rows: BoolArray, partner: Readings) -> None:
        lost = rows & ~partner.usable
        self._partner_at[lost] = np.nan
        self._partner_moved[lost] = NEVER
        seen = rows & partner.usable & partner.fresh
        begins = seen & np.isnan(self._partner_at)
        self._partner_at[begins] = partner.value[begins]
        moved = seen & (np.abs(partner.value - self._partner_at) > self._partner_by)
        self._partner_moved[moved & (self._partner_moved == NEVER)] = t


class JumpTests:
    """Tags that change faster than what they measure can."""

    def __init__(self, tests: Sequence[JumpTest]) -> None:
        n = len(tests)
        self._noise = np.array([test.noise for test in tests])
        self._per_s = np.array([test.per_s for test in tests])
        self._hold = _ns([test.hold_s for test in tests])
        self._last = np.full(n, np.nan)
        self._last_t = np.zeros(n, dtype=np.int64)
        self._until = np.full(n, NEVER, dtype=np.int64)

    def update(self, t: int, tag: Readings, looking: CodeArray) -> CodeArray:
        """Verdicts at process time ``t``."""
        asleep = looking == Looking.ASLEEP
        self._last[asleep] = np.nan
        self._until[asleep] = NEVER
        rows = tag.usable & tag.fresh & ~asleep
        possible = self._noise + self._per_s * ((t - self._last_t) / NS)
        jumped = rows & (looking == Looking.LOOKING) & (np.abs(tag.value - self._last) > possible)
        self._until[jumped] = t + self._hold[jumped]
        self._last[rows] = tag.value[rows]
        self._last_t[rows] = t
        return _verdicts(looking, tag.usable, (self._until != NEVER) & (t < self._until))


class ImplausibleTests:
    """Tags that stay outside of what can be."""

    def __init__(self, tests: Sequence[ImplausibleTest]) -> None:
        self._low = np.array([test.low for test in tests])
        self._high = np.array([test.high for test in tests])
        self._over = _ns([test.over_s for test in tests])
        self._since = np.full(len(tests), NEVER, dtype=np.int64)

    def update(self, t: int, tag: Readings, looking: CodeArray) -> CodeArray:
        """Verdicts at process time ``t``."""
        outside = (
            (looking == Looking.LOOKING) & tag.usable & ((tag.value < self._low) | (tag.value > self._high))
        )  # fmt: skip
        self._since[~outside] = NEVER
        self._since[outside & (self._since == NEVER)] = t
        return _verdicts(looking, tag.usable, outside & (t - self._since >= self._over))


def _verdicts(looking: CodeArray, known: BoolArray, failed: BoolArray) -> CodeArray:
    found = np.where(failed, Verdict.FAILED, Verdict.GOOD)
    found = np.where(known & (looking == Looking.LOOKING), found, Verdict.UNKNOWN)
    return np.where(looking == Looking.ASLEEP, Verdict.OFF, found).astype(np.int8)


def _ns(seconds: Sequence[float]) -> TimeArray:
    return np.array([round(s * NS) for s in seconds], dtype=np.int64)
