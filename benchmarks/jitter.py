"""How punctual scans and loops are: 2,000 tags of an OPC UA server, a scan every 100 ms, alone and on busy cores.

The engine is the one that ``evcontrol serve`` runs, with loops that write each scan, derived tags, alarms, history on
disk and API; the server is a process of its own. The engine tells its own lateness (``SYS.SCAN_LATE``,
``SYS.SCAN_LATE_P99``) and that of its loops (``SYS.LOOPS_LATE``, ``SYS.LOOPS_LATE_P99``: from when a scan was due to
when its loops have given their outputs); beside it stands how late a bare asyncio timer of the same period is on the
same machine at the same time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from benchmarks.engine import child, wait_for
from evcontrol.access.people import People
from evcontrol.api.client import Client
from evcontrol.api.schema import LoopChange
from evcontrol.clock import LiveClock
from evcontrol.history.reader import HistoryReader

ROOT = Path(__file__).parents[1]
SCAN_S = 0.1
TAGS = 2000
LOOPS = 20
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
  BR: {{class: bench, content_tag: BR.CONTENT, safe_states: {{default: {safe}}}, safe_within: 2 s}}
tags:
  BR.CONTENT: {{internal: true, kind: enum, labels: [empty]}}
  SYS.SCAN_LATE: {{internal: true, unit: ms, low: 0, high: 60000}}
  SYS.SCAN_LATE_P99: {{internal: true, unit: ms, low: 0, high: 60000}}
  SYS.LOOPS_LATE: {{internal: true, unit: ms, low: 0, high: 60000}}
  SYS.LOOPS_LATE_P99: {{internal: true, unit: ms, low: 0, high: 60000}}
  SYS.SCANS_MISSED: {{internal: true, kind: integer, low: 0, high: 1000000000}}
"""
LOOP = """\
  BR.L{0}: {{where: engine, pv: BR.V{0}, output: BR.S{0}, action: reverse, gain: 1, ti: 60 s, setpoint_low: 0,
    setpoint_high: 1000000, output_low: 0, output_high: 1000000, max_scan: 2 s, on_bad: {{action: freeze}}}}
"""
ALARM = """\
  BR.A{0}: {{when: BR.V{0} > 999999, severity: minor, respond_within: 30 min, class: equipment, description: a,
    cause: b, consequence: c, corrective_action: d}}
"""
USER, PASSWORD = "bench", "a long pass phrase"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--modes", nargs="*", default=["read", "subscribe"])
    parser.add_argument("--busy", nargs="*", type=int, default=[0, 1, 2], help="processes that use whatever they get")
    arguments = parser.parse_args()
    print(f"{TAGS} tags, {LOOPS} loops, a scan every {1000 * SCAN_S:g} ms for {arguments.seconds:g} s; lateness in ms")
    for mode in arguments.modes:
        for burners in arguments.busy:
            with tempfile.TemporaryDirectory(prefix="evcontrol-bench-") as directory, busy(burners):
                measure(Path(directory), mode, burners, arguments.seconds)


def measure(data: Path, mode: str, burners: int, seconds: float) -> None:
    """One run of an engine, and a bare timer beside it."""
    People(data / "people.json", LiveClock()).add(USER, "A Benchmark", ["operator"], PASSWORD)
    many = (f"many={TAGS - LOOPS}", f"still={LOOPS}", f"every={CHANGES_EVERY_S}")
    command = [sys.executable, "tests/drivers/opcua_server.py", "0", *many]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    try:
        assert server.stdout is not None
        plant = data / "plant.yaml"
        plant.write_text(plant_text(int(server.stdout.readline()), mode), encoding="utf-8")
        with child("serve", str(plant), "--data", str(data), "--listen", "127.0.0.1:0", "--until-eof"):
            wait_for(data / "run" / "endpoint.json")
            asyncio.run(start_loops(data))
            time.sleep(SETTLE_S)  # noqa: TID251  (the start is not measured)
            begun = time.time_ns()
            bare = asyncio.run(timer(seconds))
    finally:
        server.kill()
        server.communicate()
    reader = HistoryReader(data / "history")
    shown = ("SYS.SCAN_LATE", "SYS.SCAN_LATE_P99", "SYS.LOOPS_LATE", "SYS.LOOPS_LATE_P99", "SYS.SCANS_MISSED", "BR.V0")
    columns = reader.raw(list(shown), begun, begun + 2**62)
    scans, scan_p99, loops, loop_p99, missed = (columns[tag].v for tag in shown[:5])
    good = float(np.mean(columns["BR.V0"].q == 0))
    print(f"  {mode:9} {burners} busy beside: {int(missed[-1] - missed[0])} of {len(scans)} scans left out, "
          f"{100 * good:.0f} % Good")  # fmt: skip
    print(f"    scans      {figures(scans)}; it says p99 {scan_p99[-1]:.1f}")
    print(f"    loops      {figures(loops)}; it says p99 {loop_p99[-1]:.1f}")
    intervals = np.abs(np.diff(columns["SYS.SCAN_LATE"].t) / 1e6 - 1e3 * SCAN_S)
    print(f"    intervals  {figures(intervals)} beside {1e3 * SCAN_S:g}")
    print(f"    bare timer {figures(bare)}")


async def start_loops(data: Path) -> None:
    """Put every loop in automatic, as an operator."""
    endpoint = json.loads((data / "run" / "endpoint.json").read_text(encoding="utf-8"))
    async with Client(endpoint["url"], (data / "run" / "token").read_text(encoding="utf-8").strip()) as client:
        await client.sign_on(USER, PASSWORD, "bench")
        await client.change_mode("BR", "semi-automatic", "benchmark")
        for i in range(LOOPS):
            await client.change_loop(f"BR.L{i}", LoopChange(mode="auto", setpoint=1000.0, reason="benchmark"))


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
    """A plant of 2,000 tags with loops and alarms."""
    point = "{{device: BR, point: {{node: BR.{0}{1}}}, low: 0, high: 1000000{2}}}"
    read = "".join(f"  BR.V{i}: {point.format(f'V{i}', '', '')}\n" for i in range(TAGS - LOOPS))
    write = ", write: {on_silence: stays}"
    written = "".join(f"  BR.S{i}: {point.format(f'S{i}', ', writable: true', write)}\n" for i in range(LOOPS))
    sums = "".join(f"  BR.R{i}: {{expression: BR.V{i} + BR.V{i + 1}, low: 0, high: 2000000}}\n" for i in range(LOOPS))
    loops = "loops:\n" + "".join(LOOP.format(i) for i in range(LOOPS))
    alarms = "alarms:\n" + "".join(ALARM.format(i) for i in range(ALARMS))
    safe = "{" + ", ".join(f"BR.S{i}: 0" for i in range(LOOPS)) + "}"
    return HEAD.format(port=port, mode=mode, safe=safe) + read + written + sums + loops + alarms


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
