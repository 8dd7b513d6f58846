"""The Modbus driver: reading, splitting, and mistakes in the plant file."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.connection import SilentError
from drivers.driver import BoundPoint, LinkState
from drivers.modbus import ModbusDriver
from drivers.modbus_client import in_process
from drivers.modbus_options import ModbusOptions, Watchdog
from drivers.modbus_telegram import Request
from drivers.mtsics import MtSicsOptions, MtSicsPoint
from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DEVICE_FAILURE,
    BAD_NO_COMMUNICATION,
    BAD_NOT_CONNECTED,
    BAD_SENSOR_FAILURE,
    BAD_TIMEOUT,
    GOOD,
)
from tests.drivers.build import NamedModbusDriver, Registers, link_is, modbus_driver, tag
from tests.drivers.modbus_rig import (
    WORD,
    values_of,
    virtually,
    words,
)


def test_neighbours_of_every_table_share_requests() -> None:
    points = words(0, 1, 5) | {
        "c": {"table": "coil", "address": 0, "type": "bool"},
        "d": {"table": "discrete", "address": 1, "type": "bool"},
        "i": {"table": "input", "address": 2, "type": "int16", "scale": 0.1},
    }
    device = Registers({i: i + 10 for i in range(8)}, {0: True, 1: False})
    device.registers[2] = 65535

    async def test(driver: NamedModbusDriver) -> None:
        assert await values_of(driver) == {
            "w0": (10.0, GOOD),
            "w1": (11.0, GOOD),
            "w5": (15.0, GOOD),
            "c": (1.0, GOOD),
            "d": (0.0, GOOD),
            "i": (-0.1, GOOD),
        }
        assert sorted(device.reads) == [(0, 1), (0, 2), (1, 1), (2, 1), (5, 1)]

    virtually(device, points, test)


def test_a_block_that_is_refused_is_split_until_the_wrong_register_is_alone_and_stays_split() -> None:
    device = Registers({i: i for i in range(8) if i != 5})

    async def test(driver: NamedModbusDriver) -> None:
        for _ in range(2):
            result = await values_of(driver)
            assert {name for name, (_, quality) in result.items() if quality != GOOD} == {"w5"}
            assert result["w5"][1] == BAD_CONFIGURATION
            assert all(value == int(name[1:]) for name, (value, quality) in result.items() if quality == GOOD)
            asked, device.reads = device.reads, []
        assert asked == [(0, 4), (4, 1), (5, 1), (6, 2)]
        assert driver.link.state is LinkState.READY

    virtually(device, words(*range(8)), test)


def test_a_gap_that_may_not_be_read_is_read_around() -> None:
    device = Registers({0: 1, 1: 2, 4: 3})

    async def test(driver: NamedModbusDriver) -> None:
        assert [quality for _, quality in (await values_of(driver)).values()] == [GOOD] * 3
        assert device.reads == [(0, 5), (0, 2), (4, 1)]
        device.reads.clear()
        await values_of(driver)
        assert device.reads == [(0, 2), (4, 1)]

    virtually(device, words(0, 1, 4), test, max_gap=4)


def test_a_new_connection_asks_for_whole_blocks_again() -> None:
    device = Registers({0: 0, 1: 1})

    async def test(driver: NamedModbusDriver) -> None:
        assert (await values_of(driver))["w2"][1] == BAD_CONFIGURATION
        device.registers[2] = 2
        driver._connection.drop("repaired")
        await link_is(driver, LinkState.DISCONNECTED, 5)
        await link_is(driver, LinkState.READY, 5)
        device.reads.clear()
        assert (await values_of(driver))["w2"] == (2.0, GOOD)
        assert device.reads == [(0, 3)]

    virtually(device, words(0, 1, 2), test)


@settings(max_examples=100, deadline=None)
@given(
    st.sets(st.integers(0, 40), min_size=1, max_size=20),
    st.sets(st.integers(0, 40), max_size=10),
    st.integers(4, 20),
    st.integers(0, 8),
)
def test_whatever_a_device_lacks_every_register_that_it_has_is_read(
    asked: set[int], missing: set[int], limit: int, gap: int
) -> None:
    device = Registers({i: i for i in range(41) if i not in missing})

    async def test(driver: NamedModbusDriver) -> None:
        for _ in range(2):
            for name, (value, quality) in (await values_of(driver)).items():
                address = int(name[1:])
                assert quality == (BAD_CONFIGURATION if address in missing else GOOD)
                assert math.isnan(value) if address in missing else value == address

    virtually(device, words(*sorted(asked)), test, max_registers=limit, max_gap=gap)


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        (1, BAD_CONFIGURATION),
        (2, BAD_CONFIGURATION),
        (3, BAD_CONFIGURATION),
        (4, BAD_DEVICE_FAILURE),
        (6, BAD_DEVICE_FAILURE),
        (10, BAD_NO_COMMUNICATION),
        (11, BAD_NO_COMMUNICATION),
        (77, BAD_DEVICE_FAILURE),
    ],
)
def test_a_refused_read_has_the_quality_of_its_exception_code_and_the_link_stays(code: int, quality: int) -> None:
    device = Registers({0: 1, 1: 2})

    async def test(driver: NamedModbusDriver) -> None:
        device.refuse_reads = code
        assert [q for _, q in (await values_of(driver)).values()] == [quality] * 2
        assert driver.link.state is LinkState.READY
        device.refuse_reads = None
        assert [q for _, q in (await values_of(driver)).values()] == [GOOD] * 2

    virtually(device, words(0, 1), test)


def test_a_sensor_that_the_device_calls_failed_is_bad_alone() -> None:
    points = words(0) | {"s": WORD | {"address": 1, "invalid": [32767]}}

    async def test(driver: NamedModbusDriver) -> None:
        result = await values_of(driver)
        assert result["w0"] == (7.0, GOOD)
        assert math.isnan(result["s"][0])
        assert result["s"][1] == BAD_SENSOR_FAILURE

    virtually(Registers({0: 7, 1: 32767}), points, test)


def test_a_read_without_a_link_ends_at_once_and_is_bad() -> None:
    async def main(clock: VirtualClock) -> None:
        driver = modbus_driver(clock, words(0, 1), in_process(Registers({0: 1, 1: 1})))
        assert [q for _, q in (await values_of(driver)).values()] == [BAD_NOT_CONNECTED] * 2
        assert clock.monotonic() == 0.0

    run_virtual(main)


def test_a_driver_without_points_reads_an_empty_frame() -> None:
    async def test(driver: NamedModbusDriver) -> None:
        assert len((await driver.read()).index) == 0

    virtually(Registers(), {}, test)


def test_a_start_counter_that_is_no_tag_of_the_device_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no tag of this device"):
        modbus_driver(LiveClock(), words(0), start_counter="other")


@pytest.mark.parametrize(
    "options",
    [
        {"host": ""},
        {"host": "h", "port": 0},
        {"host": "h", "unit_id": 256},
        {"host": "h", "timeout_s": 0},
        {"host": "h", "max_registers": 126},
        {"host": "h", "hearbeat": 0},
        {"host": "h", "watchdog": {"address": 1, "seconds": 70000}},
        {"host": "h", "watchdog": {"address": 1, "scale": 0.1, "seconds": 0.05}},
        {},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModbusOptions.model_validate(options)


def test_the_watchdog_time_is_rounded_to_its_register() -> None:
    assert Watchdog(address=1, scale=0.1, seconds=5).raw == 50


def test_the_wrong_kind_of_options_or_points_is_a_programmers_mistake() -> None:
    with pytest.raises(TypeError, match="not ModbusOptions"):
        ModbusDriver("dev", MtSicsOptions(port="x"), [], LiveClock())
    with pytest.raises(TypeError, match="no ModbusPoint"):
        ModbusDriver(
            "dev", ModbusOptions(host="h"), [BoundPoint(tag(0, "t"), MtSicsPoint(field="weight"))], LiveClock()
        )


class SlowClient:
    """A device that takes ``takes_s`` over each answer."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask(self, request: Request, within_s: float) -> bytes:
        await asyncio.sleep(min(self.takes_s, within_s))
        if self.takes_s > within_s:
            raise SilentError("too slow")
        return bytes(request.data_size)

    async def close(self) -> None:
        """Nothing to close."""


def test_a_device_that_is_too_slow_for_all_its_requests_keeps_its_link_and_what_came_in_time() -> None:
    async def main(clock: VirtualClock) -> None:
        client = SlowClient(0.0)

        async def connect(_: object) -> SlowClient:
            return client

        driver = modbus_driver(clock, words(0, 5, 9), connect, timeout_s=0.5)
        await driver.start()
        await link_is(driver, LinkState.READY, 5)
        client.takes_s = 0.2
        for _ in range(3):
            begun = clock.monotonic()
            assert [q for _, q in (await values_of(driver)).values()] == [GOOD, GOOD, BAD_TIMEOUT]
            assert clock.monotonic() - begun == pytest.approx(0.5)
            assert driver.link.state is LinkState.READY
        client.takes_s = 0.6
        assert [q for _, q in (await values_of(driver)).values()] == [BAD_TIMEOUT] * 3
        await link_is(driver, LinkState.DISCONNECTED, 1, "too slow")
        await driver.stop()

    run_virtual(main)
