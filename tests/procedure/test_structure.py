"""Choices, loops, reusable operations and handlers as they run, and after the engine has died in their midst."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, Command, State
from tests.batch.ev_suite import OPERATOR, EvSuite

HEAD = """\
recipe: Structure
version: 1.0.0
product: P
units:
  tff: {class: tff}
parameters:
  passes: {value: "3", description: Passes}
  high: {value: 5 %v/v, description: A level}
"""
LEVEL_IS_LOW = "tff.LT < high"


def recipe(steps: str, more: str = "") -> str:
    body = "\n".join(f"      {line}" for line in steps.strip("\n").splitlines())
    return f"{HEAD}{more}procedure:\n  - unit_procedure: all\n    unit: tff\n    steps:\n{body}\n"


async def to_end(suite: EvSuite, run: BatchRun) -> None:
    while run.state not in (*FINAL, State.HELD):
        await suite.scans(1)
        await suite.answer_all(run)


def ran(tmp_path: Path, text: str) -> tuple[State, str, dict[str, str], list[str]]:
    """State and reason of the batch, the states of its elements, and the paths in the order in which they started."""

    async def main(clock: VirtualClock) -> tuple[State, str, dict[str, str]]:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(text)
            await to_end(suite, run)
            return run.state, run.reason, {e.path: e.state for e in run.elements()}

    state, reason, states = run_virtual(main)
    started = [e.path for e in read_events(tmp_path / "journal") if e.kind is Kind.STATE_CHANGED
               and e.body["command"] == "start"]  # fmt: skip
    return state, reason, states, started


CHOICE = """
- choice: which
  steps:
    - phase: wait
      name: full
      if: tff.LT > 50 %%v/v
      with: {time: 10 s}
    - phase: wait
      name: low
      if: %s
      with: {time: 10 s}
    - phase: wait
      name: other
      with: {time: 10 s}
- phase: wait
  name: after
  with: {time: 1 s}
"""


def test_of_a_choice_the_first_branch_that_is_true_runs_and_no_other(tmp_path: Path) -> None:
    state, _, states, started = ran(tmp_path, recipe(CHOICE % LEVEL_IS_LOW))
    assert state is State.COMPLETE
    assert states["all/which/low"] == "Complete"
    assert (states["all/which/full"], states["all/which/other"]) == ("Idle", "Idle")
    assert started[-2:] == ["all/which/low", "all/after"]


def test_without_a_true_branch_the_last_one_without_a_condition_runs(tmp_path: Path) -> None:
    _, _, states, _ = ran(tmp_path, recipe(CHOICE % "tff.LT > 60 %v/v"))
    assert states["all/which/other"] == "Complete"


def test_a_branch_that_is_not_known_is_not_passed_over(tmp_path: Path) -> None:
    state, reason, _, started = ran(tmp_path, recipe(CHOICE % "tff.RETENTATE > 5 g"))
    assert state is State.HELD
    assert reason.startswith("all/which/low: unknown for 10 s: ")
    assert "all/which/other" not in started


LOOP = """
- loop: again
  %s
  steps:
    - phase: wait
      with: {time: 10 s}
    - operation: two
      steps:
        - phase: prompt
          with: {text: Look}
"""


def test_a_loop_runs_its_steps_so_many_times_and_asks_anew(tmp_path: Path) -> None:
    state, _, _, started = ran(tmp_path, recipe(LOOP % "times: passes"))
    assert state is State.COMPLETE
    assert started.count("all/again/wait") == 3
    opened = [e for e in read_events(tmp_path / "journal") if e.kind is Kind.PROMPT_OPENED]
    assert len(opened) == 3


def test_a_loop_ends_with_its_condition(tmp_path: Path) -> None:
    state, _, _, started = ran(tmp_path, recipe(LOOP % f"until: {LEVEL_IS_LOW}\n  at_most: 5"))
    assert state is State.COMPLETE
    assert started.count("all/again/wait") == 1


def test_a_loop_that_does_not_reach_its_end_holds_and_restart_goes_on(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> tuple[str, State]:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(recipe(LOOP % "until: tff.LT > 50 %v/v\n  at_most: 2"))
            await to_end(suite, run)
            held = run.reason
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "seen")
            await to_end(suite, run)
            return held, run.state

    held, state = run_virtual(main)
    assert held == "all/again: not so after 2 passes: tff.LT > 50 %v/v. Restart goes on with what follows it"
    assert state is State.COMPLETE


USED = """
- use: rest
  name: first
  with: {time: 20 s}
- use: rest
  name: second
"""
OPERATIONS = """\
operations:
  rest:
    parameters:
      time: {value: 60 s, description: How long}
    steps:
      - phase: wait
        with: {time: time}
"""


def test_an_operation_is_used_with_its_own_parameters(tmp_path: Path) -> None:
    state, _, _, started = ran(tmp_path, recipe(USED, OPERATIONS))
    assert state is State.COMPLETE
    assert started[2:] == ["all/first", "all/first/wait", "all/second", "all/second/wait"]
    times = {
        e.path: e.t
        for e in read_events(tmp_path / "journal")
        if e.kind is Kind.STATE_CHANGED and e.body["new"] == "Complete"
    }
    assert (times["all/second/wait"] - times["all/first/wait"]) / NS >= 60.0


@pytest.mark.parametrize("scans", [3, 8, 14, 20])
def test_an_engine_that_dies_in_a_loop_goes_on_with_the_pass_that_it_was_in(tmp_path: Path, scans: int) -> None:
    text = recipe("""
- loop: again
  times: "3"
  steps:
    - phase: wait
      with: {time: 40 s}
    - choice: which
      steps:
        - phase: prompt
          if: tff.LT < high
          with: {text: Low}
        - phase: prompt
          name: never
          with: {text: Full}
""")

    async def main(clock: VirtualClock) -> Path:
        async with EvSuite(tmp_path / "data", clock, speed=1.0) as suite:
            run = await suite.start_batch(text)
            for _ in range(scans * 5):
                await suite.scans(1)
                await suite.answer_all(run)
            suite.kill()
            await suite.bury()
            await suite.start_engine()
            run = suite.engine.batches.runs[run.id]
            assert run.state is State.HELD
            await suite.restart(run)
            await to_end(suite, run)
            assert run.state is State.COMPLETE, run.reason
            return suite.data

    events = list(read_events(run_virtual(main) / "journal"))
    passes = [e.body["value"] for e in events if e.kind is Kind.PHASE_PROGRESS and e.body["key"] == "loop:pass"]
    assert passes == [2, 3]
    answered = [e for e in events if e.kind is Kind.PROMPT_ANSWERED and e.path.endswith("which/prompt")]
    assert len(answered) == 3
    assert not any(e.path.endswith("never") for e in events)


HANDLED = """
- operation: risky
  on:
    - %s
  steps:
    - phase: wait
      with: {time: 1 h}
    - phase: wait
      name: rest
      with: {time: 10 s}
- phase: wait
  name: between
  with: {time: 10 s}
- operation: rescue
  steps:
    - phase: wait
      with: {time: 10 s}
"""
Seen = tuple[State, str, dict[str, str]]


@pytest.mark.parametrize(
    ("handler", "check"),
    [
        ("{timeout: 10 min, do: stop}", lambda state, _, states: state is State.STOPPED),
        ("{timeout: 10 min, do: abort}", lambda state, _, states: state is State.ABORTED),
        (
            "{timeout: 10 min, do: hold}",
            lambda state, reason, _: state is State.HELD and reason == "all/risky: not over within 10 min",
        ),
        (
            "{when: tff.LT < high for 5 min, do: end}",
            lambda state, _, states: (
                state is State.COMPLETE and states["all/risky"] == "Stopped" and states["all/between"] == "Complete"
            ),
        ),
        (
            "{timeout: 10 min, go_to: rescue}",
            lambda state, _, states: (
                state is State.COMPLETE and (states["all/between"], states["all/rescue"]) == ("Idle", "Complete")
            ),
        ),
        (
            "{timeout: 10 min, ask: What now?, choices: {rescue it: go to rescue, wait: continue}}",
            lambda state, _, states: state is State.COMPLETE and states["all/between"] == "Idle",
        ),
        (
            "{timeout: 10 min, ask: What now?, choices: {wait: continue, stop it: stop}}",
            lambda state, _, states: state is State.COMPLETE and states["all/risky"] == "Complete",
        ),
        (
            "{bad_quality: tff.RETENTATE, do: stop}",
            lambda state, _, states: state is State.STOPPED,
        ),
    ],
)
def test_a_handler_does_what_it_says(
    tmp_path: Path, handler: str, check: Callable[[State, str, dict[str, str]], bool]
) -> None:
    state, reason, states, _ = ran(tmp_path, recipe(HANDLED % handler))
    assert check(state, reason, states), (state, reason, states)


def test_the_innermost_handler_of_a_failure_acts(tmp_path: Path) -> None:
    text = recipe("""
- operation: outer
  on: [{failure: yes, do: abort}]
  steps:
    - parallel: inner
      on: [{failure: yes, do: end}]
      steps:
        - {phase: wait, with: {until: tff.LT > 50 %v/v, at_most: 1 min}}
- {phase: wait, name: after, with: {time: 1 s}}
""")
    state, _, states, _ = ran(tmp_path, text)
    assert state is State.COMPLETE
    assert (states["all/outer/inner"], states["all/after"]) == ("Stopped", "Complete")


def test_an_alarm_is_handled(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> tuple[State, str]:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(recipe(HANDLED % "{alarm: tff.PERMEATE_VESSEL_FULL, do: stop}"))
            await suite.scans(5)
            ledger = suite.sim.process.ledger
            ledger.permeate.add(ledger.water.take(11_500.0))
            await to_end(suite, run)
            return run.state, run.reason

    state, reason = run_virtual(main)
    assert (state, reason) == (State.STOPPED, "all/risky: alarm tff.PERMEATE_VESSEL_FULL")


def test_a_time_out_does_not_count_what_was_held_or_frozen(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> list[tuple[float, State]]:
        async with EvSuite(tmp_path, clock, speed=1.0) as suite:
            run = await suite.start_batch(recipe(HANDLED % "{timeout: 10 min, do: stop}"))
            began, seen = clock.now(), []
            await suite.scans(240)
            run.hold("a look")
            await suite.scans(900)
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "go on")
            await suite.scans(60)
            run.freeze(OPERATOR, "a talk")
            await suite.scans(900)
            run.thaw(OPERATOR, "over")
            seen.append(((clock.now() - began) / NS, run.state))
            await to_end(suite, run)
            seen.append(((clock.now() - began) / NS, run.state))
            return seen

    (thawed, running), (ended, state) = run_virtual(main)
    assert (running, state) == (State.RUNNING, State.STOPPED)
    assert thawed > 2000.0
    assert ended - thawed == pytest.approx(300.0, abs=20.0)
