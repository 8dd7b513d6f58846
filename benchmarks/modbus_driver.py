"""Readings per second of the Modbus driver beside the bare pymodbus client, on one simulated skid in one run.

Both read every point of the shipped skid over the same loopback socket, with the same requests; the driver besides
checks each answer, decodes and scales it, and gives it its quality. They take turns, so that whatever else the machine
does meets both. The skid answers in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

from drivers.driver import LinkState
from drivers.modbus import ModbusDriver, ModbusOptions
from drivers.modbus_points import Block, ModbusPoint, Table, coalesce
from evcontrol.clock import LiveClock
from evcontrol.plant.load import load_plant

ROOT = Path(__file__).parents[1]
SKID = "TFF201"
ROUNDS = 9
ROUND_S = 0.5
SERVER = """
import asyncio, sys
from pathlib import Path
from simulators.serve import serve

async def main():
    await serve(Path(sys.argv[1]), lambda: asyncio.to_thread(sys.stdin.read))

asyncio.run(main())
"""


def main() -> None:
    """Print both rates and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([sys.executable, "-c", SERVER, folder], stdin=subprocess.PIPE, cwd=ROOT)
        try:
            asyncio.run(_compare(_endpoints(Path(folder) / "run" / "simulators.json", server)))
        finally:
            server.communicate(b"")


async def _compare(endpoints: dict[str, object]) -> None:
    spec = load_plant(ROOT / "config" / "plants" / "tff.yaml", endpoints).devices[SKID]
    assert isinstance(spec.options, ModbusOptions)
    ready = asyncio.Event()
    driver = ModbusDriver(
        SKID,
        spec.options,
        spec.points,
        LiveClock(),
        on_link=lambda link: ready.set() if link.state is LinkState.READY else ready.clear(),
    )
    client = AsyncModbusTcpClient(spec.options.host, port=spec.options.port)
    await driver.start()
    await client.connect()
    async with asyncio.timeout(10):
        await ready.wait()
    points = [bound.point for bound in spec.points if isinstance(bound.point, ModbusPoint)]
    blocks = coalesce(points, spec.options.max_registers, spec.options.max_bits, spec.options.max_gap)

    async def bare() -> None:
        for block in blocks:
            await _read(client, block)

    bare_rates, driver_rates = [], []
    for _ in range(ROUNDS):
        bare_rates.append(await _rate(bare) * len(points))
        driver_rates.append(await _rate(driver.read) * len(points))
    await driver.stop()
    client.close()
    ratio = statistics.median(d / b for b, d in zip(bare_rates, driver_rates, strict=True))
    print(f"Modbus TCP, {len(points)} points in {len(blocks)} requests, median of {ROUNDS} rounds of {ROUND_S} s each:")
    print(f"  bare AsyncModbusTcpClient  {statistics.median(bare_rates):8.0f} readings/s, raw registers")
    print(f"  ModbusDriver               {statistics.median(driver_rates):8.0f} readings/s, scaled, with quality")
    print(f"  driver / bare              {ratio:8.2f}")


async def _rate(read: Callable[[], Awaitable[object]]) -> float:
    """How often per second."""
    begun = time.perf_counter()
    times = 0
    while (took := time.perf_counter() - begun) < ROUND_S:
        await read()
        times += 1
    return times / took


async def _read(client: AsyncModbusTcpClient, block: Block) -> None:
    read = {
        Table.INPUT: client.read_input_registers,
        Table.HOLDING: client.read_holding_registers,
        Table.COIL: client.read_coils,
        Table.DISCRETE: client.read_discrete_inputs,
    }[block.table]
    answer = await read(block.address, count=block.count)
    assert not answer.isError()


def _endpoints(path: Path, server: subprocess.Popen[bytes]) -> dict[str, object]:
    deadline = time.monotonic() + 20
    while not path.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the simulated skid did not start")
        time.sleep(0.05)  # noqa: TID251
    endpoints: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return endpoints


if __name__ == "__main__":
    main()
