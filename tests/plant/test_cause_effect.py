"""The cause-and-effect table says of every interlock of the shipped plants what the engine does."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from evcontrol.plant.cause_effect import as_csv, as_markdown, cause_and_effect
from evcontrol.plant.load import load_plant

PLANTS = Path(__file__).parents[2] / "config" / "plants"


@pytest.mark.parametrize("name", ["demo", "tff"])
def test_every_interlock_has_a_row_with_every_actuator_that_it_trips(name: str) -> None:
    plant = load_plant(PLANTS / f"{name}.yaml")
    causes = {cause.interlock: cause for cause in cause_and_effect(plant)}
    assert list(causes) == list(plant.interlocks)
    for spec in plant.interlocks.values():
        unit = plant.units[spec.unit]
        safe = {tag for state in unit.safe_states.values() for tag in state} if spec.whole_unit else set()
        assert set(causes[spec.name].effects) == safe | set(spec.trip)
    rows = list(csv.DictReader(io.StringIO(as_csv(plant))))
    assert [row["Interlock"] for row in rows] == list(plant.interlocks)
    text = as_markdown(plant)
    assert all(f"| {interlock} |" in text for interlock in plant.interlocks)


def test_values_are_told_in_words() -> None:
    causes = {cause.interlock: cause for cause in cause_and_effect(load_plant(PLANTS / "demo.yaml"))}
    assert causes["BR101.OVER_TEMPERATURE"].effects["BR101.TIC_MODE"] == "off"
    assert causes["BR101.OXYGEN_LOW"].effects["BR101.DOIC_MODE"] == "off (default), air (medium, cells)"
    assert causes["BR101.LEVEL_HIGH"].effects == {"BR101.MED_SP": "0 mL/min"}
