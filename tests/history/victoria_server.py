"""A real VictoriaMetrics of Debian, on loopback with files of its own, to be restarted, hung and asked.

It takes the write protocol of InfluxDB 2 as it is, keeps numbers with milliseconds, and makes 0 of every text.
"""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from tests.history.influx_server import LOOPBACK, START_S, free_ports

VICTORIA = shutil.which("victoria-metrics")
NOT_HERE = "victoria-metrics (Debian package victoria-metrics) is not installed"

Series = dict[str, dict[int, float]]
"""By field: time (UTC ms) and number."""


class VictoriaServer:
    """The server with its files in ``directory``; use as a context manager. A reading sent twice is kept once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def start(self) -> None:
        """Start it; returns when it answers."""
        if VICTORIA is None:
            raise RuntimeError(NOT_HERE)
        self._directory.mkdir(parents=True, exist_ok=True)
        options = ("-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms", "-loggerLevel=ERROR")
        with (self._directory / "victoria.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    VICTORIA,
                    f"-storageDataPath={self._directory / 'data'}",
                    f"-httpListenAddr={LOOPBACK}:{self.port}",
                    *options,
                ],
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                said = (self._directory / "victoria.log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"victoria-metrics did not start: {said[-500:]}")
            threading.Event().wait(0.02)

    def stop(self) -> None:
        """SIGTERM, and wait until it has ended: killed, it would lose its last seconds."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            self._process.wait(START_S)
            self._process = None

    def hang(self) -> None:
        """SIGSTOP: it listens and says nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def where(self, query: Mapping[str, str]) -> str:
        """Its own address for a write of the protocol of InfluxDB 2."""
        return "/api/v2/write?" + urlencode(query)

    def numbers(self, **labels: str) -> Series:
        """All that it keeps of the readings with such labels."""
        self._ask("/internal/force_flush")
        match = ",".join(['__name__=~"readings_.*"', *(f'{name}="{value}"' for name, value in labels.items())])
        found: Series = {}
        for line in self._ask("/api/v1/export?" + urlencode({"match[]": f"{{{match}}}"})).splitlines():
            one = json.loads(line)
            field = one["metric"]["__name__"].removeprefix("readings_")
            found.setdefault(field, {}).update(zip(one["timestamps"], one["values"], strict=True))
        return found

    def _ask(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"victoria-metrics answers {answer.status}: {said[:300]!r}")
        return said

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=1)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _signal(self, number: int) -> None:
        if self._process is None:
            raise RuntimeError("victoria-metrics does not run")
        self._process.send_signal(number)
