"""Readings per second of the Modbus driver beside the bare pymodbus client, on one server in one run.

First the same requests through both, over the same loopback socket: 10, 100 and 1000 registers in a row. The driver
besides checks each answer, decodes and scales it, and gives it its quality. Then what sharing requests brings: the same
points, at every second address, asked for one by one and coalesced; the ratio of the requests is what can be hoped for.
They take turns, scan by scan, and the scan counts that a quarter of all are faster than, so that what else the machine
does meets each and hides nothing. The server is a process of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

from drivers.driver import BoundPoint, LinkState
from drivers.modbus import ModbusDriver
from drivers.modbus_blocks import Block, coalesce
from drivers.modbus_options import ModbusOptions
from drivers.modbus_points import ModbusPoint, Table, ValueType
from evcontrol.clock import LiveClock
from evcontrol.signals import Tag, TagKind

ROOT = Path(__file__).parents[1]
SIZES = (10, 100, 1000)
TURNS_S = 3.0
FEWEST = 25
"""For how long both take turns, and how many scans each has at least."""
SERVER = """
import asyncio, sys
from simulators.wire.modbus import ModbusServer

class Registers:
    memory = list(range(4000))
    def read_holding(self, address, count):
        return self.memory[address:address + count]

async def main():
    server = ModbusServer(Registers())
    await server.start()
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()

asyncio.run(main())
"""

Scan = Callable[[], Awaitable[object]]


def main() -> None:
    """Print the rates and their ratios."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    try:
        assert server.stdout is not None
        asyncio.run(_compare(int(server.stdout.readline())))
    finally:
        server.communicate("")


async def _compare(port: int) -> None:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    print("Modbus TCP, readings/s of the scan that a quarter are faster than\n")
    print(f"{'registers':>9} {'requests':>9} {'bare pymodbus':>14} {'ModbusDriver':>13} {'driver/bare':>12}")
    for size in SIZES:
        points, options = _points(size, 1), ModbusOptions(host="127.0.0.1", port=port, timeout_s=10)
        driver, blocks = await _driver(points, options)
        bare, ours = await _in_turns(size, _bare(client, blocks), driver.read)
        await driver.stop()
        print(f"{size:9} {len(blocks):9} {bare:14.0f} {ours:13.0f} {ours / bare:12.2f}")
    head = f"{'registers':>9} {'requests':>14} {'one by one':>11} {'coalesced':>10}"
    print(f"\n{head} {'gain':>6} {'promised':>9} {'kept':>5}")
    for size in SIZES:
        points = _points(size, 2)
        alone, single = await _driver(points, ModbusOptions(host="127.0.0.1", port=port, timeout_s=10))
        together, few = await _driver(points, ModbusOptions(host="127.0.0.1", port=port, timeout_s=10, max_gap=1))
        one, all_ = await _in_turns(size, alone.read, together.read)
        await alone.stop()
        await together.stop()
        gain, promised = all_ / one, len(single) / len(few)
        requests = f"{len(single)} -> {len(few)}"
        print(f"{size:9} {requests:>14} {one:11.0f} {all_:10.0f} {gain:6.1f} {promised:9.1f} {gain / promised:5.0%}")
    client.close()


def _points(size: int, step: int) -> list[BoundPoint]:
    return [
        BoundPoint(
            Tag(f"T{i}", i, "", TagKind.ANALOG, 0, 1e5),
            ModbusPoint(table=Table.HOLDING, address=i * step, type=ValueType.UINT16, scale=0.1),
        )
        for i in range(size)
    ]


async def _driver(points: list[BoundPoint], options: ModbusOptions) -> tuple[ModbusDriver, list[Block]]:
    ready = asyncio.Event()
    driver = ModbusDriver(
        "bench", options, points, LiveClock(), on_link=lambda link: link.state is LinkState.READY and ready.set()
    )
    await driver.start()
    async with asyncio.timeout(10):
        await ready.wait()
    modbus = [bound.point for bound in points if isinstance(bound.point, ModbusPoint)]
    return driver, coalesce(modbus, options.max_registers, options.max_bits, options.max_gap)


def _bare(client: AsyncModbusTcpClient, blocks: list[Block]) -> Scan:
    async def scan() -> None:
        for block in blocks:
            answer = await client.read_holding_registers(block.address, count=block.count)
            assert not answer.isError()

    return scan


async def _in_turns(size: int, first: Scan, second: Scan) -> tuple[float, float]:
    """Readings per second of each."""
    took: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + TURNS_S
    while time.perf_counter() < end or len(took[0]) < FEWEST:
        for scan, into in zip((first, second), took, strict=True):
            begun = time.perf_counter()
            await scan()
            into.append(time.perf_counter() - begun)
    return size / _lower_quartile(took[0]), size / _lower_quartile(took[1])


def _lower_quartile(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=4)[0]


if __name__ == "__main__":
    main()
