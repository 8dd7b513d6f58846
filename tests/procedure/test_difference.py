"""Two versions of a recipe compared in the terms of recipes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from evcontrol.procedure.difference import differences
from evcontrol.procedure.recipe import Recipe, parse_recipe
from evcontrol.yaml_source import SourceError
from tests.procedure.test_mutated_recipes import tokens

ROOT = Path(__file__).parents[2] / "config" / "recipes"
SHIPPED = {path.stem: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("*.yaml"))}
OLD = """\
recipe: R
version: 1.0.0
product: P
units: {tff: {class: tff}}
parameters:
  tmp: {value: 4 psi, low: 2 psi, high: 7 psi}
  gone: {value: 1 g}
procedure:
  - unit_procedure: u
    unit: tff
    on: [{timeout: 3 h, do: hold}, {failure: yes, do: stop}]
    steps:
      - phase: flush
      - phase: load
        with: {mass: 600 g}
      - loop: again
        until: tff.WT_RET > 5 g
        at_most: 3
        steps:
          - phase: wait
            with: {time: 5 min}
"""


def recipe(text: str) -> Recipe:
    return parse_recipe(text, "r.yaml")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("recipe: R", "recipe: S", ["recipe: name R -> S"]),
        ("value: 4 psi, low: 2 psi", "value: 5 psi, low: 3 psi",
         ["parameter tmp: value 4 psi -> 5 psi", "parameter tmp: low 2 psi -> 3 psi"]),
        ("value: 4 psi", "live: yes, value: 4 psi", ["parameter tmp: live no -> yes"]),
        ("  gone: {value: 1 g}\n", "  new: {value: 2 g}\n",
         ["parameter gone removed: 1 g", "parameter new added: 2 g"]),
        ("mass: 600 g", "mass: 700 g", ["u/load: with mass 600 g -> 700 g"]),
        ("with: {mass: 600 g}", "when: tff.WT_RET > 1 g", ["u/load: when none -> tff.WT_RET > 1 g",
                                                           "u/load: with mass removed: 600 g"]),
        ("at_most: 3", "at_most: 4", ["u/again: at_most 3 -> 4"]),
        ("{timeout: 3 h, do: hold}, ", "", ["u: handler removed: on timeout 3 h: hold"]),
        ("{failure: yes, do: stop}", "{failure: yes, do: abort}",
         ["u: handler removed: on failure: stop", "u: handler added: on failure: abort"]),
        ("      - phase: flush\n", "", ["u/flush removed (phase flush)"]),
        ("      - phase: flush\n", "      - phase: flush\n      - phase: flush\n        name: second\n",
         ["u/second added after flush (phase flush)"]),
        ("      - phase: flush\n      - phase: load\n        with: {mass: 600 g}\n",
         "      - phase: load\n        with: {mass: 600 g}\n      - phase: flush\n",
         ["u: the order was flush, load, again and is load, flush, again"]),
        ("phase: wait\n", "phase: wait # a word\n", []),
        ("{class: tff}", "{class: bioreactor}", ["unit tff tff -> bioreactor"]),
    ],
)  # fmt: skip
def test_a_change_is_told_in_words(old: str, new: str, told: list[str]) -> None:
    assert old in OLD
    assert differences(recipe(OLD), recipe(OLD.replace(old, new))) == told


@pytest.mark.parametrize("name", SHIPPED)
def test_a_recipe_does_not_differ_from_itself_and_nobody_misses_a_change(name: str) -> None:
    text, chance = SHIPPED[name], random.Random(name)
    own = recipe(text)
    assert differences(own, recipe(f"# a remark\n{text}")) == []
    seen = 0
    for _ in range(60):
        changed = tokens(text, chance)
        try:
            other = recipe(changed)
        except SourceError:
            continue
        there, back = differences(own, other), differences(other, own)
        assert bool(there) == bool(back) == (said(own) != said(other))
        seen += bool(there)
    assert seen > 5


def said(one: Recipe) -> object:
    """Everything that a recipe says, without where in the file it does."""
    steps = [
        (s.level, s.path, s.unit, s.phase, s.when, dict(s.arguments), s.condition, s.times, s.at_most,
         [(h.when, h.alarm, h.bad_quality, h.timeout, h.failure, h.do, h.go_to, h.ask, list(h.choices.items()))
          for h in s.handlers],
         [(p.name, p.value, p.low, p.high, p.description, p.live) for p in s.given.values()])
        for s in one.procedure.walk()
    ]  # fmt: skip
    parameters = [(p.name, p.value, p.low, p.high, p.description, p.live) for p in one.parameters.values()]
    head = (one.name, one.version, one.product, one.description, dict(one.units), one.hold_level)
    return head, sorted(parameters), steps
