"""How punctual scans and loops are: 2,000 tags of an OPC UA server, a scan every 100 ms, alone and on busy cores.

The engine is the one that ``evcontrol serve`` runs, with derived tags, alarms, history on disk and API; the server is a
process of its own. The engine tells its own lateness (``SYS.SCAN_LATE``, ``SYS.SCAN_LATE_P99``); beside it stands how
late a bare asyncio timer of the same period is on the same machine at the same time.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from benchmarks.engine import child, wait_for
from evcontrol.history.reader import HistoryReader

ROOT = Path(__file__).parents[1]
SCAN_S = 0.1
TAGS = 2000
DERIVED = 20
ALARMS = 200
CHANGES_EVERY_S = 1.0
SETTLE_S = 8.0
BURN = "while True: pass"

HEAD = """\
name: Jitter
scan: 100 ms
wire_scan: 50 ms
devices:
  BR:
    driver: opc-ua
    options: {{url: "opc.tcp://127.0.0.1:{port}/plant", namespace: "urn:test:bioreactor", timeout_s: 2.0, mode: {mode}}}
units:
  BR: {{class: bench, content_tag: BR.CONTENT, safe_states: {{default: {{}}}}, safe_within: 2 s}}
tags:
  BR.CONTENT: {{internal: true, kind: enum, labels: [empty]}}
  SYS.SCAN_LATE: {{internal: true, unit: ms, low: 0, high: 60000}}
  SYS.SCAN_LATE_P99: {{internal: true, unit: ms, low: 0, high: 60000}}
  SYS.SCANS_MISSED: {{internal: true, kind: integer, low: 0, high: 1000000000}}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    print(f"{TAGS} tags, a scan every {1000 * SCAN_S:g} ms for {arguments.seconds:g} s; lateness in ms")
    for mode in ("read", "subscribe"):
        for burners in (0, 1, 2):
            with tempfile.TemporaryDirectory(prefix="evcontrol-bench-") as directory, busy(burners):
                measure(Path(directory), mode, burners, arguments.seconds)


def measure(data: Path, mode: str, burners: int, seconds: float) -> None:
    """One run of an engine, and a bare timer beside it."""
    command = [sys.executable, "tests/drivers/opcua_server.py", "0", f"many={TAGS}", f"every={CHANGES_EVERY_S}"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    try:
        assert server.stdout is not None
        plant = data / "plant.yaml"
        plant.write_text(plant_text(int(server.stdout.readline()), mode), encoding="utf-8")
        with child("serve", str(plant), "--data", str(data), "--listen", "127.0.0.1:0", "--until-eof"):
            wait_for(data / "run" / "endpoint.json")
            time.sleep(SETTLE_S)  # noqa: TID251  (the start is not measured)
            begun = time.time_ns()
            bare = asyncio.run(timer(seconds))
    finally:
        server.kill()
        server.communicate()
    reader = HistoryReader(data / "history")
    columns = reader.raw(["SYS.SCAN_LATE", "SYS.SCAN_LATE_P99", "SYS.SCANS_MISSED", "BR.V0"], begun, begun + 2**62)
    late, told = columns["SYS.SCAN_LATE"].v, columns["SYS.SCAN_LATE_P99"].v[-1]
    missed = int(columns["SYS.SCANS_MISSED"].v[-1] - columns["SYS.SCANS_MISSED"].v[0])
    good = float(np.mean(columns["BR.V0"].q == 0))
    print(
        f"  {mode:9} {burners} busy beside: {figures(late)}, {missed} of {len(late)} left out, {100 * good:.0f} % Good"
    )
    print(f"    it says itself p99 {told:.1f}; a bare timer {figures(bare)}")


def figures(late: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    """Quantiles in words."""
    half, most, worst = np.percentile(late, [50, 99, 100])
    return f"p50 {half:.1f} p99 {most:.1f} max {worst:.1f}"


async def timer(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """How late an asyncio timer of the same period is, ms."""
    loop, late = asyncio.get_running_loop(), []
    due = begun = loop.time()
    while loop.time() < begun + seconds:
        due += SCAN_S
        await asyncio.sleep(due - loop.time())
        late.append(1e3 * (loop.time() - due))
    return np.array(late)


def plant_text(port: int, mode: str) -> str:
    """A plant of 2,000 tags with alarms."""
    limits = "low: 0, high: 2000000"
    tags = "".join(f"  BR.V{i}: {{device: BR, point: {{node: BR.V{i}}}, {limits}}}\n" for i in range(TAGS))
    sums = "".join(f"  BR.R{i}: {{expression: BR.V{i} + BR.V{i + 1}, {limits}}}\n" for i in range(DERIVED))
    words = "description: a, cause: b, consequence: c, corrective_action: d"
    how = "severity: minor, respond_within: 30 min, class: product"
    alarms = "".join(f"  BR.A{i}: {{when: BR.V{i} > 999999, {how}, {words}}}\n" for i in range(ALARMS))
    return HEAD.format(port=port, mode=mode) + tags + sums + "alarms:\n" + alarms


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that use whatever they get."""
    with ExitStack() as stack:
        for _ in range(count):
            burner = subprocess.Popen([sys.executable, "-c", BURN])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        yield


if __name__ == "__main__":
    main()
