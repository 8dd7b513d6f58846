"""Freeze: pumps run on and no phase goes on; refused while liquid leaves or comes; ended by whatever is safer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.freeze import LONGEST_S
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import Command, State
from evcontrol.procedure.stepping import SteeringError
from tests.batch.suite import OPERATOR, Suite
from tests.batch.test_crash import check_totals

Story = Callable[[Suite, BatchRun], Awaitable[None]]


def tell(data: Path, story: Story, phase: str = "concentrate") -> None:
    """Run the shipped recipe until a phase has put the cross-flow on, the permeate still shut."""

    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch()
            await suite.until(run, lambda: any(phase in path for path in run.running()))
            if phase == "concentrate":
                await suite.until(run, lambda: value(suite, "P101_SP") > 0.0)
            await story(suite, run)

    run_virtual(main)


def value(suite: Suite, tag: str) -> float:
    return suite.engine.image.reading(f"TFF201.{tag}").value


def test_frozen_pumps_run_on_nothing_else_happens_and_it_goes_on_after_it(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        flow = value(suite, "P101_SP")
        run.freeze(OPERATOR, "a look at the retentate")
        await suite.scans(300)
        assert (run.state, value(suite, "P101_SP"), value(suite, "XV102_FB")) == (State.RUNNING, flow, 0.0)
        assert next(e.waiting for e in run.elements() if not e.path) == "frozen: a look at the retentate"
        assert run.max_speed()[0] == 1.0
        run.thaw(OPERATOR, "clear")
        assert await suite.finish(run) is State.COMPLETE
        check_totals(suite, run)

    tell(tmp_path, story)
    told = [
        e.body["reason"] for e in read_events(tmp_path / "journal") if e.kind in (Kind.BATCH_FROZEN, Kind.BATCH_THAWED)
    ]
    assert told == ["a look at the retentate", "clear"]


def test_what_stays_frozen_for_too_long_is_held(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        run.freeze(OPERATOR, "lunch")
        began = suite.clock.now()
        while run.state is not State.HELD:
            await suite.scans(1)
        assert (suite.clock.now() - began) / NS == pytest.approx(LONGEST_S, abs=10.0)
        assert (run.reason, run.frozen) == ("frozen for 30 min: lunch", "")
        assert (value(suite, "P101_SP"), value(suite, "XV102_FB")) == (0.0, 0.0)

    tell(tmp_path, story)


def test_an_open_permeate_is_never_frozen(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.until(run, lambda: value(suite, "XV102_FB") == 1.0)
        with pytest.raises(SteeringError, match=r"TFF201\.XV102 is open"):
            run.freeze(OPERATOR, "look")
        assert run.frozen == ""

    tell(tmp_path, story)


def test_a_transfer_and_a_held_batch_are_not_frozen(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        with pytest.raises(SteeringError, match="load cannot be frozen: hold it"):
            run.freeze(OPERATOR, "look")
        with pytest.raises(SteeringError, match="is not frozen"):
            run.thaw(OPERATOR, "look")
        run.command(Command.HOLD, OPERATOR, "look")
        with pytest.raises(SteeringError, match="is Holding"):
            run.freeze(OPERATOR, "look")

    tell(tmp_path, story, "load")


@pytest.mark.parametrize("what", ["command", "trip", "stop"])
def test_what_leads_to_safety_ends_a_freeze(tmp_path: Path, what: str) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        run.freeze(OPERATOR, "look")
        await suite.scans(5)
        if what == "trip":
            suite.sim.skid.power_up()
        else:
            run.command(Command.HOLD if what == "command" else Command.STOP, OPERATOR, "enough")
        await suite.scans(30)
        assert run.state is (State.STOPPED if what == "stop" else State.HELD)
        assert run.frozen == ""
        assert suite.engine.gate.lacks("TFF201") == []

    tell(tmp_path, story)
