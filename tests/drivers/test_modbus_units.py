"""Several units behind one Modbus gateway: each for itself, whatever the others do."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.connection import STEADY_S
from drivers.driver import BoundPoint, LinkState, Outcome
from drivers.modbus import ModbusDriver
from drivers.modbus_client import in_process
from drivers.modbus_options import ModbusOptions
from drivers.modbus_points import ModbusPoint
from drivers.modbus_unit import FIRST_PAUSE_S, PAUSE_CAP_S, PAUSE_FACTOR
from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from evcontrol.quality import BAD_CONFIGURATION, BAD_NO_COMMUNICATION, BAD_TIMEOUT, GOOD, is_bad
from evcontrol.signals import Tag, TagKind, TagTable
from simulators.wire.modbus import ModbusServer
from tests.drivers.build import NamedModbusDriver, Registers, link_is, modbus_driver, readings

WORD: dict[str, Any] = {"table": "holding", "type": "uint16", "writable": True}
POINTS = {
    "a": WORD | {"address": 0},
    "a5": WORD | {"address": 5},
    "b": WORD | {"address": 0, "unit_id": 2},
    "c": WORD | {"address": 0, "unit_id": 3},
}
TIMES = {"timeout_s": 1.2, "unit_timeout_s": 0.5}
"""Long enough for a unit to answer on a machine with other work."""


def three() -> dict[int, Registers]:
    return {unit: Registers({i: 100 * unit + i for i in range(8)}) for unit in (1, 2, 3)}


def virtually(
    devices: dict[int, Registers],
    test: Callable[[NamedModbusDriver, VirtualClock], Awaitable[None]],
    points: dict[str, dict[str, Any]] = POINTS,
    **options: Any,
) -> None:
    """Run ``test`` with a READY driver of devices in this process."""

    async def main(clock: VirtualClock) -> None:
        driver = modbus_driver(clock, points, in_process(devices), **options)
        await driver.start()
        await link_is(driver, LinkState.READY, 60)
        await test(driver, clock)
        await driver.stop()

    run_virtual(main)


async def qualities(driver: NamedModbusDriver) -> list[int]:
    return [quality for _, quality in readings(driver, await driver.read()).values()]


def test_neighbours_share_requests_within_their_unit_only() -> None:
    devices = three()

    async def test(driver: NamedModbusDriver, _: VirtualClock) -> None:
        await driver.read()  # takes up the second unit
        for device in devices.values():
            device.reads.clear()
        result = readings(driver, await driver.read())
        assert [value for value, _ in result.values()] == [100, 101, 200, 201]
        assert [device.reads for device in devices.values()] == [[(0, 2)], [(0, 2)], []]
        written = await driver.write(dict.fromkeys(result, 7.0))
        assert {each.outcome for each in written.values()} == {Outcome.CONFIRMED}
        assert [device.writes for device in devices.values()] == [[(0, [7, 7])], [(0, [7, 7])], []]

    points = {
        f"w{unit}.{address}": WORD | {"address": address, "unit_id": unit} for unit in (1, 2) for address in (0, 1)
    }
    virtually(devices, test, points)


@pytest.mark.parametrize("code", [10, 11])
def test_a_unit_that_the_gateway_does_not_reach_is_bad_alone_and_asked_with_growing_pauses(code: int) -> None:
    devices = three()

    async def test(driver: NamedModbusDriver, clock: VirtualClock) -> None:
        assert await qualities(driver) == [GOOD] * 4
        await clock.sleep(STEADY_S)
        devices[2].refuse_reads = code
        asked: list[float] = []
        devices[2].reads.clear()
        for _ in range(150):
            assert await qualities(driver) == [GOOD, GOOD, BAD_NO_COMMUNICATION, GOOD]
            if devices[2].reads:
                asked.append(clock.monotonic())
                devices[2].reads.clear()
            await clock.sleep(0.1)
        pauses = [after - before for before, after in pairwise(asked)]
        grown = [min(PAUSE_CAP_S, FIRST_PAUSE_S * PAUSE_FACTOR**i) for i in range(len(pauses))]
        assert len(pauses) > 5
        assert pauses == pytest.approx(grown, abs=0.11)  # a scan is every 0.1 s
        assert driver.link.state is LinkState.READY
        assert driver.link.reason.startswith("unit 2: the ")
        devices[2].refuse_reads = None
        await clock.sleep(PAUSE_CAP_S)
        assert await qualities(driver) == [GOOD] * 4
        assert driver.link.reason == ""

    virtually(devices, test)


def test_a_gateway_that_reaches_no_unit_is_a_link_with_nothing_behind_it() -> None:
    devices = three()
    for device in devices.values():
        device.refuse_reads = 11

    async def test(driver: NamedModbusDriver, _: VirtualClock) -> None:
        assert all(is_bad(quality) for quality in await qualities(driver))
        assert driver.link.state is LinkState.READY

    virtually(devices, test)


@pytest.mark.parametrize(("code", "outcome"), [(10, Outcome.REJECTED), (11, Outcome.UNKNOWN), (4, Outcome.REJECTED)])
def test_a_write_that_the_gateway_refuses_has_the_outcome_of_its_code(code: int, outcome: Outcome) -> None:
    devices = three()

    async def test(driver: NamedModbusDriver, _: VirtualClock) -> None:
        assert await qualities(driver) == [GOOD] * 4
        devices[2].refuse_writes = code
        assert (await driver.write({"b": 1.0}))["b"].outcome is outcome
        assert (await driver.write({"c": 1.0}))["c"].outcome is Outcome.CONFIRMED
        assert len(devices[2].writes) == 1

    virtually(devices, test)


def test_a_unit_that_never_answered_does_not_keep_the_link_from_being_ready() -> None:
    devices = three()
    devices[1].silent = True

    async def test(driver: NamedModbusDriver, clock: VirtualClock) -> None:
        assert driver.link.reason == "unit 1: no answer within 0.25 s"
        assert [is_bad(quality) for quality in await qualities(driver)] == [True, True, False, False]
        rejected = (await driver.write({"a": 1.0}))["a"]
        assert (rejected.outcome, rejected.reason) == (
            Outcome.REJECTED,
            "not sent: unit 1: no answer within 0.25 s",
        )
        devices[1].silent = False
        await clock.sleep(PAUSE_CAP_S)
        assert await qualities(driver) == [GOOD] * 4

    virtually(devices, test)


def test_a_register_that_one_unit_refuses_is_bad_alone_and_asked_for_again_when_the_unit_comes_back() -> None:
    devices = three()
    del devices[1].registers[1]
    points = {f"w{i}": WORD | {"address": i} for i in range(3)} | {"b": WORD | {"address": 1, "unit_id": 2}}

    async def test(driver: NamedModbusDriver, clock: VirtualClock) -> None:
        for _ in range(2):
            assert await qualities(driver) == [GOOD, BAD_CONFIGURATION, GOOD, GOOD]
        devices[1].registers[1] = 1
        devices[1].silent = True
        assert await qualities(driver) == [BAD_TIMEOUT] * 3 + [GOOD]
        devices[1].silent = False
        await clock.sleep(PAUSE_CAP_S)
        await driver.read()
        devices[1].reads.clear()
        assert await qualities(driver) == [GOOD] * 4
        assert devices[1].reads == [(0, 3)]

    virtually(devices, test, points)


def test_changes_of_what_a_unit_says_are_told_as_changes_of_the_link() -> None:
    devices = three()

    async def test(driver: NamedModbusDriver, clock: VirtualClock) -> None:
        told: list[tuple[LinkState, str]] = []
        await driver.read()
        driver.on_link = lambda link: told.append((link.state, link.reason))
        devices[3].silent = True
        for _ in range(3):
            await driver.read()
        devices[3].silent = False
        await clock.sleep(PAUSE_CAP_S)
        await driver.read()
        await clock.sleep(0)
        assert told == [(LinkState.READY, "unit 3: no answer within 0.25 s"), (LinkState.READY, "")]

    virtually(devices, test)


def on_the_wire(
    devices: Any, test: Callable[[NamedModbusDriver], Awaitable[None]], points: dict[str, dict[str, Any]] = POINTS
) -> None:
    async def main() -> None:
        server = ModbusServer(devices)
        await server.start()
        driver = modbus_driver(LiveClock(), points, port=server.port, **TIMES)
        try:
            async with asyncio.timeout(30):
                await driver.start()
                await link_is(driver, LinkState.READY, 10)
                await test(driver)
        finally:
            await driver.stop()
            await server.stop()

    asyncio.run(main())


async def all_good(driver: NamedModbusDriver) -> dict[str, tuple[float, int]]:
    while True:
        result = readings(driver, await driver.read())
        if not any(is_bad(quality) for _, quality in result.values()):
            return result
        await asyncio.sleep(0.01)


def test_a_silent_unit_behind_a_gateway_costs_others_no_scan_and_the_connection_stays() -> None:
    devices = three()

    async def test(driver: NamedModbusDriver) -> None:
        await all_good(driver)
        states: list[LinkState] = []
        driver.on_link = lambda link: states.append(link.state)
        devices[1].silent = True
        for _ in range(40):
            result = readings(driver, await driver.read())
            assert [quality for _, quality in result.values()] == [BAD_TIMEOUT, BAD_TIMEOUT, GOOD, GOOD]
            assert math.isnan(result["a"][0])
            await asyncio.sleep(0.01)
        devices[1].silent = False
        await all_good(driver)
        assert set(states) == {LinkState.READY}

    on_the_wire(devices, test)


def test_a_unit_that_the_gateway_does_not_know_has_no_communication() -> None:
    devices = three()
    del devices[3]

    async def test(driver: NamedModbusDriver) -> None:
        while True:
            result = readings(driver, await driver.read())
            if result["c"][1] == BAD_NO_COMMUNICATION:
                break
        assert [quality for _, quality in result.values()][:3] == [GOOD] * 3

    on_the_wire(devices, test)


def test_the_late_answers_of_one_unit_are_never_taken_for_another_nor_end_the_connection() -> None:
    """Every answer of unit 1 comes behind that of the next unit."""

    class Gateway(asyncio.Protocol):
        late: list[bytes]

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport, self.late = transport, []
            connections.append(self)

        def data_received(self, data: bytes) -> None:
            transaction, unit = struct.unpack_from(">H4xB", data)
            count = struct.unpack_from(">H", data, 10)[0]
            words = [state["value"] + 1000 * unit] * count
            answer = struct.pack(f">HHHBBB{count}H", transaction, 0, 3 + 2 * count, unit, 3, 2 * count, *words)
            if unit == 1 and state["late"]:
                self.late.append(answer)
                return
            self.transport.write(answer + b"".join(self.late))
            self.late.clear()

    connections: list[Gateway] = []
    state = {"value": 0, "late": 0}

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Gateway, "127.0.0.1", 0)
        points = {"a": WORD | {"address": 0}, "b": WORD | {"address": 0, "unit_id": 2}}
        driver = modbus_driver(LiveClock(), points, port=server.sockets[0].getsockname()[1], **TIMES)
        async with asyncio.timeout(30):
            await driver.start()
            await link_is(driver, LinkState.READY, 10)
            await all_good(driver)
            state["late"] = 1
            for value in range(20):
                state["value"] = value
                result = readings(driver, await driver.read())
                assert is_bad(result["a"][1])
                assert result["b"] == (2000 + value, GOOD)
                await asyncio.sleep(0.02)
            state["late"] = 0
            assert await all_good(driver) == {"a": (1019, GOOD), "b": (2019, GOOD)}
            assert len(connections) == 1
            await driver.stop()
        server.close()

    asyncio.run(main())


def text_tag(index: int, kind: TagKind, labels: tuple[str, ...] = ()) -> Tag:
    return Tag(f"T{index}", index, "", kind, 0, 1, labels=labels)


def test_texts_travel_as_the_codes_of_the_plant_and_words_as_the_numbers_of_their_labels() -> None:
    device = Registers(dict(enumerate(struct.unpack(">4H", b"AB12RUN\0"))))

    async def main(clock: VirtualClock) -> None:
        tags = [text_tag(0, TagKind.TEXT), text_tag(1, TagKind.ENUM, ("STOP", "RUN"))]
        table = TagTable(tags)
        points = [
            ModbusPoint.model_validate({"table": "holding", "type": "string", "length": 2, "address": address})
            for address in (0, 2)
        ]
        bound = [BoundPoint(each, point, table.code_of) for each, point in zip(tags, points, strict=True)]
        driver = ModbusDriver("dev", ModbusOptions(host="h"), bound, clock, connect=in_process(device))
        await driver.start()
        await link_is(driver, LinkState.READY, 5)
        frame = await driver.read()
        assert table.text_of(frame.value[0]) == "AB12"
        assert frame.value[1] == 1
        device.registers[0] = 0xFFFF
        device.registers[3] = 0x4141
        assert [is_bad(int(each)) for each in (await driver.read()).quality] == [True, True]
        await driver.stop()

    run_virtual(main)


@pytest.mark.parametrize(
    ("kind", "type_", "words"), [("text", "uint16", "type string"), ("analog", "string", "fits only a text")]
)
def test_a_tag_that_does_not_fit_its_point_is_a_mistake(kind: str, type_: str, words: str) -> None:
    point = ModbusPoint.model_validate(
        {"table": "holding", "type": type_, "address": 0} | ({"length": 1} if type_ == "string" else {})
    )
    with pytest.raises(ValueError, match=words):
        ModbusDriver("dev", ModbusOptions(host="h"), [BoundPoint(text_tag(0, TagKind(kind)), point)], LiveClock())


@pytest.mark.parametrize(
    "options",
    [
        {"unit_timeout_s": 1.0},
        {"units": {1: {}}},
        {"units": {256: {}}},
        {"units": {2: {"hearbeat": 1}}},
        {"unit_id": 5, "units": {5: {"heartbeat": 0}}},
    ],
)
def test_options_of_units_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModbusOptions.model_validate({"host": "h"} | options)


def test_the_start_counter_of_a_unit_must_be_a_tag_of_the_device() -> None:
    with pytest.raises(ValueError, match="no tag of this device"):
        modbus_driver(LiveClock(), POINTS, units={2: {"start_counter": "other"}})
    with pytest.raises(ValueError, match="is none of unit 2"):
        modbus_driver(LiveClock(), POINTS, units={2: {"start_counter": "a"}})


def test_options_for_a_unit_without_points_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="unit 9 has options, and no points"):
        modbus_driver(LiveClock(), POINTS, units={9: {"heartbeat": 0}})
    with pytest.raises(ValueError, match="unit 9 has options, and no points"):
        modbus_driver(LiveClock(), {"b": POINTS["b"]}, unit_id=9, watchdog={"address": 1, "seconds": 5})
