"""A thread that watches the event loop: one that stands still controls nothing, however alive its process looks.

While the loop stands still nothing feeds the controllers' watchdogs, so that they make the equipment safe. When it
does not go on soon after, the process ends, so that whoever keeps it running starts it anew: it then observes first,
completes what the safe state still lacks, and its batches come back Held.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

LOOK_S: Final = 0.5
"""Real time between two looks."""
TOLD_AFTER: Final = 2
"""Looks without a beat after which it is told where the loop stands."""
ENDED_AFTER: Final = 40
"""Looks without a beat after which the process ends: 20 s, twice the watchdog of the shipped plants."""
BLOCKED: Final = 70
"""Exit status of a process whose loop stood still (EX_SOFTWARE of sysexits.h)."""

_log = structlog.get_logger(__name__)


class LoopWatchdog:
    """Looks every half second whether the loop has gone on.

    It counts its own looks instead of time, so that a machine that was suspended, and its looks with it, is not taken
    for a loop that stands still. ``end`` is called in the watching thread when it stood for too long.
    """

    def __init__(self, end: Callable[[], None], look_s: float = LOOK_S, ended_after: int = ENDED_AFTER) -> None:
        self._end = end
        self._look_s = look_s
        self._ended_after = ended_after
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._beats = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop watchdog", daemon=True)
        self._beat_handle: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the running loop while the block lasts."""
        self._beat()
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            if self._beat_handle is not None:
                self._beat_handle.cancel()

    def _beat(self) -> None:
        self._beats += 1
        self._beat_handle = self._loop.call_later(self._look_s / 2, self._beat)

    def _watch(self) -> None:
        seen, still = -1, 0
        while not self._over.wait(self._look_s):
            beats = self._beats
            still = still + 1 if beats == seen else 0
            seen = beats
            if still == TOLD_AFTER:
                _log.error("the event loop stands still", where=self._where())
            if still >= self._ended_after:
                _log.critical("the event loop stood still for too long: the process ends", where=self._where())
                self._end()
                return

    def _where(self) -> str:
        """What the loop's thread is at."""
        frame = sys._current_frames().get(self._watched)
        return "".join(traceback.format_stack(frame)) if frame is not None else "its thread has ended"


def end_process() -> None:
    """End at once: what hangs in the loop's thread must not keep the process from ending."""
    sys.stderr.write("evcontrol: the event loop stood still for too long; the details are in log/engine.log\n")
    sys.stderr.flush()
    os._exit(BLOCKED)
