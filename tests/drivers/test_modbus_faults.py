"""Readings of the Modbus driver while the network fails, over real sockets."""

from __future__ import annotations

import asyncio
import math

import pytest

from drivers.driver import LinkState, Outcome
from evcontrol.quality import (
    BAD_DECODING,
    BAD_NOT_CONNECTED,
    BAD_TIMEOUT,
    GOOD,
)
from tests.drivers.build import NamedModbusDriver, Registers, link_is
from tests.drivers.modbus_rig import (
    good_values,
    on_the_wire,
    timely,
    words,
)
from tests.faultproxy import Fault, FaultProxy

BAD_BY_FAULT = {
    Fault.HALF: {BAD_TIMEOUT, BAD_NOT_CONNECTED},
    Fault.WRONG_TRANSACTION: {BAD_DECODING, BAD_NOT_CONNECTED},
    Fault.DOUBLED: {BAD_DECODING, BAD_NOT_CONNECTED},
}
"""What is special in Modbus; every driver goes through the other faults in ``tests/wire/test_driver_faults.py``."""


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
