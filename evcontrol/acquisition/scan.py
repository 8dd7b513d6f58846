"""The scan: one synchronous function from frames to the process image and everybody who looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import structlog

from drivers.driver import Driver
from evcontrol.acquisition.derived import DerivedTags
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.sensor_checks import SensorChecks
from evcontrol.clock import NS, Clock
from evcontrol.plant.model import Plant
from evcontrol.quality import BAD_STALE
from evcontrol.signals import Frame, IndexArray

READ_WINDOW = 0.8
"""Part of the scan in which a device's reading still belongs to it."""
READ_WINDOW_MAX_S = 0.2
"""Longest real time for which the scan waits for a slow device."""
STOOD_STILL_S = 0.02
"""Real time beyond the window after which it is this process that was late."""
LEAD_MARGIN = 1.25
LEAD_FADE = 0.98
LEAD_LEAST_S = 0.002
"""Reading begins so much longer before a scan than it took of late, which is forgotten slowly; but not for less."""
ENGINE_GROUP = "engine"
DERIVED_GROUP = "derived"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan: its number, process and wall time (UTC ns), its frames, and the indices of the tags that changed."""

    seq: int
    t: int
    wall: int
    frames: tuple[Frame, ...]
    changed: IndexArray
    late_ms: float = field(default=0.0)


@dataclass(slots=True)
class ReadTiming:
    """How the readings of one device come: how long the last took (real s), and for how many scans one was late."""

    round_trip_s: float = 0.0
    late: int = 0


class Scanner:
    """Reads every device each scan and runs the stages on what came.

    ``stages`` run synchronously in order (alarms, interlocks, loops, history); ``after`` are started when the scan is
    over (modulating outputs, heartbeats), each in its own task and never twice at once, so that a hung device delays
    neither the others nor the scan. ``overlay`` may put other values in place of what was read. A stage that raises is
    reported to ``on_failure`` and the others go on.
    """

    def __init__(self, plant: Plant, drivers: Mapping[str, Driver], image: ProcessImage, clock: Clock) -> None:
        self._plant = plant
        self._drivers = drivers
        self._image = image
        self._clock = clock
        self._derived = DerivedTags(plant.derived, plant.tags, plant.symbols)
        self.checks = SensorChecks(plant, image)
        self.overlay: Callable[[list[Frame], int], list[Frame]] = lambda frames, t: frames
        self.stages: list[Callable[[Scan], None]] = []
        self.after: list[Callable[[], Awaitable[None]]] = []
        self.on_failure: Callable[[str, Exception], None] = lambda name, error: None
        self.timing = {name: ReadTiming() for name in drivers}
        self.latest = Scan(-1, clock.now(), clock.wall(), (), np.empty(0, dtype=np.int32))
        self._waiters: asyncio.Future[Scan] | None = None
        self._reads: dict[str, asyncio.Task[Frame]] = {}
        self._followers: dict[int, asyncio.Task[None]] = {}
        self._heard = dict.fromkeys(drivers, clock.monotonic())
        self._overrun = 0
        self._lead_s = 0.0
        """Real time before a scan at which its reading begins, so that the scan itself is punctual."""

    @property
    def interval_s(self) -> float:
        """Process time between two scans at the present speed."""
        return self._interval_at(self._clock.speed)

    @property
    def overruns(self) -> int:
        """Scans left out since the start because one before took too long."""
        return self._overrun

    async def run(self) -> None:
        """Scan until cancelled."""
        due = self._clock.now()
        try:
            while True:
                lead_s = self._lead_s * self._clock.speed
                await self._clock.sleep((due - self._clock.now()) / NS - lead_s)
                frames = await self._collect()
                if self._clock.now() < due:
                    await self._clock.sleep((due - self._clock.now()) / NS)
                self._scan(frames, due)
                self._start_followers()
                due = self._next_due(due)
        finally:
            await self._end_tasks()

    async def next_scan(self) -> Scan:
        """Wait for the next scan to be over."""
        if self._waiters is None:
            self._waiters = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._waiters)

    async def _collect(self) -> list[Frame]:
        """Frames of all devices that answered in the window; a reading still under way goes into a later scan."""
        for name, driver in self._drivers.items():
            if name not in self._reads:
                self._reads[name] = asyncio.create_task(self._read(name, driver), name=f"read {name}")
        real_interval = self.interval_s / self._clock.speed
        window = min(READ_WINDOW * real_interval, READ_WINDOW_MAX_S)
        begun = self._clock.monotonic()
        await self._wait_for_reads(window)
        self._set_lead(self._clock.monotonic() - begun, window)
        frames = []
        for name, task in list(self._reads.items()):
            if task.done():
                del self._reads[name]
                frames.append(self._result(name, task))
                continue
            self.timing[name].late += 1
            if self._silent_for(name) > real_interval + self._plant.devices[name].timeout_s:
                frames.append(self._stale(name))
        return frames

    def _set_lead(self, took_s: float, window_s: float) -> None:
        wanted = took_s * LEAD_MARGIN if took_s >= LEAD_LEAST_S else 0.0
        faded = self._lead_s * LEAD_FADE if self._lead_s >= LEAD_LEAST_S else 0.0
        self._lead_s = min(window_s, max(wanted, faded))

    async def _wait_for_reads(self, window: float) -> None:
        """Wait until all have answered, or the window is over.

        While this process itself stood still (other work, another process) no answer could come in: it is not the
        devices that were late, and they have that time once more.
        """
        begun = self._clock.monotonic()
        if not self._reads:
            return
        _, pending = await asyncio.wait(self._reads.values(), timeout=window)
        stood_still = self._clock.monotonic() - begun - window
        if pending and stood_still > STOOD_STILL_S:
            await asyncio.wait(pending, timeout=min(stood_still, window))

    async def _read(self, name: str, driver: Driver) -> Frame:
        begun = self._clock.monotonic()
        try:
            return await driver.read()
        finally:
            self.timing[name].round_trip_s = self._clock.monotonic() - begun

    def _result(self, name: str, task: asyncio.Task[Frame]) -> Frame:
        self._heard[name] = self._clock.monotonic()
        error = task.exception()
        if error is None:
            return task.result()
        if not isinstance(error, Exception):
            raise error
        _log.error("driver failed", device=name, exc_info=error)
        self.on_failure(f"driver {name}", error)
        return self._stale(name)

    def _silent_for(self, name: str) -> float:
        return self._clock.monotonic() - self._heard[name]

    def _stale(self, name: str) -> Frame:
        index = np.array([p.tag.index for p in self._plant.devices[name].points], dtype=np.int32)
        quality = np.full(len(index), BAD_STALE, dtype=np.uint32)
        return Frame(self._clock.now(), self._clock.wall(), name, index, np.full(len(index), np.nan), quality)

    def _scan(self, read: list[Frame], due: int) -> None:
        t, wall = self._clock.now(), self._clock.wall()
        late_ms = (t - due) / 1e6 / self._clock.speed
        frames = [Frame(t, f.wall, f.group, f.index, f.value, f.quality, f.source_t) for f in read]
        frames = self.overlay(self.checks.apply(frames, t), t)
        changed = [self._image.apply(frame) for frame in frames]
        changed.append(self._image.take_internal_changes())
        changed.append(self._derive(frames, t, wall))
        frames.append(self._image.internal_frame(t, wall, ENGINE_GROUP))
        self._image.t[frames[-1].index] = t
        scan = Scan(self.latest.seq + 1, t, wall, tuple(frames), np.concatenate(changed), late_ms)
        self.latest = scan
        for stage in self.stages:
            self._run_stage(stage, scan)
        if self._waiters is not None:
            waiters, self._waiters = self._waiters, None
            waiters.set_result(scan)

    def _derive(self, frames: list[Frame], t: int, wall: int) -> IndexArray:
        old_value, old_quality = self._image.value.copy(), self._image.quality.copy()
        frame = self._derived.frame(self._image, t, wall, DERIVED_GROUP)
        self._image.t[frame.index] = t
        frames.append(frame)
        old_value, old_quality = old_value[frame.index], old_quality[frame.index]
        same = (old_quality == frame.quality) & (
            (old_value == frame.value) | (np.isnan(old_value) & np.isnan(frame.value))
        )
        changed: IndexArray = frame.index[~same]
        return changed

    def _run_stage(self, stage: Callable[[Scan], None], scan: Scan) -> None:
        try:
            stage(scan)
        except Exception as error:  # noqa: BLE001  (the other stages must see this scan; the owner makes the plant safe)
            name = getattr(stage, "__qualname__", repr(stage))
            _log.error("scan stage failed", stage=name, exc_info=error)
            self.on_failure(name, error)

    def _start_followers(self) -> None:
        for number, follow in enumerate(self.after):
            running = self._followers.get(number)
            if running is not None and not running.done():
                continue
            if running is not None and (error := running.exception()) is not None:
                _log.error("task after the scan failed", exc_info=error)
                self.on_failure("task after the scan", error if isinstance(error, Exception) else RuntimeError(error))
            self._followers[number] = asyncio.create_task(_call(follow), name="after scan")

    def _next_due(self, due: int) -> int:
        step = round(self.interval_s * NS)
        due += step
        for at, speed in self._clock.changes_ahead():
            # What is far away in time that runs fast is much farther away in time that has become slow meanwhile.
            if at < due:
                due = min(due, at + round(self._interval_at(speed) * NS))
        behind = self._clock.now() - due
        if behind > step:
            missed = behind // step
            self._overrun += int(missed)
            due += int(missed) * step
        return due

    def _interval_at(self, speed: float) -> float:
        return max(self._plant.scan_s, self._plant.wire_scan_s * speed)

    async def _end_tasks(self) -> None:
        tasks: list[asyncio.Task[Frame] | asyncio.Task[None]] = [*self._reads.values(), *self._followers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _call(follow: Callable[[], Awaitable[None]]) -> None:
    await follow()
