"""Looking into the history in processes of their own, so that a year of readings delays no scan.

What is asked for is decoded, summed up and packed there; the engine only passes the bytes on.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from array import array
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from evcontrol.api.series import Series, pack_series
from evcontrol.history.cell_blob import TREND
from evcontrol.history.reader import HistoryError, HistoryReader
from evcontrol.history.trend import Trend
from evcontrol.quality import QualityArray
from evcontrol.signals import FloatArray, TimeArray

WORKERS: Final = 2
"""So that a long question does not hold up the trend that somebody looks at."""
NICENESS: Final = 10
"""Scans go first where processors are few."""


Question = tuple[Path, list[str], int, int, int | None]
"""Directory, tags, start, end, buckets."""


class HistoryWorker:
    """Answers questions about ``directory``, in as many processes as questions are asked at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._free = asyncio.Semaphore(WORKERS)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    async def series(self, tags: Sequence[str], start: int, end: int, buckets: int | None) -> bytes:
        """Packed series of readings between two times (UTC ns), or of about so many parts. Raises HistoryError."""
        async with self._free:
            worker = self._idle.pop() if self._idle else _Worker()
            self._busy.add(worker)
            try:
                answer = await asyncio.to_thread(worker.ask, (self._directory, list(tags), start, end, buckets))
            except (OSError, EOFError):
                worker.kill()
                raise HistoryError("whoever looked into the history has died: ask again, or for less") from None
            except asyncio.CancelledError:
                worker.kill()  # nobody waits for the answer any more
                raise
            finally:
                self._busy.discard(worker)
            self._idle.append(worker)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the processes; a question under way is not answered any more."""
        for worker in (*self._idle, *self._busy):
            worker.kill()
        self._idle.clear()


class _Worker:
    """One process, which ends with the one that began it: it waits at a pipe that breaks then."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_answer, args=(theirs,), name="history reader", daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, question: Question) -> bytes | Exception:
        """The answer, or what went wrong; OSError or EOFError when there is nobody."""
        self._pipe.send(question)
        answer: bytes | Exception = self._pipe.recv()
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._pipe.close()


def _answer(pipe: Connection[Any, Any]) -> None:
    """The work of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine
    if sys.platform != "win32":
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    while True:
        try:
            question: Question = pipe.recv()
        except EOFError:
            return
        try:
            answer: bytes | Exception = packed(*question)
        except (HistoryError, ValueError, MemoryError) as error:
            answer = error if isinstance(error, HistoryError) else HistoryError(f"{type(error).__name__}: {error}")
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return


def packed(directory: Path, tags: list[str], start: int, end: int, buckets: int | None) -> bytes:
    """What :meth:`HistoryWorker.series` gives. Raises HistoryError."""
    reader = HistoryReader(directory)
    if buckets is None:
        found = reader.raw(tags, start, end)
        return pack_series(_readings(name, c.unit, c.t, c.v, c.q) for name, c in found.items())
    return pack_series(_parts(name, part) for name, part in reader.trend(tags, start, end, buckets, TREND).items())


def _parts(tag: str, found: Trend) -> Series:
    series = _readings(tag, found.unit, found.t, found.mean, found.q)
    series.low, series.high = array("d", found.low.tobytes()), array("d", found.high.tobytes())
    return series


def _readings(tag: str, unit: str, t: TimeArray, v: FloatArray, q: QualityArray) -> Series:
    return Series(tag, unit, array("q", t.tobytes()), array("d", v.tobytes()), array("I", q.tobytes()))
