"""Batches that want one unit: who has it, who waits, and what happens when none can go on."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.batch.reconcile import Reconciliation
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.control.gate import Mode
from evcontrol.journal.events import Event, Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import FINAL, Command, State
from tests.batch.ev_suite import OPERATOR, EvSuite

TFF, BR = "TFF201", "BR101"


def recipe(*steps: tuple[str, int], late: str = "tff") -> str:
    """Waits of so many seconds on units, one after another; those in ``late`` are allocated when needed."""
    classes = {"tff": "tff", "br": "bioreactor"}
    used = {unit for unit, _ in steps}
    units = "\n".join(
        f"  {unit}: {{class: {classes[unit]}, allocate: {'when needed' if unit in late.split() else 'at start'}}}"
        for unit in sorted(used)
    )
    procedure = "\n".join(
        f"  - unit_procedure: u{number}\n    unit: {unit}\n    steps: [{{phase: wait, with: {{time: {s} s}}}}]"
        for number, (unit, s) in enumerate(steps)
    )
    return f"recipe: R\nversion: 1.0.0\nproduct: P\nunits:\n{units}\nprocedure:\n{procedure}\n"


CULTURE = recipe(("br", 600), ("tff", 300), ("br", 300))
CLEANING = recipe(("tff", 900), late="")


def tell(data: Path, story: Callable[[EvSuite], Awaitable[None]]) -> list[Event]:
    async def main(clock: VirtualClock) -> EvSuite:
        async with EvSuite(data / "data", clock, speed=1.0) as suite:
            await story(suite)
            return suite

    suite = run_virtual(main)
    return list(read_events(suite.data / "journal"))


async def until(suite: EvSuite, there: Callable[[], bool], scans: int = 20_000) -> None:
    for _ in range(scans):
        if there():
            return
        await suite.scans(1)
    raise AssertionError(f"not there: {[(r.id, r.state, r.reason) for r in suite.engine.batches.runs.values()]}")


def waiting(run: BatchRun) -> str:
    return "; ".join(e.waiting for e in run.elements() if e.waiting.startswith("waits for"))


def units(events: list[Event]) -> list[tuple[str, str, str]]:
    wanted = (Kind.UNIT_ALLOCATED, Kind.UNIT_RELEASED)
    return [(e.batch, e.kind.partition(".")[2], e.body["unit"]) for e in events if e.kind in wanted]


def test_a_unit_that_is_needed_later_serves_another_batch_meanwhile(tmp_path: Path) -> None:
    async def story(suite: EvSuite) -> None:
        culture = await suite.start_batch(CULTURE)
        cleaning = await suite.start_batch(CLEANING)
        assert (culture.units, cleaning.units) == ([BR], [TFF])
        await until(suite, lambda: waiting(culture) != "")
        assert waiting(culture) == f"waits for {TFF}: it is used by B-0002"
        assert cleaning.state is State.RUNNING
        await until(suite, lambda: "u1/wait" in culture.running())
        assert cleaning.state is State.COMPLETE
        assert culture.units == [BR, TFF]
        with pytest.raises(StartRefusedError, match=f"{TFF} is used by B-0001"):
            await suite.start_batch(CLEANING)
        await until(suite, lambda: "u2/wait" in culture.running())
        await until(suite, lambda: not suite.engine.batches.allocation.owner(TFF))
        assert culture.units == [BR]
        again = await suite.start_batch(CLEANING)
        await until(suite, lambda: {culture.state, again.state} == {State.COMPLETE})

    events = tell(tmp_path, story)
    assert units(events) == [("B-0001", "allocated", TFF), ("B-0001", "released", TFF)]
    safe = [e.body["why"] for e in events if e.kind is Kind.SAFE_STATE and e.body["unit"] == TFF]
    assert "B-0001 needs it no longer" in safe


def test_who_asks_first_is_first(tmp_path: Path) -> None:
    async def story(suite: EvSuite) -> None:
        await suite.start_batch(CLEANING)
        second = await suite.start_batch(recipe(("tff", 50)))
        await suite.scans(3)
        third = await suite.start_batch(recipe(("tff", 50)))
        await suite.scans(3)
        assert waiting(second) == f"waits for {TFF}: it is used by B-0001"
        assert waiting(third) == f"waits for {TFF}: it is used by B-0001, and B-0002 is next"
        await until(suite, lambda: {second.state, third.state} == {State.COMPLETE})

    assert [batch for batch, what, _ in units(tell(tmp_path, story)) if what == "allocated"] == ["B-0002", "B-0003"]


def test_a_new_batch_does_not_get_before_one_that_waits(tmp_path: Path) -> None:
    async def story(suite: EvSuite) -> None:
        first = await suite.start_batch(CLEANING)
        second = await suite.start_batch(recipe(("tff", 50)))
        await until(suite, lambda: first.state is State.COMPLETE)
        with pytest.raises(StartRefusedError, match=f"{TFF}: B-0002 waits for it"):
            await suite.start_batch(CLEANING)
        await until(suite, lambda: second.state is State.COMPLETE)

    tell(tmp_path, story)


def test_who_is_held_does_not_hold_up_those_behind(tmp_path: Path) -> None:
    async def story(suite: EvSuite) -> None:
        await suite.start_batch(CLEANING)
        second = await suite.start_batch(recipe(("tff", 50)))
        await suite.scans(3)
        third = await suite.start_batch(recipe(("tff", 50)))
        await suite.scans(3)
        second.command(Command.HOLD, OPERATOR, "not now")
        await until(suite, lambda: third.state is State.COMPLETE)
        assert second.state is State.HELD
        second.command(Command.RESTART, OPERATOR, "now")
        await until(suite, lambda: second.state is State.COMPLETE)

    tell(tmp_path, story)


def test_batches_that_wait_for_each_other_are_told_and_one_is_held(tmp_path: Path) -> None:
    async def story(suite: EvSuite) -> None:
        one = await suite.start_batch(recipe(("br", 100), ("tff", 50), ("br", 50), late="br tff"))
        other = await suite.start_batch(recipe(("tff", 200), ("br", 50), ("tff", 50), late="br tff"))
        await until(suite, lambda: waiting(one) != "")
        assert one.state is State.RUNNING, "the other goes on, and may give up what it has"
        await until(suite, lambda: State.HELD in (one.state, other.state))
        held, free = (one, other) if one.state is State.HELD else (other, one)
        assert "deadlock: " in held.reason
        for run, wanted in ((one, TFF), (other, BR)):
            assert f"{run.id} waits for {wanted}, which " in held.reason
        held.command(Command.STOP, OPERATOR, "the other is worth more")
        await until(suite, lambda: free.state is State.COMPLETE)

    tell(tmp_path, story)


def test_a_unit_that_is_free_and_not_ready_holds_the_batch(tmp_path: Path) -> None:
    async def story(suite: EvSuite) -> None:
        culture = await suite.start_batch(CULTURE)
        await suite.engine.set_mode(TFF, Mode.MANUAL, OPERATOR, "a look")
        await until(suite, lambda: culture.state is State.HELD)
        assert re.search(rf"B-0001 cannot begin on {TFF}: .*manual", culture.reason, re.IGNORECASE)
        await suite.engine.set_mode(TFF, Mode.AUTOMATIC, OPERATOR, "done")
        await until(suite, lambda: not suite.engine.gate.is_being_made_safe(TFF))
        culture.command(Command.RESTART, OPERATOR, "ready")
        await until(suite, lambda: culture.state in FINAL)
        assert culture.state is State.COMPLETE

    tell(tmp_path, story)


@pytest.mark.parametrize("has", [True, False])
def test_what_a_batch_had_it_has_after_its_engine_died(tmp_path: Path, has: bool) -> None:
    async def story(suite: EvSuite) -> None:
        culture = await suite.start_batch(CULTURE)
        if has:
            await until(suite, lambda: "u1/wait" in culture.running())
        await suite.scans(3)
        suite.kill()
        await suite.bury()
        await suite.start_engine()
        again = suite.engine.batches.runs[culture.id]
        shown: Reconciliation = suite.engine.batches.reconciliations[culture.id]
        assert any(TFF in item.what for item in shown.items) == has, "what it does not have is not its to compare"
        if has:
            with pytest.raises(StartRefusedError, match=f"{TFF} is used by B-0001"):
                await suite.start_batch(CLEANING)
        else:
            cleaning = await suite.start_batch(CLEANING)
            assert cleaning.state is State.RUNNING
        await suite.restart(again)
        await until(suite, lambda: again.state is State.COMPLETE)

    tell(tmp_path, story)
