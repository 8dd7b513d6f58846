"""Writes of the Modbus driver: grouping, and the three outcomes."""

from __future__ import annotations

import asyncio
import math

import pytest

from drivers.driver import LinkState, Outcome
from drivers.modbus_refusal import REFUSALS
from evcontrol.quality import (
    GOOD,
)
from tests.drivers.build import NamedModbusDriver, Registers, link_is
from tests.drivers.modbus_rig import (
    COIL,
    SLACK_S,
    TIMEOUT_S,
    good_values,
    on_the_wire,
    virtually,
    words,
)
from tests.faultproxy import Fault, FaultProxy


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
        assert result.outcome is (Outcome.UNKNOWN if code in (5, 11, 99) else Outcome.REJECTED)
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
        assert result["w5"].reason
        assert result["w0"].reason == f"not sent: w5: {result['w5'].reason}"
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
