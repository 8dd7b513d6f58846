"""The shipped plants' sensor checks on simulated equipment whose sensors lie: found, told, and the batch is held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from evcontrol.alarms.states import ACTIVE
from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.engine import Engine
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import Command, State
from evcontrol.quality import is_good, text
from simulators.faults import Faults, parse_fault
from tests.batch.ev_suite import EvSuite
from tests.batch.suite import OPERATOR, Suite

Story = Callable[[Suite, BatchRun, Faults], Awaitable[None]]


RECIPE = """\
recipe: Short ultrafiltration
version: 1.0.0
product: test
units: {tff: {class: tff}}
procedure:
  - unit_procedure: short
    unit: tff
    steps:
      - {phase: install_membrane, with: {module_type: HF500-1600}}
      - {phase: load, with: {mass: 400 g}}
      - {phase: concentrate, with: {vcf: 3 x, cross_flow: 1200 mL/min, tmp: 4 psi}}
"""


def tell(data: Path, story: Story, phase: str) -> None:
    """Run a short recipe into the middle of a phase, and then the story."""

    async def main(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch(RECIPE.replace("400 g", "1500 g") if phase == "load" else RECIPE)
            await suite.until(run, lambda: any(phase in path for path in run.running()))
            await suite.scans(20)
            await story(suite, run, Faults(suite.sim))

    run_virtual(main)


def begin(faults: Faults, kind: str, **fields: Any) -> int:
    return faults.begin(parse_fault({"kind": kind} | fields))


def quality(engine: Engine, tag: str) -> str:
    return text(engine.image.reading(tag).quality)


def doubts(data: Path, check: str) -> list[tuple[str, ...]]:
    """What a check doubted, each time that it changed."""
    events = [e for e in read_events(data / "journal") if e.kind is Kind.SENSOR_CHECK and e.body["check"] == check]
    return [tuple(event.body["tags"]) for event in events]


def raised(engine: Engine, alarm: str) -> bool:
    return next(a.state for a in engine.alarms.states() if a.spec.name == alarm) in ACTIVE


async def until(suite: Suite | EvSuite, there: Callable[[], bool], scans: int) -> None:
    """Wait, with a bound."""
    for _ in range(scans):
        if there():
            return
        await suite.scans(1)
    raise AssertionError(f"not there after {scans} scans")


def test_a_frozen_pressure_is_found_in_a_minute_and_holds_the_batch_which_is_finished_after_it(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun, faults: Faults) -> None:
        engine, began = suite.engine, suite.clock.now()
        number = begin(faults, "sensor_frozen", sensor="PT_PERM")
        await until(suite, lambda: quality(engine, "TFF201.PT_PERM") == "Uncertain: frozen", 70)
        assert suite.clock.now() - began <= 63 * NS
        assert quality(engine, "TFF201.TMP") == "Uncertain: frozen"
        assert quality(engine, "TFF201.PT_FEED") == "Good"
        assert engine.image.text("TFF201.CHECK_FROZEN") == "failed"
        await until(suite, lambda: run.state is State.HELD, 30)
        assert "TFF201.HIGH_TMP" in run.reason
        assert "TFF201.TMP" in run.reason
        assert raised(engine, "TFF201.SENSOR_DOUBTED")
        assert doubts(suite.data, "TFF201.PRESSURES_FROZEN") == [("TFF201.PT_PERM",)]
        faults.end(number)
        await until(suite, lambda: quality(engine, "TFF201.TMP") == "Good", 5)
        await suite.scans(30)
        await engine.batches.command(run.id, Command.RESTART, OPERATOR, "transmitter plugged in")
        while run.state is State.HELD:
            await suite.scans(1)
        assert await suite.finish(run) is State.COMPLETE
        assert doubts(suite.data, "TFF201.PRESSURES_FROZEN") == [("TFF201.PT_PERM",), ()]

    tell(tmp_path, story, "concentrate")


def test_a_pressure_that_drifts_against_another_is_found_and_holds_the_batch(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun, faults: Faults) -> None:
        begin(faults, "sensor_drift", sensor="PT_RET", per_s=0.05)
        words = "Uncertain: contradicted by another sensor"
        await until(suite, lambda: quality(suite.engine, "TFF201.PT_RET") == words, 240)
        assert quality(suite.engine, "TFF201.TMP") == words
        await until(suite, lambda: run.state is State.HELD, 30)
        assert doubts(suite.data, "TFF201.PRESSURE_ORDER")[0] == ("TFF201.PT_FEED", "TFF201.PT_RET")

    tell(tmp_path, story, "concentrate")


def test_a_flow_that_contradicts_the_weight_is_found(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun, faults: Faults) -> None:
        begin(faults, "sensor_offset", sensor="FT_IN", offset=90.0)
        words = "Uncertain: contradicted by another sensor"
        await until(suite, lambda: quality(suite.engine, "TFF201.FT_IN") == words, 200)
        assert is_good(suite.engine.image.reading("TFF201.WT_RET").quality)
        assert doubts(suite.data, "TFF201.TRANSFER_FLOW") == [("TFF201.FT_IN",)]

    tell(tmp_path, story, "load")


def test_a_lost_balance_makes_the_comparison_unknown_and_accuses_nobody(tmp_path: Path) -> None:
    async def story(suite: Suite, run: BatchRun, faults: Faults) -> None:
        begin(faults, "balance_unplugged", balance="WT-RET")
        await suite.scans(5)
        assert suite.engine.image.text("TFF201.CHECK_FLOW") in ("unknown", "off")
        assert quality(suite.engine, "TFF201.FT_IN") == "Good"
        assert doubts(suite.data, "TFF201.TRANSFER_FLOW") == []

    tell(tmp_path, story, "load")


@pytest.mark.parametrize(
    ("fault", "tag", "words", "check"),
    [
        ({"kind": "sensor_frozen", "sensor": "BR101.AT_DO"}, "BR101.AT_DO", "frozen", "BR101.PROBES_FROZEN"),
        pytest.param(
            {"kind": "sensor_drift", "sensor": "BR101.LT", "per_s": 0.02},
            "BR101.LT",
            "contradicted by another sensor",
            "BR101.LEVEL_AND_WEIGHT",
            marks=pytest.mark.full,
        ),
    ],
    ids=["frozen probe", "drifting level"],
)
def test_a_probe_of_the_bioreactor_that_lies_is_found_at_the_speed_of_a_culture(
    tmp_path: Path, fault: dict[str, Any], tag: str, words: str, check: str
) -> None:
    async def story(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch()
            await suite.until(run, lambda: any("expand" in path for path in run.running()))
            async with asyncio.timeout(10_000):
                while suite.clock.speed < 1000.0:
                    await suite.scans(1)
            engine, began = suite.engine, clock.now()
            assert is_good(engine.image.reading(tag).quality)
            Faults(suite.sim).begin(parse_fault(fault))
            await until(suite, lambda: quality(engine, tag) == f"Uncertain: {words}", 120)
            assert clock.now() - began <= 3 * 3600 * NS
            assert doubts(suite.data, check) == [(tag,)]
            await until(suite, lambda: raised(engine, "BR101.SENSOR_DOUBTED"), 2)

    run_virtual(story)
