"""A Modbus driver on a device in this process (virtual time), or behind a real socket with a fault proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from drivers.driver import LinkState
from drivers.modbus_client import in_process
from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from evcontrol.quality import (
    is_bad,
)
from simulators.wire.modbus import ModbusServer
from tests.drivers.build import NamedModbusDriver, Registers, link_is, modbus_driver, readings
from tests.faultproxy import FaultProxy

TIMEOUT_S = 0.15
SLACK_S = 0.5
"""How late a machine with other work may be."""

WORD: dict[str, Any] = {"table": "holding", "type": "uint16", "writable": True}
COIL: dict[str, Any] = {"table": "coil", "type": "bool", "writable": True}


def words(*addresses: int) -> dict[str, dict[str, Any]]:
    return {f"w{address}": WORD | {"address": address} for address in addresses}


def virtually(
    device: Registers,
    points: dict[str, dict[str, Any]],
    test: Callable[[NamedModbusDriver], Awaitable[None]],
    **options: Any,
) -> None:
    """Run ``test`` with a READY driver of a device in this process."""

    async def main(clock: VirtualClock) -> None:
        driver = modbus_driver(clock, points, in_process(device), **options)
        await driver.start()
        await link_is(driver, LinkState.READY, 60)
        device.reads.clear()
        device.writes.clear()
        await test(driver)
        await driver.stop()

    run_virtual(main)


def on_the_wire(
    device: Registers,
    points: dict[str, dict[str, Any]],
    test: Callable[[NamedModbusDriver, FaultProxy], Awaitable[None]],
    **options: Any,
) -> None:
    """Run ``test`` with a READY driver of a server behind a fault proxy."""

    async def main() -> None:
        server = ModbusServer(device)
        await server.start()
        try:
            async with asyncio.timeout(20), FaultProxy(server.port, delay_s=2 * TIMEOUT_S) as proxy:
                driver = modbus_driver(LiveClock(), points, port=proxy.port, timeout_s=TIMEOUT_S, **options)
                await driver.start()
                try:
                    await link_is(driver, LinkState.READY, 5)
                    device.reads.clear()
                    device.writes.clear()
                    await test(driver, proxy)
                finally:
                    await driver.stop()
        finally:
            await server.stop()

    asyncio.run(main())


async def values_of(driver: NamedModbusDriver) -> dict[str, tuple[float, int]]:
    return readings(driver, await driver.read())


async def timely(driver: NamedModbusDriver) -> dict[str, tuple[float, int]]:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    result = await values_of(driver)
    assert loop.time() - begun < TIMEOUT_S + SLACK_S
    return result


async def good_values(driver: NamedModbusDriver) -> dict[str, tuple[float, int]]:
    """The first readings of which none is Bad."""
    while True:
        await link_is(driver, LinkState.READY, 10)
        result = await values_of(driver)
        if not any(is_bad(quality) for _, quality in result.values()):
            return result
