"""Tags worked out from others each scan; their quality is the worst of their inputs."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from evcontrol.acquisition.image import ProcessImage
from evcontrol.clock import NS
from evcontrol.expression import Reading, Symbol, compile_value
from evcontrol.plant.model import DerivedSpec, RateSpec, SpreadSpec
from evcontrol.quality import BAD, UNCERTAIN_INITIAL, is_bad
from evcontrol.signals import Frame, TagTable

MIN_POINTS = 3


class DerivedTags:
    """The derived tags of a plant, in the order of the plant file: one may use those before it."""

    def __init__(self, specs: Sequence[DerivedSpec], tags: TagTable, scope: Mapping[str, Symbol]) -> None:
        self._index = np.array([tags[spec.tag].index for spec in specs], dtype=np.int32)
        self._work = [(tags[spec.tag].index, worker(spec, tags, scope)) for spec in specs]

    def frame(self, image: ProcessImage, t: int, wall: int, group: str) -> Frame:
        """Work out all derived tags at process time ``t``, write them to the image, and return them as a frame."""
        values, qualities = [], []
        for index, work in self._work:
            reading = work(image, t)
            image.put(index, reading)
            values.append(reading.value)
            qualities.append(reading.quality)
        return Frame(t, wall, group, self._index, np.array(values), np.array(qualities, dtype=np.uint32))


class Spread:
    """Scatter of a tag from scan to scan: root mean square of successive differences, divided by the root of two.

    A slow trend hardly counts in it (von Neumann et al. 1941, Ann. Math. Stat. 12:153). A Bad reading empties the
    window; with fewer than three points the spread is Bad.
    """

    def __init__(self, spec: SpreadSpec) -> None:
        self._window = _Window(spec.window_s)

    def update(self, t: int, reading: Reading) -> Reading:
        """Take the reading at process time ``t`` (ns) in and return the spread in the source's unit."""
        points = self._window.update(t, reading)
        if len(points) < MIN_POINTS:
            return Reading(float("nan"), max(BAD, reading.quality))
        values = [v for _, v in points]
        squares = sum((b - a) ** 2 for a, b in pairwise(values))
        return Reading(math.sqrt(squares / (2 * (len(values) - 1))), reading.quality)


class Rate:
    """Slope of a tag by least squares over a window of process time.

    A Bad reading empties the window; until it holds three points over half its length the slope is Uncertain, and Bad
    with fewer than three.
    """

    def __init__(self, spec: RateSpec) -> None:
        self._spec = spec
        self._window = _SlopeWindow(spec.window_s)

    def update(self, t: int, reading: Reading) -> Reading:
        """Take the reading at process time ``t`` (ns) in and return the slope per ``per_s`` seconds."""
        points = self._window.update(t, reading)
        if len(points) < MIN_POINTS:
            return Reading(float("nan"), max(BAD, reading.quality))
        slope = self._window.slope() * self._spec.per_s
        settled = points[-1][0] - points[0][0] >= self._spec.window_s * NS / 2
        return Reading(slope, reading.quality if settled else max(reading.quality, UNCERTAIN_INITIAL))


class Readable(Protocol):
    """What a derived tag is worked out from: the readings of other tags by name."""

    def reading(self, name: str) -> Reading:
        """Value and quality of a tag."""


def worker(spec: DerivedSpec, tags: TagTable, scope: Mapping[str, Symbol]) -> Callable[[Readable, int], Reading]:
    """What works a derived tag out from the others at a process time (ns), with a memory of its own."""
    if spec.rate is not None:
        rate, source = Rate(spec.rate), spec.rate.source
        return lambda image, t: rate.update(t, image.reading(source))
    if spec.spread is not None:
        spread, source = Spread(spec.spread), spec.spread.source
        return lambda image, t: spread.update(t, image.reading(source))
    value = compile_value(spec.expression, scope, unit=tags[spec.tag].unit)
    return lambda image, _: value.evaluate(image.reading)


class _Window:
    """The usable readings of the last so many seconds."""

    def __init__(self, window_s: float) -> None:
        self._window_ns = round(window_s * NS)
        self._points: deque[tuple[int, float]] = deque()

    def update(self, t: int, reading: Reading) -> deque[tuple[int, float]]:
        points = self._points
        if is_bad(reading.quality):
            points.clear()
            return points
        if not points or t > points[-1][0]:
            self._take((t, reading.value))
        while points[0][0] < t - self._window_ns:
            self._drop()
        return points

    def _take(self, point: tuple[int, float]) -> None:
        self._points.append(point)

    def _drop(self) -> tuple[int, float]:
        return self._points.popleft()


class _SlopeWindow(_Window):
    """A window that keeps the sums of least squares, so that hours of readings cost no more than seconds of them.

    Times and values count from the first reading of the sums, which are made anew every other window: nothing that
    rounding leaves behind lasts.
    """

    def __init__(self, window_s: float) -> None:
        super().__init__(window_s)
        self._origin = self._n = 0
        self._zero = self._t = self._v = self._tt = self._tv = 0.0

    def update(self, t: int, reading: Reading) -> deque[tuple[int, float]]:
        """The points, as of the window; the sums follow."""
        points = super().update(t, reading)
        if not points:
            self._anew()
        elif not self._n or points[-1][0] - self._origin > 2 * self._window_ns:
            self._anew()
            self._origin, self._zero = points[0]
            for point in points:
                self._add(point, 1)
        return points

    def _take(self, point: tuple[int, float]) -> None:
        super()._take(point)
        if self._n:
            self._add(point, 1)

    def _drop(self) -> tuple[int, float]:
        point = super()._drop()
        if self._n:
            self._add(point, -1)
        return point

    def slope(self) -> float:
        """Least-squares slope per second; at least two different times must be there."""
        n = self._n
        return (self._tv - self._t * self._v / n) / (self._tt - self._t * self._t / n)

    def _anew(self) -> None:
        self._n = 0
        self._t = self._v = self._tt = self._tv = 0.0

    def _add(self, point: tuple[int, float], sign: int) -> None:
        t, v = (point[0] - self._origin) / NS, point[1] - self._zero
        self._n += sign
        self._t += sign * t
        self._v += sign * v
        self._tt += sign * t * t
        self._tv += sign * t * v
