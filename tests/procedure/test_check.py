"""Binding a recipe to a plant: every mistake with its place, and the values that a batch gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from evcontrol.expression import Condition
from evcontrol.plant.load import parse_plant
from evcontrol.plant.model import Plant
from evcontrol.procedure.check import BoundStep, bind
from evcontrol.procedure.recipe import parse_recipe
from evcontrol.yaml_source import SourceError

CONFIG = Path(__file__).parents[2] / "config"
TEXT = (CONFIG / "recipes" / "ultrafiltration.yaml").read_text(encoding="utf-8")
PLANT = (CONFIG / "plants" / "tff.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plant() -> Plant:
    return parse_plant(PLANT, "p.yaml")


def step_at(text: str, plant: Plant, path: str, given: Mapping[str, str] | None = None) -> BoundStep:
    control = bind(parse_recipe(text, "r.yaml"), plant, given)
    return next(bound for bound in control.procedure.walk() if bound.step.path == path)


def mistakes(text: str, plant: Plant, given: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        bind(parse_recipe(text, "r.yaml"), plant, given)
    return str(caught.value)


def test_the_shipped_recipe_fits_the_shipped_plant(plant: Plant) -> None:
    concentrate = step_at(TEXT, plant, "ultrafiltration/filtration/concentrate")
    assert concentrate.unit == "TFF201"
    assert concentrate.arguments["vcf"] == 10.0
    assert concentrate.arguments["mass"] is None
    assert concentrate.arguments["cross_flow"] == 1200.0


def test_parameters_of_the_batch_reach_the_phases_in_their_units(plant: Plant) -> None:
    given = {"feed_mass": "1.2 kg", "tmp": "0.25 bar"}
    assert step_at(TEXT, plant, "ultrafiltration/filtration/load", given).arguments["mass"] == pytest.approx(1200.0)
    tmp = step_at(TEXT, plant, "ultrafiltration/filtration/concentrate", given).arguments["tmp"]
    assert tmp == pytest.approx(3.626, abs=0.001)


def test_conditions_read_the_bound_unit(plant: Plant) -> None:
    until = step_at(TEXT, plant, "ultrafiltration/preparation/equilibrate").arguments["until"]
    assert isinstance(until, Condition)
    assert until.names == frozenset({"TFF201.CT"})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("phase: concentrate", "phase: consentrate", "did you mean 'concentrate'"),
        ("{class: tff}", "{class: bioreactor}", "no free unit of class 'bioreactor'"),
        ("vcf: concentration", "vfc: concentration", "did you mean 'vcf'"),
        ("vcf: concentration", "vcf: consentration", "consentration"),
        ("vcf: concentration", "vcf: feed_mass", "feed_mass is in g, x is wanted"),
        ("tmp: tmp}", "tmp: 12 psi}", "outside 0.5..8 psi"),
        ("with: {mass: feed_mass}", "with: {}", "load needs 'mass'"),
        ("until: (tff.CT", "until: (tff.CTX", "tff.CTX"),
        ("unit: tff\n", "unit: tf\n", "did you mean 'tff'"),
        ("value: 10 x", "value: 20 x", "above its limit 15 x"),
        ("{vcf: concentration, ", "{", "give either vcf or mass"),
        ("{vcf: concentration, ", "{vcf: concentration, mass: 200 g, ", "give either vcf or mass"),
        ("name: appearance}", "name: appearance, unit: g, low: 5, high: abc}", "low and high are numbers"),
        ("name: appearance}", "name: appearance, unit: gg}", "gg"),
        ("with: {mass: feed_mass}", "with: {mass: [feed_mass]}", "write one value here"),
        ("low: 2 x,", "low: 2 psi,", "psi"),
    ],
)
def test_a_mistake_is_told_with_place_and_remedy(plant: Plant, old: str, new: str, words: str) -> None:
    assert old in TEXT
    told = mistakes(TEXT.replace(old, new, 1), plant)
    assert words in told
    assert all(line.startswith("r.yaml:") for line in told.splitlines())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tpm": "4 psi"}, "did you mean 'tmp'"),
        ({"tmp": "40 psi"}, "above its limit 7 psi"),
        ({"tmp": "4"}, "has no unit"),
        ({"tmp": "4 mL"}, "mL"),
        ({"tmp": "four psi"}, "does not begin with a number"),
    ],
)
def test_a_wrong_parameter_of_the_batch_is_told(plant: Plant, given: dict[str, str], words: str) -> None:
    assert words in mistakes(TEXT, plant, given)


def test_a_hazardous_phase_on_an_actuator_that_runs_on_is_refused() -> None:
    runs_on = PLANT.replace(
        "description: Cross-flow setpoint of the feed pump\n    write: {on_silence: controller_watchdog",
        "description: Cross-flow setpoint of the feed pump\n    write: {on_silence: runs_on",
    )
    assert runs_on != PLANT
    told = mistakes(TEXT, parse_plant(runs_on, "p.yaml"))
    assert "TFF201.P101_SP runs on when the engine falls silent" in told


def test_a_plant_without_a_needed_tag_is_refused() -> None:
    text = PLANT.replace("TFF201.NWP: {internal", "TFF201.NWPX: {internal").replace("TFF201.VCF: {", "TFF201.VCFX: {")
    told = mistakes(TEXT, parse_plant(text, "p.yaml"))
    assert "needs the tag TFF201.VCF" in told


def test_steps_that_run_at_once_do_not_command_one_unit(plant: Plant) -> None:
    entry = TEXT[TEXT.index("              - phase: entry") : TEXT.index("              - phase: clean")]
    text = TEXT.replace(entry, "              - phase: load\n                with: {mass: 100 g}\n")
    assert text != TEXT
    assert "'load' and 'clean' both command 'tff'" in mistakes(text, plant)


TWO_SKIDS = """\
recipe: R
version: 1.0.0
product: P
units: {tff: {class: tff}}
procedure:
  - phase: prompt
    unit: tff
    with: {text: Do it}
"""


@pytest.fixture(scope="module")
def two(plant: Plant) -> Plant:
    return replace(plant, units={**plant.units, "TFF202": replace(plant.units["TFF201"], name="TFF202")})


def test_a_unit_that_another_batch_uses_is_not_the_first_choice(two: Plant) -> None:
    recipe = parse_recipe(TWO_SKIDS, "r.yaml")
    assert bind(recipe, two).units == {"tff": "TFF201"}
    assert bind(recipe, two, busy={"TFF201"}).units == {"tff": "TFF202"}
    assert bind(recipe, two, busy={"TFF201", "TFF202"}).units == {"tff": "TFF201"}


def test_a_batch_that_is_taken_up_again_keeps_the_units_that_were_recorded(two: Plant, plant: Plant) -> None:
    recipe = parse_recipe(TWO_SKIDS, "r.yaml")
    assert bind(recipe, two, units={"tff": "TFF202"}).units == {"tff": "TFF202"}
    with pytest.raises(SourceError, match="no free unit of class 'tff'"):
        bind(recipe, plant, units={"tff": "TFF202"})
