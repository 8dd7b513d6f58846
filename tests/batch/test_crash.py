"""The engine dies at a random moment: the skid is safe by itself, and the batch is finished after a signature."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.store import verify
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import Command, State
from tests.batch.suite import OPERATOR, Suite

BATCH_S = 2450.0
"""About how long the shipped recipe takes."""
WRITES = 200
"""About how many discrete writes it makes."""
ACCURACY_G = 2.0
"""What the plant file lets the balances differ by (reconcile)."""
WATCHDOG_S = 13.0
"""The controller's watchdog, and what its actuators take to come to rest; beyond the retentate valve's travel."""


def arm(suite: Suite, chance: random.Random) -> None:
    """Kill the engine at a random time, or before or after a random write reaches the skid."""
    if chance.random() < 0.5:
        at = suite.clock.monotonic() + chance.uniform(1.0, BATCH_S)

        def look() -> None:
            if suite.clock.monotonic() >= at and not suite.killed.is_set():
                suite.kill()

        suite.each_step.append(look)
        return
    number, done_first = chance.randint(1, WRITES), chance.random() < 0.5

    def on_write(count: int, done: bool) -> None:
        if count == number and done is done_first:
            suite.kill()
            if not done:
                raise OSError("the process was killed")

    suite.wire.on_write = on_write


async def live_through(suite: Suite, chance: random.Random) -> BatchRun:
    """One batch whose engine is killed once; the run that finishes it."""
    run = await suite.start_batch()
    arm(suite, chance)
    finishing = asyncio.create_task(suite.finish(run))
    dying = asyncio.create_task(suite.killed.wait())
    await asyncio.wait([finishing, dying], return_when=asyncio.FIRST_COMPLETED)
    if finishing.done():
        finishing.result()
        return run
    died = suite.clock.now()
    suite.each_step.clear()
    await suite.bury()
    await suite.clock.sleep(chance.uniform(WATCHDOG_S + 10.0, 300.0))
    assert suite.sim.skid.safe
    kept = HistoryReader(suite.data / "history").span()
    assert kept is not None
    assert died - kept[1] <= NS
    await suite.start_engine()
    if run.id not in suite.engine.batches.runs:
        return run  # it had ended
    return await take_up(suite, suite.engine.batches.runs[run.id])


async def take_up(suite: Suite, run: BatchRun) -> BatchRun:
    """Held, reconciled, signed, restarted."""
    assert run.state is State.HELD
    assert suite.sim.skid.safe
    with pytest.raises(StartRefusedError, match="sign"):
        await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "go on")
    await suite.sign(run)
    await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "go on")
    while run.state is State.HELD:
        await suite.scans(1)
    assert await suite.finish(run) is State.COMPLETE
    return run


def check_totals(suite: Suite, run: BatchRun) -> None:
    """Feed, permeate and buffer are the recipe's within the accuracy of the balances."""
    results = {f"{p.rpartition('/')[2]} {n}": v for p, n, v, _ in suite.engine.view.batches[run.id].results}
    progress = suite.engine.view.batches[run.id].progress
    assert results["load feed"] == pytest.approx(1950.0, abs=ACCURACY_G)
    start = progress["ultrafiltration/filtration/concentrate"]["start"]["total_g"]
    assert results["concentrate retentate"] == pytest.approx(start / 10.0, abs=ACCURACY_G)
    retentate = progress["ultrafiltration/filtration/diafilter"]["start"]["total_g"]
    assert results["diafilter permeate"] == pytest.approx(6.0 * retentate, abs=ACCURACY_G)
    after = retentate + results["diafilter buffer"] * 0.998 - results["diafilter permeate"]
    assert after == pytest.approx(retentate, rel=0.1)


@pytest.mark.parametrize("seed", [pytest.param(i, marks=[pytest.mark.full] if i >= 5 else []) for i in range(50)])
def test_a_batch_survives_the_death_of_its_engine(tmp_path: Path, seed: int) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            run = await live_through(suite, random.Random(seed))
            check_totals(suite, run)
        verdict = verify(suite.data / "journal")
        assert verdict.intact, verdict.faults

    run_virtual(main)
