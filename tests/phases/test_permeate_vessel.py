"""Changing the permeate vessel in the middle of a filtration: nothing is lost of it, and nothing counted twice."""

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
from evcontrol.procedure.states import FINAL, Command, State
from tests.batch.suite import OPERATOR, RECIPE, Suite

FULL_G = 900


def recipe() -> str:
    text = RECIPE.read_text(encoding="utf-8")
    for phase in ("vcf: concentration", "diavolumes: diavolumes"):
        assert phase in text
        text = text.replace(f"with: {{{phase}", f"with: {{permeate_full: {FULL_G} g, {phase}")
    return text


async def answer(suite: Suite, run: BatchRun) -> None:
    """As the suite does; whoever is asked for an empty vessel puts one there first."""
    if any("Put an empty one" in prompt.text for prompt in run.prompts()):
        suite.sim.change_permeate_vessel()
        await suite.scans(3)
    await suite.answer_all(run)


def results(data: Path, phase: str) -> dict[str, float]:
    return {
        event.body["name"]: event.body["value"]
        for event in read_events(data / "journal")
        if event.kind is Kind.PHASE_RESULT and event.path.endswith(f"/{phase}")
    }


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_taken_away_in_a_full_vessel_still_counts(tmp_path: Path, killed: bool) -> None:
    data: list[Path] = []

    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            run = await suite.start_batch(recipe())
            asked = 0
            while run.state not in FINAL:
                await suite.scans(1)
                assert run.state is not State.HELD, run.reason
                asked += any("Put an empty one" in prompt.text for prompt in run.prompts())
                if killed and asked == 1:
                    asked += 1
                    suite.kill()
                    await suite.bury()
                    suite.sim.change_permeate_vessel()  # while no engine looks on
                    await suite.start_engine()
                    (run,) = suite.engine.batches.runs.values()
                    await restart(suite, run)
                    continue
                await answer(suite, run)
            assert run.state is State.COMPLETE
            assert asked >= 3
            data.append(suite.data)

    run_virtual(main)
    (folder,) = data
    concentrated, diafiltered = results(folder, "concentrate"), results(folder, "diafilter")
    assert concentrated["VCF"] == pytest.approx(10.0, rel=0.01)
    assert concentrated["permeate"] == pytest.approx(1950.0 * 0.9, rel=0.02)
    assert diafiltered["diavolumes"] == pytest.approx(6.0, abs=0.02)
    record = read_record(folder, "B-0001")
    (balance,) = liquid_balances(record, HistoryReader(folder / "history"))
    assert balance.closure is Closure.CLOSES, balance.reasons


async def restart(suite: Suite, run: BatchRun) -> None:
    await suite.sign(run)
    await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "reconciled")
    await suite.until(run, lambda: run.state is State.RUNNING)
