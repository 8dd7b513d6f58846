"""Masterflex drives with USB: nothing is switched on by itself, and what is not in serial mode is out of service."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.driver import Outcome
from drivers.masterflex_usb import MasterflexUsbDriver, MasterflexUsbPoint
from evcontrol.quality import BAD_DECODING, BAD_OUT_OF_SERVICE, BAD_TIMEOUT, GOOD, is_bad
from simulators.devices.bus import Bus, LineFault, cut_at_cr
from simulators.devices.masterflex_usb import UsbPump
from tests.drivers.pump_rig import Rig, on_bus

FIELDS = ("speed", "flow", "running", "direction", "remote")
PUMPS = {1: {"max_rpm": 600, "ml_per_rev": 0.5}, 2: {"max_rpm": 100, "ml_per_rev": 1}}
QUESTIONS = re.compile(rb"\d(RC?|#)")


def serial_pumps() -> Bus:
    pumps = [UsbPump(1), UsbPump(2)]
    for one in pumps:
        one.serial = True
    return Bus(pumps, cut_at_cr)


def on_pumps(test: Any, bus: Bus | None = None, **options: Any) -> None:
    points = [{"address": a, "field": f, "writable": True} for a in PUMPS for f in FIELDS]
    on_bus(MasterflexUsbDriver, bus or serial_pumps(), points, test, **{"pumps": PUMPS} | options)


def pump(rig: Rig, address: int = 1) -> UsbPump:
    one = rig.bus.instruments[address - 1]
    assert isinstance(one, UsbPump)
    return one


def test_pumps_are_found_and_read_by_questions_only() -> None:
    async def test(rig: Rig) -> None:
        assert rig.driver.link.reason == "1: in serial mode; 2: in serial mode"
        pump(rig, 2).rpm, pump(rig, 2).clockwise, pump(rig, 2).running = 12.34, False, True
        values = await rig.values()
        assert [values[f"1.{field}"] for field in FIELDS] == [100.0, 50.0, 0.0, 0.0, 1.0]
        assert [values[f"2.{field}"] for field in FIELDS] == [12.34, 12.34, 1.0, 1.0, 1.0]
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())

    on_pumps(test)


def test_a_pump_out_of_its_serial_mode_says_so_and_nothing_else_and_is_not_switched_by_itself() -> None:
    async def test(rig: Rig) -> None:
        assert rig.driver.link.reason == "1: not in serial mode; 2: not in serial mode"
        readings = await rig.read()
        assert readings["1.remote"] == (0.0, GOOD)
        assert {readings[f"1.{field}"][1] for field in FIELDS if field != "remote"} == {BAD_OUT_OF_SERVICE}
        ((outcome, reason),) = (await rig.write(_1_running=1.0)).values()
        assert (outcome, reason) == (Outcome.REJECTED, "the pump is not in its serial mode")
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())
        result = await rig.write(_1_running=1.0, _1_speed=123.45, _1_remote=1.0)
        assert {outcome for outcome, _ in result.values()} == {Outcome.CONFIRMED}
        commands = [command for command in rig.heard() if not QUESTIONS.fullmatch(command)]
        assert commands == [b"1RE1", b"1R012345", b"1H"]
        assert (pump(rig).rpm, pump(rig).running, pump(rig, 2).serial) == (123.45, True, False)

    on_pumps(test, Bus([UsbPump(1), UsbPump(2)], cut_at_cr))


def test_commands_are_confirmed_by_what_the_pump_then_says() -> None:
    async def test(rig: Rig) -> None:
        for values in (
            {"_1_flow": 10.0},
            {"_1_direction": 1.0},
            {"_1_running": 1.0},
            {"_1_running": 0.0},
            {"_1_remote": 0.0},
        ):
            assert await rig.outcome(**values) is Outcome.CONFIRMED
        assert (pump(rig).rpm, pump(rig).clockwise, pump(rig).running, pump(rig).serial) == (20.0, False, False, False)

    on_pumps(test)


def test_a_refusal_is_a_rejection_and_a_speed_of_zero_is_not_sent() -> None:
    async def test(rig: Rig) -> None:
        pump(rig).max_rpm = 50.0
        ((outcome, reason),) = (await rig.write(_1_speed=60.0)).values()
        assert (outcome, "the pump refused" in reason) == (Outcome.REJECTED, True)
        rig.heard()
        ((outcome, reason),) = (await rig.write(_1_speed=0.0)).values()
        assert (outcome, "running = 0" in reason) == (Outcome.REJECTED, True)
        assert rig.heard() == []

    on_pumps(test)


def test_a_command_that_is_taken_and_not_shown_is_unknown() -> None:
    async def test(rig: Rig) -> None:
        real = pump(rig).hear
        pump(rig).hear = lambda command: b"*\r\n" if command == b"1H" else real(command)  # type: ignore[method-assign]
        ((outcome, reason),) = (await rig.write(_1_running=1.0)).values()
        assert (outcome, reason) == (Outcome.UNKNOWN, "acknowledged, but the pump says 0, not 1")

    on_pumps(test)


def test_replies_without_an_end_of_line_are_understood() -> None:
    async def test(rig: Rig) -> None:
        real = pump(rig).hear

        def bare(command: bytes) -> bytes:
            return real(command).strip() if not QUESTIONS.fullmatch(command) else real(command)

        pump(rig).hear = bare  # type: ignore[method-assign]
        assert await rig.outcome(_1_running=1.0) is Outcome.CONFIRMED

    on_pumps(test)


def test_a_person_who_leaves_the_serial_mode_is_seen_and_not_fought() -> None:
    async def test(rig: Rig) -> None:
        pump(rig).take_over(rpm=20.0, running=True)
        rig.heard()
        assert (await rig.read())["1.remote"] == (0.0, GOOD)
        assert await rig.outcome(_1_running=0.0) is Outcome.REJECTED
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())
        assert pump(rig).running

    on_pumps(test)


@pytest.mark.parametrize(
    ("fault", "qualities"),
    [
        (LineFault.DEAF, {BAD_TIMEOUT}),
        (LineFault.GARBAGE, {BAD_TIMEOUT}),
        (LineFault.HALF, {BAD_TIMEOUT}),
        (LineFault.MERGED, {GOOD}),
    ],
)
def test_what_is_spoilt_on_the_line_is_bad_and_passes(fault: LineFault, qualities: set[int]) -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        rig.bus.fault = fault
        assert await rig.qualities("") == qualities
        rig.bus.fault = LineFault.NONE
        while await rig.qualities("") != {GOOD}:
            await rig.clock.sleep(0.2)

    on_pumps(test)


def test_a_speed_that_changed_counts_when_the_pump_says_it_twice() -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        real, lost = pump(rig).hear, [b"10.00\r\n"]
        pump(rig).hear = lambda command: lost.pop() if lost and command == b"1R" else real(command)  # type: ignore[method-assign]
        assert (await rig.read())["1.speed"] == (100.0, GOOD)
        assert lost == []
        lost.extend([b"10.00\r\n", b"1.00\r\n", b"10.00\r\n"])
        readings = await rig.read()
        assert readings["1.speed"][1] == readings["1.flow"][1] == BAD_DECODING
        assert readings["1.running"] == (0.0, GOOD)

    on_pumps(test)


ANSWERS = st.one_of(
    st.sampled_from([b"", b"~\r\n", b"*", b"1,0,0\r\n", b"2,1,1\r\n", b"50.00\r\n", b"1,0,0"]),
    st.binary(max_size=30).filter(lambda data: not any(48 <= byte <= 57 for byte in data)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=8))
def test_whatever_a_pump_sends_a_reading_is_its_speed_or_bad_and_ends_in_time(answers: list[bytes]) -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        real, pending = pump(rig).hear, list(answers)
        pump(rig).hear = lambda c: pending.pop(0) if pending and c[:1] == b"1" else real(c)  # type: ignore[method-assign]
        while pending:
            begun = rig.clock.monotonic()
            reading = (await rig.read())["1.speed"]
            assert rig.clock.monotonic() - begun <= 2.0 + 1e-6
            assert math.isnan(reading[0]) == is_bad(reading[1])
            assert is_bad(reading[1]) or reading[0] in (100.0, 50.0)
            await rig.ready()

    on_pumps(test)


@pytest.mark.parametrize("point", [{"field": "state"}, {"field": "speed", "address": 0}])
def test_points_that_these_pumps_do_not_have_are_mistakes(point: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MasterflexUsbPoint.model_validate(point)
