"""A real InfluxDB 1.x of Debian (``influxd``), on loopback with files of its own, to be stopped, hung and queried."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.history.server_process import ServerProcess, free_ports

INFLUXD = shutil.which("influxd")
NOT_HERE = "influxd (Debian package influxdb) is not installed"
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


class InfluxServer(ServerProcess):
    """The server with its files in ``directory``; killed and started again it has all that it acknowledged."""

    def __init__(self, directory: Path) -> None:
        port, rpc = free_ports(2)
        config = directory / "influxd.conf"
        super().__init__(directory, port, [str(INFLUXD), "-config", str(config)], "/ping", 204)
        directory.mkdir(parents=True, exist_ok=True)
        config.write_text(CONFIG.format(directory=directory, http=port, rpc=rpc), encoding="utf-8")

    def where(self, query: Mapping[str, str]) -> str:
        """Its own address for a write of the protocol of InfluxDB 2."""
        return "/write?" + urlencode({"db": query["bucket"], "precision": PRECISION[query.get("precision", "ns")]})

    def create(self, bucket: str) -> None:
        """Make a database."""
        self._query("POST", f'CREATE DATABASE "{bucket}"', "")

    def rows(self, bucket: str, query: str) -> list[Row]:
        """The rows of one statement, with times in ns."""
        (result,) = self._query("GET", query, bucket)["results"]
        if "error" in result:
            raise RuntimeError(result["error"])
        return [
            {**dict(zip(series["columns"], values, strict=True)), **series.get("tags", {})}
            for series in result.get("series", [])
            for values in series["values"]
        ]

    def _query(self, method: str, query: str, bucket: str) -> Any:
        _, body = self.ask(method, "/query?" + urlencode({"db": bucket, "q": query, "epoch": "ns"}))
        return json.loads(body, parse_int=str, parse_float=str)
