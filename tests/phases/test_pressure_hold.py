"""The pressure-hold test: a whole module passes, a leaking one holds the batch, and too little air is no test."""

from __future__ import annotations

from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, Command, State
from tests.batch.suite import OPERATOR, Suite

RECIPE = """recipe: Integrity
version: 1.0.0
product: P
units:
  tff: {class: tff}
procedure:
  - unit_procedure: test
    unit: tff
    steps:
      - phase: pressure_hold
"""


async def run_until(suite: Suite, run: BatchRun, barg: float, *states: State) -> None:
    """Press air in when asked."""
    while run.state not in states:
        for prompt in run.prompts():
            suite.sim.press_air(barg)
            await suite.engine.batches.answer(run.id, prompt.id, True, OPERATOR, "")
        await suite.scans(1)


def results(suite: Suite) -> dict[str, object]:
    return {name: value for _, name, value, _ in suite.engine.view.batches["B-0001"].results}


def test_a_whole_module_passes_and_the_air_is_let_out(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            run = await suite.start_batch(RECIPE)
            await run_until(suite, run, 0.25, *FINAL, State.HELD)
            assert run.state is State.COMPLETE, run.reason
            assert 0.0 < float(str(results(suite)["pressure decay"])) < 0.1
            await suite.scans(30)
            assert suite.sim.process.air.pressure_pa == 0.0

    run_virtual(main)


@pytest.mark.parametrize(("barg", "decay_per_s", "why"), [(0.25, 1e-3, "was lost"), (0.1, 1e-4, "not 0.25")])
def test_a_leak_and_too_little_air_hold_and_a_restart_tests_anew(
    tmp_path: Path, barg: float, decay_per_s: float, why: str
) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Suite(tmp_path / "data", clock) as suite:
            suite.sim.process.air.decay_per_s = decay_per_s
            run = await suite.start_batch(RECIPE)
            await run_until(suite, run, barg, *FINAL, State.HELD)
            assert run.state is State.HELD
            assert why in run.reason
            await suite.scans(30)
            assert suite.sim.process.air.pressure_pa == 0.0  # Held is safe
            suite.sim.process.air.decay_per_s = 1e-4
            await suite.engine.batches.command(run.id, Command.RESTART, OPERATOR, "fitting tightened")
            await run_until(suite, run, 0.25, *FINAL)
            assert run.state is State.COMPLETE

    run_virtual(main)
