"""The engine's side of the forwarding: starts its process, hears its reports, starts it again, ends it."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from evcontrol.clock import LiveClock
from evcontrol.history.forward_state import FINISH, ForwardState, ForwardStatus
from evcontrol.history.target import Target

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""Real time before a worker that ended is started again: doubled from the first to the longest."""
SILENT_S = 15.0
"""Real time without a report after which a worker counts as hung."""
FINISH_S = 8.0
"""Real time that a worker has for the last readings when the engine stops."""
END_S = 2.0
LAST_WORDS = 20

_log = structlog.get_logger(__name__)


class ForwardWorker:
    """One worker process for one target, from :meth:`start` to :meth:`stop`; ``status`` is its latest report.

    Nothing that it does or fails to do reaches the engine but by ``status`` and the log.
    """

    def __init__(self, data: Path, target: Target) -> None:
        self.status = ForwardStatus(ForwardState.STARTING)
        self._data = data
        self._target = target
        self._clock = LiveClock()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._words: deque[str] = deque(maxlen=LAST_WORDS)

    @property
    def lag_s(self) -> float:
        """Age in real seconds of the oldest reading that the server does not have, as far as is known."""
        return self.status.lag_s(self._clock.wall())

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    def start(self) -> None:
        """Start the worker, and from then on one after the other until :meth:`stop`."""
        self._task = asyncio.create_task(self._supervise(), name="forwarding")

    async def stop(self) -> None:
        """Let the worker send what is on the disk, for a bounded time, and end it."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.write(f"{FINISH}\n".encode())
            await self._ended(process, FINISH_S)
            if process.stdin is not None:
                process.stdin.close()
            await self._ended(process, END_S)
            if process.returncode is None:
                process.kill()
            if self._task is not None:
                await asyncio.wait([self._task], timeout=END_S)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _supervise(self) -> None:
        failures = 0
        while not self._stopping:
            begun = self._clock.monotonic()
            try:
                why = await self._run_one()
            except Exception as error:  # noqa: BLE001  (control goes on whatever becomes of the forwarding)
                _log.error("the forwarding cannot be watched", exc_info=error)
                why = f"{type(error).__name__}: {error}"
            if self._stopping:
                return
            failures = 0 if self._clock.monotonic() - begun > LONGEST_PAUSE_S else failures + 1
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (failures - 1))
            self._take(replace(self.status, state=ForwardState.STOPPED, reason=why, rate=0.0, oldest=self._oldest()))
            await self._clock.sleep(pause)

    def _oldest(self) -> int:
        """What is kept from now on waits, whether or not anything did before."""
        return self._clock.wall() if self.status.oldest is None else self.status.oldest

    async def _run_one(self) -> str:
        """Run one worker to its end, and say why it ended."""
        self._words.clear()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "evcontrol.history.forward_main", str(self._data)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return f"the worker cannot be started: {error}"
        words = asyncio.create_task(self._hear_words(process), name="forwarding's words")
        try:
            if process.stdin is not None:
                process.stdin.write(f"{self._target.to_json()}\n".encode())
            why = await self._hear_reports(process)
            status = await process.wait()
            await words
        finally:
            words.cancel()
            if process.returncode is None:
                process.kill()
            if process.stdin is not None:
                process.stdin.close()
        if self._words and not self._stopping:
            _log.error("the forwarding ended", status=status, said="\n".join(self._words))
        return why or f"the worker ended with status {status}"

    async def _hear_reports(self, process: asyncio.subprocess.Process) -> str:
        """Take reports over until there are no more; says so when the worker was hung and is killed for it."""
        if process.stdout is None:
            raise RuntimeError("the worker was started without a pipe for its reports")
        while True:
            try:
                async with asyncio.timeout(SILENT_S):
                    line = await process.stdout.readline()
            except TimeoutError:
                process.kill()
                return "the worker was hung"
            if not line:
                return ""
            try:
                self._take(ForwardStatus.from_json(line))
            except ValueError as error:
                self._words.append(str(error))

    async def _hear_words(self, process: asyncio.subprocess.Process) -> None:
        while process.stderr is not None and (said := await process.stderr.read(4096)):
            self._words.extend(said.decode("utf-8", "replace").splitlines())

    def _take(self, status: ForwardStatus) -> None:
        before, self.status = self.status, status
        if status.quarantined > before.quarantined:
            _log.warning("readings were set aside", quarantined=status.quarantined, reason=status.reason)
        elif (status.state, status.reason) != (before.state, before.reason):
            log = _log.info if status.state in (ForwardState.STARTING, ForwardState.FORWARDING) else _log.warning
            lag = round(status.lag_s(self._clock.wall()), 1)
            log("forwarding", state=status.state.value, reason=status.reason, lag_s=lag)

    async def _ended(self, process: asyncio.subprocess.Process, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await process.wait()
