"""Counting: one worklist for a sample, and a sample of its own for every count that is made anew."""

from __future__ import annotations

from pathlib import Path

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.states import FINAL, Command, State
from tests.batch.ev_suite import OPERATOR, EvSuite

RECIPE = """recipe: Count
version: 1.0.0
product: P
units:
  nta: {class: counter}
procedure:
  - unit_procedure: counting
    unit: nta
    steps:
      - phase: count
        with: {kind: diluent, dilution: "1", within: 0.5 h}
"""


def test_a_count_without_a_result_is_held_and_made_anew_with_another_sample(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def main(clock: VirtualClock) -> None:
        async with EvSuite(data, clock) as suite:
            poll = suite.poll_counter
            suite.poll_counter = lambda: None  # the counter's program hangs
            run = await suite.start_batch(RECIPE)
            while run.state is not State.HELD:
                await suite.scans(1)
                await suite.answer_all(run)
            assert "no result in time of worklist 1" in run.reason
            suite.poll_counter = poll
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "restarted the counter")
            await suite.until(run, lambda: run.state is State.RUNNING)
            await suite.until(run, lambda: run.state in FINAL)
            assert run.state is State.COMPLETE

    run_virtual(main)
    events = list(read_events(data / "journal"))
    assert [e.body["sample"] for e in events if e.kind is Kind.SAMPLE_TAKEN] == ["S-000001", "S-000002"]
    (counted,) = [e.body for e in events if e.kind is Kind.COUNT_TAKEN]
    assert (counted["sample"], counted["kind"], counted["dilution"]) == ("S-000002", "diluent", 1.0)
