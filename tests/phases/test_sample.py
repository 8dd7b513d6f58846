"""Samples: one label each, what was weighed is known, and the liquid balance does not miss it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evcontrol.batch.balance import Closure, liquid_balances
from evcontrol.batch.record import read_record
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, State
from tests.batch.suite import OPERATOR, RECIPE, Suite

SAMPLE_ML = 45.0


def recipe() -> str:
    """The shipped one with a sample between concentration and diafiltration, large enough to open the balance."""
    text = RECIPE.read_text(encoding="utf-8")
    place = "          - phase: diafilter\n"
    assert place in text
    step = "          - phase: sample_retentate\n            with: {of: retentate, volume: 45 mL}\n"
    return text.replace(place, step + place)


async def run_to_end(suite: Suite, run: BatchRun, labels: list[str], taken_ml: float) -> None:
    while run.state not in (*FINAL, State.HELD):
        for prompt in run.prompts():
            if "scan its label" in prompt.text:
                label = labels.pop(0)
                if not labels:
                    suite.sim.take_sample("retentate", taken_ml)
                    await suite.scans(3)
                await suite.engine.batches.answer(run.id, prompt.id, label, OPERATOR, "")
            elif "How much was taken" in prompt.text:
                await suite.engine.batches.answer(run.id, prompt.id, SAMPLE_ML, OPERATOR, "")
            else:
                await suite.answer_all(run)
        await suite.scans(1)


def test_a_weighed_sample_is_in_the_liquid_balance(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch(recipe())
            await run_to_end(suite, run, ["S-77"], SAMPLE_ML)
            assert run.state is State.COMPLETE, run.reason

    run_virtual(main)
    (sample,) = [event.body for event in read_events(data / "journal") if event.kind is Kind.SAMPLE_TAKEN]
    assert (sample["sample"], sample["label"]) == ("S-77", "retentate")
    assert sample["volume_ml"] == pytest.approx(SAMPLE_ML, abs=2.0)
    (balance,) = liquid_balances(read_record(data, "B-0001"), HistoryReader(data / "history"))
    assert balance.closure is Closure.CLOSES, balance.reasons
    total = balance.total
    assert total is not None
    assert abs(total.difference_g - balance.sampled_g) > 0.01 * total.expected_g  # without it, it would not close


def test_a_balance_that_was_moved_is_no_sample(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            run = await suite.start_batch(recipe())
            await run_to_end(suite, run, ["S-1"], 3 * SAMPLE_ML)
            assert run.state is State.HELD
            assert "the balance was moved" in run.reason

    run_virtual(main)


def test_a_label_is_given_to_one_sample_only(tmp_path: Path) -> None:
    text = """recipe: Samples
version: 1.0.0
product: P
units: {tff: {class: tff}}
procedure:
  - unit_procedure: samples
    unit: tff
    steps:
      - {phase: sample, name: one, with: {of: buffer, volume: 1 mL}}
      - {phase: sample, name: two, with: {of: buffer, volume: 1 mL}}
"""
    data = tmp_path / "data"

    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch(text)
            await run_to_end(suite, run, ["S-1", "S-1", "S-2", "end"], 0.0)
            assert run.state is State.COMPLETE

    run_virtual(main)
    taken = [event.body["sample"] for event in read_events(data / "journal") if event.kind is Kind.SAMPLE_TAKEN]
    assert taken == ["S-1", "S-2"]
