"""The JSON Schemas that editors read: as they are shipped, and what they take and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from evcontrol.procedure.json_schemas import SCHEMAS
from evcontrol.procedure.phase import phase_types

CONFIG = Path(__file__).parents[2] / "config"
VALIDATORS = {of: Draft202012Validator(make()) for of, make in SCHEMAS.items()}
SHIPPED = [*sorted((CONFIG / "recipes").glob("*.yaml")), *sorted((CONFIG / "plants").glob("*.yaml"))]
SEEN_BY_EDITORS = ("unknown key", "no argument", "no phase is called", "is missing", "needs '")
"""Mistakes of the corpus of wrong recipes that an editor must find too."""
WRONG = Path(__file__).parent / "wrong"


def validator(path: Path) -> Draft202012Validator:
    return VALIDATORS[path.parent.name.removesuffix("s")]


def data(text: str) -> Any:
    """As a YAML 1.2 editor reads it."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))


@pytest.mark.parametrize("of", SCHEMAS)
def test_the_shipped_schema_is_the_one_that_is_made(of: str) -> None:
    shipped = json.loads((CONFIG / "schemas" / f"{of}.schema.json").read_text(encoding="utf-8"))
    assert shipped == json.loads(json.dumps(SCHEMAS[of]())), "make schemas"
    Draft202012Validator.check_schema(shipped)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_file_is_taken_and_says_where_its_schema_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [error.message for error in validator(path).iter_errors(data(text))] == []
    (line,) = [line for line in text.splitlines() if line.startswith("# yaml-language-server: $schema=")]
    assert (path.parent / line.partition("=")[2]).resolve() in (CONFIG / "schemas").iterdir()


def for_editors(path: Path) -> bool:
    told = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    return any(words in line for line in told for words in SEEN_BY_EDITORS)


@pytest.mark.parametrize("path", sorted(filter(for_editors, WRONG.glob("*.yaml"))), ids=lambda path: path.stem)
def test_what_is_wrong_in_keys_and_kinds_is_refused(path: Path) -> None:
    assert list(VALIDATORS["recipe"].iter_errors(data(path.read_text(encoding="utf-8"))))


def test_every_phase_is_offered_with_its_arguments() -> None:
    step = SCHEMAS["recipe"]()["$defs"]["StepSection"]
    offered = {part["if"]["properties"]["phase"]["const"]: part["then"]["properties"] for part in step["allOf"]}
    assert set(offered) == set(phase_types()) == set(step["properties"]["phase"]["enum"])
    for name, phase in phase_types().items():
        assert set(offered[name]["with"]["properties"]) == {argument.name for argument in phase.arguments}
        assert offered[name]["phase"]["description"]
