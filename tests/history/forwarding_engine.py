"""The real engine on simulated equipment, told by a file where to forward its history to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.processes import PLANT, started
from tests.cli.processes import until as until_file
from tests.history.influx_gateway import TAKEN, Gateway
from tests.plant.test_influx import section

BUCKET, TRIAL = "production", "trial"
TAGS = """
  SYS.FORWARD_STATE: {internal: true, kind: enum, labels: [off, starting, forwarding, waiting, refused, stopped]}
  SYS.FORWARD_REASON: {internal: true, kind: text}
  SYS.FORWARD_LAG: {internal: true, unit: s, low: 0, high: 100000}
  SYS.FORWARD_RATE: {internal: true, unit: 1/s, low: 0, high: 100000}
  SYS.FORWARD_QUARANTINE: {internal: true, kind: integer, low: 0, high: 1000000}
"""


class Suite:
    """Simulators of the shipped plant, and engines on them that are told by a file where to forward to."""

    def __init__(self, data: Path, gateway: Gateway | None, *, scans_a_second: int = 1, **more: str) -> None:
        self.data = data
        self._plant, self._influx = data / "plant.yaml", data / "influx.yaml"
        self._where = data / "run" / "simulators.json"
        text = PLANT.read_text(encoding="utf-8").replace("\ntags:\n", f"\ntags:{TAGS}", 1)
        text = text.replace("\nscan: 1 s\n", f"\nscan: {1000 // scans_a_second} ms\n", 1)
        self._plant.write_text(text, encoding="utf-8")
        if gateway is not None:
            (data / "word").write_text(gateway.token, encoding="utf-8")
            keys = {"url": gateway.url, "org": gateway.org, "bucket": BUCKET, "simulated_bucket": TRIAL}
            keys |= {"longest_pause": "1 s", "token_file": str(data / "word"), **more}
            self._influx.write_text(section(**keys, token_env=None), encoding="utf-8")

    @contextmanager
    def simulators(self) -> Iterator[None]:
        """They run, when they are up."""
        with started("simulate", str(self._plant), "--data", str(self.data), "--until-eof") as process:
            until_file(self._where.exists, process)
            yield

    @contextmanager
    def engine(self) -> Iterator[subprocess.Popen[str]]:
        """One engine, when it is up."""
        endpoint = self.data / "run" / "endpoint.json"
        endpoint.unlink(missing_ok=True)
        options = ["--data", str(self.data), "--endpoints", str(self._where)]
        if self._influx.exists():
            options += ["--influxdb", str(self._influx)]
        with started("serve", str(self._plant), *options, "--until-eof") as process:
            until_file(endpoint.exists, process)
            yield process


def sent(gateway: Gateway) -> int:
    """How many requests the server has acknowledged."""
    return sum(write.status == TAKEN for write in gateway.writes)


def worker_of(process: subprocess.Popen[str]) -> int:
    """The process id of an engine's worker."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (pid,) = (int(c) for c in children if "forward_main" in Path(f"/proc/{c}/cmdline").read_text())
    return pid


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
