"""A real InfluxDB 1.x of Debian (``influxd``), on loopback with files of its own, to be stopped, hung and queried."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

INFLUXD = shutil.which("influxd")
NOT_HERE = "influxd (Debian package influxdb) is not installed"
LOOPBACK = "127.0.0.1"
START_S = 20.0
PRECISION = {"ns": "n", "us": "u", "ms": "ms", "s": "s"}

CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{directory}/meta"
[data]
dir = "{directory}/data"
wal-dir = "{directory}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[subscriber]
enabled = false
[http]
bind-address = "127.0.0.1:{http}"
log-enabled = false
[ifql]
enabled = false
bind-address = "127.0.0.1:0"
[continuous_queries]
enabled = false
"""

Row = dict[str, str | bool | None]
"""A row of an answer; numbers as they were written, so that nothing is rounded."""


class InfluxServer:
    """The server with its files in ``directory``; use as a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port, self._rpc = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it; returns when it answers."""
        if INFLUXD is None:
            raise RuntimeError(NOT_HERE)
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "influxd.conf"
        config.write_text(CONFIG.format(directory=self._directory, http=self.port, rpc=self._rpc), encoding="utf-8")
        with (self._directory / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen([INFLUXD, "-config", str(config)], stdout=log, stderr=log)
        end = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                said = (self._directory / "influxd.log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"influxd did not start: {said[-500:]}")
            threading.Event().wait(0.02)

    def kill(self) -> None:
        """SIGKILL; what it acknowledged must be there when it is started again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM, and wait until it has ended."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            self._process.wait(START_S)
            self._process = None

    def where(self, query: Mapping[str, str]) -> str:
        """Its own address for a write of the protocol of InfluxDB 2."""
        return "/write?" + urlencode({"db": query["bucket"], "precision": PRECISION[query.get("precision", "ns")]})

    @property
    def pid(self) -> int:
        """Its process id while it runs."""
        if self._process is None:
            raise RuntimeError("influxd does not run")
        return self._process.pid

    def hang(self) -> None:
        """SIGSTOP: it listens and says nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def create(self, bucket: str) -> None:
        """Make a database."""
        self._ask("POST", f'CREATE DATABASE "{bucket}"', "")

    def rows(self, bucket: str, query: str) -> list[Row]:
        """The rows of one statement, with times in ns."""
        (result,) = self._ask("GET", query, bucket)["results"]
        if "error" in result:
            raise RuntimeError(result["error"])
        return [
            {**dict(zip(series["columns"], values, strict=True)), **series.get("tags", {})}
            for series in result.get("series", [])
            for values in series["values"]
        ]

    def _ask(self, method: str, query: str, bucket: str) -> Any:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)
        try:
            connection.request(method, "/query?" + urlencode({"db": bucket, "q": query, "epoch": "ns"}))
            return json.loads(connection.getresponse().read(), parse_int=str, parse_float=str)
        finally:
            connection.close()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=1)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 204
        except OSError:
            return False
        finally:
            connection.close()

    def _signal(self, number: int) -> None:
        if self._process is None:
            raise RuntimeError("influxd does not run")
        self._process.send_signal(number)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody uses now."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
