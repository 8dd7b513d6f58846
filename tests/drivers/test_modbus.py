"""The Modbus driver on devices in this process (virtual time) and behind real sockets with a fault proxy."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.connection import STEADY_S
from drivers.driver import BoundPoint, LinkState, Outcome
from drivers.modbus import REFUSALS, ModbusDriver, ModbusOptions, Watchdog
from drivers.modbus_client import in_process
from drivers.mtsics import MtSicsOptions, MtSicsPoint
from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_DEVICE_FAILURE,
    BAD_NO_COMMUNICATION,
    BAD_NOT_CONNECTED,
    BAD_SENSOR_FAILURE,
    BAD_TIMEOUT,
    GOOD,
    is_bad,
)
from simulators.wire.modbus import ModbusServer
from tests.drivers.build import NamedModbusDriver, Registers, link_is, modbus_driver, readings, tag
from tests.faultproxy import Fault, FaultProxy

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


# -- reading ----------------------------------------------------------------------------------------------------------


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


@settings(max_examples=60, deadline=None)
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


# -- faults on the wire -----------------------------------------------------------------------------------------------

BAD_BY_FAULT = {
    Fault.REFUSE: {BAD_NOT_CONNECTED},
    Fault.RESET: {BAD_NOT_CONNECTED},
    Fault.HALF_OPEN: {BAD_TIMEOUT, BAD_NOT_CONNECTED},
    Fault.BLACK_HOLE: {BAD_TIMEOUT, BAD_NOT_CONNECTED},
    Fault.SLOW: {BAD_TIMEOUT, BAD_NOT_CONNECTED},
    Fault.HALF: {BAD_TIMEOUT, BAD_NOT_CONNECTED},
    Fault.GARBAGE: {BAD_DECODING, BAD_NOT_CONNECTED},
    Fault.WRONG_TRANSACTION: {BAD_DECODING, BAD_NOT_CONNECTED},
    Fault.DOUBLED: {BAD_DECODING, BAD_NOT_CONNECTED},
}


@pytest.mark.parametrize("fault", BAD_BY_FAULT, ids=str)
def test_a_fault_makes_readings_bad_in_time_never_repeats_the_last_value_and_passes(fault: Fault) -> None:
    device = Registers({0: 1, 1: 2, 9: 3})

    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        assert {q for _, q in (await timely(driver)).values()} == {GOOD}
        await proxy.set(fault)
        for _ in range(3):
            result = await timely(driver)
            assert all(math.isnan(value) for value, _ in result.values())
            assert {q for _, q in result.values()} <= BAD_BY_FAULT[fault]
        await link_is(driver, LinkState.DISCONNECTED, 5)
        device.registers[0] = 100
        await proxy.set(Fault.NONE)
        result = await good_values(driver)
        assert result == {"w0": (100.0, GOOD), "w1": (2.0, GOOD), "w9": (3.0, GOOD)}

    on_the_wire(device, words(0, 1, 9), test)


def test_pieces_of_one_byte_are_no_fault() -> None:
    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        await proxy.set(Fault.ONE_BYTE)
        assert await timely(driver) == {"w0": (1.0, GOOD), "w1": (2.0, GOOD)}
        assert (await driver.write({"w0": 5.0}))["w0"].outcome is Outcome.CONFIRMED

    on_the_wire(Registers({0: 1, 1: 2}), words(0, 1), test)


def test_a_cut_is_seen_before_anything_is_asked_and_told_in_words() -> None:
    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        await proxy.set(Fault.REFUSE)
        await link_is(driver, LinkState.DISCONNECTED, 5)
        await link_is(driver, LinkState.DISCONNECTED, 5, "connection refused")
        await proxy.set(Fault.NONE)
        await link_is(driver, LinkState.READY, 5)

    on_the_wire(Registers({0: 1}), words(0), test)


def test_a_device_that_takes_connections_and_says_nothing_is_not_ready() -> None:
    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        await proxy.set(Fault.BLACK_HOLE)
        assert {q for _, q in (await timely(driver)).values()} <= {BAD_TIMEOUT, BAD_NOT_CONNECTED}
        accepted = proxy.accepted
        await link_is(driver, LinkState.DISCONNECTED, 5)
        states = []
        driver.on_link = lambda link: states.append(link.state)
        async with asyncio.timeout(5):
            while proxy.accepted < accepted + 2:
                await link_is(driver, LinkState.DISCONNECTED, 5)
                await asyncio.sleep(0)
        assert LinkState.READY not in states

    on_the_wire(Registers({0: 1}), words(0), test)


# -- writing ----------------------------------------------------------------------------------------------------------


def test_adjacent_registers_and_coils_are_written_in_one_request_each_in_the_order_of_the_first() -> None:
    points = words(0, 1, 2, 7) | {"c0": COIL | {"address": 0}, "c1": COIL | {"address": 1}}
    device = Registers(dict.fromkeys(range(8), 0), dict.fromkeys(range(2), False))

    async def test(driver: NamedModbusDriver) -> None:
        result = await driver.write({"w7": 7.0, "w1": 1.0, "w0": 10.0, "c1": 1.0, "w2": 2.0, "c0": 0.0})
        assert {each.outcome for each in result.values()} == {Outcome.CONFIRMED}
        assert device.writes == [(7, [7]), (0, [10, 1, 2]), (0, [False, True])]

    virtually(device, points, test)


@pytest.mark.parametrize("code", [*sorted(REFUSALS), 99])
def test_an_exception_code_rejects_a_write_unless_it_says_that_it_may_still_land(code: int) -> None:
    device = Registers({0: 1})

    async def test(driver: NamedModbusDriver) -> None:
        device.refuse_writes = code
        result = (await driver.write({"w0": 5.0}))["w0"]
        assert result.outcome is (Outcome.UNKNOWN if code in (5, 11) else Outcome.REJECTED)
        assert result.reason.startswith("the device answered: ")
        assert len(device.writes) == 1
        assert driver.link.state is LinkState.READY

    virtually(device, words(0), test)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 70000.0])
def test_one_value_that_cannot_be_sent_rejects_all_before_anything_is_sent(value: float) -> None:
    device = Registers({0: 1, 5: 1})

    async def test(driver: NamedModbusDriver) -> None:
        result = await driver.write({"w0": 5.0, "w5": value})
        assert {each.outcome for each in result.values()} == {Outcome.REJECTED}
        assert result["w5"].reason.startswith("w5: ")
        assert "w5" in result["w0"].reason
        assert device.requests == 0

    virtually(device, words(0, 5), test)


def test_an_unknown_tag_and_one_that_is_read_only_are_the_callers_mistakes() -> None:
    points = words(0) | {"r": {"table": "holding", "address": 1, "type": "uint16"}}

    async def test(driver: NamedModbusDriver) -> None:
        for name in ("r", "nobody"):
            with pytest.raises(KeyError, match=name):
                await driver.write({"w0": 1.0, name: 1.0})

    virtually(Registers({0: 0, 1: 0}), points, test)


def test_without_a_link_a_write_is_rejected_at_once_and_never_sent_later() -> None:
    device = Registers({0: 1})

    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        await proxy.set(Fault.REFUSE)
        await link_is(driver, LinkState.DISCONNECTED, 5)
        result = (await driver.write({"w0": 5.0}))["w0"]
        assert result.outcome is Outcome.REJECTED
        assert result.reason.startswith("not connected: ")
        await proxy.set(Fault.NONE)
        await good_values(driver)
        assert device.writes == []
        assert device.registers[0] == 1

    on_the_wire(device, words(0), test)


@pytest.mark.parametrize(
    "fault",
    [Fault.HALF_OPEN, Fault.SLOW, Fault.HALF, Fault.GARBAGE, Fault.WRONG_TRANSACTION, Fault.DOUBLED],
    ids=str,
)
def test_a_write_whose_answer_does_not_come_is_unknown_is_sent_once_and_has_landed(fault: Fault) -> None:
    device = Registers({0: 1, 5: 1})

    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        await proxy.set(fault)
        begun = asyncio.get_running_loop().time()
        result = await driver.write({"w0": 50.0, "w5": 60.0})
        assert asyncio.get_running_loop().time() - begun < 2 * TIMEOUT_S + SLACK_S
        assert result["w0"].outcome is Outcome.UNKNOWN
        assert result["w5"].outcome is Outcome.REJECTED
        assert "unknown" in result["w5"].reason
        await proxy.set(Fault.NONE)
        assert (await good_values(driver))["w0"] == (50.0, GOOD)
        assert device.writes == [(0, [50])]

    on_the_wire(device, words(0, 5), test)


@pytest.mark.parametrize("fault", [Fault.BLACK_HOLE, Fault.RESET], ids=str)
def test_a_write_that_is_lost_on_its_way_is_unknown_and_not_sent_again(fault: Fault) -> None:
    device = Registers({0: 1})

    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        if fault is Fault.RESET:
            proxy.fault = fault  # only what is sent from now on meets it
        else:
            await proxy.set(fault)
        assert (await driver.write({"w0": 50.0}))["w0"].outcome is Outcome.UNKNOWN
        await proxy.set(Fault.NONE)
        assert (await good_values(driver))["w0"] == (1.0, GOOD)
        assert device.writes == []

    on_the_wire(device, words(0), test)


def test_stopping_ends_a_write_under_way_as_unknown() -> None:
    async def test(driver: NamedModbusDriver, proxy: FaultProxy) -> None:
        await proxy.set(Fault.BLACK_HOLE)
        sent = len(proxy.requests)
        writing = asyncio.create_task(driver.write({"w0": 5.0}))
        while len(proxy.requests) == sent:
            await asyncio.sleep(0)
        await driver.stop()
        assert (await writing)["w0"].outcome is Outcome.UNKNOWN

    on_the_wire(Registers({0: 1}), words(0), test)


# -- watchdog and restarts --------------------------------------------------------------------------------------------

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
        assert driver.link.reason == "the controller restarted (start counter 3 to 4)"
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
        assert driver.link.reason == "the controller restarted (start counter 3 to 9)"

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


# -- mistakes in the plant file ---------------------------------------------------------------------------------------


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
    with pytest.raises(TypeError, match="not a ModbusPoint"):
        ModbusDriver(
            "dev", ModbusOptions(host="h"), [BoundPoint(tag(0, "t"), MtSicsPoint(field="weight"))], LiveClock()
        )
