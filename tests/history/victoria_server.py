"""A real VictoriaMetrics of Debian, on loopback with files of its own, to be restarted, hung and asked.

It takes the write protocol of InfluxDB 2 as it is, keeps numbers with milliseconds, and makes 0 of every text. It is
stopped and never killed where what it acknowledged must be there afterwards.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from tests.history.server_process import LOOPBACK, ServerProcess, free_ports

VICTORIA = shutil.which("victoria-metrics")
NOT_HERE = "victoria-metrics (Debian package victoria-metrics) is not installed"
OPTIONS = ("-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms", "-loggerLevel=ERROR")

Series = dict[str, dict[int, float]]
"""By field: time (UTC ms) and number."""


class VictoriaServer(ServerProcess):
    """The server with its files in ``directory``. A reading sent twice is kept once."""

    def __init__(self, directory: Path) -> None:
        (port,) = free_ports(1)
        command = [str(VICTORIA), f"-storageDataPath={directory / 'data'}", f"-httpListenAddr={LOOPBACK}:{port}"]
        super().__init__(directory, port, [*command, *OPTIONS], "/health", 200)

    def where(self, query: Mapping[str, str]) -> str:
        """Its own address for a write of the protocol of InfluxDB 2."""
        return "/api/v2/write?" + urlencode(query)

    def numbers(self, **labels: str) -> Series:
        """All that it keeps of the readings with such labels."""
        self._get("/internal/force_flush")
        match = ",".join(['__name__=~"readings_.*"', *(f'{name}="{value}"' for name, value in labels.items())])
        found: Series = {}
        for line in self._get("/api/v1/export?" + urlencode({"match[]": f"{{{match}}}"})).splitlines():
            one = json.loads(line)
            field = one["metric"]["__name__"].removeprefix("readings_")
            found.setdefault(field, {}).update(zip(one["timestamps"], one["values"], strict=True))
        return found

    def _get(self, path: str) -> bytes:
        status, body = self.ask("GET", path)
        if status >= 300:
            raise RuntimeError(f"victoria-metrics answers {status}: {body[:300]!r}")
        return body
