"""What the OPC UA driver keeps of the bare asyncua client's throughput, on one server in one run.

Both subscribe to the same variables of a server that makes up to 2,000 changes a second, with the same publishing
interval; the driver besides converts every sample, gives it its quality and source time, numbers the notifications,
watches for silence, and makes a frame at 20 Hz. Then both read all variables as fast as they can, in requests of the
same size. They take turns, so that whatever else the machine does meets both. The server is a process of its own.

Throughput is readings per second of the client's CPU time: a client has one core, and how fast the server is does not
count. The driver is to keep 85 %.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncua import Client

from drivers.driver import BoundPoint, LinkState
from drivers.opcua import OpcUaDriver
from drivers.opcua_options import Mode, OpcUaOptions
from drivers.opcua_points import OpcUaPoint
from evcontrol.clock import LiveClock
from evcontrol.signals import Tag, TagKind

ROOT = Path(__file__).parents[1]
URI = "urn:test:bioreactor"
COUNTS = (10, 100, 1000, 5000)
KEPT = 0.85
"""Part of the bare client's throughput that the driver is to keep."""
ROUNDS = 3
ROUND_S = 3.0
SCAN_S = 0.05
PUBLISHING_S = 0.05
MAX_NODES = 250
CHANGES_PER_S = 2000
SHORTEST_S = 0.01
"""Between two changes of a variable: so the queues suffice from one report to the next."""


def main() -> None:
    """Print what both cost, and what the driver keeps, for each number of variables."""
    for count in COUNTS:
        command = [
            sys.executable,
            "tests/drivers/opcua_server.py",
            "0",
            f"many={count}",
            f"every={max(SHORTEST_S, count / CHANGES_PER_S)}",
        ]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        try:
            assert server.stdout is not None
            asyncio.run(_compare(f"opc.tcp://127.0.0.1:{int(server.stdout.readline())}/plant", count))
        finally:
            server.kill()
            server.communicate()


@dataclass
class Cost:
    """CPU seconds and readings of one round."""

    cpu_s: float
    readings: int
    took_s: float

    @property
    def us(self) -> float:
        """CPU time per reading, in microseconds."""
        return 1e6 * self.cpu_s / max(1, self.readings)

    @property
    def rate(self) -> float:
        """Readings per second."""
        return self.readings / self.took_s


@dataclass
class Latest:
    """A handler as asyncua's examples have it: the latest value by node."""

    value: dict[Any, Any] = field(default_factory=dict)
    count: int = 0

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        """Called by asyncua."""
        self.value[node] = value
        self.count += 1


async def _compare(url: str, count: int) -> None:
    bare_reports, driver_reports, bare_reads, driver_reads = [], [], [], []
    async with Client(url, timeout=30, watchdog_intervall=30) as client:
        index = await client.get_namespace_index(URI)
        nodes = [client.get_node(f"ns={index};s=BR.V{i}") for i in range(count)]

        async def read_bare() -> None:
            for start in range(0, count, MAX_NODES):
                await client.read_values(nodes[start : start + MAX_NODES])

        for _ in range(ROUNDS):
            bare_reports.append(await _bare_reports(client, nodes))
            driver_reports.append(await _driver_reports(url, count))
            bare_reads.append(await _reads(read_bare, count))
            driver = await _driver(url, count, Mode.READ)
            driver_reads.append(await _reads(driver.read, count))
            await driver.stop()
    print(f"OPC UA, {count} variables, median of {ROUNDS} rounds of {ROUND_S:g} s each:")
    _tell("subscription", bare_reports, driver_reports)
    _tell("read", bare_reads, driver_reads)


def _tell(what: str, bare: list[Cost], driver: list[Cost]) -> None:
    for name, costs in (("asyncua Client", bare), ("OpcUaDriver", driver)):
        us, rate = statistics.median(c.us for c in costs), statistics.median(c.rate for c in costs)
        print(f"  {what:13} {name:15} {us:7.1f} us CPU per reading, {rate:8.0f} readings/s", flush=True)
    kept = statistics.median(b.us / d.us for b, d in zip(bare, driver, strict=True))
    print(f"  {what:13} kept            {kept:7.0%}{'' if kept >= KEPT else f' (should be {KEPT:.0%})'}", flush=True)


async def _bare_reports(client: Client, nodes: list[Any]) -> Cost:
    latest = Latest()
    subscription = await client.create_subscription(1000 * PUBLISHING_S, latest)
    await subscription.subscribe_data_change(nodes, queuesize=10, sampling_interval=1000 * SCAN_S)
    cost = await _measured(lambda: latest.count, asyncio.sleep(ROUND_S))
    await subscription.delete()
    return cost


async def _driver_reports(url: str, count: int) -> Cost:
    driver = await _driver(url, count, Mode.SUBSCRIBE)

    async def scan() -> None:
        for _ in range(round(ROUND_S / SCAN_S)):
            await asyncio.sleep(SCAN_S)
            frame = await driver.read()
            assert not frame.quality.any()

    await driver.read()
    cost = await _measured(lambda: driver.counts.samples, scan())
    await driver.stop()
    assert (driver.counts.gaps, driver.counts.overflows) == (0, 0)
    return cost


async def _driver(url: str, count: int, mode: Mode) -> OpcUaDriver:
    options = OpcUaOptions(
        url=url, namespace=URI, timeout_s=5.0, mode=mode, publishing_s=PUBLISHING_S, sampling_s=SCAN_S
    )
    tags = [Tag(f"V{i}", i, "", TagKind.ANALOG, 0, 1e6) for i in range(count)]
    ready = asyncio.Event()
    driver = OpcUaDriver(
        "BR",
        options,
        [BoundPoint(tag, OpcUaPoint(node=f"BR.{tag.name}")) for tag in tags],
        LiveClock(),
        on_link=lambda link: ready.set() if link.state is LinkState.READY else None,
    )
    await driver.start()
    async with asyncio.timeout(30):
        await ready.wait()
    return driver


async def _measured(readings: Callable[[], int], work: Awaitable[object]) -> Cost:
    before, cpu, begun = readings(), time.process_time(), time.perf_counter()
    await work
    return Cost(time.process_time() - cpu, readings() - before, time.perf_counter() - begun)


async def _reads(read: Callable[[], Awaitable[object]], count: int) -> Cost:
    times = 0

    async def work() -> None:
        nonlocal times
        end = time.perf_counter() + ROUND_S
        while time.perf_counter() < end:
            await read()
            times += 1

    return await _measured(lambda: times * count, work())


if __name__ == "__main__":
    main()
