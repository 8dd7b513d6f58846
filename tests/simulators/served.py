"""Simulators as a process of their own, and where their devices are."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymodbus.client import ModbusTcpClient

PROGRAM = """
import asyncio, sys
from pathlib import Path
from simulators.serve import PLANTS, serve

async def main():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ready = lambda _: print("ready", flush=True)
    await serve(Path(sys.argv[1]), reader.read, speed=float(sys.argv[2]), plant=PLANTS[int(sys.argv[3])](), ready=ready)

asyncio.run(main())
"""
FAST = 100.0


class Served:
    """A running process and where its devices are."""

    def __init__(self, data: Path, speed: float = 1.0, plant: int = 0) -> None:
        self.data = data
        self.file = data / "run" / "simulators.json"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(data), str(speed), str(plant)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.endpoints: dict[str, Any] = json.loads(self.file.read_text())

    @contextmanager
    def skid(self, name: str = "TFF201") -> Iterator[ModbusTcpClient]:
        client = ModbusTcpClient("127.0.0.1", port=self.endpoints["devices"][name]["port"], timeout=2)
        assert client.connect()
        yield client
        client.close()

    def tell(self, **request: object) -> Any:
        address = ("127.0.0.1", self.endpoints["control"]["port"])
        with socket.create_connection(address, timeout=5) as connection, connection.makefile("rw") as lines:
            lines.write(json.dumps(request) + "\n")
            lines.flush()
            answer = json.loads(lines.readline())
        assert "ok" in answer, answer
        return answer["ok"]

    def truth(self) -> dict[str, Any]:
        truth: dict[str, Any] = self.tell(do="truth")
        return truth

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self._ended()

    def stop(self) -> int:
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
        return self._ended()

    def _ended(self) -> int:
        status = self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return status


def until(there: Callable[[], bool], seconds: float = 20.0) -> None:
    """Ask again and again; every question takes its time on the wire."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "it did not come"


def failing(data: Path, plant: int = 0) -> subprocess.CompletedProcess[str]:
    """A process that cannot serve."""
    command = [sys.executable, "-c", PROGRAM, str(data), "1", str(plant)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
