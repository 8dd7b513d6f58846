"""Conditions read what phases have found: the nearest, the latest, in its unit, and after a crash the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.phase import phase_types
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, State
from evcontrol.units import parse
from tests.batch.ev_suite import OPERATOR, EvSuite
from tests.procedure.test_structure import recipe

ENTRY = """
- phase: entry
  name: much
  with: {text: How much?, name: much, unit: g}
"""
CHOICE = """
- choice: which
  steps:
    - phase: wait
      name: plenty
      if: result.much.value > 0.5 kg
      with: {time: 1 s}
    - phase: wait
      name: little
      with: {time: 1 s}
"""
LOOP = """
- loop: again
  until: result.side.choice = left
  at_most: 5
  steps:
    - phase: prompt
      name: side
      with: {text: Which side?, choices: "left, right"}
"""


async def answer(suite: EvSuite, run: BatchRun, answers: list[float | str]) -> None:
    """Give the answers one after another until the batch has ended or is held."""
    while run.state not in (*FINAL, State.HELD):
        await suite.scans(1)
        for prompt in run.prompts():
            await suite.engine.batches.answer(run.id, prompt.id, answers.pop(0), OPERATOR, "")


def ran(data: Path, text: str, *answers: float | str) -> tuple[State, str, dict[str, str]]:
    async def main(clock: VirtualClock) -> tuple[State, str, dict[str, str]]:
        async with EvSuite(data, clock, speed=1.0) as suite:
            run = await suite.start_batch(text)
            await answer(suite, run, list(answers))
            return run.state, run.reason, {e.path: e.state for e in run.elements()}

    return run_virtual(main)


@pytest.mark.parametrize(("entered", "chosen"), [(700.0, "plenty"), (300.0, "little")])
def test_a_choice_goes_by_what_a_person_entered(tmp_path: Path, entered: float, chosen: str) -> None:
    state, reason, states = ran(tmp_path, recipe(ENTRY + CHOICE), entered)
    assert state is State.COMPLETE, reason
    assert [path.rpartition("/")[2] for path, one in states.items() if "which/" in path and one == "Complete"] == [
        chosen
    ]


def test_a_loop_goes_on_until_its_own_phase_finds_it_good(tmp_path: Path) -> None:
    state, reason, _ = ran(tmp_path, recipe(LOOP), "right", "right", "left")
    assert state is State.COMPLETE, reason
    told = [e.body["value"] for e in read_events(tmp_path / "journal") if e.kind is Kind.PHASE_RESULT]
    assert told == ["right", "right", "left"]


def test_what_no_phase_has_found_is_not_known_and_holds_a_choice(tmp_path: Path) -> None:
    text = recipe(f"- choice: maybe\n  steps:\n    - operation: ask\n      if: tff.LT > high\n      steps:\n"
                  f"{''.join(f'        {line}' + chr(10) for line in ENTRY.strip().splitlines())}"
                  "    - operation: not\n      steps: [{phase: wait, with: {time: 1 s}}]\n" + CHOICE)  # fmt: skip
    state, reason, _ = ran(tmp_path, text)
    assert state is State.HELD
    assert "unknown for 10 s: " in reason
    assert "result of all/maybe/ask/much: much" in reason


@pytest.mark.parametrize("scans", [1, 2, 3, 4, 6])
def test_a_result_outlives_the_engine(tmp_path: Path, scans: int) -> None:
    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path / "data", clock, speed=1.0) as suite:
            run = await suite.start_batch(recipe(ENTRY + "- phase: wait\n  with: {time: 10 s}\n" + CHOICE))
            while not run.prompts():
                await suite.scans(1)
            await suite.engine.batches.answer(run.id, run.prompts()[0].id, 700.0, OPERATOR, "")
            await suite.scans(scans)
            suite.kill()
            await suite.bury()
            await suite.start_engine()
            again = suite.engine.batches.runs.get(run.id)
            assert again is not None
            await suite.restart(again)
            await answer(suite, again, [])
            assert again.state is State.COMPLETE, again.reason
            assert {e.path: e.state for e in again.elements()}["all/which/plenty"] == "Complete"

    run_virtual(main)


def test_names_can_be_written_in_conditions_and_units_exist() -> None:
    for name, kind in phase_types().items():
        names = [result.name for result in kind.results]
        assert len(set(names)) == len(names), name
        for result in kind.results:
            assert result.name.isidentifier(), (name, result.name)
            assert result.name.islower(), (name, result.name)
            parse(result.unit)
