"""Parameters that follow another one: in proportion, within limits, and never scaled twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.plant.load import load_plant
from evcontrol.procedure.check import bind
from evcontrol.procedure.recipe import parse_recipe
from evcontrol.units import parse_quantity
from evcontrol.yaml_source import SourceError

PLANT = load_plant(Path(__file__).parents[2] / "config" / "plants" / "demo.yaml")
TEXT = """\
recipe: R
version: 1.0.0
product: P
units:
  tff: {class: tff}
parameters:
  mass: {value: 700 g, low: 500 g, high: 2 kg, scale_by: cells}
  cells: {value: 2e9 cell}
  buffer: {value: 30 mL, scale_by: cells}
procedure:
  - unit_procedure: uf
    unit: tff
    steps:
      - phase: load
        with: {mass: mass}
"""
RECIPE = parse_recipe(TEXT, "r.yaml")


def bound(**parameters: str) -> dict[str, str]:
    return dict(bind(RECIPE, PLANT, parameters).parameters)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, ("700 g", "30 mL")),
        ({"cells": "4e9 cell"}, ("1400 g", "60 mL")),
        ({"cells": "4e9 cell", "mass": "900 g"}, ("900 g", "60 mL")),
        ({"mass": "900 g"}, ("900 g", "30 mL")),
        ({"cells": "5e9 cell", "mass": "1 kg"}, ("1 kg", "75 mL")),
    ],
)
def test_what_is_not_given_is_in_proportion_to_its_base(parameters: dict[str, str], told: tuple[str, str]) -> None:
    values = bound(**parameters)
    assert (values["mass"], values["buffer"]) == told


def test_phases_get_the_scaled_value() -> None:
    control = bind(RECIPE, PLANT, {"cells": "4e9 cell"})
    assert [b.arguments["mass"] for b in control.procedure.walk() if b.phase is not None] == [1400.0]


def test_limits_hold_for_the_scaled_value() -> None:
    with pytest.raises(SourceError) as told:
        bound(cells="6e9 cell")
    assert [mistake.what for mistake in told.value.mistakes] == [
        "parameter mass: 2100 g (scaled by cells) is above its limit 2 kg"
    ]


def test_a_batch_that_is_bound_again_is_not_scaled_twice() -> None:
    once = bound(cells="4e9 cell")
    assert bound(**once) == once


def test_a_base_in_a_wrong_unit_is_one_mistake() -> None:
    with pytest.raises(SourceError) as told:
        bound(cells="4 kg")
    assert len(told.value.mistakes) == 1


@given(st.floats(min_value=0.72, max_value=2.8))
def test_a_multiple_of_the_base_is_the_same_multiple_of_the_value(times: float) -> None:
    values = bound(cells=f"{2e9 * times!r} cell")
    assert parse_quantity(values["mass"]).value == pytest.approx(700 * times, rel=1e-11)
    assert parse_quantity(values["buffer"]).value == pytest.approx(30 * times, rel=1e-11)
