"""Outputs of loops, latest value only, one write per device and scan; and the devices' heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from drivers.driver import Outcome
from evcontrol.control.field import Field
from evcontrol.control.local import LocalWatch

_log = structlog.get_logger(__name__)


class Modulator:
    """Keeps the latest value of every modulated tag and writes it; a slow device delays only itself."""

    def __init__(
        self,
        field: Field,
        watch: LocalWatch,
        lock: Callable[[str], asyncio.Lock],
        allowed: Callable[[str, float], bool],
    ) -> None:
        self._field = field
        self._watch = watch
        self._lock = lock
        self._allowed = allowed
        self._latest: dict[str, dict[str, float]] = {}
        self._writes: dict[str, asyncio.Task[None]] = {}
        self._beats: dict[str, asyncio.Task[None]] = {}

    def put(self, tag: str, value: float) -> None:
        """Keep a value for the next flush."""
        self._latest.setdefault(self._field.device_of(tag), {})[tag] = value

    def drop(self, tags: Iterable[str], *, abandon: bool = False) -> None:
        """Forget values that were not sent; with ``abandon`` also end writes under way to the tags' devices."""
        for device, names in self._field.by_device(tags).items():
            kept = self._latest.get(device, {})
            for tag in names:
                kept.pop(tag, None)
            if abandon and (task := self._writes.get(device)) is not None:
                task.cancel()

    def flush(self) -> None:
        """Start one write per device that has something new and is not still busy with the last."""
        for device in [d for d, values in self._latest.items() if values]:
            if not self._busy(self._writes, device):
                self._writes[device] = _start(self._write(device), f"modulate {device}")

    def feed(self) -> None:
        """Start one heartbeat to each READY device that is not still busy with the last."""
        for device in self._field.drivers:
            if self._field.ready(device) and not self._busy(self._beats, device):
                self._beats[device] = _start(self._beat(device), f"heartbeat {device}")

    async def close(self) -> None:
        """End all writes and heartbeats."""
        tasks = [*self._writes.values(), *self._beats.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    def _busy(tasks: dict[str, asyncio.Task[None]], device: str) -> bool:
        task = tasks.get(device)
        return task is not None and not task.done()

    async def _write(self, device: str) -> None:
        async with self._lock(device):
            latest = self._latest.pop(device, {})
            values = {tag: value for tag, value in latest.items() if self._allowed(tag, value)}
            if not values:
                return
            for tag, value in values.items():
                self._watch.expect_modulated(tag, value)
            results = await self._field.write(device, values)
        for tag, result in results.items():
            if result.outcome is Outcome.REJECTED:
                self._watch.refused(tag, values[tag])

    async def _beat(self, device: str) -> None:
        try:
            await self._field.drivers[device].feed_watchdog()
        except Exception as error:  # noqa: BLE001  (the next scan feeds again; a driver at fault shows in its link)
            _log.error("heartbeat failed", device=device, exc_info=error)


def _start(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    return asyncio.create_task(work, name=name)
