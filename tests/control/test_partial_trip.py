"""An interlock that trips some actuators: they go to its values and stay there until the reset; the rest goes on."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from evcontrol.control.command import CommandRefusedError
from evcontrol.control.owner import Mode
from evcontrol.journal.events import Origin
from evcontrol.plant.model import PermissiveSpec, Plant
from tests.control.conftest import Rig, Test

ANNA = Origin.user("anna", "console-1")
UNIT, PUMP, VALVE = "TFF201", "TFF201.P102_SP", "TFF201.PCV101_SP"
NAME = "TFF201.LEVEL"
Run = Callable[[Test], None]


async def by_hand(rig: Rig) -> None:
    await rig.gate.set_mode(UNIT, Mode.MANUAL, ANNA, "test")
    await rig.gate.command(PUMP, 300.0, ANNA, "test")
    await rig.gate.command(VALVE, 50.0, ANNA, "test")


async def until(rig: Rig, tag: str, value: float) -> None:
    for _ in range(100):
        if rig.value(tag) == value:
            return
        await rig.scans(1)
    raise AssertionError(f"{tag} is {rig.value(tag)}")


def test_the_named_actuator_goes_to_its_value_and_the_others_stay(on_scripted: Run) -> None:
    async def test(rig: Rig) -> None:
        await by_hand(rig)
        rig.gate.lock(UNIT, NAME, {PUMP: 0.0}, whole_unit=False)
        rig.gate.trip(UNIT, NAME, "level is high")
        await until(rig, PUMP, 0.0)
        assert rig.value(VALVE) == 50.0
        await rig.gate.command(VALVE, 60.0, ANNA, "the rest goes on")

    on_scripted(test)


def test_nobody_commands_a_tripped_actuator_until_the_reset(on_scripted: Run) -> None:
    async def test(rig: Rig) -> None:
        await by_hand(rig)
        gate_pass = rig.gate.admit(UNIT, "B-1/feed", "B-1", "feed")
        rig.gate.lock(UNIT, NAME, {PUMP: 0.0}, whole_unit=False)
        rig.gate.trip(UNIT, NAME, "level is high")
        await until(rig, PUMP, 0.0)
        with pytest.raises(CommandRefusedError, match=NAME):
            await rig.gate.command(PUMP, 300.0, ANNA, "an operator")
        await rig.gate.set_mode(UNIT, Mode.AUTOMATIC, ANNA, "test")
        with pytest.raises(CommandRefusedError, match=NAME):
            await gate_pass.write({PUMP: 300.0}, "a phase")
        with pytest.raises(CommandRefusedError, match=NAME):
            rig.gate.grant(PUMP, "TFF201.WIC_RET")
        rig.gate.unlock(UNIT, NAME)
        await gate_pass.write({PUMP: 300.0}, "after the reset")
        assert rig.value(PUMP) == 300.0

    on_scripted(test)


def test_a_loop_that_has_it_loses_it(on_scripted: Run) -> None:
    async def test(rig: Rig) -> None:
        rig.gate.grant(PUMP, "TFF201.WIC_RET")
        rig.gate.modulate(PUMP, 200.0, "TFF201.WIC_RET")
        rig.gate.lock(UNIT, NAME, {PUMP: 0.0}, whole_unit=False)
        rig.gate.trip(UNIT, NAME, "level is high")
        rig.gate.modulate(PUMP, 250.0, "TFF201.WIC_RET")
        await until(rig, PUMP, 0.0)
        await rig.scans(5)
        assert rig.value(PUMP) == 0.0

    on_scripted(test)


def test_the_value_of_a_trip_comes_before_the_safe_one_until_the_reset(on_scripted: Run) -> None:
    async def test(rig: Rig) -> None:
        await by_hand(rig)
        rig.gate.lock(UNIT, NAME, {VALVE: 20.0})
        await rig.gate.make_safe(UNIT, "an interlock")
        assert rig.value(VALVE) == 20.0
        rig.gate.unlock(UNIT, NAME)
        await rig.gate.make_safe(UNIT, "the reset")
        assert rig.value(VALVE) == 100.0

    on_scripted(test)


def test_a_trip_while_the_unit_is_made_safe_leads_the_actuator_elsewhere(on_scripted: Run) -> None:
    async def test(rig: Rig) -> None:
        await by_hand(rig)
        making = asyncio.create_task(rig.gate.make_safe(UNIT, "a hold"))
        await asyncio.sleep(0)
        rig.gate.lock(UNIT, NAME, {VALVE: 20.0})
        await making
        await until(rig, VALVE, 20.0)
        await rig.scans(20)
        assert rig.value(VALVE) == 20.0

    on_scripted(test)


@pytest.fixture
def plant(plant: Plant) -> Plant:
    """With a permissive on the transfer pump."""
    spec = PermissiveSpec("TFF201.CLOSED", UNIT, "TFF201.OUTLET = closed", (PUMP,), "", "Close the outlet")
    return dataclasses.replace(plant, permissives={spec.name: spec})


def test_a_permissive_keeps_an_actuator_from_starting_and_stops_nothing_that_runs(on_scripted: Run) -> None:
    async def test(rig: Rig) -> None:
        await rig.gate.set_mode(UNIT, Mode.MANUAL, ANNA, "test")
        await rig.gate.command("TFF201.OUTLET", 1.0, ANNA, "test")
        with pytest.raises(CommandRefusedError, match=r"TFF201\.CLOSED is not fulfilled"):
            await rig.gate.command(PUMP, 300.0, ANNA, "test")
        await rig.gate.command("TFF201.OUTLET", 0.0, ANNA, "test")
        await rig.gate.command(PUMP, 300.0, ANNA, "test")
        await rig.gate.command("TFF201.OUTLET", 1.0, ANNA, "test")
        await rig.gate.command(PUMP, 200.0, ANNA, "it runs")
        assert rig.value(PUMP) == 200.0
        await rig.gate.command(PUMP, 0.0, ANNA, "a stop is always allowed")

    on_scripted(test)
