"""Every recipe that ships fits the demo's plant, and runs to its end on the simulated equipment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.plant.load import load_plant
from evcontrol.procedure.check import bind
from evcontrol.procedure.recipe import parse_recipe
from evcontrol.procedure.states import State
from evcontrol.yaml_source import SourceError
from simulators.ev_plant import EvPlant
from tests.batch.ev_suite import CONFIG, PLANT, EvSuite
from tests.phases.test_agitate import TANK_CONSTANTS, stirred

RECIPES = sorted((CONFIG / "recipes").glob("*.yaml"))
SHORT = {
    "hollow-fibre": {"expansion_time": "8 h", "conditioning_time": "6 h", "interval": "3 h"},
    "stirred-tank": {
        "attachment": "2 h", "growth_time": "6 h", "stirring": "0.5 h", "conditioning_time": "4 h", "interval": "2 h",
    },
    "clean-in-place": {},
    "membrane-qualification": {},
}  # fmt: skip
"""What is run here, and how short; ultrafiltration and the whole batch have files of their own, harvest needs cells."""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_fits_the_demos_plant(path: Path) -> None:
    recipe = parse_recipe(path.read_text(encoding="utf-8"), path.name)
    plant = load_plant(PLANT)
    if path.stem == "stirred-tank":
        with pytest.raises(SourceError, match="agitate needs the constant 'impeller' of BR101"):
            bind(recipe, plant)
        plant.units["BR101"] = replace(plant.units["BR101"], constants=TANK_CONSTANTS)
    bind(recipe, plant)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "approved by a process owner" in " ".join(text.replace("\n#", "").split())


@pytest.mark.parametrize("name", SHORT)
def test_it_runs_to_its_end(tmp_path: Path, name: str) -> None:
    text = (CONFIG / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")

    async def main(clock: VirtualClock) -> None:
        tank = name == "stirred-tank"
        suite = stirred(tmp_path, clock) if tank else EvSuite(tmp_path, clock, EvPlant())
        async with suite:
            run = await suite.start_batch(text, **SHORT[name])
            assert await suite.finish(run) is State.COMPLETE

    run_virtual(main)


def test_a_harvest_follows_a_culture(tmp_path: Path) -> None:
    culture = (CONFIG / "recipes" / "hollow-fibre.yaml").read_text(encoding="utf-8")
    cut = culture.index("          - phase: harvest\n")
    harvest = (CONFIG / "recipes" / "harvest.yaml").read_text(encoding="utf-8")

    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(culture[:cut], **SHORT["hollow-fibre"])
            assert await suite.finish(run) is State.COMPLETE
            while suite.engine.gate.is_being_made_safe("BR101"):
                await suite.scans(1)
            run = await suite.start_batch(harvest)
            assert await suite.finish(run) is State.COMPLETE

    run_virtual(main)


def test_a_used_module_is_cleaned_and_that_is_no_further_use(tmp_path: Path) -> None:
    filtration = (CONFIG / "recipes" / "ultrafiltration.yaml").read_text(encoding="utf-8")
    cut = filtration[: filtration.index("          - phase: equilibrate\n")]
    clean = (CONFIG / "recipes" / "clean-in-place.yaml").read_text(encoding="utf-8")

    async def main(clock: VirtualClock) -> None:
        async with EvSuite(tmp_path, clock) as suite:
            run = await suite.start_batch(cut)
            assert await suite.finish(run) is State.COMPLETE
            while suite.engine.gate.is_being_made_safe("TFF201"):
                await suite.scans(1)
            (module,) = suite.engine.view.modules.values()
            assert (module.state, module.uses) == ("in use", 1)
            run = await suite.start_batch(clean)
            assert await suite.finish(run) is State.COMPLETE
            (module,) = suite.engine.view.modules.values()
            assert (module.state, module.uses) == ("clean", 1)

    run_virtual(main)
