"""The Modbus drivers against a server that this project did not write: libmodbus, over TCP and on a serial line."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import LinkState, Outcome
from evcontrol.clock import LiveClock
from evcontrol.quality import BAD_CONFIGURATION, BAD_NOT_CONNECTED, BAD_TIMEOUT, GOOD, is_bad
from tests.drivers import libmodbus
from tests.drivers.build import link_is, modbus_driver, readings
from tests.drivers.libmodbus import POINTS, READ, Served
from tests.drivers.rtu_rig import rtu_driver

TIMEOUT_S = 1.0
CARRIERS = pytest.mark.parametrize("carrier", ["tcp", "rtu"])

Test = Callable[[Any, Served], Awaitable[None]]


@pytest.fixture(scope="module")
def program() -> Path:
    return libmodbus.built()


def on_server(program: Path, carrier: str, test: Test, points: dict[str, dict[str, Any]] = POINTS) -> None:
    """Run ``test`` with a READY driver of a server."""

    async def main(driver: Any, server: Served) -> None:
        try:
            async with asyncio.timeout(40):
                await driver.start()
                await link_is(driver, LinkState.READY, 10)
                await test(driver, server)
        finally:
            await driver.stop()

    if carrier == "tcp":
        with libmodbus.tcp(program) as server:
            asyncio.run(main(modbus_driver(LiveClock(), points, port=server.port, timeout_s=TIMEOUT_S), server))
    else:
        with libmodbus.rtu(program, 5) as (server, port):
            asyncio.run(main(rtu_driver(port, points, unit_id=5, timeout_s=TIMEOUT_S), server))


async def read(driver: Any) -> dict[str, tuple[float, int]]:
    return readings(driver, await driver.read())


async def good(driver: Any) -> dict[str, float]:
    while True:
        result = await read(driver)
        if not any(is_bad(quality) for _, quality in result.values()):
            return {name: value for name, (value, _) in result.items()}
        await asyncio.sleep(0.01)


@CARRIERS
def test_every_table_is_read_and_written(program: Path, carrier: str) -> None:
    async def test(driver: Any, _: Served) -> None:
        assert await good(driver) == READ
        written = await driver.write({"coil": 0.0, "holding": -5.0})
        assert {each.outcome for each in written.values()} == {Outcome.CONFIRMED}
        assert await good(driver) == READ | {"coil": 0.0, "holding": -5.0}

    on_server(program, carrier, test)


WIDE: dict[str, dict[str, Any]] = {
    f"{kind}.{words}.{octets}": {
        "table": "holding",
        "address": 10 + 4 * place,
        "type": kind,
        "word_order": words,
        "byte_order": octets,
        "writable": True,
    }
    for place, (kind, words, octets) in enumerate(
        (kind, words, octets)
        for kind in ("uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
        for words in ("big", "little")
        for octets in ("big", "little")
    )
}
NUMBERS = {"uint16": 54321.0, "int32": -123456.0, "uint32": 4e9, "int64": -(2.0**53), "uint64": 2.0**53}


@CARRIERS
def test_every_type_in_every_order_comes_back_as_it_was_written(program: Path, carrier: str) -> None:
    numbers = {name: NUMBERS.get(name.split(".")[0], 0.15625) for name in WIDE}

    async def test(driver: Any, _: Served) -> None:
        written = await driver.write(numbers)
        assert {each.outcome for each in written.values()} == {Outcome.CONFIRMED}
        assert await good(driver) == numbers

    on_server(program, carrier, test, WIDE)


@CARRIERS
def test_an_address_that_it_does_not_have_is_bad_alone(program: Path, carrier: str) -> None:
    beyond = POINTS | {"beyond": {"table": "holding", "type": "uint16", "address": 200, "writable": True}}

    async def test(driver: Any, _: Served) -> None:
        for _ in range(2):
            result = await read(driver)
            assert result["beyond"][1] == BAD_CONFIGURATION
            assert {name: value for name, (value, quality) in result.items() if quality == GOOD} == READ
        refused = (await driver.write({"beyond": 1.0}))["beyond"]
        assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "the device answered: illegal address")

    on_server(program, carrier, test, beyond)


@CARRIERS
def test_a_server_that_hangs_is_bad_in_time_and_good_within_five_seconds_of_its_return(
    program: Path, carrier: str
) -> None:
    async def test(driver: Any, server: Served) -> None:
        loop = asyncio.get_running_loop()
        await good(driver)
        server.freeze()
        try:
            for _ in range(4):
                begun = loop.time()
                result = await read(driver)
                assert loop.time() - begun < TIMEOUT_S + 1.0
                assert {quality for _, quality in result.values()} <= {BAD_TIMEOUT, BAD_NOT_CONNECTED}
                assert all(math.isnan(value) for value, _ in result.values())
        finally:
            server.thaw()
        begun = loop.time()
        assert await good(driver) == READ
        assert loop.time() - begun < 5

    on_server(program, carrier, test)


@CARRIERS
def test_a_write_to_a_server_that_hangs_is_unknown_and_settled_by_reading_back(program: Path, carrier: str) -> None:
    async def test(driver: Any, server: Served) -> None:
        await good(driver)
        server.freeze()
        try:
            assert (await driver.write({"holding": 77.0}))["holding"].outcome is Outcome.UNKNOWN
            rejected = (await driver.write({"holding": 88.0}))["holding"]
            assert rejected.outcome is Outcome.REJECTED  # not connected
        finally:
            server.thaw()
        assert (await good(driver))["holding"] in (1.0, 77.0)

    on_server(program, carrier, test)
