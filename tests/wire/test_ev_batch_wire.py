"""The whole EV batch over real sockets and serial lines: its engine is killed again and again, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from evcontrol.api.client import ApiError
from evcontrol.api.picture import Picture
from evcontrol.cli.demo_script import load_script
from evcontrol.clock import LiveClock
from evcontrol.journal.replay import PlantView
from evcontrol.journal.store import read_events, verify
from evcontrol.procedure.phase import FASTEST
from tests.batch.ev_totals import check_totals
from tests.wire.processes import CELL, EV_BATCH, Processes

WHOLE_S = 900.0
KILLS = 5
LIVES_S = (5.0, 60.0)
"""Real time that the engine lives before it is killed again: together about what the batch takes."""
ACCURACY_G = 3.0
"""What one scan of 1.5 s at thirty times real time lets pass beside the balances' tolerance of 2 g."""


@pytest.mark.full
@pytest.mark.timeout(2 * WHOLE_S)
@pytest.mark.parametrize("seed", range(4))
def test_the_whole_batch_survives_sigkills_of_its_engine(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    async def main() -> None:
        async with Processes(tmp_path, speed=FASTEST, plant=CELL) as suite:
            await suite.start_batch(EV_BATCH.read_text(encoding="utf-8"), **load_script().parameters)
            killed = 0
            while killed < KILLS and await lived(suite, chance.uniform(*LIVES_S)):
                await kill_and_restart(suite)
                killed += 1
            await suite.until_state("Complete", bound_s=WHOLE_S)
            assert killed == KILLS
            check_totals(
                PlantView(read_events(tmp_path / "journal")).batches[suite.batch], await suite.truth(), ACCURACY_G
            )

    asyncio.run(main())
    verdict = verify(tmp_path / "journal")
    assert verdict.intact, verdict.faults


async def lived(suite: Processes, seconds: float) -> bool:
    """Let the engine live for so long; whether the batch is still running then."""
    clock = LiveClock()
    end = clock.monotonic() + seconds

    def over(picture: Picture) -> bool:
        state = suite.state(picture)  # empty before the stream has told of it
        return state not in ("", "Running") or (state == "Running" and clock.monotonic() >= end)

    await suite.until(over, WHOLE_S)
    state = suite.state(suite.picture)
    assert state in ("Running", "Complete"), (await suite.client.batch(suite.batch)).summary
    return state == "Running"


async def kill_and_restart(suite: Processes) -> None:
    """SIGKILL; the skid is safe without the engine, the batch is Held, and goes on when it was reconciled."""
    await suite.kill(suite.engine)
    await suite.until_safe()
    await suite.start_engine()
    summary = (await suite.client.batch(suite.batch)).summary
    assert (summary.state, summary.reconciliation_due) == ("Held", True)
    with pytest.raises(ApiError, match="sign"):
        await suite.command("restart")
    async with asyncio.timeout(WHOLE_S):
        while True:
            try:
                if (await suite.client.batch(suite.batch)).summary.reconciliation_due:
                    await suite.sign()
                await suite.command("restart", "reconciled")
            except ApiError as refused:
                if "cannot restart" not in str(refused) and "has changed" not in str(refused):
                    raise
                since = suite.picture.t
                await suite.until(lambda picture, since=since: picture.t > since)
            else:
                break
    await suite.until_state("Running")
