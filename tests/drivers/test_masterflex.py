"""Linkable Masterflex drives: local and remote, refusals, and numbers that are given only where there is no doubt."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import LinkState, Outcome
from drivers.masterflex import MasterflexDriver
from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_DEVICE_FAILURE, BAD_TIMEOUT, GOOD, is_bad
from simulators.devices.bus import Bus, LineFault, cut_linkable
from simulators.devices.masterflex import LinkablePump, State, linked
from tests.drivers.build import link_is
from tests.drivers.pump_rig import Rig, on_bus

FIELDS = ("speed", "running", "direction", "remote", "state")
PUMPS = {1: {"max_rpm": 600}, 2: {"max_rpm": 100}}
QUESTIONS = re.compile(rb"\x02P\d\d[CIS]\r")


def numbered(*numbers: int) -> Bus:
    """Pumps that have these numbers already (0: none), the nearest first."""
    pumps = linked([LinkablePump() for _ in numbers])
    for one, number in zip(pumps, numbers, strict=True):
        one.number = number
    return Bus(pumps, cut_linkable)


def on_pumps(test: Any, bus: Bus | None = None, **options: Any) -> None:
    points = [{"address": a, "field": f, "writable": f != "state"} for a in options.get("pumps", PUMPS) for f in FIELDS]
    on_bus(MasterflexDriver, bus or numbered(1, 2), points, test, **{"pumps": PUMPS} | options)


def pump(rig: Rig, address: int = 1) -> LinkablePump:
    one = rig.bus.instruments[address - 1]
    assert isinstance(one, LinkablePump)
    return one


def test_pumps_are_found_and_read_by_questions_only() -> None:
    async def test(rig: Rig) -> None:
        assert rig.driver.link.reason == "1: local; 2: local"
        pump(rig, 2).take_over(rpm=50.0, clockwise=False, running=True)
        values = await rig.values()
        assert [values[f"1.{field}"] for field in FIELDS] == [0.0, 0.0, 0.0, 0.0, State.IDLE]
        assert [values[f"2.{field}"] for field in FIELDS] == [50.0, 1.0, 1.0, 0.0, State.RUNNING]
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())

    on_pumps(test)


def test_a_pump_is_taken_over_set_and_started_in_this_order_and_each_step_is_read_back() -> None:
    async def test(rig: Rig) -> None:
        rig.heard()
        result = await rig.write(_1_running=1.0, _1_speed=100.0, _1_remote=1.0)
        assert {outcome for outcome, _ in result.values()} == {Outcome.CONFIRMED}
        commands = [command for command in rig.heard() if not QUESTIONS.fullmatch(command)]
        assert commands == [b"\x02P01R\r", b"\x02P01S+100.0\r", b"\x02P01G0\r"]
        assert (pump(rig).rpm, pump(rig).running) == (100.0, True)
        assert await rig.outcome(_1_running=0.0) is Outcome.CONFIRMED
        assert await rig.outcome(_1_direction=1.0) is Outcome.CONFIRMED
        assert (pump(rig).rpm, pump(rig).clockwise) == (100.0, False)

    on_pumps(test)


def test_a_direction_is_not_sent_with_a_speed_of_which_a_figure_was_lost() -> None:
    async def test(rig: Rig) -> None:
        pump(rig).take_over(rpm=432.9, clockwise=True)
        pump(rig).remote = True
        await rig.read()
        real, told = pump(rig).hear, []

        def hear(command: bytes) -> bytes:
            answer = real(command)
            if b"S+0432.9" in answer and not told:
                told.append(answer)
                return answer.replace(b"S+0432.9", b"S+032.9")
            return answer

        pump(rig).hear = hear  # type: ignore[method-assign]
        assert await rig.outcome(_1_direction=1.0) is Outcome.REJECTED
        assert (told != [], pump(rig).rpm, pump(rig).clockwise) == (True, 432.9, True)
        assert await rig.outcome(_1_direction=1.0) is Outcome.CONFIRMED
        assert (pump(rig).rpm, pump(rig).clockwise) == (432.9, False)

    on_pumps(test)


@pytest.mark.parametrize(
    ("state", "values", "words"),
    [
        ({"remote": False}, {"_1_speed": 10.0}, "in local"),
        ({"remote": True}, {"_1_running": 1.0}, "0 rpm"),
        ({"remote": True, "rpm": 10.0, "state": State.RUNNING}, {"_1_direction": 1.0}, "standstill"),
    ],
)
def test_what_the_drive_would_refuse_is_not_sent(state: dict[str, Any], values: dict[str, float], words: str) -> None:
    async def test(rig: Rig) -> None:
        for name, value in state.items():
            setattr(pump(rig), name, value)
        rig.heard()
        ((outcome, reason),) = (await rig.write(**values)).values()
        assert (outcome, words in reason) == (Outcome.REJECTED, True)
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())

    on_pumps(test)


def test_a_refusal_of_the_drive_is_a_rejection_with_its_reason() -> None:
    async def test(rig: Rig) -> None:
        pump(rig).remote, pump(rig).max_rpm = True, 50.0
        ((outcome, reason),) = (await rig.write(_1_speed=60.0)).values()
        assert outcome is Outcome.REJECTED
        assert (
            reason == "the pump refused: the value is none that it can be set to; the pump says 0.0 rpm, not 60.0 rpm"
        )

    on_pumps(test)


def test_a_drive_that_says_no_and_goes_is_confirmed_by_what_it_does() -> None:
    async def test(rig: Rig) -> None:
        one = pump(rig)
        one.remote, one.rpm = True, 10.0
        real = one.hear
        one.hear = lambda command: (  # type: ignore[method-assign]
            (real(command), b"\x15")[1] if command == b"\x02P01G0\r" else real(command)
        )
        assert await rig.outcome(_1_running=1.0) is Outcome.CONFIRMED

    on_pumps(test)


def test_a_person_at_the_panel_is_seen_and_not_fought() -> None:
    async def test(rig: Rig) -> None:
        await rig.write(_1_remote=1.0, _1_speed=100.0, _1_running=1.0)
        pump(rig).take_over(rpm=20.0, running=False)
        rig.heard()
        values = await rig.values()
        assert [values[f"1.{field}"] for field in FIELDS] == [20.0, 0.0, 0.0, 0.0, State.STOPPED_LOCALLY]
        assert await rig.outcome(_1_speed=50.0) is Outcome.REJECTED
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())
        assert pump(rig).rpm == 20.0

    on_pumps(test)


@pytest.mark.parametrize("state", [State.NO_FEEDBACK, State.OVERLOAD, State.EXCESSIVE_FEEDBACK])
def test_a_motor_that_failed_makes_speed_and_running_bad_and_is_told(state: State) -> None:
    async def test(rig: Rig) -> None:
        pump(rig).state = state
        readings = await rig.read()
        assert {readings[f"1.{field}"][1] for field in ("speed", "running", "direction")} == {BAD_DEVICE_FAILURE}
        assert readings["1.state"] == (float(state), GOOD)
        assert await rig.qualities("2.") == {GOOD}

    on_pumps(test)


def test_without_leave_no_numbers_are_given() -> None:
    async def test(rig: Rig) -> None:
        await link_is(rig.driver, LinkState.DISCONNECTED, 10, "no answer")
        assert [one.number for one in (pump(rig), pump(rig, 2))] == [0, 0]
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())

    on_pumps(test, numbered(0, 0), ready=False)


def test_when_all_have_lost_their_numbers_they_get_them_in_the_order_of_the_line() -> None:
    async def test(rig: Rig) -> None:
        assert rig.driver.link.reason == "numbers given to pumps 7, 3; 7: local; 3: local"
        assert [one.number for one in (pump(rig), pump(rig, 2))] == [7, 3]
        assert not any(one.remote or one.running for one in (pump(rig), pump(rig, 2)))

    pumps = {7: {"max_rpm": 600}, 3: {"max_rpm": 600}}
    on_pumps(test, numbered(0, 0), assign_numbers=True, pumps=pumps)


def test_one_that_lost_its_number_gets_it_back() -> None:
    async def test(rig: Rig) -> None:
        assert rig.driver.link.reason == "number given to pump 2; 1: local; 2: local"
        assert [one.number for one in (pump(rig), pump(rig, 2))] == [1, 2]

    on_pumps(test, numbered(1, 0), assign_numbers=True)


@pytest.mark.parametrize(("there", "expected"), [(2, 3), (3, 2)])
def test_with_one_pump_switched_off_or_too_many_none_is_taken_for_another(there: int, expected: int) -> None:
    async def test(rig: Rig) -> None:
        await link_is(rig.driver, LinkState.REFUSED, 60, f"{there} pumps asked for a number, not {expected}")
        assert await rig.qualities("") == {BAD_CONFIGURATION}
        await rig.clock.sleep(10.0)
        assert rig.driver.link.state is LinkState.REFUSED
        assert [one.number for one in rig.bus.instruments] == [89, 88, 87][:there]  # type: ignore[attr-defined]
        for one in rig.bus.instruments[:expected]:
            one.restart()  # type: ignore[attr-defined]
        if there > expected:
            rig.bus.instruments[-1].silent = True
        if there >= expected:
            await rig.ready()
            assert await rig.qualities("") == {GOOD}

    pumps = {number: {"max_rpm": 600} for number in range(1, expected + 1)}
    on_pumps(test, numbered(*[0] * there), ready=False, assign_numbers=True, pumps=pumps)


def test_where_it_is_not_sure_which_pump_is_which_no_numbers_are_given() -> None:
    async def test(rig: Rig) -> None:
        assert "which are 2, 3 cannot be told" in rig.driver.link.reason
        assert [pump(rig, place).number for place in (1, 2, 3)] == [1, 0, 0]
        assert await rig.qualities("2.") == {BAD_TIMEOUT}

    pumps = {number: {"max_rpm": 600} for number in (1, 2, 3)}
    on_pumps(test, numbered(1, 0, 0), assign_numbers=True, pumps=pumps)


def test_a_pump_that_was_off_is_bad_alone_and_nothing_is_replayed() -> None:
    async def test(rig: Rig) -> None:
        await rig.write(_1_remote=1.0, _1_speed=100.0, _1_running=1.0)
        pump(rig).restart()
        assert await rig.qualities("1.") == {BAD_TIMEOUT}
        assert await rig.qualities("2.") == {GOOD}
        assert await rig.outcome(_1_running=1.0) is Outcome.REJECTED
        assert not pump(rig).running

    on_pumps(test)


@pytest.mark.parametrize(
    ("fault", "qualities"),
    [
        (LineFault.DEAF, {BAD_TIMEOUT}),
        (LineFault.HALF, {BAD_TIMEOUT}),
        (LineFault.GARBAGE, {BAD_TIMEOUT}),
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


ANSWERS = st.one_of(
    st.sampled_from(
        [b"", b"\x15", b"\x02P01I00010\r", b"\x02P02I00030\r", b"\x02S+0050.0\r", b"\x02S+0050.\x02S+0050.0\r"]
    ),
    st.binary(max_size=40),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=8))
def test_whatever_a_pump_sends_a_reading_is_its_speed_or_bad_and_ends_in_time(answers: list[bytes]) -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        real, pending = pump(rig).hear, list(answers)

        def hear(command: bytes) -> bytes:
            return pending.pop(0) if pending and command[1:4] == b"P01" else real(command)

        pump(rig).hear = hear  # type: ignore[method-assign]
        while pending:
            begun = rig.clock.monotonic()
            reading = (await rig.read())["1.speed"]
            assert rig.clock.monotonic() - begun <= 2.0 + 1e-6
            assert math.isnan(reading[0]) == is_bad(reading[1])
            assert is_bad(reading[1]) or reading[0] in (0.0, 50.0)
            await rig.ready()

    on_pumps(test)


def test_an_answer_to_another_question_is_not_taken_for_this_one() -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        real = pump(rig).hear
        pump(rig).hear = lambda command: b"\x02C0000001.00\r" if b"S" in command else real(command)  # type: ignore[method-assign]
        assert await rig.qualities("1.") == {BAD_DECODING}

    on_pumps(test)
