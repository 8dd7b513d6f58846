"""Single-step mode, breakpoints and jumps: where a batch stands, what goes on, and that it outlives the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import Command, State
from evcontrol.procedure.stepping import SteeringError
from tests.batch.suite import OPERATOR, PASSWORD, Suite
from tests.procedure.test_run import HEAD, TWO_OF_TWO, answer, states

Story = Callable[[Suite, BatchRun], Awaitable[None]]
BOTH, B, C, SECOND, D = "work/first/both", "work/first/both/b", "work/first/both/c", "work/second", "work/second/d"


def tell(data: Path, story: Story) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(data / "data", clock) as suite:
            run = await suite.start_batch(HEAD + TWO_OF_TWO)
            await suite.scans(2)
            await story(suite, run)

    run_virtual(main)


async def reborn(suite: Suite, run: BatchRun) -> BatchRun:
    """Kill the engine and start another; the batch, signed for."""
    suite.kill()
    await suite.bury()
    await suite.clock.sleep(20.0)
    await suite.start_engine()
    await suite.scans(3)
    run = suite.engine.batches.runs[run.id]
    await suite.sign(run)
    return run


async def jump(suite: Suite, run: BatchRun, path: str) -> None:
    engine = suite.engine
    if engine.people.get("olivia") is None:
        engine.people.add("olivia", "Olivia Operator", ["supervisor"], PASSWORD)
    session, _ = await engine.sessions.open("olivia", PASSWORD, "station 1")
    await engine.steering.jump(run.id, path, session, PASSWORD, "the first part was done by hand")


async def hold(suite: Suite, run: BatchRun) -> None:
    run.command(Command.HOLD, OPERATOR, "look")
    while run.state is not State.HELD:
        await suite.scans(1)


async def restart(suite: Suite, run: BatchRun) -> None:
    await suite.scans(12)
    run.command(Command.RESTART, OPERATOR, "on")
    await suite.scans(4)


def test_a_breakpoint_holds_nothing_but_what_has_not_begun(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        run.set_stepping(False, [B, SECOND], OPERATOR, "test")
        await answer(suite, run, "a")
        assert (states(run)["b"], states(run)["c"]) == ("Idle", "Running")
        assert next(e.waiting for e in run.elements() if e.path == B) == "breakpoint: a step goes on"
        with pytest.raises(SteeringError, match="does not stand"):
            run.step(C, OPERATOR)
        run.step(B, OPERATOR)
        await suite.scans(2)
        assert states(run)["b"] == "Running"
        await answer(suite, run, "b")
        await answer(suite, run, "c")
        assert (states(run)["second"], run.state) == ("Idle", State.RUNNING)
        run.set_stepping(False, [], OPERATOR, "enough")
        await suite.scans(2)
        assert states(run)["d"] == "Running"

    tell(tmp_path, story)


def test_in_single_step_mode_each_phase_waits_for_a_step(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        run.set_stepping(True, [], OPERATOR, "test")
        await answer(suite, run, "a")
        assert (states(run)["both"], states(run)["b"], states(run)["c"]) == ("Running", "Idle", "Idle")
        run.step(C, OPERATOR)
        await suite.scans(2)
        assert (states(run)["b"], states(run)["c"]) == ("Idle", "Running")

    tell(tmp_path, story)


def test_steps_and_breakpoints_outlive_the_engine(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        run.set_stepping(True, [SECOND], OPERATOR, "test")
        await answer(suite, run, "a")
        run.step(C, OPERATOR)
        await suite.engine.journal.flush()
        run = await reborn(suite, run)
        assert (run.stepping.single, run.stepping.breakpoints) == (True, {SECOND})
        await restart(suite, run)
        assert (states(run)["b"], states(run)["c"]) == ("Idle", "Running")

    tell(tmp_path, story)


@pytest.mark.parametrize("path", ["no/such/path", "", "work/first/a"])
def test_a_breakpoint_stands_before_what_there_is_and_has_not_begun(tmp_path: Path, path: str) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        with pytest.raises(SteeringError):
            run.set_stepping(False, [path], OPERATOR, "test")

    tell(tmp_path, story)


def test_a_jump_stops_what_was_under_way_skips_what_never_begins_and_is_signed(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await hold(suite, run)
        await jump(suite, run, D)
        await restart(suite, run)
        found = states(run)
        assert (found["a"], found["both"], found["d"]) == ("Stopped", "Idle", "Running")
        await answer(suite, run, "d")
        assert run.state is State.COMPLETE

    tell(tmp_path, story)
    events = list(read_events(tmp_path / "data" / "journal"))
    (jumped,) = [e for e in events if e.kind is Kind.BATCH_JUMPED]
    assert (jumped.body["to"], jumped.body["skipped"], jumped.body["stopped"]) == (D, [], ["work/first"])
    assert jumped.body["reason"] == "the first part was done by hand"
    (signed,) = [e for e in events if e.kind is Kind.SIGNATURE]
    assert signed.body["subject"] == f"jump to {D} of B-0001"


def test_what_was_jumped_over_stays_so_after_a_crash(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await hold(suite, run)
        await jump(suite, run, BOTH)
        run = await reborn(suite, run)
        await restart(suite, run)
        assert (states(run)["a"], states(run)["b"]) == ("Stopped", "Running")

    tell(tmp_path, story)


def test_a_jump_is_refused_where_it_makes_no_sense(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        with pytest.raises(SteeringError, match="hold it before"):
            run.plan_jump(D)
        await hold(suite, run)
        with pytest.raises(SteeringError, match="has not begun"):
            run.plan_jump("work/first/a")
        with pytest.raises(KeyError):
            run.plan_jump("no/such/path")
        run.jump(run.plan_jump(D), OPERATOR, "test")
        await suite.scans(12)
        with pytest.raises(SteeringError, match="nothing stands between"):
            run.plan_jump(D)

    tell(tmp_path, story)


LOOPED = """\
  - unit_procedure: work
    unit: tff
    steps:
      - phase: prompt
        name: a
        with: {text: Do a}
      - loop: again
        times: 2
        steps:
          - phase: prompt
            name: b
            with: {text: Do b}
"""


def test_a_jump_does_not_lead_into_a_loop(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            run = await suite.start_batch(HEAD + LOOPED)
            await suite.scans(2)
            await hold(suite, run)
            with pytest.raises(SteeringError, match="inside the loop work/again"):
                run.plan_jump("work/again/b")
            assert [e.path for e in run.plan_jump("work/again").stopped] == ["work/a"]

    run_virtual(main)
