"""Perfusion in pulses: what goes in is what came out, the sum is the rate times the time, and a ramp does not jump."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.states import Command, State
from tests.batch.ev_suite import OPERATOR, EvSuite

HEAD = """recipe: Perfusion
version: 1.0.0
product: P
units:
  br: {class: bioreactor}
procedure:
  - unit_procedure: culture
    unit: br
    steps:
      - phase: prepare
        with: {volume: 1000 mL}
      - phase: inoculate
"""
PERFUSE = HEAD + "      - {phase: perfuse, with: {time: 6 h, rate: 100 mL/h, pulse: 100 mL}}\n"


@pytest.mark.parametrize("held", [False, True])
def test_the_volume_is_the_rate_times_the_time(tmp_path: Path, held: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(PERFUSE)
            path = "culture/perfuse"
            if held:
                view = suite.engine.view.batches[run.id]
                await suite.until(run, lambda: "pulse 3 out" in view.progress.get(path, {}))
                await suite.engine.batches.command(run.id, Command.HOLD, OPERATOR, "look")
                while run.state is not State.HELD:
                    await suite.scans(1)
                await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "looked")
                await suite.until(run, lambda: run.state is State.RUNNING)
            assert await suite.finish(run) is State.COMPLETE
            results = {name: value for p, name, value, _ in suite.engine.view.batches[run.id].results if p == path}
            assert results["perfused"] == pytest.approx(600.0, rel=0.03)
            assert suite.value("BR101.LIQUID") == pytest.approx(1000.0, abs=30.0)
            assert suite.value("BR101.WT_POOL") - suite.value("BR101.POOL_EMPTY") == pytest.approx(600.0, rel=0.03)

    run_virtual(main)


def test_a_ramp_comes_to_its_end_in_even_steps(tmp_path: Path) -> None:
    recipe = HEAD + "      - {phase: ramp, with: {of: temperature, to: 33 degC, over: 40 min}}\n"

    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(recipe)
            assert await suite.finish(run) is State.COMPLETE
            assert suite.value("BR101.TT_SP") == pytest.approx(33.0, abs=0.02)

    run_virtual(main)
    written = [
        event.body["value"]
        for event in read_events(tmp_path / "journal")
        if event.kind is Kind.COMMAND_INTENT and event.path.endswith("/ramp") and event.body["tag"] == "BR101.TT_SP"
    ]
    assert len(written) > 10
    assert max(abs(b - a) for a, b in pairwise(written)) < 0.5
    assert written == sorted(written, reverse=True)
