"""The engine dies at a random moment of the whole batch: Held, signed, restarted, and nothing is done twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.journal.events import Event
from evcontrol.journal.store import verify
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import Command, State
from tests.batch.ev_suite import OPERATOR, EvSuite
from tests.batch.ev_totals import check_totals

BATCH_H = 26.0
"""About how long the batch of the demo takes."""
EVENTS = 1500
"""About how many events it leaves in the journal."""
OUTAGE_SPEED = 60.0
Arm = Callable[[EvSuite, random.Random], None]


def arm(suite: EvSuite, chance: random.Random) -> None:
    """Kill the engine at a random time, or at a random event before it is on disk."""
    if chance.random() < 0.5:
        at = suite.clock.now() + round(chance.uniform(0.0, BATCH_H) * 3600 * NS)

        def look() -> None:
            if suite.clock.now() >= at and not suite.killed.is_set():
                suite.each_step.clear()
                suite.kill()

        suite.each_step.append(look)
        return
    left = chance.randint(1, EVENTS)

    def on_event(_event: Event) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            suite.kill()

    suite.engine.journal.subscribe(on_event)


def arm_in_harvest(suite: EvSuite, _: random.Random) -> None:
    """Kill the engine when the harvest has drained the vessel, and before that is put down."""

    def look() -> None:
        phases = [path for run in suite.engine.batches.active() for path in run.running()]
        drained = suite.sim.truth()["BR101"]["liquids"]["vessel"]["volume_ml"] < 60.0
        if drained and any(path.endswith("/harvest") for path in phases) and not suite.killed.is_set():
            suite.each_step.clear()
            suite.kill()

    suite.each_step.append(look)


async def live_through(suite: EvSuite, chance: random.Random, arm: Arm = arm) -> BatchRun:
    """One batch whose engine is killed once; the run that finishes it."""
    run = await suite.start_batch()
    arm(suite, chance)
    finishing = asyncio.create_task(suite.finish(run))
    await asyncio.wait([finishing])
    if not suite.killed.is_set():
        assert finishing.result() is State.COMPLETE
        return run
    suite.each_step.clear()
    await suite.bury()
    suite.clock.set_speed(OUTAGE_SPEED)
    await suite.clock.sleep(chance.uniform(60.0, 1800.0))
    suite.clock.set_speed(1.0)
    await suite.start_engine()
    if run.id not in suite.engine.batches.runs:
        return run  # it had ended
    run = suite.engine.batches.runs[run.id]
    await take_up(suite, run)
    assert await suite.finish(run) is State.COMPLETE
    return run


async def take_up(suite: EvSuite, run: BatchRun) -> None:
    """Held, not to be restarted without a signature, and then it goes on."""
    assert run.state is State.HELD
    with pytest.raises(StartRefusedError, match="sign"):
        await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "go on")
    for _ in range(60):
        await suite.scans(2)
        try:
            await suite.restart(run)
        except StartRefusedError as refused:  # a reading is still coming, or a unit still on its way
            told = str(refused)
        else:
            break
    else:
        raise AssertionError(told)
    while run.state is State.HELD:
        await suite.scans(1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [pytest.param(i, marks=[pytest.mark.full] if i >= 3 else []) for i in range(200)])
def test_the_whole_batch_survives_the_death_of_its_engine(tmp_path: Path, seed: int) -> None:
    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path / "data", clock) as suite:
            run = await live_through(suite, random.Random(seed))
            check_totals(suite.engine.view.batches[run.id], suite.sim.truth())
        verdict = verify(suite.data / "journal")
        assert verdict.intact, verdict.faults

    run_virtual(main)


@pytest.mark.timeout(300)
def test_a_vessel_that_was_drained_when_the_engine_died_is_not_circulated_again(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path / "data", clock) as suite:
            run = await live_through(suite, random.Random(1), arm_in_harvest)
            assert suite.data != tmp_path / "data", "the engine was never killed"
            check_totals(suite.engine.view.batches[run.id], suite.sim.truth())

    run_virtual(main)
