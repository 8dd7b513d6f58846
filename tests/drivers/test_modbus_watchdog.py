"""The controller's watchdog and its restarts, as the Modbus driver looks after them."""

from __future__ import annotations

import asyncio
from typing import Any

from drivers.connection import STEADY_S
from drivers.driver import LinkState
from drivers.modbus_client import in_process
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.quality import (
    GOOD,
)
from tests.drivers.build import NamedModbusDriver, Registers, link_is, modbus_driver
from tests.drivers.modbus_rig import (
    on_the_wire,
    values_of,
    virtually,
    words,
)
from tests.faultproxy import Fault, FaultProxy

HEARTBEAT, TIME, STARTS = 100, 101, 102
GUARDED: dict[str, Any] = {"heartbeat": HEARTBEAT, "watchdog": {"address": TIME, "scale": 0.1, "seconds": 5}}
COUNTED: dict[str, Any] = GUARDED | {"start_counter": "starts"}
COUNTER: dict[str, Any] = {"starts": {"table": "holding", "address": STARTS, "type": "uint16"}}


def guarded(**registers: int) -> Registers:
    return Registers({0: 1, HEARTBEAT: 65534, TIME: 100, STARTS: 3} | {int(k[1:]): v for k, v in registers.items()})


def test_every_feeding_changes_the_heartbeat_from_where_it_is_also_over_its_end() -> None:
    device = guarded()

    async def test(driver: NamedModbusDriver) -> None:
        for beat in (65535, 0, 1):
            assert await driver.feed_watchdog()
            assert device.registers[HEARTBEAT] == beat

    virtually(device, words(0), test, **GUARDED)


def test_the_watchdog_time_is_written_on_connect_unless_it_is_there() -> None:
    async def main(clock: VirtualClock) -> None:
        for before, writes in ((100, [(TIME, [50])]), (50, [])):
            device = guarded()
            device.registers[TIME] = before
            driver = modbus_driver(clock, words(0), in_process(device), **GUARDED)
            await driver.start()
            await link_is(driver, LinkState.READY, 5)
            assert device.writes == writes
            assert driver.link.reason == ""
            await driver.stop()

    run_virtual(main)


def test_a_watchdog_time_that_is_refused_is_told_fed_as_false_and_tried_again() -> None:
    device = guarded()
    device.refuse_writes = 4

    async def test(driver: NamedModbusDriver) -> None:
        assert driver.link.reason == "watchdog time not set: device failure"
        assert not await driver.feed_watchdog()
        device.refuse_writes = None
        assert await driver.feed_watchdog()
        assert device.registers[TIME] == 50

    virtually(device, words(0), test, **GUARDED)


def test_feeding_fails_without_heartbeat_without_link_refused_and_in_silence() -> None:
    device = guarded()

    async def unguarded(driver: NamedModbusDriver) -> None:
        assert not await driver.feed_watchdog()
        assert device.requests == 0

    async def test(driver: NamedModbusDriver) -> None:
        device.refuse_writes = 2
        assert not await driver.feed_watchdog()
        device.refuse_writes = None
        device.silent = True
        assert not await driver.feed_watchdog()
        assert not await driver.feed_watchdog()
        device.silent = False
        await link_is(driver, LinkState.READY, 5)
        assert await driver.feed_watchdog()

    virtually(device, words(0), unguarded)
    virtually(device, words(0), test, **GUARDED)


def test_the_heartbeat_goes_before_reads_that_wait() -> None:
    device = guarded()

    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        sent = len(proxy.requests)
        reading, feeding = asyncio.create_task(driver.read()), asyncio.create_task(driver.feed_watchdog())
        await asyncio.gather(reading, feeding)
        assert 16 in [request[7] for request in proxy.requests[sent:]][:2]

    on_the_wire(device, words(0, 5, 9, 13), test, **GUARDED)


def test_a_restarted_controller_is_noticed_and_given_its_watchdog_time_again() -> None:
    device = guarded()

    async def test(driver: NamedModbusDriver) -> None:
        await driver._clock.sleep(STEADY_S)
        device.registers |= {STARTS: 4, TIME: 100}
        assert (await values_of(driver))["starts"] == (4.0, GOOD)
        await link_is(driver, LinkState.DISCONNECTED, 5, "restarted (start counter 3 to 4)")
        await link_is(driver, LinkState.READY, 5)
        assert driver.link.reason == "the device restarted (start counter 3 to 4)"
        assert device.registers[TIME] == 50
        assert (await values_of(driver))["starts"] == (4.0, GOOD)
        assert driver.link.state is LinkState.READY

    virtually(device, words(0) | COUNTER, test, **COUNTED)


def test_a_restart_during_an_outage_is_told_by_the_new_link() -> None:
    device = guarded()

    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        await proxy.set(Fault.REFUSE)
        await link_is(driver, LinkState.DISCONNECTED, 5)
        device.registers[STARTS] = 9
        await proxy.set(Fault.NONE)
        await link_is(driver, LinkState.READY, 5)
        assert driver.link.reason == "the device restarted (start counter 3 to 9)"

    on_the_wire(device, words(0) | COUNTER, test, **COUNTED)


def test_a_start_counter_that_cannot_be_read_at_first_is_told_and_taken_up_later() -> None:
    device = guarded()
    device.refuse_reads = 6

    async def test(driver: NamedModbusDriver) -> None:
        assert driver.link.reason.startswith("start counter not readable: device busy")
        device.refuse_reads = None
        assert (await values_of(driver))["starts"] == (3.0, GOOD)
        device.registers[STARTS] = 4
        await values_of(driver)
        await link_is(driver, LinkState.DISCONNECTED, 5, "start counter 3 to 4")

    virtually(device, words(0) | COUNTER, test, **COUNTED)


def test_a_start_counter_that_is_no_number_is_told() -> None:
    counter = {"starts": {"table": "holding", "address": STARTS, "type": "uint16", "invalid": [3]}}

    async def test(driver: NamedModbusDriver) -> None:
        assert driver.link.reason == "start counter not readable: it is no number"

    virtually(guarded(), words(0) | counter, test, start_counter="starts")
