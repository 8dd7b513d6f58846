"""Time for the simulated equipment: the only module here that asks the operating system what time it is.

Process time runs at a multiple of real time. Which one is published in a speed file: lines of JSON
``{"mono_ns": ..., "process_ns": ..., "speed": ...}``; in force is the last one whose ``mono_ns`` is not later than the
machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Segment:
    """From ``mono_ns`` on, process time runs at ``speed``; it was ``process_ns`` then."""

    mono_ns: int
    speed: float
    process_ns: int = 0


class SpeedFile:
    """The speed that somebody publishes, or ``default`` as long as nobody does."""

    def __init__(self, path: Path, default: float = 1.0) -> None:
        if not default > 0.0:
            raise ValueError(f"speed {default} is not above 0")
        self._path = path
        self._default = default
        self._seen = (-1, -1)
        self._segments: list[Segment] = []

    def speed(self, mono_ns: int) -> float:
        """The speed in force at a monotonic time."""
        self._refresh()
        for segment in reversed(self._segments):
            if segment.mono_ns <= mono_ns:
                return segment.speed
        return self._default

    def elapsed_s(self, from_ns: int, to_ns: int) -> float:
        """Process seconds between two monotonic times; a change of speed between them counts from its moment."""
        self._refresh()
        bounds = sorted({s.mono_ns for s in self._segments if from_ns < s.mono_ns < to_ns} | {from_ns, to_ns})
        return sum((end - begin) * self.speed(begin) for begin, end in pairwise(bounds)) / NS

    def process_ns(self, mono_ns: int) -> int | None:
        """The process time (UTC ns) that is published for a monotonic time; None as long as nobody does."""
        self._refresh()
        for segment in reversed(self._segments):
            if segment.mono_ns <= mono_ns and segment.process_ns > 0:
                return segment.process_ns + round((mono_ns - segment.mono_ns) * segment.speed)
        return None

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._segments, self._seen = [], (-1, -1)
            return
        seen = (status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._seen = seen
            self._segments = parse_segments(self._path.read_text(encoding="utf-8", errors="replace"))


class Pace:
    """Real time turned into steps of process time."""

    def __init__(self, speed_file: SpeedFile) -> None:
        self._speed_file = speed_file
        self._last_ns = time.monotonic_ns()
        self._own_ns = time.time_ns()

    def passed_s(self) -> float:
        """Process seconds since the last call (or since the start)."""
        now = time.monotonic_ns()
        before, self._last_ns = self._last_ns, now
        passed = self._speed_file.elapsed_s(before, now)
        self._own_ns += round(passed * NS)
        return passed

    def now_ns(self) -> int:
        """Process time, UTC ns, at the last call of :meth:`passed_s`: as published, or else its own."""
        published = self._speed_file.process_ns(self._last_ns)
        return self._own_ns if published is None else published

    def speed(self) -> float:
        """The speed in force now."""
        return self._speed_file.speed(time.monotonic_ns())


def monotonic_s() -> float:
    """Real seconds."""
    return time.monotonic()


def wall_s() -> float:
    """The machine's time, UTC seconds."""
    return time.time_ns() / NS


async def sleep_until(mono_s: float) -> None:
    """Sleep until the monotonic clock shows so many seconds; gives others a turn when that is past."""
    await asyncio.sleep(max(0.0, mono_s - time.monotonic()))


def parse_segments(text: str) -> list[Segment]:
    """The segments of a speed file. A line that is cut off or no segment is passed over."""
    segments = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            segment = Segment(int(entry["mono_ns"]), float(entry["speed"]), int(entry.get("process_ns", 0)))
        except (ValueError, KeyError, TypeError):
            continue
        if 0.0 < segment.speed < float("inf"):
            segments.append(segment)
    return segments
