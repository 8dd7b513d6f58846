"""Faults of the equipment during a batch: Held in the safe state, told in words, and finished afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import Command, State
from evcontrol.quality import is_bad
from tests.batch.suite import OPERATOR, Suite

Story = Callable[[Suite, BatchRun], Awaitable[None]]


def tell(data: Path, story: Story, phase: str = "concentrate") -> None:
    """Run the shipped recipe into the middle of a phase, and then the story."""

    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch()
            await suite.until(run, lambda: any(phase in path for path in run.running()))
            await suite.scans(90)
            await story(suite, run)

    run_virtual(main)


async def held(suite: Suite, run: BatchRun) -> None:
    """Wait, with a bound, until the batch is held."""
    async with asyncio.timeout(120):
        while run.state is not State.HELD:
            await suite.scans(1)


async def restart(suite: Suite, run: BatchRun) -> None:
    await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "mended")
    while run.state is State.HELD:
        await suite.scans(1)


def test_a_silent_skid_turns_bad_and_holds_and_the_batch_is_finished_after_it(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        suite.sim.skid_link.silent = True
        await suite.scans(2)
        assert is_bad(suite.engine.image.reading("TFF201.TMP").quality)
        await held(suite, run)
        assert "TFF201" in run.reason
        assert "not in its safe state" in " ".join(e.waiting for e in run.elements())
        with pytest.raises(StartRefusedError, match="TFF201 is"):
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "now")
        await suite.clock.sleep(30.0)
        assert suite.sim.skid.safe
        suite.sim.skid_link.silent = False
        await suite.scans(40)
        await restart(suite, run)
        assert await suite.finish(run) is State.COMPLETE

    tell(tmp_path, story)


def test_an_unplugged_balance_holds_in_the_safe_state_and_stop_works(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        suite.sim.balance_links["WT-PERM"].plugged = False
        await suite.scans(2)
        assert is_bad(suite.engine.image.reading("TFF201.WT_PERM").quality)
        await held(suite, run)
        await suite.scans(12)
        assert suite.sim.skid.safe
        await suite.engine.batches.command(run.id, Command.STOP, OPERATOR, "enough")
        async with asyncio.timeout(120):
            while run.state is not State.STOPPED:
                await suite.scans(1)
        assert suite.sim.skid.safe

    tell(tmp_path, story, "diafilter")


def test_stop_says_what_it_could_not_reach(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        suite.sim.skid_link.silent = True
        await held(suite, run)
        await suite.engine.batches.command(run.id, Command.STOP, OPERATOR, "enough")
        async with asyncio.timeout(120):
            while run.state is not State.STOPPED:
                await suite.scans(1)
        told = next(e.reason for e in run.root.walk() if "concentrate" in e.path)
        assert "TFF201.XV102" in told
        suite.sim.skid_link.silent = False

    tell(tmp_path, story)


def test_a_hold_by_a_person_restarts_where_it_was(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        weight = suite.engine.image.reading("TFF201.WT_RET").value
        await suite.engine.batches.command(run.id, Command.HOLD, OPERATOR, "lunch")
        await held(suite, run)
        await suite.clock.sleep(600.0)
        assert suite.sim.skid.safe
        assert suite.engine.image.reading("TFF201.WT_RET").value == pytest.approx(weight, abs=10.0)
        await restart(suite, run)
        assert await suite.finish(run) is State.COMPLETE

    tell(tmp_path, story)


def test_a_tripped_controller_holds_and_a_restart_resets_its_watchdog(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        suite.sim.skid.power_up()
        await held(suite, run)
        assert "TFF201 restarted (start counter " in run.reason
        await suite.scans(20)
        await restart(suite, run)
        assert await suite.finish(run) is State.COMPLETE

    tell(tmp_path, story)


def test_a_takeover_at_the_panel_is_seen_and_not_fought(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        suite.sim.skid.take_over(P101=3000)
        await held(suite, run)
        await suite.clock.sleep(60.0)
        assert suite.engine.image.reading("TFF201.P101_SP").value == 300.0
        with pytest.raises(StartRefusedError, match="LOCAL"):
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "now")
        suite.sim.skid.hand_back()
        await suite.clock.sleep(60.0)
        await restart(suite, run)
        assert await suite.finish(run) is State.COMPLETE

    tell(tmp_path, story)


def test_a_blocked_retentate_line_trips_the_controller_and_is_told_so(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        suite.sim.process.blockage = 400.0
        await held(suite, run)
        assert "interlock TFF201.CONTROLLER_TRIPPED" in run.reason
        await suite.clock.sleep(30.0)
        assert suite.sim.skid.safe

    tell(tmp_path, story)


def test_an_empty_feed_container_holds_in_words(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path, clock) as suite:
            run = await suite.start_batch(feed_mass="2500 g")
            with pytest.raises(AssertionError, match="nothing flows from feed"):
                await suite.finish(run)

    run_virtual(main)


def test_an_exception_inside_a_phase_holds_in_the_safe_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        context = next(e.context for e in run.root.walk() if e.context is not None and "concentrate" in e.path)

        def broken(tag: str) -> float:
            raise ZeroDivisionError("a fault in the phase's own code")

        monkeypatch.setattr(context, "reading", broken)
        await held(suite, run)
        assert "ZeroDivisionError" in run.reason
        await suite.scans(12)
        assert suite.sim.skid.safe

    tell(tmp_path, story)


def test_history_goes_on_while_held(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.engine.batches.command(run.id, Command.HOLD, OPERATOR, "look")
        await held(suite, run)
        before = suite.clock.now()
        await suite.scans(30)
        assert suite.engine.historian.lag_s <= 1.0
        assert suite.clock.now() - before >= 29 * NS

    tell(tmp_path, story)


def test_a_valve_that_sticks_under_its_loop_is_an_alarm_in_ten_seconds_and_nothing_is_wound_up(tmp_path: Path) -> None:
    loop, alarm = "TFF201.PIC_TMP", "TFF201.PCV101_STUCK"

    async def story(suite: Suite, run: BatchRun) -> None:
        engine, valve = suite.engine, suite.sim.process.retentate_valve

        def tmp() -> float:
            return float(engine.image.reading("TFF201.TMP").value)

        asked = next(state.setpoint for state in engine.loops.states() if state.spec.name == loop)
        assert asked is not None
        assert not engine.alarms.is_active(alarm)
        valve.stuck = True
        engine.loops.change(loop, asked + 1.0, OPERATOR, "more is wanted")
        begun = engine.clock.now()
        while not engine.alarms.is_active(alarm):
            await suite.scans(1)
        assert (engine.clock.now() - begun) / NS <= 10.0
        await suite.scans(120)
        ahead = engine.image.reading("TFF201.PCV101_SP").value - engine.image.reading("TFF201.PCV101_POS").value
        assert abs(ahead) <= engine.plant.loops[loop].lead + 1.0
        valve.stuck = False
        worst = 0.0
        for _ in range(90):
            await suite.scans(1)
            worst = max(worst, tmp() - (asked + 1.0))
        assert worst < 1.0
        assert tmp() == pytest.approx(asked + 1.0, abs=0.5)
        assert not engine.alarms.is_active(alarm)

    tell(tmp_path, story)
