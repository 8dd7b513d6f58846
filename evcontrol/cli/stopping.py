"""Being asked to stop: SIGINT, SIGTERM, or the end of standard input when a parent process holds it open."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """The first request to stop wins; later ones change nothing, so that nobody skips the safe state by impatience."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self.why = ""
        self.by_signal: int = 0
        self.again = 0
        """How often more it was asked for."""

    async def wait(self) -> str:
        """Wait until somebody asks, and return why."""
        await self._asked.wait()
        return self.why

    @contextmanager
    def listening(self, until_eof: bool = False) -> Iterator[None]:
        """Listen while the block lasts: to the signals, and with ``until_eof`` to the end of standard input."""
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        if until_eof:
            threading.Thread(target=self._read_to_end, daemon=True, name="end of input").start()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def ask(self, why: str, by_signal: int = 0) -> None:
        """Ask to stop; from the event loop's thread."""
        if self._asked.is_set():
            self.again += 1
            return
        self.why, self.by_signal = why, by_signal
        self._asked.set()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self.ask, f"asked by {signal.Signals(number).name}", number)

    def _read_to_end(self) -> None:
        # os.read, since a thread inside sys.stdin's own lock would break the interpreter's shutdown.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.ask, "asked by the end of its input")
