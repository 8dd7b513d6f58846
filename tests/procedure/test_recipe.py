"""Recipes: what is read from a file, and how mistakes are told."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcontrol.procedure.recipe import Level, load_recipe, parse_recipe
from evcontrol.yaml_source import SourceError

SHIPPED = Path(__file__).parents[2] / "config" / "recipes" / "ultrafiltration.yaml"
TEXT = SHIPPED.read_text(encoding="utf-8")
HEAD = "recipe: R\nversion: 1.0.0\nproduct: P\nunits:\n  tff: {class: tff}\nprocedure:\n"


def mistakes(text: str) -> str:
    with pytest.raises(SourceError) as caught:
        parse_recipe(text, "r.yaml")
    return str(caught.value)


def test_the_shipped_recipe_is_a_tree_with_paths() -> None:
    recipe = load_recipe(SHIPPED)
    paths = {step.path: step.level for step in recipe.procedure.walk()}
    assert paths["ultrafiltration/filtration/concentrate"] is Level.PHASE
    assert paths["ultrafiltration/recovery/after_recovery"] is Level.PARALLEL
    assert all(step.unit == "tff" for step in recipe.procedure.walk() if step.level is Level.PHASE)


def test_the_hash_is_that_of_the_text() -> None:
    assert parse_recipe(TEXT, "a").hash == parse_recipe(TEXT, "b").hash
    assert parse_recipe(TEXT + "\n", "a").hash != parse_recipe(TEXT, "a").hash


@pytest.mark.parametrize(
    ("procedure", "words"),
    [
        ("  []\n", "the procedure has no steps"),
        ("  - name: x\n", "each step is one of"),
        ("  - phase: load\n    operation: x\n", "operation and phase"),
        ("  - operation: x\n    steps: [{phase: load}]\n", "outside a unit_procedure"),
        ("  - unit_procedure: x\n", "has no steps"),
        ("  - phase: load\n    steps: [{phase: load}]\n", "a phase has no steps"),
        ("  - parallel: x\n    with: {a: 1}\n    steps: [{phase: load}]\n", "only a phase takes 'with:'"),
        ("  - phase: load\n  - phase: load\n", "two steps here are called 'load'"),
        ("  - phase: Load me\n", "string should match pattern"),
        ("  - phase: load\n    wth: {}\n", "did you mean 'with'"),
        ("  - unit_procedure: a\n    steps: [{unit_procedure: b, steps: [{phase: load}]}]\n", "cannot stand inside"),
    ],
)
def test_a_wrong_procedure_is_told_with_its_place(procedure: str, words: str) -> None:
    told = mistakes(HEAD + procedure)
    assert words in told
    assert told.startswith("r.yaml:")


def test_two_phases_of_one_kind_have_names_of_their_own() -> None:
    text = HEAD + "  - phase: load\n    name: first\n  - phase: load\n    name: second\n"
    assert [step.path for step in parse_recipe(text, "r.yaml").procedure.steps] == ["first", "second"]


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_a_mutilated_recipe_gives_messages_never_a_traceback(data: st.DataObject) -> None:
    lines = TEXT.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 3))):
        i = data.draw(st.integers(0, len(lines) - 1))
        lines[i] = data.draw(st.sampled_from(["", lines[i][:12] + "\n", lines[i].replace(":", ""), lines[i] * 2]))
    with contextlib.suppress(SourceError):
        parse_recipe("".join(lines), "r.yaml")
