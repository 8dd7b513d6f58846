"""Stirring by the size of the smallest eddies, in a stirred tank, against the formulas and the simulated vessel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.phases.agitate import Stirrer
from evcontrol.procedure.states import FINAL, Command, State
from evcontrol.units import parse_quantity
from simulators.ev_plant import EvPlant
from simulators.process.bioreactor import BioreactorParameters
from simulators.process.culture_vessel import StirredTank
from tests.batch.ev_suite import OPERATOR, EvSuite

TANK = StirredTank()
CONSTANTS = {
    "impeller": f"{TANK.impeller_m * 1000:g} mm",
    "power_number": f"{TANK.power_number:g}",
    "carrier": f"{TANK.carrier_um:g} um",
    "viscosity": f"{TANK.viscosity_pa_s * 1000:g} mPa.s",
    "density": f"{TANK.density_kg_m3:g} kg/m3",
    "cells_in_lumen": "0",
}
TANK_CONSTANTS = {name: parse_quantity(value) for name, value in CONSTANTS.items()}
RECIPE = """recipe: Stirred
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
      - phase: agitate
        with: {eddies: EDDIES um, time: 1 h, qualified: "QUALIFIED"}
"""


def text(eddies: float, qualified: str = "no") -> str:
    return RECIPE.replace("EDDIES", f"{eddies:g}").replace("QUALIFIED", qualified)


def stirred(tmp_path: Path, clock: VirtualClock) -> EvSuite:
    suite = EvSuite(tmp_path, clock, EvPlant(bioreactor=BioreactorParameters(vessel=TANK)))
    suite.plant.units["BR101"] = replace(suite.plant.units["BR101"], constants=TANK_CONSTANTS)
    return suite


@given(st.floats(20.0, 500.0), st.floats(1e-4, 1e-2))
def test_speed_and_eddies_are_each_others_inverse(eddies: float, volume: float) -> None:
    stirrer = Stirrer(0.07, 1.5, 8e-7, volume)
    assert stirrer.eddies_um(stirrer.speed_rpm(eddies)) == pytest.approx(eddies, rel=1e-9)


def test_the_formula_is_that_of_the_simulated_vessel() -> None:
    nu = TANK.viscosity_pa_s / TANK.density_kg_m3
    stirrer = Stirrer(TANK.impeller_m, TANK.power_number, nu, TANK.working_ml * 1e-6)
    assert stirrer.eddies_um(180.0) == pytest.approx(TANK.eddies_um(180.0))
    assert stirrer.eddies_um(0.0) == float("inf")


def test_the_tank_is_stirred_for_the_time_and_brought_back(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with stirred(tmp_path, clock) as suite:
            seen: list[float] = []
            suite.each_step.append(lambda: seen.append(suite.sim.cultivation.process.stirrer.speed))
            run = await suite.start_batch(text(110.0))
            assert await suite.finish(run) is State.COMPLETE
            results = {name: value for _, name, value, _ in suite.engine.view.batches[run.id].results}
            assert results["smallest eddies"] == pytest.approx(110.0, rel=0.05)
            assert results["time at speed"] == pytest.approx(1.0)
            assert max(seen) == pytest.approx(results["speed"], rel=0.05)
            assert suite.value("BR101.AGIT_SP") == pytest.approx(60.0)

    run_virtual(main)


def test_eddies_smaller_than_a_carrier_bears_need_a_qualified_geometry(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with stirred(tmp_path, clock) as suite:
            run = await suite.start_batch(text(80.0))
            while run.state not in (*FINAL, State.HELD):
                await suite.scans(1)
                await suite.answer_all(run)
            assert run.state is State.HELD
            assert "smaller than 2/3 of a carrier (100 um)" in run.reason
            await suite.engine.batches.command(run.id, Command.ABORT, OPERATOR, "not qualified")

    run_virtual(main)
