"""Readings kept per second from the wire to the disk, and the engine's CPU share beside the bare pymodbus client.

The same simulated skid is read by both, one after the other, at the same rate of scans: by the whole engine (drivers,
process image, derived tags, alarms, interlocks, loops, history on disk, API), and by an ``AsyncModbusTcpClient`` that
reads the skid's registers and throws them away.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evcontrol.clock import NS
from evcontrol.history.reader import HistoryReader

PLANT = Path(__file__).parents[1] / "config" / "plants" / "tff.yaml"
SCAN_S = 0.05
START_S = 30.0
SETTLE_S = 2.0
READS = (("read_input_registers", 0, 21), ("read_holding_registers", 0, 11), ("read_coils", 0, 1))
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--bare", metavar="PORT", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare is not None:
        asyncio.run(read_bare(arguments.bare, arguments.seconds))
        return
    with tempfile.TemporaryDirectory(prefix="evcontrol-bench-") as directory:
        measure(Path(directory), arguments.seconds)


def measure(data: Path, seconds: float) -> None:
    """One run: simulators, then the bare client, then the engine."""
    plant = data / "plant.yaml"
    plant.write_text(PLANT.read_text(encoding="utf-8").replace("scan: 1 s", f"scan: {SCAN_S * 1000:g} ms", 1))
    with child("simulate", str(PLANT), "--data", str(data), "--until-eof"):
        endpoints = wait_for(data / "run" / "simulators.json")
        port = endpoints["devices"]["TFF201"]["port"]
        bare_readings, bare_cpu = bare(port, seconds)
        engine_readings, engine_cpu = engine(data, plant, seconds)
    words = sum(count for _, _, count in READS)
    print(f"scans at {1 / SCAN_S:g} Hz for {seconds:g} s each, on the same simulated skid")
    print(f"engine, wire to disk:   {engine_readings:8.0f} readings/s kept, {100 * engine_cpu:5.1f} % of one core")
    print(f"bare pymodbus client:   {bare_readings:8.0f} registers/s read, {100 * bare_cpu:5.1f} % of one core")
    print(f"CPU of the engine over that of the bare client: {engine_cpu / bare_cpu:.2f}")
    per_reading = (engine_cpu / engine_readings) / (bare_cpu / bare_readings)
    print(f"CPU per reading kept over CPU per register read ({words} a scan): {per_reading:.2f}")


def bare(port: int, seconds: float) -> tuple[float, float]:
    """Registers per second and CPU share of the bare client, in a process of its own."""
    command = [sys.executable, __file__, "--bare", str(port), "--seconds", str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    return answer["registers"], answer["cpu"]


async def read_bare(port: int, seconds: float) -> None:
    """Read the skid's registers at the scan's rate with pymodbus alone."""
    from pymodbus.client import AsyncModbusTcpClient  # noqa: PLC0415  (only this process needs it)

    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    began, cpu, registers, due = time.monotonic(), time.process_time(), 0, time.monotonic()
    while time.monotonic() - began < seconds:
        for method, address, count in READS:
            await getattr(client, method)(address, count=count, device_id=1)
            registers += count
        due += SCAN_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    real = time.monotonic() - began
    client.close()
    print(json.dumps({"registers": registers / real, "cpu": (time.process_time() - cpu) / real}))


def engine(data: Path, plant: Path, seconds: float) -> tuple[float, float]:
    """Readings per second that reach the disk, and the CPU share of the engine's process."""
    arguments = ("--data", str(data), "--endpoints", str(data / "run" / "simulators.json"), "--until-eof")
    with child("serve", str(plant), *arguments) as process:
        wait_for(data / "run" / "endpoint.json")
        time.sleep(SETTLE_S)  # noqa: TID251  (the start is not measured)
        began, cpu = time.monotonic(), cpu_seconds(process.pid)
        first = HistoryReader(data / "history").span()
        time.sleep(seconds)  # noqa: TID251  (a benchmark measures real time)
        real, used = time.monotonic() - began, cpu_seconds(process.pid) - cpu
        last = HistoryReader(data / "history").span()
    if first is None or last is None:
        raise SystemExit("nothing was kept")
    reader = HistoryReader(data / "history")
    tags = [tag.name for tag in reader.tags()]
    columns = reader.raw(tags, first[1] + 1, last[1])
    kept = sum(len(column.t) for column in columns.values())
    return kept / ((last[1] - first[1]) / NS), used / real


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def child(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """An ``evcontrol`` command that ends when its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "evcontrol.cli.main", *arguments], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(START_S)


def wait_for(path: Path) -> dict[str, dict[str, dict[str, int]]]:
    """The content of a file that a child writes when it is up."""
    end = time.monotonic() + START_S
    while not path.exists():
        if time.monotonic() > end:
            raise SystemExit(f"{path} did not come")
        time.sleep(0.1)  # noqa: TID251  (a benchmark waits in real time)
    content: dict[str, dict[str, dict[str, int]]] = json.loads(path.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    main()
