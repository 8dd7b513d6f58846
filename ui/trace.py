"""The readings of one tag over time, past and present, as a trend draws them."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

from evcontrol.api.series import Series

FloatArray = npt.NDArray[np.float64]

NS = 1e9
_BAD = 0x8000_0000
_NOTHING = 0x8000_0000
"""The status of a part of time without any reading: a gap, which is not the same as a Bad reading."""
LONGEST = 200_000
"""So many points are kept; then the older half goes."""


class Trace:
    """Time in seconds (UTC), value (NaN where there is none), and whether the reading there was Bad."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self._t = array("d")
        self._v = array("d")
        self._bad = array("b")

    def __len__(self) -> int:
        return len(self._t)

    def begin(self, series: Series) -> None:
        """Put what history has before what was recorded live."""
        live_from = self._t[0] if self._t else float("inf")
        t, v, bad = array("d"), array("d"), array("b")
        # Of a part of time its lowest and highest value are drawn: a mean would hide every peak.
        low, high = series.low or series.v, series.high
        for at, value, status in zip(series.t, low, series.q, strict=True):
            seconds = at / NS
            if seconds >= live_from:
                break
            for point in (value,) if high is None else (value, high[len(t) // 2]):
                t.append(seconds)
                v.append(point)
                bad.append(status >= _BAD and status != _NOTHING)
        self._t, self._v, self._bad = t + self._t, v + self._v, bad + self._bad

    def append(self, t: int, value: float | None, bad: bool) -> None:
        """One more reading at process time ``t`` (UTC ns)."""
        seconds = t / NS
        if self._t and seconds <= self._t[-1]:
            return
        self._t.append(seconds)
        self._v.append(float("nan") if value is None else value)
        self._bad.append(bad)
        if len(self._t) > LONGEST:
            half = len(self._t) // 2
            del self._t[:half], self._v[:half], self._bad[:half]

    def gap(self) -> None:
        """Nothing is known from the last reading on: the line is broken there."""
        if self._t:
            self._t.append(self._t[-1] + 1e-6)
            self._v.append(float("nan"))
            self._bad.append(0)

    def points(self) -> tuple[FloatArray, FloatArray]:
        """Times and values."""
        return np.array(self._t, dtype=np.float64), np.array(self._v, dtype=np.float64)

    def bad_spans(self, low: float, high: float) -> list[tuple[float, float]]:
        """From when to when the readings between two times were Bad."""
        if not self._t:
            return []
        t, bad = np.array(self._t), np.array(self._bad, dtype=bool)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(np.int8), [0]])))
        spans = []
        for first, after in edges.reshape(-1, 2).tolist():
            begin, end = float(t[first]), float(t[min(after, len(t) - 1)])
            if end >= low and begin <= high:
                spans.append((begin, end))
        return spans
