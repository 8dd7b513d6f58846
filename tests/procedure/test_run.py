"""The supervisor of a batch: commands at every level, transitions, pauses, and what a stopped element leads to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import Command, IllegalCommandError, State
from tests.batch.suite import OPERATOR, Suite

HEAD = "recipe: R\nversion: 1.0.0\nproduct: P\nunits:\n  tff: {class: tff}\nprocedure:\n"
TWO_OF_TWO = """\
  - unit_procedure: work
    unit: tff
    steps:
      - operation: first
        steps:
          - phase: prompt
            name: a
            with: {text: Do a}
          - parallel: both
            steps:
              - phase: prompt
                name: b
                with: {text: Do b}
              - phase: prompt
                name: c
                with: {text: Do c}
      - operation: second
        steps:
          - phase: prompt
            name: d
            with: {text: Do d}
"""
Story = Callable[[Suite, BatchRun], Awaitable[None]]


def tell(data: Path, story: Story, procedure: str = TWO_OF_TWO) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch(HEAD + procedure)
            await suite.scans(2)
            await story(suite, run)

    run_virtual(main)


def states(run: BatchRun) -> dict[str, str]:
    return {element.path.rpartition("/")[2]: element.state for element in run.elements()}


async def answer(suite: Suite, run: BatchRun, name: str) -> None:
    prompt = next(p for p in run.prompts() if p.path.endswith(f"/{name}"))
    await suite.engine.batches.answer(run.id, prompt.id, True, OPERATOR, "")
    await suite.scans(2)


async def command(suite: Suite, run: BatchRun, command: Command, path: str = "") -> None:
    await suite.engine.batches.command(run.id, command, OPERATOR, "test", path)
    await suite.scans(12)


def test_a_sequence_runs_one_after_another_and_a_parallel_at_once(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        assert (states(run)["a"], states(run)["b"], states(run)["d"]) == ("Running", "Idle", "Idle")
        await answer(suite, run, "a")
        assert (states(run)["b"], states(run)["c"], states(run)["second"]) == ("Running", "Running", "Idle")
        await answer(suite, run, "c")
        assert (states(run)["both"], states(run)["second"]) == ("Running", "Idle")
        await answer(suite, run, "b")
        assert (states(run)["first"], states(run)["d"]) == ("Complete", "Running")
        await answer(suite, run, "d")
        assert set(states(run).values()) == {"Complete"}

    tell(tmp_path, story)


def test_hold_and_restart_travel_from_the_procedure_to_every_active_element(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await answer(suite, run, "a")
        await command(suite, run, Command.HOLD)
        found = states(run)
        assert {found[name] for name in ("", "work", "first", "both", "b", "c")} == {"Held"}
        assert (found["a"], found["d"]) == ("Complete", "Idle")
        assert run.prompts() == []
        await command(suite, run, Command.RESTART)
        assert {states(run)[name] for name in ("", "both", "b", "c")} == {"Running"}
        assert {p.path.rpartition("/")[2] for p in run.prompts()} == {"b", "c"}

    tell(tmp_path, story)


def test_one_element_can_be_held_while_the_others_go_on(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await answer(suite, run, "a")
        await command(suite, run, Command.HOLD, "work/first/both/b")
        assert (states(run)["b"], states(run)["c"], states(run)[""]) == ("Held", "Running", "Running")
        await answer(suite, run, "c")
        await command(suite, run, Command.RESTART, "work/first/both/b")
        await answer(suite, run, "b")
        assert states(run)["d"] == "Running"

    tell(tmp_path, story)


def test_a_stopped_phase_holds_the_rest_and_a_restart_goes_on_with_what_follows(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await command(suite, run, Command.STOP, "work/first/a")
        assert states(run)["a"] == "Stopped"
        assert run.state is State.HELD
        assert "work/first/a was stopped" in run.reason
        await command(suite, run, Command.RESTART)
        assert (states(run)["a"], states(run)["b"]) == ("Stopped", "Running")

    tell(tmp_path, story)


@pytest.mark.parametrize(("order", "end"), [(Command.STOP, "Stopped"), (Command.ABORT, "Aborted")])
def test_stop_and_abort_end_everything_that_was_active(tmp_path: Path, order: Command, end: str) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await answer(suite, run, "a")
        await command(suite, run, order)
        found = states(run)
        assert {found[name] for name in ("", "work", "first", "both", "b", "c")} == {end}
        assert found["d"] == "Idle"
        assert run.ended

    tell(tmp_path, story)


def test_a_command_that_the_state_does_not_allow_is_refused_with_those_that_it_does(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        with pytest.raises(IllegalCommandError, match="possible: abort, hold, pause, stop"):
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "test")
        with pytest.raises(IllegalCommandError):
            await suite.engine.batches.command(run.id, Command.RESET, OPERATOR, "test")
        with pytest.raises(KeyError):
            await suite.engine.batches.command(run.id, Command.HOLD, OPERATOR, "test", "no/such/path")

    tell(tmp_path, story)


def test_a_pause_waits_for_the_next_place_and_a_resume_goes_on(tmp_path: Path) -> None:
    settings = "{volume: 500 mL, cross_flow: 800 mL/min, tmp: 3 psi, permeate: 50 g}"
    procedure = f"  - phase: flush\n    unit: tff\n    with: {settings}\n"
    install = "  - phase: install_membrane\n    unit: tff\n    with: {module_type: HF500-1600}\n"

    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.until(run, lambda: "flush" in run.running())
        await command(suite, run, Command.PAUSE)
        assert states(run)["flush"] == "Pausing"
        await suite.until(run, lambda: run.state is State.PAUSED)
        assert suite.engine.image.reading("TFF201.P102_SP").value == 0.0
        weight = suite.engine.image.reading("TFF201.WT_RET").value
        await suite.scans(60)
        assert suite.engine.image.reading("TFF201.WT_RET").value == pytest.approx(weight, abs=1.0)
        await command(suite, run, Command.RESUME)
        assert await suite.finish(run) is State.COMPLETE

    tell(tmp_path, story, install + procedure)


def test_an_element_waits_for_its_condition_and_says_so(tmp_path: Path) -> None:
    procedure = "  - phase: prompt\n    unit: tff\n    when: tff.WT_PERM > 100 g\n    with: {text: Do it}\n"

    async def story(suite: Suite, run: BatchRun) -> None:
        waiting = next(e.waiting for e in run.elements() if e.path == "prompt")
        assert waiting == "tff.WT_PERM > 100 g (now 0 g)"
        suite.sim.balances["WT-PERM"].moved_g = 150.0
        await suite.scans(5)
        assert states(run)["prompt"] == "Running"

    tell(tmp_path, story, procedure)


def test_a_condition_that_is_unknown_starts_nothing(tmp_path: Path) -> None:
    procedure = "  - phase: prompt\n    unit: tff\n    when: tff.VCF < 1000 x\n    with: {text: Do it}\n"

    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.scans(10)
        waiting = next(e for e in run.elements() if e.path == "prompt")
        assert waiting.state == "Idle"
        assert "Bad" in waiting.waiting

    tell(tmp_path, story, procedure)


def test_a_second_batch_on_the_same_unit_is_refused(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        with pytest.raises(StartRefusedError, match="TFF201 is used by B-0001"):
            await suite.start_batch(HEAD + TWO_OF_TWO)

    tell(tmp_path, story)


def test_every_change_of_state_is_in_the_journal_with_who_commanded_it(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await command(suite, run, Command.STOP)

    tell(tmp_path, story)
    changes = [e for e in read_events(tmp_path / "journal") if e.kind is Kind.STATE_CHANGED and e.path == ""]
    assert [e.body["new"] for e in changes] == ["Running", "Stopping", "Stopped"]
    assert [e.actor for e in changes] == ["user:olivia", "user:olivia", "engine"]
    assert changes[1].body["reason"] == "test"
