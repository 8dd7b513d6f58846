"""How far a hold goes that a phase or a unit asks for: what is apart from it goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, Command, State
from tests.batch.suite import OPERATOR, Suite
from tests.procedure.drive import install

RECIPE = """\
recipe: R
version: 1.0.0
product: P
hold_level: LEVEL
units:
  tff: {class: tff}
procedure:
  - parallel: all
    steps:
      - unit_procedure: moving
        unit: tff
        steps:
          - parallel: both
            steps:
              - operation: driving
                steps:
                  - parallel: two
                    steps:
                      - phase: drive
                      - phase: prompt
                        name: beside
                        with: {text: Do beside}
              - operation: asking
                steps:
                  - phase: prompt
                    name: other
                    with: {text: Do other}
      - unit_procedure: apart
        steps:
          - phase: prompt
            name: paper
            with: {text: Do paper}
"""
PATHS = {
    "phase": "all/moving/both/driving/two/drive",
    "operation": "all/moving/both/driving",
    "unit procedure": "all/moving",
    "procedure": "",
}
HELD = {
    "phase": {"drive"},
    "operation": {"drive", "beside"},
    "unit procedure": {"drive", "beside", "other"},
    "procedure": {"drive", "beside", "other", "paper"},
}
"""The phases that a hold of ``drive`` takes with it."""


@pytest.fixture(autouse=True)
def _drive(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def tell(data: Path, level: str, story: Callable[[Suite, BatchRun], Awaitable[None]]) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            suite.answers.update({"do beside": True, "do other": True, "do paper": True})
            run = await suite.start_batch(RECIPE.replace("LEVEL", level))
            await suite.scans(3)
            await story(suite, run)

    run_virtual(main)


def phases(run: BatchRun, *states: State) -> set[str]:
    return {e.path.rpartition("/")[2] for e in run.elements() if e.kind == "phase" and e.state in states}


@pytest.mark.parametrize("level", HELD)
def test_a_phase_that_fails_takes_with_it_what_the_level_says_and_no_more(
    tmp_path: Path, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        context = next(e.context for e in run.root.walk() if e.path == PATHS["phase"])
        monkeypatch.setattr(context, "write", lambda *_, **__: 1 / 0)
        await suite.scans(40)
        assert phases(run, State.HELD) == HELD[level]
        assert phases(run, State.RUNNING) == HELD["procedure"] - HELD[level]
        assert next(e for e in run.elements() if e.path == PATHS[level]).state == "Held"
        assert suite.engine.gate.lacks("TFF201") == []
        run.command(Command.RESTART, OPERATOR, "mended", PATHS[level])
        assert await finish(suite, run) is State.COMPLETE

    tell(tmp_path, level, story)


@pytest.mark.parametrize("level", ["unit procedure", "procedure"])
def test_a_trip_of_a_unit_holds_what_works_on_it(tmp_path: Path, level: str) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        suite.sim.skid.power_up()
        await suite.scans(20)
        assert phases(run, State.HELD) == HELD[level]
        assert run.state_on("TFF201") is State.HELD
        run.command(Command.RESTART, OPERATOR, "mended", PATHS[level])
        assert await finish(suite, run) is State.COMPLETE

    tell(tmp_path, level, story)


def test_a_stopped_phase_holds_its_own_group_at_the_lowest_level(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        run.command(Command.STOP, OPERATOR, "not needed", PATHS["phase"])
        await suite.scans(20)
        assert phases(run, State.STOPPED) == {"drive"}
        assert phases(run, State.HELD) == {"beside"}
        run.command(Command.RESTART, OPERATOR, "on", "all/moving/both/driving/two")
        assert await finish(suite, run) is State.COMPLETE

    tell(tmp_path, "phase", story)


def test_what_touches_the_whole_house_holds_everything(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        run.hold("the journal cannot be written")
        await suite.scans(20)
        assert phases(run, State.HELD) == HELD["procedure"]

    tell(tmp_path, "phase", story)


async def finish(suite: Suite, run: BatchRun) -> State:
    """Answer everything until the end; a batch of which a part is held does not get there."""
    for _ in range(600):
        if run.state in FINAL:
            break
        await suite.answer_all(run)
        await suite.scans(1)
    return run.state
