"""The plants of the how-to for pumps and gas controllers are right, and simulated as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers.driver import Driver
from drivers.masterflex_telegram import State
from drivers.registry import driver_type
from evcontrol.clock import LiveClock
from evcontrol.plant.load import parse_plant
from simulators.bus_makers import BUSES

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "connect-pumps.md").read_text(encoding="utf-8")
PLANTS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", PLANTS, ids=lambda text: text.splitlines()[0])
def test_every_example_is_a_plant_without_mistakes_whose_drivers_can_be_made_and_simulated(text: str) -> None:
    plant = parse_plant(text, "example.yaml")
    assert plant.devices
    for name, spec in plant.devices.items():
        driver: Driver = driver_type(spec.driver)(name, spec.options, spec.points, LiveClock())
        assert driver.name == name
        assert BUSES[spec.driver](spec.options.model_dump(mode="json")).instruments


def test_the_first_example_can_change_nothing() -> None:
    assert parse_plant(PLANTS[0], "example.yaml").writes == {}


def test_the_states_of_a_masterflex_pump_are_those_of_the_code() -> None:
    labels = re.findall(r"labels: \[none, (.+)\]", PAGE)[0].split(", ")
    assert [label.replace(" ", "_").upper() for label in labels] == [state.name for state in State]
