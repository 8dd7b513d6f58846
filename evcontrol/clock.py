"""Time: the only module that asks the operating system what time it is or sleeps for the process.

Process time is UTC nanoseconds. Three clocks have it: live (speed 1), scaled (a multiple of real time, published for
the simulators in ``run/speed.jsonl``), and virtual (an event loop that skips every wait). All sleep through the event
loop, so the same code runs on each.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import selectors
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

NS = 1_000_000_000
SPEED_NOTICE_NS = NS // 2
"""A change of speed is published this long (real ns) before it holds, so that everybody has read it."""


class ClockKind(StrEnum):
    """On which clock a record was made."""

    LIVE = "live"
    SCALED = "scaled"
    VIRTUAL = "virtual"


class Clock(Protocol):
    """What the rest of the house knows of time."""

    @property
    def kind(self) -> ClockKind:
        """Which clock this is."""

    @property
    def speed(self) -> float:
        """Process seconds per real second that hold now (always 1 on the live clock)."""

    def changes_ahead(self) -> list[tuple[int, float]]:
        """Changes of the speed that are known and still to come: process time (UTC ns) and speed, in order."""

    def now(self) -> int:
        """Process time, UTC ns; never goes back."""

    def wall(self) -> int:
        """The machine's UTC time, ns."""

    def monotonic(self) -> float:
        """Real seconds for network time-outs and latency; in virtual time process seconds."""

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds of process time; a change of speed meanwhile counts."""


class LiveClock:
    """Process time is the machine's UTC time at start, carried on by its monotonic clock, so that it never steps."""

    kind = ClockKind.LIVE
    speed = 1.0

    def __init__(self) -> None:
        self._origin = time.time_ns() - time.monotonic_ns()

    def changes_ahead(self) -> list[tuple[int, float]]:
        """None, ever."""
        return []

    def now(self) -> int:
        """Process time, UTC ns."""
        return self._origin + time.monotonic_ns()

    def wall(self) -> int:
        """The machine's UTC time, ns; differs from :meth:`now` after the machine's clock was set."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Real seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds."""
        await asyncio.sleep(max(0.0, seconds))


class _PacedClock:
    """Process time at a speed that can change: segments of (monotonic ns, process ns, speed)."""

    def __init__(self, mono_ns: int, start_ns: int, speed: float) -> None:
        if not speed > 0:
            raise ValueError(f"speed {speed} is not above 0")
        self._segments = [(mono_ns, start_ns, speed)]
        self._changed = asyncio.Event()

    @property
    def speed(self) -> float:
        """The speed that holds now."""
        return self._segment(self._mono())[2]

    @property
    def pending_speed(self) -> float:
        """The speed that was set last; it holds from half a second of the machine's time after that."""
        return self._segments[-1][2]

    def changes_ahead(self) -> list[tuple[int, float]]:
        """Changes of the speed that are known and still to come: process time (UTC ns) and speed, in order."""
        mono = self._mono()
        return [(process, speed) for begins, process, speed in self._segments if begins > mono]

    def set_speed(self, speed: float) -> None:
        """Change the speed half a second from now. OSError when it cannot be published, and then it stays."""
        if not speed > 0:
            raise ValueError(f"speed {speed} is not above 0")
        last = self._segments[-1]
        if last[2] == speed:
            return
        now = self._mono()
        mono = max(now + SPEED_NOTICE_NS, last[0] + 1)
        segment = (mono, _at(last, mono), speed)
        past = self._segments.index(self._segment(now))
        self._publish(segment)
        self._segments = [*self._segments[past:], segment]
        self._changed.set()
        self._changed = asyncio.Event()

    def now(self) -> int:
        """Process time, UTC ns."""
        mono = self._mono()
        return _at(self._segment(mono), mono)

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds of process time."""
        end = self.now() + round(seconds * NS)
        while True:
            mono = self._mono()
            wake = self._monotonic_at(end, mono)
            if wake <= mono:
                await asyncio.sleep(0)
                return
            try:
                async with asyncio.timeout((wake - mono) / NS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _mono(self) -> int:
        """The time that the speed multiplies, ns."""
        raise NotImplementedError

    def _publish(self, segment: tuple[int, int, float]) -> None:
        """Tell others of a segment before it holds; OSError when they cannot be told."""

    def _segment(self, mono: int) -> tuple[int, int, float]:
        for segment in reversed(self._segments):
            if segment[0] <= mono:
                return segment
        return self._segments[0]

    def _monotonic_at(self, process: int, mono: int) -> int:
        """When process time will be ``process``, by the segments known now."""
        upcoming = [s for s in self._segments if s[0] > mono]
        current = self._segment(mono)
        for following in upcoming:
            if following[1] >= process:
                break
            current = following
        return current[0] + math.ceil((process - current[1]) / current[2])  # never a moment before it


class ScaledClock(_PacedClock):
    """Process time at a multiple of real time, for simulated equipment only.

    The segments ``(monotonic ns, process ns, speed)`` are appended to ``path`` before they hold, for the simulators to
    read. A new clock on an old file begins a segment at ``start_ns`` or, if later, where the file's last one is now.
    """

    kind = ClockKind.SCALED

    def __init__(self, path: Path, speed: float, start_ns: int | None = None) -> None:
        self._path = path
        mono = time.monotonic_ns()
        start = time.time_ns() if start_ns is None else start_ns
        previous = _segment_in_force(path, mono)
        if previous is not None:
            start = max(start, _at(previous, mono))
        super().__init__(mono, start, speed)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._publish(self._segments[0])

    def wall(self) -> int:
        """The machine's UTC time, ns."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Real seconds."""
        return time.monotonic()

    def _mono(self) -> int:
        return time.monotonic_ns()

    def _publish(self, segment: tuple[int, int, float]) -> None:
        line = json.dumps({"mono_ns": segment[0], "process_ns": segment[1], "speed": segment[2]})
        # A line that a crash cut off is ended first, or it would take this one along.
        written = self._path.read_bytes() if self._path.exists() else b""
        torn = written != b"" and not written.endswith(b"\n")
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(("\n" if torn else "") + line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            # What is not surely on disk must not be read by some and not by others.
            os.truncate(self._path, len(written))
            raise


class VirtualClock(_PacedClock):
    """Process time that the virtual event loop's own time drives; made by :func:`run_virtual`.

    The loop's time stands for the machine's: at speed 1 the two are the same, and at another speed everything happens
    in the order and at the distances in which it would on the scaled clock.
    """

    kind = ClockKind.VIRTUAL

    def __init__(self, loop: asyncio.AbstractEventLoop, start_ns: int) -> None:
        self._loop = loop
        super().__init__(0, start_ns, 1.0)

    def wall(self) -> int:
        """The same as :meth:`now`: a virtual run has no other time."""
        return self.now()

    def monotonic(self) -> float:
        """The loop's seconds since the start of the run."""
        return self._loop.time()

    def _mono(self) -> int:
        return round(self._loop.time() * NS)


def run_virtual(main: Callable[[VirtualClock], Coroutine[Any, Any, T]], start_ns: int | None = None) -> T:
    """Run ``main`` in virtual time: whenever nothing can run, time jumps to the next timer.

    Nothing may wait for a socket or a thread in it: such a wait, with no timer left, raises RuntimeError.
    """
    loop = _VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        clock = VirtualClock(loop, time.time_ns() if start_ns is None else start_ns)
        return loop.run_until_complete(main(clock))
    finally:
        _finish(loop)


def iso(t_ns: int) -> str:
    """A time in ns as ISO 8601 UTC with milliseconds."""
    return datetime.fromtimestamp(t_ns / NS, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _VirtualSelector(selectors.DefaultSelector):
    """Moves the loop's time on instead of blocking."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("virtual time: everything waits for something that no timer will bring")
        self.elapsed += max(0.0, timeout)
        return []


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is its selector's."""

    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.elapsed


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    try:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _at(segment: tuple[int, int, float], mono: int) -> int:
    return segment[1] + round((mono - segment[0]) * segment[2])


def _segment_in_force(path: Path, mono: int) -> tuple[int, int, float] | None:
    """The segment of a speed file that holds at ``mono``; None when there is none since the machine was started.

    A change that was published and does not hold yet is passed over, and so is a line cut off by a crash.
    """
    if not path.exists():
        return None
    for line in reversed(path.read_text(encoding="utf-8").splitlines()):
        try:
            entry = json.loads(line)
            segment = int(entry["mono_ns"]), int(entry["process_ns"]), float(entry["speed"])
        except (ValueError, KeyError, TypeError):
            continue
        if segment[0] <= mono:
            return segment
        if segment[0] > mono + SPEED_NOTICE_NS:
            return None
    return None
