"""The historian: every frame of every scan to the local disk, within a second of real time or as a recorded gap."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from evcontrol.clock import NS, Clock, ClockKind
from evcontrol.history.layout import Gap, file_name, month_of
from evcontrol.history.month import MonthFile
from evcontrol.history.reader import HistoryError, HistoryReader
from evcontrol.signals import Frame, TagTable

COMMIT_S = 0.4
"""Real time between two commits; with the commit itself well below the second that is promised."""
RETRY_S = 1.0
"""Real time between two attempts while the disk refuses."""
SEAL_RETRY_S = 60.0
"""Time before sealing is tried again after it failed."""
SEALED_AT_ONCE = 8
SEALING_S = 0.2
"""So many stretches of frames, and for so long, are sealed between two commits: what comes in has its second."""
BUFFER_FRAMES = 50_000
BUFFER_READINGS = 5_000_000
"""What is held in memory while the disk refuses; beyond it scans are dropped and recorded as a gap."""
CHUNK = 2_000
"""Frames in one transaction, so that an attempt on a full disk fails early."""
NOT_RUNNING = "the engine was not running"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_log = structlog.get_logger(__name__)


class Historian:
    """Keeps frames in ``directory/YYYY-MM.db``, by the month of their process time.

    While the disk refuses, ``trouble`` says why and readings wait in memory; what does not fit is dropped.
    ``on_gap(from, to, reason)`` (process times, UTC ns) is called in the event loop's thread when the first scan is
    dropped, and again with the same ``from`` when the gap has ended; it is also written into the history. Beside a
    damaged file a second one is begun (``YYYY-MM.1.db``). Readings of ``simulated`` equipment are marked as such.
    """

    def __init__(
        self,
        directory: Path,
        tags: TagTable,
        clock: Clock,
        *,
        simulated: bool = False,
        buffer_frames: int = BUFFER_FRAMES,
    ) -> None:
        self._directory = directory
        self._tags = tags
        self._clock = clock
        self._simulated = simulated
        self._virtual = clock.kind is ClockKind.VIRTUAL
        self.buffer_frames = buffer_frames
        self._waiting: deque[Frame | Gap] = deque()
        self._in_hand: deque[Frame | Gap] = deque()
        self._readings_in = 0
        self._readings_out = 0
        self._lost: Gap | None = None
        self._untold: list[Gap] = []
        self._disk = threading.Lock()
        self._closing = threading.Event()
        self._file: MonthFile | None = None
        self._month = ""
        self._number = 0
        self._sealing_rests = 0.0
        self._thread: threading.Thread | None = None
        self.trouble = ""
        self.on_gap: Callable[[int, int, str], None] = lambda start, end, reason: None
        self._previous_end = _last_reading(directory)

    @property
    def lag_s(self) -> float:
        """Age of the oldest reading that is not on the disk, in seconds of process time; 0 when there is none."""
        first = _first(self._in_hand) or _first(self._waiting)
        if first is None:
            return 0.0
        return max(0.0, (self._clock.now() - (first.start if isinstance(first, Gap) else first.t)) / NS)

    @property
    def lag_wall_s(self) -> float:
        """The same in real seconds, by the machine's clock."""
        first = _first(self._in_hand) or _first(self._waiting)
        return max(0.0, (self._clock.wall() - first.wall) / NS) if isinstance(first, Frame) else 0.0

    def keep(self, t: int, wall: int, frames: Sequence[Frame]) -> None:
        """Take over the frames of one scan (``t`` and ``wall`` in UTC ns); their arrays must not change any more."""
        if self._closing.is_set():
            raise RuntimeError("the history is closed")
        if self._previous_end is not None:
            self._note_outage(t)
        readings = sum([len(frame.index) for frame in frames])
        if self._is_full(len(frames), readings):
            self._lose(t)
        else:
            if self._lost is not None:
                self._end_gap()
            self._readings_in += readings
            self._waiting.extend(frames)
        if self._virtual:
            self._commit()
        self._tell()

    async def run(self) -> None:
        """Commit what was kept, until cancelled."""
        if self._virtual:
            await asyncio.get_running_loop().create_future()  # every scan commits what it keeps
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, args=(failed,), name="history", daemon=True)
            self._thread.start()
        await failed

    async def flush(self) -> None:
        """Commit all that was kept so far; when the disk refuses, ``trouble`` says so and it stays in memory."""
        if self._virtual:
            self._commit()
        else:
            await asyncio.to_thread(self._commit)

    async def close(self) -> None:
        """Commit the rest and close the file; what the disk still refuses is reported as a gap."""
        self._closing.set()
        if self._lost is not None:
            self._end_gap()
        if self._virtual:
            self._finish()
        else:
            await asyncio.to_thread(self._finish)
        left = [*self._in_hand, *self._waiting]
        frames = [item for item in left if isinstance(item, Frame)]
        if frames:
            self._untold.append(Gap(frames[0].t, frames[-1].t, self.trouble))
        self._tell()

    # ------------------------------------------------------------------------------------- in the event loop's thread

    def _is_full(self, frames: int, readings: int) -> bool:
        waiting = len(self._waiting) + len(self._in_hand)
        pending = self._readings_in - self._readings_out
        return waiting + frames > self.buffer_frames or pending + readings > BUFFER_READINGS

    def _lose(self, t: int) -> None:
        if self._lost is None:
            self._lost = Gap(t, t, self.trouble or "the disk is too slow")
            self._untold.append(self._lost)
        else:
            self._lost = Gap(self._lost.start, t, self._lost.reason)

    def _end_gap(self) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            self._waiting.append(lost)
            self._untold.append(lost)

    def _tell(self) -> None:
        """Last of all, since who is told may fail too (its own disk may be the full one)."""
        while self._untold:
            gap = self._untold.pop(0)
            self.on_gap(gap.start, gap.end, gap.reason)

    def _note_outage(self, t: int) -> None:
        previous, self._previous_end = self._previous_end, None
        if previous is not None and previous < t:
            self._waiting.append(Gap(previous, t, NOT_RUNNING))

    # ----------------------------------------------------------- on the disk: in a thread, or inline in virtual time

    def _work(self, failed: asyncio.Future[None]) -> None:
        # A thread of its own and not a task, so that a loop that is held up does not hold up readings already taken.
        while not self._closing.wait(RETRY_S if self.trouble else COMMIT_S):
            try:
                self._commit()
            except Exception as error:  # noqa: BLE001  (a fault of the program: run() raises it for its owner)
                self.trouble = f"history stopped: {error}"
                failed.get_loop().call_soon_threadsafe(_fail, failed, error)
                return

    def _finish(self) -> None:
        if self._thread is not None:
            self._thread.join()
        self._commit()
        with self._disk:
            self._close_file()

    def _commit(self) -> None:
        with self._disk:
            for _ in range(len(self._waiting)):
                self._in_hand.append(self._waiting.popleft())
            try:
                while self._in_hand:
                    self._commit_chunk()
            except (sqlite3.Error, OSError) as error:
                self._refused(error)
                return
            if self.trouble:
                _log.info("history is on the disk again")
                self.trouble = ""
            self._seal()

    def _commit_chunk(self) -> None:
        month = self._month_of(self._in_hand[0])
        chunk = list(itertools.islice(self._in_hand, CHUNK))
        chunk = list(itertools.takewhile(lambda item: self._month_of(item) == month, chunk))
        self._opened(month).write(chunk)
        for item in chunk:
            self._in_hand.popleft()
            if isinstance(item, Frame):
                self._readings_out += len(item.index)

    def _seal(self) -> None:
        """Compress what is old enough; what the disk refuses here waits, since it is on the disk already."""
        if self._file is None or self._sealing_rests > self._clock.monotonic():
            return
        try:
            until = self._clock.monotonic() + SEALING_S
            for _ in range(SEALED_AT_ONCE):
                if not self._file.seal() or self._clock.monotonic() >= until:
                    break
        except (sqlite3.Error, OSError, ValueError) as error:
            self._sealing_rests = self._clock.monotonic() + SEAL_RETRY_S
            _log.error("history cannot be compressed", error=str(error))

    def _month_of(self, item: Frame | Gap) -> str:
        return month_of(item.end if isinstance(item, Gap) else item.t)

    def _opened(self, month: str) -> MonthFile:
        if self._file is None or self._month != month:
            self._close_file()
            self._directory.mkdir(parents=True, exist_ok=True)
            if self._month != month:
                self._month, self._number = month, 0
            path = self._directory / file_name(month, self._number)
            self._file = MonthFile(path, self._tags, self._clock, self._simulated)
        return self._file

    def _refused(self, error: Exception) -> None:
        if not self.trouble:
            _log.error("history cannot be written", error=str(error))
        self.trouble = f"history cannot be written: {error}"
        self._close_file()
        if isinstance(error, sqlite3.Error) and _primary_code(error) in _DAMAGED:
            self._number += 1

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except sqlite3.Error as error:
            _log.error("history file did not close", error=str(error))


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _first(items: deque[Frame | Gap]) -> Frame | Gap | None:
    try:
        return items[0]
    except IndexError:
        return None


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _last_reading(directory: Path) -> int | None:
    try:
        span = HistoryReader(directory).span()
    except HistoryError as error:
        _log.error("history so far cannot be read", error=str(error))
        return None
    return None if span is None else span[1]
