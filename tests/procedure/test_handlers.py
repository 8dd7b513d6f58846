"""Exception handlers in a running batch: every trigger, every action."""

from __future__ import annotations

from pathlib import Path

import pytest

from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import Command, State
from tests.batch.suite import OPERATOR, Suite
from tests.procedure.test_run import answer, command, states, tell

WORK = """\
  - unit_procedure: work
    unit: tff
    steps:
      - operation: first
        on:
          - HANDLER
        steps:
          - phase: prompt
            name: a
            with: {text: Do a}
          - phase: prompt
            name: b
            with: {text: Do b}
      - operation: second
        steps:
          - phase: prompt
            name: c
            with: {text: Do c}
      - operation: third
        steps:
          - phase: prompt
            name: d
            with: {text: Do d}
"""
HEAVY = 11_100.0
"""Grams that are too many for the permeate vessel of the shipped plant."""


def with_handler(handler: str) -> str:
    return WORK.replace("HANDLER", handler)


async def heavy(suite: Suite, grams: float = 150.0) -> None:
    suite.sim.balances["WT-PERM"].moved_g = grams
    await suite.scans(12)


@pytest.mark.parametrize(
    ("action", "first", "batch"),
    [("hold", "Held", "Held"), ("stop", "Stopped", "Held"), ("abort", "Aborted", "Held")],
)
def test_a_condition_that_comes_true_does_what_is_said(tmp_path: Path, action: str, first: str, batch: str) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        assert states(run)["first"] == "Running"
        await heavy(suite)
        assert (states(run)["first"], states(run)[""]) == (first, batch)
        assert "when tff.WT_PERM > 100 g" in next(e for e in run.elements() if e.path == "work/first/a").waiting or (
            action != "hold"
        )

    tell(tmp_path, story, with_handler(f"{{when: tff.WT_PERM > 100 g, do: {action}}}"))


def test_go_to_stops_the_step_and_passes_over_what_lies_between(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await heavy(suite)
        found = states(run)
        assert (found["first"], found["second"], found["third"]) == ("Stopped", "Idle", "Running")
        assert next(e.waiting for e in run.elements() if e.path == "work/second") == "passed over"
        await answer(suite, run, "d")
        assert run.state is State.COMPLETE

    tell(tmp_path, story, with_handler("{when: tff.WT_PERM > 100 g, go_to: third}"))


def test_a_timeout_counts_the_time_that_the_step_runs(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await command(suite, run, Command.HOLD)
        await suite.clock.sleep(100.0)
        await command(suite, run, Command.RESTART)
        assert states(run)["first"] == "Running"
        await suite.clock.sleep(60.0)
        await suite.scans(4)
        assert states(run)["third"] == "Running"

    tell(tmp_path, story, with_handler("{timeout: 60 s, go_to: third}"))


def test_an_alarm_triggers_and_only_that_alarm(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await heavy(suite)
        assert states(run)["first"] == "Running"
        assert not suite.engine.alarms.is_active("TFF201.PERMEATE_VESSEL_FULL")
        await heavy(suite, HEAVY)
        await suite.clock.sleep(30.0)
        await suite.scans(4)
        assert suite.engine.alarms.is_active("TFF201.PERMEATE_VESSEL_FULL")
        assert states(run)["third"] == "Running"

    tell(tmp_path, story, with_handler("{alarm: tff.PERMEATE_VESSEL_FULL, go_to: third}"))


def test_a_tag_that_turns_bad_triggers(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        suite.engine.image.set_internal("TFF201.VCF", 3.0)
        await suite.scans(6)
        assert states(run)["third"] == "Running"  # VCF is Bad until it is set: it came with the first scan

    tell(tmp_path, story, with_handler("{bad_quality: tff.VCF, go_to: third}"))


def test_a_phase_that_fails_is_caught_where_it_is_said(tmp_path: Path) -> None:
    failing = WORK.replace(
        "          - phase: prompt\n            name: a\n            with: {text: Do a}\n",
        "          - phase: wait\n            name: a\n            with: {until: tff.VCF > 2 x}\n",
    )

    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.scans(12)
        assert (states(run)["first"], states(run)["third"], states(run)[""]) == ("Stopped", "Running", "Running")

    tell(tmp_path, story, failing.replace("HANDLER", "{phase_failure: yes, go_to: third}"))


@pytest.mark.parametrize(
    ("choice", "first", "third"),
    [("go on", "Running", "Idle"), ("hold", "Held", "Idle"), ("third", "Stopped", "Running")],
)
def test_the_operator_is_asked_and_the_answer_is_done(tmp_path: Path, choice: str, first: str, third: str) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await heavy(suite)
        prompt = next(p for p in run.prompts() if p.path == "work/first")
        assert prompt.choices == ("go on", "hold", "third")
        assert prompt.text == "Too heavy (when tff.WT_PERM > 100 g)"
        await suite.engine.batches.answer(run.id, prompt.id, choice, OPERATOR, "seen")
        await suite.scans(12)
        assert (states(run)["first"], states(run)["third"]) == (first, third)
        assert [p for p in run.prompts() if p.path == "work/first"] == []

    handler = "{when: tff.WT_PERM > 100 g, ask: Too heavy, choices: [go on, hold, third]}"
    tell(tmp_path, story, with_handler(handler))


def test_a_handler_acts_once_until_what_it_watches_for_has_gone(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await heavy(suite)
        assert run.state is State.HELD
        await command(suite, run, Command.RESTART)
        assert states(run)["first"] == "Running"
        await heavy(suite, 0.0)
        await heavy(suite)
        assert states(run)["first"] == "Held"

    tell(tmp_path, story, with_handler("{when: tff.WT_PERM > 100 g, do: hold}"))
