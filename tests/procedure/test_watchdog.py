"""A phase of which nothing is heard, one that does not end when it is told to, and a filtration that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import Command, State
from evcontrol.procedure.watchdog import SILENT_S
from simulators.faults import parse_fault
from tests.batch.suite import OPERATOR, RECIPE, Suite
from tests.procedure import drive
from tests.procedure.drive import Drive
from tests.procedure.test_commands import end, until

PHASE = "work/first/both/a"


def tell(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    running: Callable[[Drive], Awaitable[None]],
    story: Callable[[Suite, BatchRun], Awaitable[None]],
) -> None:
    drive.install(monkeypatch)
    monkeypatch.setattr(Drive, "running", running)

    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            suite.answers["do b"] = True
            await story(suite, await suite.start_batch(drive.RECIPE))

    run_virtual(main)


def test_a_phase_that_waits_for_what_never_comes_is_held_and_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    async def running(phase: Drive) -> None:
        begun.append(phase.context.path)
        if len(begun) == 1:
            await asyncio.Event().wait()

    async def story(suite: Suite, run: BatchRun) -> None:
        began = suite.clock.now()
        await until(suite, run, PHASE, State.HELD)
        assert (suite.clock.now() - began) / NS == pytest.approx(SILENT_S, abs=15.0)
        assert f"{PHASE}: nothing was heard of the phase's work for 60 s" in run.reason
        run.command(Command.RESTART, OPERATOR, "again")
        await until(suite, run, PHASE, State.COMPLETE)
        assert begun.count(PHASE) == 2
        await end(suite, run)

    tell(tmp_path, monkeypatch, running, story)


@pytest.mark.parametrize("frozen", [False, True])
def test_who_waits_for_a_person_a_scan_or_is_frozen_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    async def running(phase: Drive) -> None:
        if not frozen:
            await phase.context.for_seconds(600.0, "waits")
        else:
            await asyncio.Event().wait()

    async def story(suite: Suite, run: BatchRun) -> None:
        if frozen:
            monkeypatch.setattr(Drive, "shut_to_freeze", ("P102_SP",))
            await suite.scans(2)
            run.freeze(OPERATOR, "a look")
        await suite.scans(int(5 * SILENT_S / suite.plant.scan_s))
        assert run.state is State.RUNNING, run.reason  # the prompt beside it waits as well
        await end(suite, run)

    tell(tmp_path, monkeypatch, running, story)


def test_work_that_does_not_end_when_told_is_not_begun_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go, begun = asyncio.Event(), []

    async def running(phase: Drive) -> None:
        begun.append(phase.context.path)
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.scans(2)
        run.command(Command.HOLD, OPERATOR, "a look")
        await until(suite, run, PHASE, State.HELD)
        told = {e.path: e.waiting for e in run.elements()}[PHASE]
        assert "its work did not end when it was told to, and has no right to command any more" in told
        run.command(Command.RESTART, OPERATOR, "again")
        await suite.scans(2)
        await until(suite, run, PHASE, State.HELD)
        assert "cannot be begun beside that" in run.reason
        assert begun.count(PHASE) == 1
        let_go.set()
        await suite.scans(2)
        run.command(Command.RESTART, OPERATOR, "again")
        await until(suite, run, PHASE, State.COMPLETE)
        assert begun.count(PHASE) == 2
        await end(suite, run)

    tell(tmp_path, monkeypatch, running, story)


def test_a_filtration_that_stands_still_is_held_with_what_to_look_for(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path, clock) as suite:
            run = await suite.start_batch(RECIPE.read_text(encoding="utf-8"))
            await suite.until(run, lambda: any("concentrate" in path for path in run.running()))
            await suite.scans(120)
            parse_fault({"kind": "fouling", "resistance_per_m": 1e18}).begin(suite.sim)
            began = suite.clock.now()
            while run.state is State.RUNNING:
                await suite.scans(1)
                assert (suite.clock.now() - began) / NS < 1200.0
            assert run.state in (State.HOLDING, State.HELD)
            told = run.reason
            assert "has not come nearer to" in told, told

    run_virtual(main)
