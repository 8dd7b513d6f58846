"""One thread for work that may hang, such as files on a network drive; in virtual time the work is done at once."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from evcontrol.clock import Clock, ClockKind

R = TypeVar("R")


class Worker:
    """Does one job after the other. A job that hangs keeps its thread; nothing else is begun meanwhile."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._begun: float | None = None

    @property
    def stuck_s(self) -> float:
        """For how long (real s) it has been at the job that it has; 0 when it is free."""
        begun = self._begun
        return 0.0 if begun is None else max(1e-3, self._clock.monotonic() - begun)

    async def run(self, job: Callable[[], R]) -> R:
        """The job's result, or what it raises. A job whose caller was cancelled is not begun, or ends by itself."""
        if self._clock.kind is ClockKind.VIRTUAL:
            return job()
        if self._thread is None:
            # A daemon: one that hangs for ever must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, args=(self._jobs,), name=self._name, daemon=True)
            self._thread.start()
        entry = _Job(job, asyncio.get_running_loop().create_future())
        self._begun = self._clock.monotonic() if self._begun is None else self._begun
        self._jobs.put(entry)
        try:
            result: R = await entry.answer
        finally:
            entry.over = True
        return result

    def end(self) -> None:
        """Let the thread end when its job is done; the next job has a new one."""
        self._jobs.put(None)
        self._jobs = queue.SimpleQueue()
        self._thread = None

    def _work(self, jobs: queue.SimpleQueue[_Job | None]) -> None:
        while (entry := jobs.get()) is not None:
            outcome: object
            self._begun = self._clock.monotonic()
            try:
                outcome = None if entry.over else entry.job()
            except Exception as error:  # noqa: BLE001  (belongs to who asked, and is raised there)
                outcome = error
            self._begun = None
            try:
                entry.answer.get_loop().call_soon_threadsafe(_settle, entry.answer, outcome)
            except RuntimeError:
                return  # the event loop is closed: nobody waits


@dataclass(slots=True)
class _Job:
    job: Callable[[], Any]
    answer: asyncio.Future[Any]
    over: bool = False
    """Set by who asked, when the answer is no longer wanted."""


def _settle(answer: asyncio.Future[Any], outcome: object) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
        answer.exception()  # whoever waited may be gone
    else:
        answer.set_result(outcome)
