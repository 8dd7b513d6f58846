"""docs/how-to/write-a-recipe.md: every example fits the shipped plant, and what is told of it is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evcontrol.plant.load import load_plant
from evcontrol.procedure.check import ControlRecipe, bind, mistakes_of
from evcontrol.procedure.recipe import Level, parse_recipe
from evcontrol.yaml_source import SourceError
from tests.docs.examples import fenced

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "write-a-recipe.md").read_text(encoding="utf-8")
PLANT = load_plant(ROOT / "config" / "plants" / "tff.yaml")
EXAMPLES = fenced(TEXT, "yaml")


def bound(text: str, **given: str) -> ControlRecipe:
    return bind(parse_recipe(text, "example.yaml"), PLANT, given)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_fits_the_shipped_plant(number: int) -> None:
    assert mistakes_of(EXAMPLES[number], "example.yaml", PLANT) == []
    assert bound(EXAMPLES[number]).units == {"tff": "TFF201"}


def test_the_examples_show_every_kind_of_step_and_argument() -> None:
    levels = {step.level for text in EXAMPLES for step in parse_recipe(text, "example.yaml").procedure.walk()}
    assert levels == set(Level)


def test_numbers_are_worked_out_of_the_parameters() -> None:
    def load(**given: str) -> dict[str, object]:
        steps = bound(EXAMPLES[1], **given).procedure.walk()
        return dict(next(step.arguments for step in steps if step.step.phase == "load"))

    assert load() == {"mass": 1500.0, "flow": pytest.approx(750.0)}
    assert load(feed_mass="1.8 kg") == {"mass": 1800.0, "flow": 800.0}


def test_the_command_that_starts_it_sets_parameters_within_their_limits() -> None:
    line = next(line for line in TEXT.splitlines() if line.startswith("evcontrol batch start"))
    given = dict(re.findall(r'--set (\w+)="([^"]+)"', line))
    assert bound(EXAMPLES[1], **given).parameters["feed_mass"] == "1.8 kg"
    with pytest.raises(SourceError, match="above its limit 7 psi"):
        bound(EXAMPLES[1], tmp="8 psi")


def test_conditions_read_parameters() -> None:
    text = EXAMPLES[1].replace("- phase: concentrate\n", "- phase: concentrate\n        when: tff.TMP < tmp\n")
    assert text != EXAMPLES[1]
    bound(text)


def test_the_forms_that_are_refused_are_refused_and_the_others_are_not() -> None:
    def with_rinsed(condition: str) -> str:
        return EXAMPLES[2].replace("rinsed: tff.CT < 0.5 mS/cm for 20 s", f"rinsed: {condition}")

    a, b = "tff.CT < 0.5 mS/cm", "tff.TT < 30 degC"
    bound(with_rinsed(f"({a} and {b}) for 20 s"))
    bound(with_rinsed(f"{a} and ({b} for 20 s)"))
    with pytest.raises(SourceError, match="parentheses"):
        bound(with_rinsed(f"{a} and {b} for 20 s"))
