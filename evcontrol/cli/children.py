"""Child processes that never outlive us: each in a group of its own, and each stops when its standard input closes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from typing import Self

STOP_S = 20.0
"""Real time that a child has to stop in an orderly way."""


class Child:
    """One ``evcontrol`` command that runs until we close its input. Its last lines of output are kept."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.lines: deque[str] = deque(maxlen=50)
        self._process = process
        self._reader = asyncio.create_task(self._read(), name=f"output of {name}")

    @classmethod
    async def start(cls, name: str, *arguments: str) -> Self:
        """Start ``evcontrol ARGUMENTS``; Ctrl-C in our terminal does not reach it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "evcontrol.cli.main",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(name, process)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Wait until it ends, and return its exit status."""
        status = await self._process.wait()
        await self._reader
        return status

    async def stop(self) -> int:
        """Close its input and wait; kill its group when it does not stop in time. Returns its exit status."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                return await self.ended()
        except TimeoutError:
            self._kill()
            return await self.ended()

    async def end(self) -> int:
        """Tell it to end at once, which is for a process that only shows something. Returns its exit status."""
        if self.running:
            self._process.terminate()
        return await self.stop()

    def _kill(self) -> None:
        if hasattr(os, "killpg"):
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()

    async def _read(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError(f"{self.name} was started without a pipe for its output")
        async for line in self._process.stdout:
            self.lines.append(line.decode("utf-8", "replace").rstrip())
