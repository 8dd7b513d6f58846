"""The engine dies at a random moment of the whole batch: Held, signed, restarted, and nothing is done twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.journal.events import Event
from evcontrol.journal.store import verify
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import Command, State
from tests.batch.ev_suite import OPERATOR, EvSuite

BATCH_H = 26.0
"""About how long the batch of the demo takes."""
EVENTS = 1500
"""About how many events it leaves in the journal."""
SKID_G, REACTOR_G = 2.0, 10.0
"""What the plant file lets the balances differ by (reconcile)."""
OUTAGE_SPEED = 60.0
EXCHANGE_ML, EXCHANGES = 900.0, 3


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


async def live_through(suite: EvSuite, chance: random.Random) -> BatchRun:
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


def check_totals(suite: EvSuite, run: BatchRun) -> None:
    """Medium, feed, permeate and buffer are the recipe's, by what was recorded and by what really flowed."""
    view = suite.engine.view.batches[run.id]
    results = {f"{path.rpartition('/')[2]} {name}": value for path, name, value, _ in view.results}
    for name in ("wash_out exchanged 1", "wash_out exchanged 2", "condition exchanged collection 1"):
        assert results[name] == pytest.approx(EXCHANGE_ML * 0.998, abs=REACTOR_G), name
    assert results["harvest pool"] == pytest.approx(1863.0, abs=2 * REACTOR_G)
    assert results["load feed"] == pytest.approx(1750.0, abs=SKID_G)
    progress = view.progress
    total = progress["processing/ultrafiltration/concentrate"]["start"]["total_g"]
    assert results["concentrate retentate"] == pytest.approx(total / 10.0, abs=SKID_G)
    assert results["concentrate permeate"] == pytest.approx(total * 0.9, abs=3 * SKID_G)
    retentate = progress["processing/ultrafiltration/diafilter"]["start"]["total_g"]
    assert results["diafilter permeate"] == pytest.approx(6.0 * retentate, abs=SKID_G)
    assert results["diafilter buffer"] * 0.998 == pytest.approx(6.0 * retentate, rel=0.02)
    liquids = suite.sim.truth()["BR101"]["liquids"]
    assert liquids["waste"]["volume_ml"] == pytest.approx(2 * EXCHANGE_ML, abs=REACTOR_G)
    used = 10000.0 - liquids["production"]["volume_ml"]
    assert used == pytest.approx(EXCHANGES * EXCHANGE_ML, abs=2 * REACTOR_G)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [pytest.param(i, marks=[pytest.mark.full] if i >= 3 else []) for i in range(200)])
def test_the_whole_batch_survives_the_death_of_its_engine(tmp_path: Path, seed: int) -> None:
    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path / "data", clock) as suite:
            run = await live_through(suite, random.Random(seed))
            check_totals(suite, run)
        verdict = verify(suite.data / "journal")
        assert verdict.intact, verdict.faults

    run_virtual(main)
