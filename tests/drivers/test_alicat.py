"""Alicat controllers: readings with what their status words make of them, and setpoints that wear nothing out."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.alicat import READS_A_CHECK, AlicatDriver, AlicatOptions, AlicatPoint
from drivers.driver import LinkState, Outcome
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_DEVICE_FAILURE,
    BAD_TIMEOUT,
    GOOD,
    GOOD_LOCAL_OVERRIDE,
    UNCERTAIN_RANGE_EXCEEDED,
    UNCERTAIN_SENSOR_NOT_ACCURATE,
    is_bad,
)
from simulators.devices.alicat import ControllerParameters, MassFlowController
from simulators.devices.bus import Bus, LineFault, cut_at_cr
from tests.drivers.pump_rig import Rig, on_bus

FIELDS = ("mass_flow", "volumetric_flow", "pressure", "temperature", "setpoint", "held", "locked")
AIR = {"gas": "Air", "full_scale": 20, "unit": "SLPM"}
N2 = {"gas": "N2", "full_scale": 500, "unit": "SCCM", "totaliser": True}
N2_PARAMETERS = ControllerParameters(gas=8, full_scale=500, label="SCCM", totaliser=True, serial="SIM000002")
QUESTIONS = re.compile(rb"[A-Z](FPF \d|\?\?M[59]|LSS)?")


def controllers(**first: Any) -> Bus:
    return Bus(
        [MassFlowController("A", ControllerParameters(**first)), MassFlowController("B", N2_PARAMETERS)], cut_at_cr
    )


def on_controllers(test: Any, bus: Bus | None = None, **changed: Any) -> None:
    points = [{"address": a, "field": f, "writable": f == "setpoint"} for a in "AB" for f in FIELDS]
    points.append({"address": "B", "field": "total"})
    on_bus(AlicatDriver, bus or controllers(), points, test, controllers={"A": AIR | changed, "B": N2})


def controller(rig: Rig, letter: str = "A") -> MassFlowController:
    one = rig.bus.instruments["AB".index(letter)]
    assert isinstance(one, MassFlowController)
    return one


def test_controllers_are_found_named_and_read_by_questions_only() -> None:
    async def test(rig: Rig) -> None:
        words = "A: serial number SIM000001, Air, setpoint from the serial line, not saved"
        assert rig.driver.link.reason.startswith(words)
        controller(rig).setpoint = 2.0
        rig.bus.step(5.0)
        values = await rig.values()
        assert values["A.mass_flow"] == values["A.setpoint"] == 2.0
        assert values["A.pressure"] == 14.7
        assert values["A.temperature"] == 25.0
        assert values["A.volumetric_flow"] == pytest.approx(2.0, abs=0.01)
        assert (values["A.held"], values["A.locked"]) == (0.0, 0.0)
        assert values["B.mass_flow"] == values["B.total"] == 0.0
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())

    on_controllers(test)


def test_a_setpoint_is_sent_once_and_confirmed_by_the_next_answer() -> None:
    async def test(rig: Rig) -> None:
        rig.heard()
        result = await rig.driver.write({"A.setpoint": 15.44, "B.setpoint": 0.25})
        assert {each.outcome for each in result.values()} == {Outcome.CONFIRMED}
        assert [c for c in rig.heard() if not QUESTIONS.fullmatch(c)] == [b"AS 15.440", b"BS 250.00"]
        assert (controller(rig).setpoint, controller(rig, "B").setpoint) == (15.44, 250.0)
        assert controller(rig).saves == controller(rig, "B").saves == 0

    on_controllers(test)


@pytest.mark.parametrize("value", [20.001, -0.001, math.nan, math.inf])
def test_a_setpoint_beyond_the_range_is_not_sent_and_none_beside_it(value: float) -> None:
    async def test(rig: Rig) -> None:
        rig.heard()
        result = await rig.driver.write({"B.setpoint": 0.25, "A.setpoint": value})
        assert {each.outcome for each in result.values()} == {Outcome.REJECTED}
        assert rig.heard() == []

    on_controllers(test)


@pytest.mark.parametrize(
    ("source", "firmware", "words"),
    [
        ("S", "10v20.0-R24", "saves each setpoint"),
        ("S", "8v17.0-R23", "may save each setpoint"),
        ("A", "10v05", "analog input"),
    ],
)
def test_a_controller_whose_memory_would_wear_or_that_listens_elsewhere_gets_no_setpoint(
    source: str, firmware: str, words: str
) -> None:
    async def test(rig: Rig) -> None:
        rig.heard()
        result = (await rig.driver.write({"A.setpoint": 1.0}))["A.setpoint"]
        assert (result.outcome, words in result.reason) == (Outcome.REJECTED, True)
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())
        assert controller(rig).saves == 0

    on_controllers(test, controllers(source=source, firmware=firmware))


def test_a_setpoint_that_is_saved_is_written_when_the_plant_file_wants_it() -> None:
    async def test(rig: Rig) -> None:
        result = (await rig.driver.write({"A.setpoint": 1.0}))["A.setpoint"]
        assert result.outcome is Outcome.CONFIRMED

    on_controllers(test, controllers(source="S"), saved_setpoint=True)


def test_firmware_that_does_not_know_the_question_for_the_source_is_not_asked_it() -> None:
    async def test(rig: Rig) -> None:
        assert b"ALSS" not in rig.heard()
        assert not controller(rig).locked

    on_controllers(test, controllers(firmware="9v01.0-R22"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"gas": "CO2"}, "its gas is Air, not CO2"),
        ({"full_scale": 10}, "its range is 20 SLPM, not 10 SLPM"),
        ({"unit": "SCCM"}, "its range is 20 SLPM, not 20 SCCM"),
        ({"serial_number": "X"}, "its serial number is SIM000001, not X"),
    ],
)
def test_another_controller_than_the_expected_one_is_refused_alone(changed: dict[str, Any], words: str) -> None:
    async def test(rig: Rig) -> None:
        assert f"A: {words}" in rig.driver.link.reason
        assert await rig.qualities("A.") == {BAD_CONFIGURATION}
        assert await rig.qualities("B.") == {GOOD}
        result = (await rig.driver.write({"A.setpoint": 1.0}))["A.setpoint"]
        assert (result.outcome, words in result.reason) == (Outcome.REJECTED, True)

    on_controllers(test, **changed)


def test_a_gas_that_is_changed_at_the_controller_makes_its_flows_bad_at_once() -> None:
    async def test(rig: Rig) -> None:
        controller(rig).take_over(gas=4)
        readings = await rig.read()
        bad = {name for name, (_, quality) in readings.items() if quality == BAD_CONFIGURATION}
        assert bad == {"A.mass_flow", "A.volumetric_flow", "A.setpoint"}
        result = (await rig.driver.write({"A.setpoint": 1.0}))["A.setpoint"]
        assert (result.outcome, result.reason) == (Outcome.REJECTED, "its gas is CO2, not Air")

    on_controllers(test)


def test_a_range_or_unit_that_is_changed_at_the_controller_is_found_within_some_readings() -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        controller(rig).parameters = ControllerParameters(full_scale=20.5)
        for _ in range(READS_A_CHECK):
            await rig.read()
        assert await rig.qualities("A.") == {BAD_CONFIGURATION}
        assert await rig.qualities("B.") == {GOOD}
        controller(rig).parameters = ControllerParameters()
        assert await rig.qualities("A.") == {GOOD}

    on_controllers(test)


def test_a_unit_with_other_decimals_is_found_at_once() -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        controller(rig).parameters = ControllerParameters(full_scale=20000.0, label="SCCM")
        assert await rig.qualities("A.") == {BAD_CONFIGURATION}

    on_controllers(test)


def test_a_controller_that_is_switched_to_saving_its_setpoints_gets_none_after_some_readings() -> None:
    async def test(rig: Rig) -> None:
        controller(rig).source = "S"
        for _ in range(READS_A_CHECK):
            await rig.read()
        result = (await rig.driver.write({"A.setpoint": 1.0}))["A.setpoint"]
        assert result.outcome is Outcome.REJECTED
        assert controller(rig).saves == 0

    on_controllers(test)


@pytest.mark.parametrize(
    ("word", "qualities"),
    [
        ("MOV", {"mass_flow": UNCERTAIN_RANGE_EXCEEDED}),
        ("VOV", {"volumetric_flow": UNCERTAIN_RANGE_EXCEEDED}),
        ("POV", {"pressure": UNCERTAIN_RANGE_EXCEEDED}),
        ("TOV", {"temperature": UNCERTAIN_RANGE_EXCEEDED}),
        ("TMF", {"total": UNCERTAIN_SENSOR_NOT_ACCURATE}),
        ("OVR", {"total": UNCERTAIN_RANGE_EXCEEDED}),
        ("HLD", {"setpoint": GOOD_LOCAL_OVERRIDE}),
        ("LCK", {}),
        ("ADC", dict.fromkeys((*FIELDS[:5], "total"), BAD_DEVICE_FAILURE)),
    ],
)
def test_every_status_word_makes_its_quality_and_of_nothing_else(word: str, qualities: dict[str, int]) -> None:
    async def test(rig: Rig) -> None:
        controller(rig, "B").words.add(word)
        readings = await rig.read()
        told = {field: readings[f"B.{field}"][1] for field in (*FIELDS, "total")}
        assert told == dict.fromkeys((*FIELDS, "total"), GOOD) | qualities
        assert readings["B.held"][0] == float(word == "HLD")
        assert readings["B.locked"][0] == float(word == "LCK")

    on_controllers(test)


def test_a_controller_that_restarts_has_lost_its_setpoint_and_it_is_not_sent_again() -> None:
    async def test(rig: Rig) -> None:
        await rig.driver.write({"A.setpoint": 5.0})
        controller(rig).restart()
        rig.heard()
        assert (await rig.read())["A.setpoint"] == (0.0, GOOD)
        assert all(QUESTIONS.fullmatch(command) for command in rig.heard())

    on_controllers(test)


def test_a_write_without_an_answer_is_unknown_and_sent_once() -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        real, heard = controller(rig).hear, []

        def hear(command: bytes) -> bytes:
            heard.append(command)
            return b"" if b"AS 5.000" in heard else real(command)

        controller(rig).hear = hear  # type: ignore[method-assign]
        result = await rig.driver.write({"A.setpoint": 5.0, "B.setpoint": 0.1})
        assert result["A.setpoint"].outcome is Outcome.UNKNOWN
        assert result["B.setpoint"].outcome is Outcome.REJECTED
        assert heard.count(b"AS 5.000") == 1
        assert controller(rig, "B").setpoint == 0.0

    on_controllers(test)


def test_a_refusal_is_a_rejection() -> None:
    async def test(rig: Rig) -> None:
        real = controller(rig).hear
        controller(rig).hear = lambda c: b"?\r" if c[:2] == b"AS" else real(c)  # type: ignore[method-assign]
        result = (await rig.driver.write({"A.setpoint": 5.0}))["A.setpoint"]
        assert result.outcome is Outcome.REJECTED
        assert "refused (?)" in result.reason

    on_controllers(test)


def test_one_silent_controller_is_bad_alone_and_is_asked_who_it_is_when_it_comes_back() -> None:
    async def test(rig: Rig) -> None:
        controller(rig).silent = True
        assert await rig.qualities("A.") == {BAD_TIMEOUT}
        assert await rig.qualities("B.") == {GOOD}
        assert rig.driver.link.state is LinkState.READY
        controller(rig).silent = False
        rig.heard()
        assert await rig.qualities("A.") == {GOOD}
        assert b"A??M5" in rig.heard()

    on_controllers(test)


@pytest.mark.parametrize(
    ("fault", "quality"),
    [
        (LineFault.DEAF, BAD_TIMEOUT),
        (LineFault.HALF, BAD_TIMEOUT),
        (LineFault.GARBAGE, BAD_TIMEOUT),
        (LineFault.MERGED, BAD_DECODING),
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

    on_controllers(test)


ANSWERS = st.one_of(
    st.sampled_from(
        [
            b"",
            b"?\r",
            b"A\r",
            b"A +014.70 +025.00 +01.000 +01.000 1.000 Air\r",
            b"B +014.70 +025.00 +03.000 +03.000 3.000 Air\r",
            b"A +014.70 +025.00 +01.000 +01.000 1.000 Air MOV XYZ\r",
            b"A +014.70 +025.00 +01.0",
        ]
    ),
    st.binary(max_size=60),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=8))
def test_whatever_a_controller_sends_a_reading_is_its_flow_or_bad_and_ends_in_time(answers: list[bytes]) -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        real, pending = controller(rig).hear, list(answers)
        controller(rig).hear = lambda c: pending.pop(0) if pending and c[:1] == b"A" else real(c)  # type: ignore[method-assign]
        while pending:
            begun = rig.clock.monotonic()
            reading = (await rig.read())["A.mass_flow"]
            assert rig.clock.monotonic() - begun <= 2.0 + 1e-6
            assert math.isnan(reading[0]) == is_bad(reading[1])
            assert is_bad(reading[1]) or reading[0] in (0.0, 1.0)
            await rig.ready()

    on_controllers(test)


def test_a_device_that_does_not_tell_its_range_is_refused() -> None:
    async def test(rig: Rig) -> None:
        assert "A: it does not tell its ranges and units" in rig.driver.link.reason
        assert await rig.qualities("A.") == {BAD_CONFIGURATION}

    on_controllers(test, controllers(firmware="5v12.0-R22"))


@pytest.mark.parametrize("field", ["mass_flow", "held", "total"])
def test_only_a_setpoint_can_be_written(field: str) -> None:
    with pytest.raises(ValidationError, match="only setpoint can"):
        AlicatPoint.model_validate({"field": field, "writable": True})


@pytest.mark.parametrize("letter", ["a", "AA", "1", "@", ""])
def test_only_letters_are_addresses(letter: str) -> None:
    with pytest.raises(ValidationError):
        AlicatOptions.model_validate({"port": "x", "controllers": {letter: AIR}})


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"address": "A", "field": "total"}, "no totaliser"),
        ({"address": "A", "field": "pressure", "unit": "psig"}, "psig"),
        ({"address": "A", "field": "mass_flow", "unit": "g/min"}, "mL/min"),
        ({"address": "C", "field": "mass_flow"}, "no instrument C"),
    ],
)
def test_tags_that_do_not_fit_are_mistakes(point: dict[str, Any], words: str) -> None:
    async def never(_: Rig) -> None:
        raise AssertionError

    with pytest.raises(ValueError, match=words):
        on_bus(AlicatDriver, controllers(), [point], never, controllers={"A": AIR})
