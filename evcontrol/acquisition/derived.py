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
            value, quality = work(image, t)
            image.value[index] = value
            image.quality[index] = quality
            values.append(value)
            qualities.append(quality)
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
        self._window = _Window(spec.window_s)

    def update(self, t: int, reading: Reading) -> Reading:
        """Take the reading at process time ``t`` (ns) in and return the slope per ``per_s`` seconds."""
        points = self._window.update(t, reading)
        if len(points) < MIN_POINTS:
            return Reading(float("nan"), max(BAD, reading.quality))
        slope = _slope(points) * self._spec.per_s
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
            points.append((t, reading.value))
        while points[0][0] < t - self._window_ns:
            points.popleft()
        return points


def _slope(points: deque[tuple[int, float]]) -> float:
    """Least-squares slope per second."""
    origin = points[0][0]
    n = len(points)
    seconds = [(t - origin) / NS for t, _ in points]
    mean_t = sum(seconds) / n
    mean_v = sum(v for _, v in points) / n
    spread = sum((s - mean_t) ** 2 for s in seconds)
    return sum((s - mean_t) * (v - mean_v) for s, (_, v) in zip(seconds, points, strict=True)) / spread
