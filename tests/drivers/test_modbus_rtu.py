"""The Modbus RTU driver on pseudo-terminals and TCP serial servers: several units, noise, silence, late answers."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pymodbus.framer.rtu import FramerRTU

from drivers.connection import UnreadableError
from drivers.driver import LinkState, Outcome
from drivers.framing import Found
from drivers.modbus_options import ModbusRtuOptions
from drivers.modbus_points import Table
from drivers.modbus_rtu_client import RtuAnswer, frame_of, silence_s, unlike, with_crc
from drivers.modbus_telegram import Request
from evcontrol.quality import BAD_DECODING, BAD_NOT_CONNECTED, BAD_TIMEOUT, GOOD
from simulators.wire import modbus_rtu
from simulators.wire.modbus_rtu import RtuUnit
from tests.drivers.build import Registers, link_is, readings
from tests.drivers.rtu_rig import NamedRtuDriver, RtuLine, rtu_driver, served, until

KINDS = pytest.mark.parametrize("kind", ["pty", "tcp"])
LINES = pytest.mark.parametrize("kind", ["pty", pytest.param("tcp", marks=pytest.mark.full)])
"""Where the kind of line makes little difference."""
WORD: dict[str, Any] = {"table": "holding", "type": "uint16", "writable": True}
POINTS = {
    "a": WORD | {"address": 0},
    "b": WORD | {"address": 5},
    "c": WORD | {"address": 0, "unit_id": 2},
    "coil": {"table": "coil", "type": "bool", "address": 3, "unit_id": 2, "writable": True},
}
TIMES = {"timeout_s": 1.2, "unit_timeout_s": 0.5}
"""Long enough for a unit to answer on a machine with other work."""


def devices() -> dict[int, Registers]:
    return {
        1: Registers({i: 100 + i for i in range(8)}),
        2: Registers({i: 200 + i for i in range(8)}, {i: i == 3 for i in range(8)}),
    }


def on_line(
    kind: str,
    folder: Path,
    line: RtuLine,
    test: Callable[[NamedRtuDriver, Any], Awaitable[None]],
    points: dict[str, dict[str, Any]] = POINTS,
    **options: Any,
) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), served(line, kind, folder) as port:
            driver = rtu_driver(port.port, points, **TIMES | options)
            await driver.start()
            try:
                await link_is(driver, LinkState.READY, 10)
                await test(driver, port)
            finally:
                await driver.stop()

    asyncio.run(main())


async def read(driver: NamedRtuDriver) -> dict[str, tuple[float, int]]:
    return readings(driver, await driver.read())  # type: ignore[arg-type]


async def read_until(driver: NamedRtuDriver, quality: int, *names: str) -> dict[str, tuple[float, int]]:
    """The first readings in which all of these have that quality."""
    async with asyncio.timeout(15):
        while True:
            result = await read(driver)
            if all(result[name][1] == quality for name in names):
                return result
            await asyncio.sleep(0.01)


@KINDS
def test_units_of_one_line_are_read_and_written_each_by_its_address(kind: str, tmp_path: Path) -> None:
    line = RtuLine(devices())

    async def test(driver: NamedRtuDriver, _: Any) -> None:
        result = await read_until(driver, GOOD, *POINTS)
        assert result == {"a": (100, GOOD), "b": (105, GOOD), "c": (200, GOOD), "coil": (1, GOOD)}
        written = await driver.write({"a": 7.0, "c": 8.0, "coil": 0.0})
        assert {each.outcome for each in written.values()} == {Outcome.CONFIRMED}
        result = await read(driver)
        assert [result[name][0] for name in POINTS] == [7, 105, 8, 0]
        assert [unit.device.writes for unit in line.units.values()] == [[(0, [7])], [(0, [8]), (3, [False])]]  # type: ignore[attr-defined]

    on_line(kind, tmp_path, line, test)


@LINES
def test_a_silent_unit_is_bad_alone_and_is_asked_ever_more_seldom_until_it_answers(kind: str, tmp_path: Path) -> None:
    line = RtuLine(devices())

    async def test(driver: NamedRtuDriver, _: Any) -> None:
        await read_until(driver, GOOD, *POINTS)
        line.units[1].silent = True
        result = await read(driver)
        assert [result[name][1] for name in POINTS] == [BAD_TIMEOUT, BAD_TIMEOUT, GOOD, GOOD]
        line.heard.clear()
        loop = asyncio.get_running_loop()
        begun, scans = loop.time(), 0
        while len([frame for frame in line.heard if frame[0] == 1]) < 2:
            result = await read(driver)
            assert [result[name][1] for name in POINTS] == [BAD_TIMEOUT, BAD_TIMEOUT, GOOD, GOOD]
            assert math.isnan(result["a"][0])
            scans += 1
        assert loop.time() - begun > 0.2 + 0.5 + 0.4  # rest, silence, longer rest
        assert scans > 10
        assert len([frame for frame in line.heard if frame[0] == 2]) >= 2 * scans - 2
        assert driver.link.state is LinkState.READY
        assert driver.link.reason == "unit 1: no answer within 0.5 s"
        rejected = await driver.write({"a": 1.0, "c": 9.0})
        assert [each.outcome for each in rejected.values()] == [Outcome.REJECTED, Outcome.CONFIRMED]
        line.units[1].silent = False
        result = await read_until(driver, GOOD, *POINTS)
        assert result["a"] == (100, GOOD)
        assert driver.link.reason == ""

    on_line(kind, tmp_path, line, test)


@LINES
def test_when_no_unit_answers_the_link_is_lost_and_comes_back_within_five_seconds(kind: str, tmp_path: Path) -> None:
    line = RtuLine(devices())

    async def test(driver: NamedRtuDriver, _: Any) -> None:
        await read_until(driver, GOOD, *POINTS)
        for unit in line.units.values():
            unit.silent = True
        await read(driver)
        await link_is(driver, LinkState.DISCONNECTED, 5, "no answer")
        assert {quality for _, quality in (await read(driver)).values()} == {BAD_NOT_CONNECTED}
        for unit in line.units.values():
            unit.silent = False
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await read_until(driver, GOOD, *POINTS)
        assert loop.time() - begun < 5

    on_line(kind, tmp_path, line, test)


def flipped(where: int) -> Callable[[bytes], bytes]:
    def spoil(answer: bytes) -> bytes:
        if not answer or answer[0] != 1:
            return answer
        spoilt = bytearray(answer)
        spoilt[where % len(spoilt)] ^= 0x04
        return bytes(spoilt)

    return spoil


@LINES
@pytest.mark.parametrize("where", [1, 2, 3, 4, -1], ids=["function", "count", "high byte", "low byte", "checksum"])
def test_a_bit_that_falls_over_makes_its_unit_unreadable_and_never_a_number(
    kind: str, where: int, tmp_path: Path
) -> None:
    line = RtuLine(devices())

    async def test(driver: NamedRtuDriver, _: Any) -> None:
        await read_until(driver, GOOD, *POINTS)
        line.spoil = flipped(where)
        for _ in range(3):
            result = await read(driver)
            assert [result[name][1] for name in ("a", "b")] == [BAD_DECODING] * 2
            assert math.isnan(result["a"][0])
            assert result["c"] == (200, GOOD)
        line.spoil = lambda answer: answer
        assert (await read_until(driver, GOOD, *POINTS))["b"] == (105, GOOD)

    on_line(kind, tmp_path, line, test)


@LINES
def test_a_write_without_an_answer_is_unknown_and_is_not_repeated(kind: str, tmp_path: Path) -> None:
    line = RtuLine(devices())

    async def test(driver: NamedRtuDriver, _: Any) -> None:
        await read_until(driver, GOOD, *POINTS)
        line.spoil = lambda answer: b"" if answer[:2] == b"\x01\x10" else answer
        assert (await driver.write({"a": 9.0}))["a"].outcome is Outcome.UNKNOWN
        line.spoil = lambda answer: answer
        assert (await read_until(driver, GOOD, *POINTS))["a"] == (9, GOOD)
        assert line.units[1].device.writes == [(0, [9])]  # type: ignore[attr-defined]

    on_line(kind, tmp_path, line, test)


@LINES
def test_the_late_answer_of_one_unit_is_never_taken_for_anothers_nor_for_its_own_next(
    kind: str, tmp_path: Path
) -> None:
    """Both units answer alike, one register; each answer of unit 1 comes one request too late."""
    line = RtuLine(devices())
    points = {"a": WORD | {"address": 0}, "c": WORD | {"address": 0, "unit_id": 2}}

    async def test(driver: NamedRtuDriver, port: Any) -> None:
        await read_until(driver, GOOD, "a", "c")
        late: list[bytes] = []

        def spoil(answer: bytes) -> bytes:
            if answer[:1] == b"\x01":
                late.append(answer)
                return b""
            return late.pop(0) + answer if late and answer else answer

        line.spoil = spoil
        for value in range(30):
            line.units[1].device.registers[0] = 1000 + value  # type: ignore[attr-defined]
            line.units[2].device.registers[0] = 2000 + value  # type: ignore[attr-defined]
            result = await read(driver)
            assert result["a"][1] != GOOD
            assert result["c"] == (2000 + value, GOOD)
        del port

    on_line(kind, tmp_path, line, test, points)


@LINES
def test_an_answer_for_which_the_scan_had_no_time_left_is_never_taken_for_that_to_another_block(
    kind: str, tmp_path: Path
) -> None:
    """Both blocks answer alike; the second of each scan is answered after the scan has ended."""
    line = RtuLine(devices())
    points = {"a": WORD | {"address": 0}, "b": WORD | {"address": 5}}

    async def test(driver: NamedRtuDriver, port: Any) -> None:
        await read_until(driver, GOOD, "a", "b")
        loop, free_at = asyncio.get_running_loop(), 0.0

        def take(data: bytes) -> None:
            nonlocal free_at
            if answer := line.hear(data):
                free_at = max(loop.time(), free_at) + 0.35
                loop.call_at(free_at, port.send, answer)

        port._take = take
        for _ in range(6):
            for name, (value, quality) in (await read(driver)).items():
                assert quality != GOOD or value == {"a": 100, "b": 105}[name]
        assert len(line.heard) > 4

    on_line(kind, tmp_path, line, test, points, timeout_s=0.5, unit_timeout_s=None)


@KINDS
def test_a_port_that_is_pulled_is_lost_and_taken_up_again(kind: str, tmp_path: Path) -> None:
    line = RtuLine(devices())

    async def test(driver: NamedRtuDriver, port: Any) -> None:
        await read_until(driver, GOOD, *POINTS)
        await port.unplug()
        await read_until(driver, BAD_NOT_CONNECTED, *POINTS)
        await port.plug()
        await read_until(driver, GOOD, *POINTS)

    on_line(kind, tmp_path, line, test)


def test_every_unit_has_its_own_heartbeat_watchdog_time_and_start_counter(tmp_path: Path) -> None:
    line = RtuLine(devices())
    points = POINTS | {"starts": {"table": "holding", "type": "uint16", "address": 7, "unit_id": 2}}
    guarded = {
        "heartbeat": 6,
        "units": {2: {"heartbeat": 5, "watchdog": {"address": 6, "seconds": 30}, "start_counter": "starts"}},
    }

    async def test(driver: NamedRtuDriver, _: Any) -> None:
        first, second = line.units[1].device.registers, line.units[2].device.registers  # type: ignore[attr-defined]
        await read_until(driver, GOOD, *points)
        assert second[6] == 30
        assert await driver.feed_watchdog()
        assert (first[6], second[5]) == (107, 206)
        second |= {6: 99, 7: 300}
        await read(driver)
        await until(lambda: driver.link.reason.startswith("unit 2: the device restarted"))
        await read_until(driver, GOOD, *points)
        assert second[6] == 30
        assert "unit 2: the device restarted (start counter 207 to 300)" in driver.link.reason
        assert line.units[1].device.registers[0] == 100  # type: ignore[attr-defined]
        line.units[2].silent = True
        assert not await driver.feed_watchdog()
        assert first[6] == 108

    on_line("pty", tmp_path, line, test, points, **guarded)


REQUESTS = st.builds(
    Request.reading,
    st.integers(1, 247),
    st.sampled_from(Table),
    st.integers(0, 100),
    st.integers(1, 30),
) | st.builds(
    Request.writing,
    st.integers(1, 247),
    st.just(Table.HOLDING),
    st.integers(0, 100),
    st.lists(st.integers(0, 65535), min_size=1, max_size=20),
)


def right_answer(request: Request) -> bytes:
    device = Registers({i: 3 * i for i in range(140)}, {i: bool(i % 3) for i in range(140)})
    return RtuUnit(request.unit, device).hear(frame_of(request))


@given(REQUESTS)
def test_every_beginning_of_the_right_answer_waits_for_more_and_the_whole_is_taken(request: Request) -> None:
    right = right_answer(request)
    for end in range(len(right)):
        assert RtuAnswer(request).find(right[:end]) is None
    assert RtuAnswer(request).find(right) == Found(right[1:-2], len(right))


@given(REQUESTS, st.data())
def test_no_damaged_answer_is_ever_taken(request: Request, data: st.DataObject) -> None:
    right = bytearray(right_answer(request))
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.integers(0, len(right) - 1))
        right[where] ^= data.draw(st.integers(1, 255))
    if bytes(right) == right_answer(request):
        return
    try:
        found = RtuAnswer(request).find(bytes(right))
    except UnreadableError:
        return
    assert found is None


@given(REQUESTS, st.binary(max_size=300))
def test_no_bytes_raise_anything_else(request: Request, received: bytes) -> None:
    try:
        found = RtuAnswer(request, (Request.reading(9, Table.HOLDING, 0, 1),)).find(received)
    except UnreadableError:
        return
    assert found is None or FramerRTU.compute_CRC(received[: found.used - 2]) == int.from_bytes(
        received[found.used - 2 : found.used], "big"
    )


@given(REQUESTS, REQUESTS)
def test_a_late_answer_before_the_right_one_is_passed_over(late: Request, request: Request) -> None:
    if late.unit == request.unit and not late.differs_from(request):
        return
    received = right_answer(late) + right_answer(request)
    found = RtuAnswer(request, (late,)).find(received)
    assert found == Found(b"", len(right_answer(late)))
    assert RtuAnswer(request, (late,)).find(received[found.used :]) == Found(
        right_answer(request)[1:-2], len(right_answer(request))
    )


@given(REQUESTS, st.lists(REQUESTS, max_size=6))
def test_what_is_asked_to_get_into_step_has_an_answer_like_none_that_is_owed(
    request: Request, owed: list[Request]
) -> None:
    asked = unlike(request, owed)
    assert asked.values is None
    assert (asked.unit, asked.table, asked.address) == (request.unit, request.table, request.address)
    assert all(asked.differs_from(late) for late in owed)


@given(st.binary(min_size=1, max_size=250))
def test_the_checksum_is_that_of_the_simulators(data: bytes) -> None:
    assert with_crc(data)[-2:] == modbus_rtu.crc(data).to_bytes(2, "little")
    assert modbus_rtu.is_whole(with_crc(data))


def test_the_checksum_is_that_of_the_standards_example() -> None:
    # Modbus over Serial Line V1.02, appendix B: CRC of 02 07 is 12 41 (hexadecimal), low byte first 41 12.
    assert with_crc(b"\x02\x07") == b"\x02\x07\x41\x12"


def test_the_silence_between_frames_is_three_and_a_half_characters_and_fixed_above_19200_baud() -> None:
    assert silence_s(ModbusRtuOptions(port="x", baudrate=9600)) == pytest.approx(3.5 * 11 / 9600)
    assert silence_s(ModbusRtuOptions(port="x", baudrate=115200)) == 0.00175


@pytest.mark.parametrize(
    "options",
    [{}, {"port": ""}, {"port": "x", "bytesize": 7}, {"port": "x", "host": "h"}, {"port": "socket://h"}],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModbusRtuOptions.model_validate(options)


@pytest.mark.parametrize("unit", [0, 248])
def test_a_unit_that_cannot_be_on_a_serial_line_is_a_mistake(unit: int) -> None:
    with pytest.raises(ValueError, match="1 to 247"):
        rtu_driver("x", {"a": WORD | {"address": 0, "unit_id": unit}})


def test_a_request_of_the_longest_kind_goes_both_ways(tmp_path: Path) -> None:
    line = RtuLine({1: Registers({i: i for i in range(125)})})
    points = {f"w{i}": WORD | {"address": i} for i in range(125)}

    async def test(driver: NamedRtuDriver, _: Any) -> None:
        result = await read(driver)
        assert [value for value, _ in result.values()] == list(range(125))
        assert {each.outcome for each in (await driver.write({f"w{i}": 7.0 for i in range(123)})).values()} == {
            Outcome.CONFIRMED
        }
        assert len(line.heard[-1]) == 7 + 2 * 123 + 2
        assert struct.unpack(">H", line.heard[-1][7:9]) == (7,)

    on_line("pty", tmp_path, line, test, points)
