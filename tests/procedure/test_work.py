"""What a phase does itself when it is restarted or stopped has a longest time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.states import Command, State
from evcontrol.procedure.work import LONGEST_TRANSIENT_S
from tests.batch.suite import OPERATOR, Suite
from tests.procedure.drive import RECIPE, Drive, install
from tests.procedure.test_commands import end, until

PHASE = "work/first/both/a"


@pytest.mark.parametrize(
    ("command", "method", "ends", "told"),
    [
        (Command.RESTART, "restarting", State.HELD, "what it does when it is restarted was not done in 120 s"),
        (Command.STOP, "stopping", State.STOPPED, "what it does when it is stopped was not done in 120 s"),
    ],
)
def test_a_transient_that_never_ends_is_ended_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, method: str, ends: State, told: str
) -> None:
    async def never(_: Drive) -> None:
        await asyncio.Event().wait()

    install(monkeypatch)
    monkeypatch.setattr(Drive, method, never)

    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path, clock) as suite:
            run = await suite.start_batch(RECIPE)
            await suite.scans(2)
            run.command(Command.HOLD, OPERATOR, "a look")
            await until(suite, run, "", State.HELD)
            run.command(command, OPERATOR, "on")
            began = suite.clock.now()
            await until(suite, run, PHASE, ends)
            assert (suite.clock.now() - began) / NS == pytest.approx(LONGEST_TRANSIENT_S, abs=15.0)
            await end(suite, run)

    run_virtual(main)
    reasons = [e.body["reason"] for e in read_events(tmp_path / "journal") if e.kind is Kind.STATE_CHANGED]
    assert any(told in reason for reason in reasons)
