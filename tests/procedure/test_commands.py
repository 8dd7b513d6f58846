"""Every command in every state at every level, given to the real supervisor, against the table of ISA-88."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import FINAL, Command, IllegalCommandError, State
from tests.batch.suite import OPERATOR, Suite
from tests.procedure.drive import LEVELS, RECIPE, install
from tests.procedure.test_states import LEGAL

GIVEN_BY_PEOPLE = sorted(set(Command) - {Command.START, Command.RESET})
"""A batch is started once and its record is closed when it has ended: Start and Reset are the supervisor's alone."""
WAYS: dict[str, list[str]] = {
    "Running": [],
    "Pausing": ["pause"],
    "Paused": ["pause", "Paused"],
    "Holding": ["hold"],
    "Held": ["hold", "Held"],
    "Restarting": ["hold", "Held", "restart"],
    "Stopping": ["stop"],
    "Stopped": ["stop", "Stopped"],
    "Aborting": ["abort"],
    "Aborted": ["abort", "Aborted"],
    "Complete": ["Complete"],
}
"""Commands that lead to each state, and states to wait for."""


@pytest.fixture(autouse=True)
def _drive(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def state(run: BatchRun, path: str) -> State:
    return State(next(element.state for element in run.elements() if element.path == path))


async def until(suite: Suite, run: BatchRun, path: str, wanted: State) -> None:
    for _ in range(600):
        if state(run, path) is wanted:
            return
        if wanted in (State.COMPLETE, State.PAUSED):
            await suite.answer_all(run)
        await suite.scans(1)
    raise AssertionError(f"not {wanted}: {run.elements()}")


async def lead(suite: Suite, run: BatchRun, path: str, wanted: str) -> None:
    """Bring an element into a state."""
    await suite.scans(2)
    for step in WAYS[wanted]:
        if step in set(Command):
            await suite.engine.batches.command(run.id, Command(step), OPERATOR, "way", path)
        else:
            await until(suite, run, path, State(step))
    assert state(run, path) == wanted


async def end(suite: Suite, run: BatchRun) -> None:
    """Abort what is left of a batch; its unit is in its safe state then."""
    if not run.ended and run.state is not State.ABORTING:
        run.command(Command.ABORT, OPERATOR, "the case is over")
    async with asyncio.timeout(120):
        while run.state not in FINAL or suite.engine.blockers("TFF201"):
            await suite.scans(1)
    assert suite.engine.gate.lacks("TFF201") == []


def tell(data: Path, cases: Callable[[Suite], Awaitable[None]]) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            suite.answers["do b"] = True
            await cases(suite)

    run_virtual(main)


@pytest.mark.parametrize("level", LEVELS)
def test_a_legal_command_leads_where_the_table_says_and_ends_where_it_says(tmp_path: Path, level: str) -> None:
    path = LEVELS[level]
    ends = {"Holding": "Held", "Restarting": "Running", "Stopping": "Stopped", "Aborting": "Aborted"}

    async def cases(suite: Suite) -> None:
        for (source, command), target in LEGAL.items():
            if command not in GIVEN_BY_PEOPLE:
                continue
            run = await suite.start_batch(RECIPE)
            await lead(suite, run, path, source)
            await suite.engine.batches.command(run.id, Command(command), OPERATOR, "test", path)
            assert state(run, path) == target, (source, command)
            if target in ends:
                await until(suite, run, path, State(ends[target]))
            if target in ("Holding", "Stopping", "Aborting"):
                assert suite.engine.gate.lacks("TFF201") == [], (source, command)
            await end(suite, run)

    tell(tmp_path, cases)


@pytest.mark.parametrize("level", LEVELS)
def test_an_illegal_command_is_refused_and_changes_nothing(tmp_path: Path, level: str) -> None:
    path = LEVELS[level]

    async def cases(suite: Suite) -> None:
        for source in WAYS:
            run = await suite.start_batch(RECIPE)
            await lead(suite, run, path, source)
            before = [(element.path, element.state) for element in run.elements()]
            for command in Command:
                if command in GIVEN_BY_PEOPLE and (source, command.value) in LEGAL:
                    continue
                with pytest.raises(IllegalCommandError, match=f"is {source}: {command} is not possible"):
                    run.command(command, OPERATOR, "test", path)
                assert [(element.path, element.state) for element in run.elements()] == before
            shown = next(element for element in run.elements() if element.path == path)
            assert shown.commands == sorted(c for s, c in LEGAL if s == source and c in GIVEN_BY_PEOPLE)
            await end(suite, run)

    tell(tmp_path, cases)


def test_what_has_not_begun_takes_no_command(tmp_path: Path) -> None:
    async def cases(suite: Suite) -> None:
        run = await suite.start_batch(RECIPE)
        await suite.scans(2)
        for path in ("work/second", "work/second/c"):
            for command in Command:
                with pytest.raises(IllegalCommandError, match="is Idle"):
                    run.command(command, OPERATOR, "test", path)
        await end(suite, run)

    tell(tmp_path, cases)


@pytest.mark.parametrize(("above", "below"), [("work", "work/first/both/a"), ("", "work/first")])
def test_an_element_goes_on_only_inside_one_that_runs(tmp_path: Path, above: str, below: str) -> None:
    async def cases(suite: Suite) -> None:
        for order, still, back in (("hold", "Held", "restart"), ("pause", "Paused", "resume")):
            run = await suite.start_batch(RECIPE)
            await lead(suite, run, above, still)
            if state(run, below) == still:
                with pytest.raises(StartRefusedError, match=f"{back} that"):
                    run.command(Command(back), OPERATOR, "test", below)
                assert order in WAYS[still]
            await end(suite, run)

    tell(tmp_path, cases)


def test_a_batch_with_one_element_held_can_be_paused_and_taken_up_again(tmp_path: Path) -> None:
    async def cases(suite: Suite) -> None:
        run = await suite.start_batch(RECIPE)
        await lead(suite, run, "work/first/both/a", "Held")
        await suite.engine.batches.command(run.id, Command.PAUSE, OPERATOR, "test")
        await suite.answer_all(run)
        await until(suite, run, "", State.PAUSED)
        await suite.engine.batches.command(run.id, Command.RESUME, OPERATOR, "test")
        await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "test", "work/first/both/a")
        await until(suite, run, "", State.COMPLETE)
        await end(suite, run)

    tell(tmp_path, cases)


def test_a_phase_stopped_while_all_is_held_needs_one_restart_only(tmp_path: Path) -> None:
    async def cases(suite: Suite) -> None:
        run = await suite.start_batch(RECIPE)
        await lead(suite, run, "", "Held")
        run.command(Command.STOP, OPERATOR, "not needed", "work/first/both/a")
        await until(suite, run, "work/first/both/a", State.STOPPED)
        run.command(Command.RESTART, OPERATOR, "on")
        await until(suite, run, "", State.COMPLETE)
        await end(suite, run)

    tell(tmp_path, cases)


@pytest.mark.parametrize("before", ["Holding", "Stopping", "Restarting"])
def test_safety_does_not_wait_for_a_transient_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """An abort, or a hold of a restart, ends what was under way."""

    async def cases(suite: Suite) -> None:
        run = await suite.start_batch(RECIPE)
        path = "work/first/both/a"
        await suite.scans(2)

        async def hang() -> None:
            await asyncio.Event().wait()

        if before == "Restarting":
            await lead(suite, run, path, "Held")
            monkeypatch.setattr("tests.procedure.drive.Drive.restarting", lambda phase: hang())
            run.command(Command.RESTART, OPERATOR, "test", path)
        else:
            monkeypatch.setattr("tests.procedure.drive.Drive.stopping", lambda phase: hang())
            run.command(Command.HOLD if before == "Holding" else Command.STOP, OPERATOR, "test", path)
        await suite.scans(8 if before != "Holding" else 0)
        assert state(run, path) == before
        run.command(Command.ABORT, OPERATOR, "test", path)
        began = suite.clock.monotonic()
        await until(suite, run, path, State.ABORTED)
        assert suite.clock.monotonic() - began < 10.0
        await end(suite, run)

    tell(tmp_path, cases)
