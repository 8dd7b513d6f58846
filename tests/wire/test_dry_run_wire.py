"""What a rehearsal predicts is what happens on the wires: the same events in the same order, and the same end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from evcontrol.cli.demo_script import Script, ScriptedAnswer, load_script
from evcontrol.cli.dry_run import Operator
from evcontrol.cli.rehearsal import Rehearsal
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.replay import PlantView
from evcontrol.journal.store import read_events
from evcontrol.procedure.phase import FASTEST
from tests.wire.journal_course import TOLERANCES, Step, announced, course, differences
from tests.wire.processes import ANSWERS, CELL, EV_BATCH, PLANT, SHORT, Processes

WHOLE_S = 900.0


def on_wires(data: Path, plant: Path, recipe: str, parameters: dict[str, str], speed: float) -> dict[str, Any]:
    """Run a batch with every process a real one; the truth at the end."""

    async def main() -> dict[str, Any]:
        async with Processes(data, speed=speed, plant=plant) as suite:
            await suite.start_batch(recipe, **parameters)
            await suite.until_state("Complete", bound_s=WHOLE_S)
            return await suite.truth()

    return asyncio.run(main())


def rehearsed(
    data: Path, plant: Path, recipe: str, parameters: dict[str, str], speed: float, script: Script
) -> dict[str, Any]:
    """The same in virtual time."""

    async def main(clock: VirtualClock) -> dict[str, Any]:
        async with Rehearsal(plant, data, clock, speed=speed) as rehearsal:
            await Operator(rehearsal, script).run(recipe, "short.yaml", parameters, 200.0)
            truth: dict[str, Any] = rehearsal.sim.truth()
            return truth

    return run_virtual(main)


def compare(one: Path, other: Path) -> None:
    """The journals of two runs of the first batch tell the same."""
    ours, theirs = list(read_events(one / "journal")), list(read_events(other / "journal"))
    assert differences(course(ours), course(theirs)) == []
    assert announced(ours) == announced(theirs)
    assert PlantView(ours).batches["B-0001"].states == PlantView(theirs).batches["B-0001"].states


def compare_liquids(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The same liquid is in the same places."""
    _, accuracy = TOLERANCES["mL"]
    share = 0.01  # flushing goes by time at the pumps' own flow
    assert one["liquids"].keys() == other["liquids"].keys()
    for place, liquid in one["liquids"].items():
        assert liquid["volume_ml"] == pytest.approx(other["liquids"][place]["volume_ml"], abs=accuracy, rel=share), (
            place
        )


def test_an_event_too_many_and_a_number_too_far_off_are_differences() -> None:
    begun, moved = Step(("state.changed", "Idle", "Running")), Step(("phase.result", "feed"), 600.0, "g")
    assert differences({"a": [begun, moved]}, {"a": [begun, moved._replace(number=602.9)]}) == []
    assert differences({"a": [begun, moved]}, {"a": [begun, moved._replace(number=604.0)]})
    assert differences({"a": [begun, moved]}, {"a": [begun]})
    assert differences({"a": [begun, moved]}, {"a": [moved, begun]})
    assert differences({"a": [begun]}, {"b": [begun]})


@pytest.mark.timeout(300)
def test_an_ultrafiltration_goes_as_it_was_rehearsed(tmp_path: Path) -> None:
    answers = tuple(ScriptedAnswer(when=text, value=value) for text, value in ANSWERS.items())
    script = load_script().model_copy(update={"answers": answers})
    predicted = rehearsed(tmp_path / "rehearsed", PLANT, SHORT, {}, 30.0, script)
    happened = on_wires(tmp_path / "wires", PLANT, SHORT, {}, 30.0)
    compare(tmp_path / "rehearsed", tmp_path / "wires")
    compare_liquids(predicted, happened)


@pytest.mark.full
@pytest.mark.timeout(2 * WHOLE_S)
def test_the_whole_batch_goes_as_it_was_rehearsed(tmp_path: Path) -> None:
    recipe, script = EV_BATCH.read_text(encoding="utf-8"), load_script()
    predicted = rehearsed(tmp_path / "rehearsed", CELL, recipe, script.parameters, FASTEST, script)
    happened = on_wires(tmp_path / "wires", CELL, recipe, script.parameters, FASTEST)
    compare(tmp_path / "rehearsed", tmp_path / "wires")
    compare_liquids(predicted, happened)
    compare_liquids(predicted["BR101"], happened["BR101"])
