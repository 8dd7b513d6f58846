"""What could cost the product: weights that lie, buffer that does not come, commands in an unlucky order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Event
from evcontrol.procedure.prompts import AnswerError
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import Command, State
from tests.batch.suite import OPERATOR, Suite

Story = Callable[[Suite, BatchRun], Awaitable[None]]


def tell(data: Path, story: Story, phase: str, scans: int = 60, **parameters: str) -> None:
    """Run the shipped recipe into a phase, and then the story."""

    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch(**parameters)
            await suite.until(run, lambda: any(phase in path for path in run.running()))
            await suite.scans(scans)
            await story(suite, run)

    run_virtual(main)


async def held(suite: Suite, run: BatchRun) -> str:
    """Wait, with a bound, until the batch is held; why."""
    async with asyncio.timeout(3600):
        while run.state is not State.HELD:
            await suite.scans(1)
    await suite.scans(12)
    assert suite.sim.skid.safe
    return run.reason


async def command(suite: Suite, run: BatchRun, command: Command, path: str = "") -> None:
    await suite.engine.batches.command(run.id, command, OPERATOR, "test", path)
    await suite.scans(12)


def retentate_ml(suite: Suite) -> float:
    return float(suite.sim.truth()["liquids"]["retentate"]["volume_ml"])


def test_an_element_is_not_restarted_while_what_it_stands_in_is_held(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await command(suite, run, Command.HOLD)
        with pytest.raises(StartRefusedError, match=r"filtration is Held: restart that"):
            await command(suite, run, Command.RESTART, "ultrafiltration/filtration/concentrate")
        assert suite.sim.skid.safe

    tell(tmp_path, story, "concentrate")


def test_a_phase_that_fails_while_it_is_to_pause_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.engine.batches.command(run.id, Command.PAUSE, OPERATOR, "test")
        context = next(e.context for e in run.root.walk() if e.context is not None and "concentrate" in e.path)

        def broken(tag: str) -> float:
            raise ZeroDivisionError(tag)

        monkeypatch.setattr(context, "reading", broken)
        assert "ZeroDivisionError" in await held(suite, run)

    tell(tmp_path, story, "concentrate")


def test_a_balance_that_comes_back_with_a_new_zero_ends_nothing(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        before = retentate_ml(suite)
        suite.sim.balances["WT-RET"].restart()
        assert "the balances do not agree" in await held(suite, run)
        assert retentate_ml(suite) > before - 60.0

    tell(tmp_path, story, "concentrate", 120)


def test_a_permeate_vessel_changed_while_held_is_asked_for_and_counted_on(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await command(suite, run, Command.HOLD)
        suite.sim.balances["WT-PERM"].moved_g = -suite.sim.truth()["permeate_g"]
        await suite.scans(5)
        suite.answers["which vessel"] = "permeate vessel"
        await command(suite, run, Command.RESTART)
        assert await suite.finish(run) is State.COMPLETE
        results = {name: value for _, name, value, _ in suite.engine.view.batches[run.id].results}
        assert results["diavolumes"] == pytest.approx(6.0, abs=0.05)

    tell(tmp_path, story, "diafilter", 90)


def test_a_crash_while_a_changed_vessel_is_put_down_loses_neither_start_nor_target(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await command(suite, run, Command.HOLD)
        suite.sim.balances["WT-PERM"].moved_g = -suite.sim.truth()["permeate_g"]
        await suite.scans(5)
        suite.answers["which vessel"] = "permeate vessel"
        told: list[str] = []

        def kill_after_the_new_start(event: Event) -> None:
            if told and not suite.killed.is_set():
                suite.kill()
            if event.body.get("key") == "start":
                told.append(event.path)

        suite.engine.journal.subscribe(kill_after_the_new_start)
        await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "test")
        while not suite.killed.is_set():
            await suite.engine.scanner.next_scan()
            if not suite.killed.is_set():
                await suite.answer_all(run)
        await suite.bury()
        await suite.clock.sleep(60.0)
        await suite.start_engine()
        again = suite.engine.batches.runs[run.id]
        await suite.sign(again)
        await command(suite, again, Command.RESTART)
        assert await suite.finish(again) is State.COMPLETE
        results = {name: value for _, name, value, _ in suite.engine.view.batches[run.id].results}
        assert results["diavolumes"] == pytest.approx(6.0, abs=0.05)

    tell(tmp_path / "data", story, "diafilter", 90)


def test_without_buffer_the_diafiltration_is_held_and_not_filtered_down(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        before = retentate_ml(suite)
        suite.sim.process.ledger.buffer.take(suite.sim.process.ledger.buffer.volume_ml - 20.0)
        reason = await held(suite, run)
        assert "buffer" in reason
        assert retentate_ml(suite) > before - 40.0

    tell(tmp_path, story, "diafilter", 90)


def test_an_end_point_that_the_pump_cannot_hold_is_refused_before_the_permeate_opens(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path, clock) as suite:
            run = await suite.start_batch(feed_mass="500 g", concentration="15 x")
            with pytest.raises(AssertionError, match="concentrate less, or load more"):
                await suite.finish(run)
            assert suite.sim.truth()["liquids"]["retentate"]["volume_ml"] > 440.0

    run_virtual(main)


def test_nothing_is_filled_onto_product_that_was_not_recovered_unless_a_person_gives_it_up(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await command(suite, run, Command.STOP, "ultrafiltration/recovery/recover")
        await held(suite, run)
        before = retentate_ml(suite)
        await command(suite, run, Command.RESTART)
        await suite.scans(120)
        assert any("holds product" in prompt.text for prompt in run.prompts())
        assert retentate_ml(suite) == pytest.approx(before, abs=1.0)

    tell(tmp_path, story, "recover", 3)


def test_the_next_batch_does_not_take_a_full_vessel_for_an_empty_one(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await command(suite, run, Command.ABORT)
        await suite.scans(20)
        again = await suite.start_batch()
        suite.answers |= {"holds product": True, "membrane module": "HF500-1600 SN-0002"}
        with pytest.raises(AssertionError, match="the retentate vessel is not empty"):
            await suite.finish(again)

    tell(tmp_path, story, "concentrate")


def test_of_two_answers_at_once_one_counts_and_the_other_is_told(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path, clock) as suite:
            run = await suite.start_batch()
            await suite.scans(2)
            (prompt,) = run.prompts()
            answers = [
                suite.engine.batches.answer(run.id, prompt.id, f"HF500-1600 SN-{n}", OPERATOR, "") for n in (1, 2)
            ]
            first, second = await asyncio.gather(*answers, return_exceptions=True)
            assert first is None
            assert isinstance(second, AnswerError)
            await suite.scans(3)
            assert suite.engine.image.text("TFF201.MODULE") == "SN-1"

    run_virtual(main)


def test_caustic_works_for_its_whole_time_whatever_was_held_in_between(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await suite.until(run, lambda: "caustic works" in " ".join(e.waiting for e in run.elements()))
        await command(suite, run, Command.HOLD)
        await suite.clock.sleep(900.0)
        worked = suite.engine.view.batches[run.id].progress["ultrafiltration/recovery/after_recovery/clean"]
        assert worked.get("caustic worked s", 0.0) < 120.0
        await command(suite, run, Command.RESTART)
        assert await suite.finish(run) is State.COMPLETE

    tell(tmp_path, story, "clean", 3)


def test_what_cannot_be_read_cannot_be_signed_and_what_changed_is_shown_anew(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        suite.kill()
        await suite.bury()
        await suite.start_engine()
        again = suite.engine.batches.runs[run.id]
        suite.sim.balance_links["WT-PERM"].plugged = False
        await suite.scans(3)
        with pytest.raises(StartRefusedError, match="look at it again"):
            await suite.sign(again)
        with pytest.raises(StartRefusedError, match="WT_PERM cannot be read"):
            await suite.sign(again)
        suite.sim.balance_links["WT-PERM"].plugged = True
        await suite.scans(10)
        with pytest.raises(StartRefusedError, match="look at it again"):
            await suite.sign(again)
        await suite.sign(again)
        assert not again.reconciliation_due

    tell(tmp_path, story, "concentrate")


def test_a_batch_whose_engine_died_before_it_began_blocks_nothing(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:

            def kill_at_once(event: object) -> None:
                if getattr(event, "kind", "") == "state.changed" and not suite.killed.is_set():
                    suite.kill()

            suite.engine.journal.subscribe(kill_at_once)
            await suite.start_batch()
            await suite.bury()
            await suite.start_engine()
            assert suite.engine.batches.active() == []
            assert suite.engine.view.batches["B-0001"].state == "Aborted"
            run = await suite.start_batch()
            assert run.id == "B-0002"

    run_virtual(main)
