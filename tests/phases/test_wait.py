"""Waiting and signing in the midst of a procedure."""

from __future__ import annotations

from pathlib import Path

import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.plant.load import load_plant
from evcontrol.procedure.check import bind
from evcontrol.procedure.recipe import parse_recipe
from evcontrol.procedure.states import FINAL, Command, State
from evcontrol.yaml_source import SourceError
from tests.batch.ev_suite import OPERATOR, PLANT, EvSuite

RECIPE = """\
recipe: Waits
version: 1.0.0
product: P
units:
  tff: {class: tff}
procedure:
  - unit_procedure: all
    unit: tff
    steps:
"""


def recipe(*steps: str) -> str:
    return RECIPE + "".join(f"      - {step}\n" for step in steps)


def elapsed(tmp_path: Path, text: str) -> tuple[State, str, float]:
    async def main(clock: VirtualClock) -> tuple[State, str, float]:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(text)
            begun = clock.now()
            while run.state not in (*FINAL, State.HELD):
                await suite.scans(1)
                await suite.answer_all(run)
            return run.state, run.reason, (clock.now() - begun) / NS

    return run_virtual(main)


def test_a_time_is_waited_for(tmp_path: Path) -> None:
    state, _, took = elapsed(tmp_path, recipe("{phase: wait, with: {time: 2 h}}"))
    assert state is State.COMPLETE
    assert 7200 <= took < 7500


def test_a_condition_ends_the_waiting(tmp_path: Path) -> None:
    state, _, took = elapsed(tmp_path, recipe("{phase: wait, with: {until: tff.LT < 5 %v/v for 30 s, at_most: 1 h}}"))
    assert state is State.COMPLETE
    assert 30 <= took < 1800


def test_a_condition_that_does_not_come_in_time_holds_the_batch(tmp_path: Path) -> None:
    state, reason, _ = elapsed(tmp_path, recipe("{phase: wait, with: {until: tff.LT > 50 %v/v, at_most: 10 min}}"))
    assert state is State.HELD
    assert reason == "all/wait: not so within 600 s: tff.LT > 50 %v/v"


def test_held_time_counts(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> float:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(recipe("{phase: wait, with: {time: 1 h}}"))
            begun = clock.now()
            await suite.scans(3)
            await suite.engine.batches.command(run.id, Command.HOLD, OPERATOR, "lunch")
            while run.state is not State.HELD:
                await suite.scans(1)
            await clock.sleep(1800)
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "back")
            while run.state is not State.COMPLETE:
                await suite.scans(1)
            return (clock.now() - begun) / NS

    assert 3600 <= run_virtual(main) < 3900


def test_a_signature_is_in_the_record_with_its_meaning(tmp_path: Path) -> None:
    state, _, _ = elapsed(tmp_path, recipe("{phase: sign, with: {text: The line is clear, meaning: line clearance}}"))
    assert state is State.COMPLETE
    (signature,) = [e.body for e in read_events(tmp_path / "journal") if e.kind is Kind.SIGNATURE]
    assert (signature["full_name"], signature["meaning"]) == ("Olivia Operator", "line clearance")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{}", "wait: give either a time or until"),
        ("{time: 1 s, until: tff.LT > 1 %v/v}", "wait: give either a time or until"),
        ("{time: 1 s, at_most: 2 s}", "wait: at_most bounds the wait for a condition: there is none"),
    ],
)
def test_it_is_told_what_to_wait_for(arguments: str, told: str) -> None:
    with pytest.raises(SourceError) as caught:
        bind(parse_recipe(recipe(f"{{phase: wait, with: {arguments}}}"), "r.yaml"), load_plant(PLANT))
    assert told in str(caught.value)
