"""A live parameter of a running batch: within its limits, signed, read by the phase at once, and kept after a crash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.access.people import AccessError
from evcontrol.batch.record import read_record
from evcontrol.batch.wording import about
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import State
from evcontrol.procedure.stepping import SteeringError
from evcontrol.yaml_source import SourceError
from tests.batch.suite import PASSWORD, RECIPE, Suite
from tests.procedure.test_structure import recipe

LIVE = RECIPE.read_text(encoding="utf-8").replace("  tmp: {value:", "  tmp: {live: yes, value:")


def tell(data: Path, story: Callable[[Suite, BatchRun], Awaitable[None]], phase: str) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(data / "data", clock) as suite:
            run = await suite.start_batch(LIVE)
            await suite.until(run, lambda: any(phase in path for path in run.running()))
            await suite.scans(60)
            await story(suite, run)

    run_virtual(main)


async def change(suite: Suite, run: BatchRun, name: str, value: str, roles: str = "supervisor") -> None:
    engine = suite.engine
    if engine.people.get(roles) is None:
        engine.people.add(roles, roles, [roles], PASSWORD)
    session, _ = await engine.sessions.open(roles, PASSWORD, "station 1")
    await engine.steering.change_parameter(run.id, name, value, session, PASSWORD, "the flux falls")


def test_the_phase_goes_on_with_the_new_value(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        def setpoint() -> float | None:
            return next(one.setpoint for one in suite.engine.loops.states() if one.spec.name == "TFF201.PIC_TMP")

        assert setpoint() == pytest.approx(4.0)
        await change(suite, run, "tmp", "3 psi")
        await suite.scans(2)
        assert setpoint() == pytest.approx(3.0)
        assert run.control.parameters["tmp"] == "3 psi"

    tell(tmp_path, story, "concentrate")
    (changed,) = [e for e in read_events(tmp_path / "data" / "journal") if e.kind is Kind.PARAMETER_CHANGED]
    assert (changed.body["old"], changed.body["new"], changed.actor) == ("4 psi", "3 psi", "user:supervisor")
    record = read_record(tmp_path / "data", "B-0001")
    told = [about(event, {}) for event in record.actions if event.kind is Kind.PARAMETER_CHANGED]
    assert told == ["tmp from 4 psi to 3 psi (the flux falls)"]


def test_what_is_not_live_not_there_or_beyond_its_limits_is_refused(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        with pytest.raises(SteeringError, match="is not live"):
            await change(suite, run, "diavolumes", "7 DV")
        with pytest.raises(SteeringError, match="no parameter"):
            await change(suite, run, "nothing", "7 DV")
        with pytest.raises(SourceError, match="above its limit"):
            await change(suite, run, "tmp", "50 psi")
        with pytest.raises(SourceError):
            await change(suite, run, "tmp", "3 mL")
        with pytest.raises(AccessError):
            await change(suite, run, "tmp", "3 psi", "engineer")
        assert run.control.parameters["tmp"] == "4 psi"

    tell(tmp_path, story, "install")


def test_a_changed_parameter_outlives_the_engine(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun) -> None:
        await change(suite, run, "tmp", "3 psi")
        suite.kill()
        await suite.bury()
        await suite.clock.sleep(20.0)
        await suite.start_engine()
        control = suite.engine.batches.runs[run.id].control
        assert control.parameters["tmp"] == "3 psi"
        bound = next(b for b in control.procedure.walk() if b.step.path.endswith("/concentrate"))
        assert bound.arguments["tmp"] == pytest.approx(3.0)

    tell(tmp_path, story, "install")


def test_a_handler_looks_with_the_new_value(tmp_path: Path) -> None:
    text = recipe("- phase: wait\n  with: {time: 1 h}\n  on: [{when: tff.LT < high, do: hold}]")
    text = text.replace("high: {value: 5 %v/v", "high: {live: yes, value: -1 %v/v")

    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            run = await suite.start_batch(text)
            await suite.scans(30)
            assert run.state is State.RUNNING
            await change(suite, run, "high", "50 %v/v")
            await suite.scans(30)
            assert run.state is State.HELD
            assert "tff.LT < high" in run.reason

    run_virtual(main)
