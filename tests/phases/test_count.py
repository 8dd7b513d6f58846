"""Counting: one worklist for a sample, and a sample of its own for every count that is made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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


SERIES = """recipe: Count
version: 1.0.0
product: P
units:
  nta: {class: counter}
procedure:
  - unit_procedure: counting
    unit: nta
    steps:
      - phase: count
        with: {kind: WHAT, dilution: "DILUTION", lowest: 2e8 particle/mL, highest: 1e9 particle/mL}
"""


def series(kind: str, dilution: float) -> str:
    return SERIES.replace("WHAT", kind).replace("DILUTION", f"{dilution:g}")


def counts(data: Path) -> list[dict[str, Any]]:
    return [dict(event.body) for event in read_events(data / "journal") if event.kind is Kind.COUNT_TAKEN]


@pytest.mark.parametrize("first", [1.0, 30000.0])
def test_a_series_is_diluted_anew_until_the_cell_is_in_range(tmp_path: Path, first: float) -> None:
    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(series("beads", first))
            assert await suite.finish(run) is State.COMPLETE

    run_virtual(main)
    found = counts(tmp_path)
    assert len(found) > 1
    assert len({body["sample"] for body in found}) == len(found)
    assert not 2e8 <= found[0]["concentration_measured"] <= 1e9
    assert 2e8 <= found[-1]["concentration_measured"] <= 1e9
    assert found[-1]["dilution"] != first


def test_a_series_that_never_comes_into_range_is_held(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path, clock) as suite:
            recipe = series("beads", 1.0).replace("lowest", 'dilutions: "1", lowest')
            run = await suite.start_batch(recipe)
            while run.state is not State.HELD:
                await suite.scans(1)
                await suite.answer_all(run)
            assert "after 1 dilutions" in run.reason

    run_virtual(main)


def test_beads_that_do_not_show_their_diameter_stop_the_counting(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(series("beads", 100.0).replace("with: {", "with: {beads: 150 nm, "))
            for _ in range(2):
                while run.state is not State.HELD:
                    await suite.scans(1)
                    await suite.answer_all(run)
                assert "beads of 150 nm show" in run.reason
                await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "cleaned")
                await suite.until(run, lambda: run.state is State.RUNNING)
            await suite.engine.batches.command(run.id, Command.ABORT, OPERATOR, "enough")

    run_virtual(main)
    samples = [body["sample"] for body in counts(tmp_path)]
    assert len(samples) >= 2
    assert len(set(samples)) == len(samples)
