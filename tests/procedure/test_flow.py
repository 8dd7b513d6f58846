"""Choice and loop in a running batch, and what a crash leaves of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import Command, State
from tests.batch.suite import OPERATOR, Suite
from tests.procedure.test_run import HEAD, command, states, tell

CHOICE = """\
  - choice: which
    unit: tff
    steps:
      - branch: full
        when: tff.WT_PERM > 100 g
        steps: [{phase: prompt, name: a, with: {text: Do a}}]
      - branch: half
        when: tff.WT_PERM > 50 g
        steps: [{phase: prompt, name: b, with: {text: Do b}}]
      - else: empty
        steps: [{phase: prompt, name: c, with: {text: Do c}}]
  - phase: prompt
    name: d
    with: {text: Do d}
"""
LOOP = """\
  - loop: again
    unit: tff
    until: tff.WT_PERM > 100 g
    at_most: 3
    steps:
      - phase: prompt
        name: a
        with: {text: Do a}
  - phase: prompt
    name: d
    with: {text: Do d}
"""
ENTRY = """\
  - phase: entry
    name: protein
    with: {text: How much, name: Protein left, unit: mg/mL}
  - choice: clean
    steps:
      - branch: dirty
        when: result.protein.protein_left > 2 mg/mL
        steps: [{phase: prompt, name: a, with: {text: Do a}}]
      - else: fine
  - phase: prompt
    name: d
    with: {text: Do d}
"""


async def answer(suite: Suite, run: BatchRun, name: str) -> None:
    prompt = next(p for p in run.prompts() if p.path.rpartition("/")[2] == name)
    await suite.engine.batches.answer(run.id, prompt.id, True, OPERATOR, "")
    await suite.scans(3)


@pytest.mark.parametrize(("grams", "taken"), [(150.0, "a"), (70.0, "b"), (0.0, "c")])
def test_a_choice_takes_the_first_branch_that_holds_or_the_else(tmp_path: Path, grams: float, taken: str) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await answer(suite, run, "start")
        found = states(run)
        assert found[taken] == "Running"
        assert {found[other] for other in "abc"} == {"Running", "Idle"}
        await answer(suite, run, taken)
        assert (states(run)["which"], states(run)["d"]) == ("Complete", "Running")

    async def with_weight(suite: Suite, run: BatchRun) -> None:
        suite.sim.balances["WT-PERM"].moved_g = grams
        await suite.scans(4)
        await story(suite, run)

    tell(tmp_path, with_weight, "  - phase: prompt\n    name: start\n    with: {text: Begin}\n" + CHOICE)


def test_a_choice_that_stays_unknown_is_held_and_takes_no_branch(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.scans(8)
        assert run.state is State.HELD
        assert "which: unknown for 1 s" in run.reason
        assert {states(run)[name] for name in "abc"} == {"Idle"}

    tell(tmp_path, story, CHOICE.replace("tff.WT_PERM > 100 g", "tff.VCF > 2 x"))


def test_a_loop_ends_after_the_turn_in_which_its_condition_holds(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        assert run.running() == ["again/1/a"]
        await answer(suite, run, "a")
        assert run.running() == ["again/2/a"]
        suite.sim.balances["WT-PERM"].moved_g = 150.0
        await suite.scans(4)
        assert run.running() == ["again/2/a"]
        await answer(suite, run, "a")
        assert (states(run)["again"], states(run)["3"], states(run)["d"]) == ("Complete", "Idle", "Running")

    tell(tmp_path, story, LOOP)


def test_a_loop_that_reaches_its_bound_holds_and_a_restart_goes_on_behind_it(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        for _ in range(3):
            await answer(suite, run, "a")
        await suite.scans(4)
        assert run.state is State.HELD
        assert "again has made its 3 turns, and not so: tff.WT_PERM > 100 g" in run.reason
        await command(suite, run, Command.RESTART)
        assert (states(run)["again"], states(run)["d"]) == ("Complete", "Running")

    tell(tmp_path, story, LOOP)


def test_a_loop_makes_as_many_turns_as_a_parameter_says(tmp_path: Path) -> None:
    head = HEAD.replace("procedure:\n", "parameters:\n  turns: {value: 2 DV}\nprocedure:\n")
    text = head + LOOP.replace("until: tff.WT_PERM > 100 g", "times: turns / 1 DV")

    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path, clock) as suite:
            run = await suite.start_batch(text)
            await suite.scans(2)
            await answer(suite, run, "a")
            await answer(suite, run, "a")
            assert states(run)["d"] == "Running"

    run_virtual(main)


@pytest.mark.parametrize(("amount", "next_one"), [(3.0, "a"), (1.0, "d")])
def test_a_condition_reads_the_result_of_a_phase(tmp_path: Path, amount: float, next_one: str) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.engine.batches.answer(run.id, run.prompts()[0].id, amount, OPERATOR, "")
        await suite.scans(3)
        assert run.running()[0].endswith(next_one)

    tell(tmp_path, story, ENTRY)


def _after_a_crash(tmp_path: Path, procedure: str, before: Callable[[Suite, BatchRun], Awaitable[None]]) -> list[str]:
    """What runs after a crash and a restart of what was held."""
    found: list[str] = []

    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            run = await suite.start_batch(HEAD + procedure)
            await suite.scans(2)
            await before(suite, run)
            await suite.engine.journal.flush()
            suite.kill()
            await suite.bury()
            await suite.start_engine()
            again = suite.engine.batches.runs[run.id]
            await suite.scans(4)
            await suite.sign(again)
            await command(suite, again, Command.RESTART)
            found.extend(again.running())

    run_virtual(main)
    return found


def test_a_choice_is_not_made_again_after_a_crash(tmp_path: Path) -> None:
    async def before(suite: Suite, run: BatchRun) -> None:
        assert run.running() == ["which/empty/c"]
        suite.sim.balances["WT-PERM"].moved_g = 150.0
        await suite.scans(12)

    assert _after_a_crash(tmp_path, CHOICE, before) == ["which/empty/c"]


def test_a_loop_goes_on_in_its_turn_after_a_crash(tmp_path: Path) -> None:
    async def before(suite: Suite, run: BatchRun) -> None:
        await answer(suite, run, "a")

    assert _after_a_crash(tmp_path, LOOP, before) == ["again/2/a"]
