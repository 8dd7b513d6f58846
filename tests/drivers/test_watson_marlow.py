"""Watson-Marlow pumps on one line: each reading is its pump's, and a command counts when the pump says so."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.driver import LinkState, Outcome
from drivers.watson_marlow import WatsonMarlowDriver, WatsonMarlowOptions, WatsonMarlowPoint
from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_NOT_CONNECTED, BAD_TIMEOUT, GOOD, is_bad
from simulators.devices.bus import Bus, LineFault, cut_at_cr
from simulators.devices.watson_marlow import PumpParameters, WatsonMarlowPump
from tests.drivers.build import link_is
from tests.drivers.pump_rig import Rig, on_bus

FIELDS = ("speed", "flow", "running", "direction")
PUMPS = {1: {"max_rpm": 220, "ml_per_rev": 15.84}, 2: {"max_rpm": 100, "ml_per_rev": 10}}
READS = re.compile(rb"\d+(RS|ZY)")


def pumps(count: int = 2) -> Bus:
    return Bus([WatsonMarlowPump(address) for address in range(1, count + 1)], cut_at_cr)


def on_pumps(test: Any, bus: Bus | None = None, **options: Any) -> None:
    points = [{"address": a, "field": f, "writable": True} for a in options.get("pumps", PUMPS) for f in FIELDS]
    on_bus(WatsonMarlowDriver, bus or pumps(), points, test, **{"pumps": PUMPS} | options)


def pump(rig: Rig, address: int = 1) -> WatsonMarlowPump:
    one = rig.bus.instruments[address - 1]
    assert isinstance(one, WatsonMarlowPump)
    return one


def test_every_pump_is_found_named_and_read_by_questions_only() -> None:
    async def test(rig: Rig) -> None:
        assert rig.driver.link.reason == "1: 520Du 520R 9.6MM; 2: 520Du 520R 9.6MM"
        pump(rig, 2).rpm, pump(rig, 2).running, pump(rig, 2).clockwise = 50.0, True, False
        assert await rig.read() == {
            "1.speed": (220.0, GOOD),
            "1.flow": (pytest.approx(3484.8), GOOD),
            "1.running": (0.0, GOOD),
            "1.direction": (0.0, GOOD),
            "2.speed": (50.0, GOOD),
            "2.flow": (500.0, GOOD),
            "2.running": (1.0, GOOD),
            "2.direction": (1.0, GOOD),
        }
        assert all(READS.fullmatch(command) for command in rig.heard())

    on_pumps(test)


def test_a_pump_whose_answers_have_no_carriage_return_is_understood() -> None:
    async def test(rig: Rig) -> None:
        assert await rig.qualities("") == {GOOD}
        assert await rig.outcome(_1_running=1.0) is Outcome.CONFIRMED

    bus = pumps()
    for one in bus.instruments:
        real = one.hear
        one.hear = lambda command, real=real: real(command).rstrip(b"\r")  # type: ignore[method-assign, misc]
    on_pumps(test, bus)


def test_a_command_is_confirmed_when_the_pump_shows_it() -> None:
    async def test(rig: Rig) -> None:
        rig.heard()
        result = await rig.write(_1_running=1.0, _1_speed=100.0, _2_direction=1.0)
        assert {outcome for outcome, _ in result.values()} == {Outcome.CONFIRMED}
        commands = [command for command in rig.heard() if not READS.fullmatch(command)]
        assert commands == [b"1SP100.0", b"1GO", b"2RL"]
        assert (pump(rig).rpm, pump(rig).running, pump(rig, 2).clockwise) == (100.0, True, False)

    on_pumps(test)


def test_a_flow_is_set_as_a_speed() -> None:
    async def test(rig: Rig) -> None:
        assert await rig.outcome(_1_flow=158.4) is Outcome.CONFIRMED
        assert pump(rig).rpm == 10.0
        assert (await rig.read())["1.flow"] == (pytest.approx(158.4), GOOD)

    on_pumps(test)


def test_a_zero_has_no_sign_in_a_telegram() -> None:
    async def test(rig: Rig) -> None:
        rig.heard()
        assert await rig.outcome(_1_speed=-0.0) is Outcome.CONFIRMED
        assert [command for command in rig.heard() if not READS.fullmatch(command)] == [b"1SP0.0"]

    on_pumps(test)


def test_among_several_orders_a_stop_goes_first_and_a_start_last() -> None:
    async def test(rig: Rig) -> None:
        rig.heard()
        await rig.write(_1_speed=10.0, _1_direction=1.0, _1_running=1.0)
        await rig.write(_1_speed=20.0, _1_running=0.0)
        commands = [command for command in rig.heard() if not READS.fullmatch(command)]
        assert commands == [b"1SP10.0", b"1RL", b"1GO", b"1ST", b"1SP20.0"]

    on_pumps(test)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"_2_speed": 100.5}, "0 to 100"),
        ({"_2_speed": -1.0}, "0 to 100"),
        ({"_2_speed": math.nan}, "not a number"),
        ({"_2_speed": math.inf}, "not a number"),
        ({"_2_flow": 1001.0}, "0 to 100"),
        ({"_2_running": 0.5}, "neither 0 nor 1"),
        ({"_2_direction": 2.0}, "neither 0 nor 1"),
        ({"_2_speed": 1.0, "_2_flow": 1.0}, "the same setting"),
    ],
)
def test_with_one_value_that_cannot_be_sent_none_is(values: dict[str, float], words: str) -> None:
    async def test(rig: Rig) -> None:
        rig.heard()
        result = await rig.write(_1_running=1.0, **values)
        assert {outcome for outcome, _ in result.values()} == {Outcome.REJECTED}
        assert all(words in reason for _, reason in result.values())
        assert rig.heard() == []

    on_pumps(test)


def test_a_pump_at_its_panel_keeps_what_it_has_and_the_write_is_rejected() -> None:
    async def test(rig: Rig) -> None:
        pump(rig).take_over(rpm=33.0, running=True)
        assert (await rig.values())["1.speed"] == 33.0
        result = await rig.write(_1_speed=50.0)
        assert result["1.speed"] == (Outcome.REJECTED, "the pump says 33.0 rpm, not 50.0 rpm")
        assert pump(rig).rpm == 33.0
        pump(rig).hand_back()
        assert await rig.outcome(_1_speed=50.0) is Outcome.CONFIRMED

    on_pumps(test)


def test_a_pump_that_falls_silent_after_a_command_leaves_it_unknown_and_it_is_sent_once() -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        real, heard = pump(rig).hear, []

        def hear(command: bytes) -> bytes:
            heard.append(command)
            return b"" if b"1SP50.0" in heard else real(command)

        pump(rig).hear = hear  # type: ignore[method-assign]
        outcome, reason = (await rig.write(_1_speed=50.0, _2_speed=50.0))["1.speed"]
        assert outcome is Outcome.UNKNOWN
        assert "no answer" in reason
        assert heard.count(b"1SP50.0") == 1
        assert pump(rig, 2).rpm == 220.0
        pump(rig).hear = real  # type: ignore[method-assign]
        while is_bad((await rig.read())["1.speed"][1]):
            await rig.clock.sleep(0.5)
        assert heard.count(b"1SP50.0") == 1

    on_pumps(test)


def test_a_stop_is_sent_to_a_pump_that_can_not_be_understood() -> None:
    async def test(rig: Rig) -> None:
        pump(rig).running = True
        await rig.read()
        rig.bus.fault = LineFault.GARBAGE
        outcome, _ = (await rig.write(_1_running=0.0))["1.running"]
        assert outcome is Outcome.UNKNOWN
        assert not pump(rig).running
        assert await rig.outcome(_1_speed=50.0) is Outcome.REJECTED

    on_pumps(test)


def test_a_stop_is_sent_to_a_pump_that_did_not_answer_last_and_to_no_wrong_one() -> None:
    async def test(rig: Rig) -> None:
        for address in (1, 2):
            pump(rig, address).running = True
        real = pump(rig).hear
        pump(rig).hear = lambda command: real(command) and b""  # type: ignore[method-assign]
        assert await rig.qualities("1.") == {BAD_TIMEOUT}
        outcome, _ = (await rig.write(_1_running=0.0, _1_speed=5.0))["1.running"]
        assert (outcome, pump(rig).running, pump(rig).rpm) == (Outcome.UNKNOWN, False, 220.0)
        bus.instruments[1].parameters = PumpParameters(head="313")  # type: ignore[attr-defined]
        result = await rig.write(_2_running=0.0)
        assert (result["2.running"][0], pump(rig, 2).running) == (Outcome.REJECTED, True)

    bus = pumps()
    on_pumps(test, bus, pumps={1: PUMPS[1], 2: PUMPS[2] | {"head": "520R"}})


def test_a_stop_of_which_nothing_is_known_keeps_no_other_pump_from_being_stopped() -> None:
    async def test(rig: Rig) -> None:
        for address in (1, 2):
            pump(rig, address).running = True
        pump(rig).silent = True
        results = await rig.write(_1_running=0.0, _2_running=0.0, _2_speed=0.0)
        assert [outcome for outcome, _ in results.values()] == [Outcome.UNKNOWN] + 2 * [Outcome.CONFIRMED]
        assert (pump(rig, 2).running, pump(rig, 2).rpm) == (False, 0.0)

    on_pumps(test)


def test_pumps_that_answer_are_stopped_before_those_that_do_not() -> None:
    bus = pumps(16)

    async def test(rig: Rig) -> None:
        for one in bus.instruments:
            assert isinstance(one, WatsonMarlowPump)
            one.running, one.silent = True, one is not bus.instruments[-1]
        while sum(is_bad(quality) for _, quality in (await rig.read()).values()) != 15 * len(FIELDS):
            await rig.clock.sleep(0.1)
        results = await rig.write(**{f"_{address}_running": 0.0 for address in range(1, 17)})
        assert results["16.running"][0] is Outcome.CONFIRMED
        assert Outcome.CONFIRMED not in [results[f"{address}.running"][0] for address in range(1, 16)]

    on_pumps(test, bus, pumps={address: {"max_rpm": 220, "ml_per_rev": 1} for address in range(1, 17)})


def test_one_silent_pump_is_bad_alone_takes_no_writes_and_comes_back_by_itself() -> None:
    async def test(rig: Rig) -> None:
        pump(rig).silent = True
        assert await rig.qualities("1.") == {BAD_TIMEOUT}
        assert await rig.qualities("2.") == {GOOD}
        rig.heard()
        outcome, reason = (await rig.write(_1_speed=50.0))["1.speed"]
        assert (outcome, "no answer" in reason) == (Outcome.REJECTED, True)
        assert rig.heard() == []
        assert await rig.outcome(_2_speed=50.0) is Outcome.CONFIRMED
        assert rig.driver.link.state is LinkState.READY
        pump(rig).silent = False
        assert await rig.qualities("1.") == {GOOD}
        assert pump(rig).rpm == 220.0

    on_pumps(test)


def test_of_several_silent_pumps_one_is_tried_in_each_scan_and_a_scan_ends_in_time() -> None:
    bus = pumps(16)

    async def test(rig: Rig) -> None:
        for one in bus.instruments[1:]:
            one.silent = True
        begun = rig.clock.monotonic()
        await rig.read()
        assert rig.clock.monotonic() - begun <= 2.0 + 1e-6
        while await rig.qualities("16.") != {BAD_TIMEOUT}:
            await rig.clock.sleep(0.1)
        for _ in range(20):
            await rig.read()
        rig.heard()
        begun = rig.clock.monotonic()
        for _ in range(15):
            assert (await rig.read())["1.speed"][1] == GOOD
        assert rig.clock.monotonic() - begun == pytest.approx(15 * 0.25, abs=0.01)
        assert {int(command[:-2]) for command in rig.heard()} == set(range(1, 17))

    on_pumps(test, bus, pumps={address: {"max_rpm": 220, "ml_per_rev": 1} for address in range(1, 17)})


def test_when_no_pump_answers_the_link_is_lost_and_found_again() -> None:
    async def test(rig: Rig) -> None:
        rig.bus.fault = LineFault.SILENT
        assert await rig.qualities("") == {BAD_TIMEOUT}
        await link_is(rig.driver, LinkState.DISCONNECTED, 10, "no answer")
        assert await rig.qualities("") == {BAD_NOT_CONNECTED}
        outcome, reason = (await rig.write(_1_running=1.0))["1.running"]
        assert (outcome, reason[:13]) == (Outcome.REJECTED, "not connected")
        rig.bus.fault = LineFault.NONE
        await rig.ready()
        assert await rig.qualities("") == {GOOD}
        assert not pump(rig).running

    on_pumps(test)


@pytest.mark.parametrize("name", ["model", "head", "tube"])
def test_another_pump_than_the_expected_one_is_refused_alone(name: str) -> None:
    async def test(rig: Rig) -> None:
        assert f"2: its {name} is " in rig.driver.link.reason
        assert await rig.qualities("1.") == {GOOD}
        assert await rig.qualities("2.") == {BAD_CONFIGURATION}
        outcome, reason = (await rig.write(_2_running=1.0))["2.running"]
        assert (outcome, f"its {name} is" in reason) == (Outcome.REJECTED, True)
        assert not pump(rig, 2).running

    on_pumps(test, pumps={1: PUMPS[1], 2: PUMPS[2] | {name: "other"}})


def test_a_head_that_is_changed_is_seen_at_the_next_scan() -> None:
    async def test(rig: Rig) -> None:
        assert await rig.qualities("1.") == {GOOD}
        bus.instruments[0] = WatsonMarlowPump(1)  # type: ignore[index]
        assert await rig.qualities("1.") == {BAD_CONFIGURATION}

    bus = pumps()
    bus.instruments = [WatsonMarlowPump(1, PumpParameters(head="313")), bus.instruments[1]]  # type: ignore[assignment]
    on_pumps(test, bus, pumps={1: PUMPS[1] | {"head": "313"}, 2: PUMPS[2]})


def test_when_every_pump_is_the_wrong_one_the_link_is_refused() -> None:
    async def test(rig: Rig) -> None:
        await link_is(rig.driver, LinkState.REFUSED, 10, "its model is 520Du, not 720Du")
        assert await rig.qualities("") == {BAD_CONFIGURATION}

    on_pumps(test, ready=False, pumps={1: PUMPS[1] | {"model": "720Du"}})


@pytest.mark.parametrize(
    ("fault", "quality"),
    [
        (LineFault.DEAF, BAD_TIMEOUT),
        (LineFault.HALF, BAD_TIMEOUT),
        (LineFault.GARBAGE, BAD_TIMEOUT),
    ],
)
def test_what_is_spoilt_on_the_line_is_bad_and_passes(fault: LineFault, quality: int) -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        rig.bus.fault = fault
        assert await rig.qualities("") == {quality}
        rig.bus.fault = LineFault.NONE
        while await rig.qualities("") != {GOOD}:
            await rig.clock.sleep(0.2)

    on_pumps(test)


def test_a_speed_that_changed_counts_when_the_pump_says_it_twice() -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        real = pump(rig).hear
        lost = [b"22.0"]

        def hear(command: bytes) -> bytes:
            answer = real(command)
            return answer.replace(b"220.0", lost.pop()) if lost and answer else answer

        pump(rig).hear = hear  # type: ignore[method-assign]
        assert (await rig.read())["1.speed"] == (220.0, GOOD)
        assert lost == []
        lost.extend([b"22.0", b"20.0", b"22.0"])
        value, quality = (await rig.read())["1.speed"]
        assert (math.isnan(value), quality) == (True, BAD_DECODING)

    on_pumps(test)


def test_a_pump_that_restarts_or_is_reset_shows_what_it_has_then_and_nothing_is_written_back() -> None:
    async def test(rig: Rig) -> None:
        await rig.write(_1_speed=50.0, _1_running=1.0)
        pump(rig).reset()
        rig.heard()
        values = await rig.values()
        assert (values["1.speed"], values["1.running"]) == (220.0, 0.0)
        assert all(READS.fullmatch(command) for command in rig.heard())

    on_pumps(test)


ANSWERS = st.one_of(
    st.sampled_from(
        [b"", b"1", b"520Du 15.84 520R 9.6MM 50.0 CW P/N 1 1 1 !\r", b"520Du 15.84 520R 9.6MM 50.0 CW P/N 2 1 1 !"]
    ),
    st.binary(max_size=80),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=6))
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
            assert is_bad(reading[1]) or reading[0] in (220.0, 50.0)
            await rig.ready()
        assert await rig.qualities("2.") == {GOOD}

    on_pumps(test)


@pytest.mark.parametrize(
    "point", [{"field": "remote"}, {"field": "state"}, {"field": "speed", "address": 0}, {"field": "tacho"}]
)
def test_points_that_these_pumps_do_not_have_are_mistakes(point: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WatsonMarlowPoint.model_validate(point)


@pytest.mark.parametrize(
    "options",
    [
        {"pumps": {}},
        {"pumps": {17: {"max_rpm": 220}}},
        {"pumps": {1: {}}},
        {"pumps": {1: {"max_rpm": 0}}},
        {"pumps": {1: {"max_rpm": 220}}, "timeout_s": 0.3},
    ],
)
def test_options_that_make_no_sense_are_mistakes(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WatsonMarlowOptions.model_validate({"port": "x"} | options)


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"address": 3, "field": "speed"}, "no instrument 3"),
        ({"address": 1, "field": "speed", "unit": "1/s"}, "in rpm"),
        ({"address": 1, "field": "flow", "unit": "g/min"}, "mL/min"),
        ({"address": 4, "field": "flow"}, "ml_per_rev"),
    ],
)
def test_tags_that_do_not_fit_are_mistakes(point: dict[str, Any], words: str) -> None:
    async def never(_: Rig) -> None:
        raise AssertionError

    with pytest.raises(ValueError, match=words):
        on_bus(WatsonMarlowDriver, pumps(), [point], never, pumps={1: PUMPS[1], 4: {"max_rpm": 220}})
