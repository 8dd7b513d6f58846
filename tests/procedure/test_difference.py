"""Two versions of a recipe compared in the terms of recipes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from evcontrol.procedure.difference import HANDLER_APART, HEAD_APART, PARAMETER_APART, STEP_APART, differences
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
        ("    steps:\n      - phase: flush\n",
         "    steps:\n      - operation: wash\n        steps: [{phase: drain, with: {flow: 1 mL/min}}]\n"
         "      - phase: flush\n",
         ["u/wash added as the first (operation of 1 phases)", "u/wash/drain added (phase drain, flow 1 mL/min)"]),
        ("      - phase: flush\n      - phase: load\n        with: {mass: 600 g}\n", "",
         ["u/flush removed (phase flush)", "u/load removed (phase load, mass 600 g)"]),
        ("    unit: tff\n", "", ["u: unit tff -> none"]),
        ("{failure: yes, do: stop}", "{failure: yes, do: stop}, {failure: yes, do: stop}",
         ["u: handler added: on failure: stop"]),
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
    for _ in range(120):
        changed = tokens(text, chance)
        try:
            other = recipe(changed)
        except SourceError:
            continue
        there, back = differences(own, other), differences(other, own)
        assert bool(there) == bool(back) == (said(own) != said(other))
        seen += bool(there)
    assert seen > 5


def one_field_changed(of: Any, apart: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for one in fields(of):
        if one.name not in apart:
            yield one.name, replace(of, **{one.name: "something else"})


def test_every_field_of_the_model_is_compared_whatever_comes_to_the_language() -> None:
    old = recipe(OLD)
    (unit,), tmp = old.procedure.steps, old.parameters["tmp"]
    handler = unit.handlers[0]
    changed = dict(one_field_changed(old, HEAD_APART))
    for name, spec in one_field_changed(tmp, PARAMETER_APART):
        changed[f"parameter {name}"] = replace(old, parameters={**old.parameters, "tmp": spec})
    steps = dict(one_field_changed(unit, STEP_APART))
    for name, spec in one_field_changed(handler, HANDLER_APART - {"do", "timeout"}):
        steps[f"handler {name}"] = replace(unit, handlers=(spec, *unit.handlers[1:]))
    for name, step in steps.items():
        changed[f"step {name}"] = replace(old, procedure=replace(old.procedure, steps=(step,)))
    assert len(changed) >= 15
    assert [name for name, other in changed.items() if not differences(old, other)] == []


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
