"""A server of somebody else that a test starts, stops, hangs and kills."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
START_S = 20.0


class ServerProcess:
    """One such server, its log in ``directory``; use as a context manager, which ends with SIGKILL.

    It answers when a GET of ``health`` at its ``port`` has the status ``well``.
    """

    def __init__(self, directory: Path, port: int, command: Sequence[str], health: str, well: int) -> None:
        self._directory = directory
        self._command = list(command)
        self._health = health
        self._well = well
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id while it runs."""
        return self._running.pid

    def start(self) -> None:
        """Start it; returns when it answers."""
        self._directory.mkdir(parents=True, exist_ok=True)
        said = self._directory / "server.log"
        with said.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                text = said.read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"{self._command[0]} did not start: {text[-500:]}")
            threading.Event().wait(0.02)

    def stop(self) -> None:
        """SIGTERM, and wait until it has ended."""
        self._running.terminate()
        self._running.wait(START_S)
        self._process = None

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """SIGSTOP: it listens and says nothing."""
        self._running.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._running.send_signal(signal.SIGCONT)

    def ask(self, method: str, path: str, timeout_s: float = 60.0) -> tuple[int, bytes]:
        """Status and body of one request."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=timeout_s)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self._command[0]} does not run")
        return self._process

    def _answers(self) -> bool:
        try:
            return self.ask("GET", self._health, 1.0)[0] == self._well
        except OSError:
            return False


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody uses now."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
