"""JSON Schemas of recipes and plant files, by which editors complete and check what is written.

They know keys, kinds and the phases that are installed; units, tags and conditions are known to the checker alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from evcontrol.plant.schema import PlantFile
from evcontrol.procedure.check import FLAGS
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, phase_types
from evcontrol.procedure.recipe_file import RecipeFile

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_YES_OR_NO: Final = [True, False, *FLAGS]
"""YAML 1.2 has no ``yes``: for an editor it is a text."""


def recipe_schema() -> dict[str, Any]:
    """The schema of a recipe, with the arguments of every installed phase."""
    schema = _schema(RecipeFile, "A recipe of evcontrol")
    step = schema["$defs"]["StepSection"]
    step["properties"]["phase"] = {"enum": list(phase_types()), "description": "The phase that is run here"}
    step["allOf"] = [_phase(name, phase) for name, phase in phase_types().items()]
    return schema


def plant_schema() -> dict[str, Any]:
    """The schema of a plant file; options of devices and points are their drivers' own."""
    return _schema(PlantFile, "A plant of evcontrol")


SCHEMAS: Final = {"recipe": recipe_schema, "plant": plant_schema}


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    for part in _parts(schema):
        if part.get("type") == "boolean":
            del part["type"]
            part["enum"] = _YES_OR_NO
    return {"$schema": DIALECT, **schema, "title": title}


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for below in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _parts(below)


def _phase(name: str, phase: type[Phase]) -> dict[str, Any]:
    """What stands under ``with:`` of one phase."""
    needed = [argument.name for argument in phase.arguments if argument.default is None]
    given = {
        "type": "object",
        "properties": {argument.name: _argument(argument) for argument in phase.arguments},
        "required": needed,
        "additionalProperties": False,
    }
    then: dict[str, Any] = {"properties": {"with": given, "phase": {"description": _about(phase)}}}
    if needed:
        then["required"] = ["with"]
    return {"if": {"properties": {"phase": {"const": name}}, "required": ["phase"]}, "then": then}


def _argument(argument: Argument) -> dict[str, Any]:
    limits = " to ".join(f"{limit:g}" if limit is not None else "..." for limit in (argument.low, argument.high))
    told = [
        argument.description,
        f"in {argument.unit}" if argument.unit else "",
        f"from {limits}" if (argument.low, argument.high) != (None, None) else "",
        f"default {argument.default}" if argument.default else "",
    ]
    return {"description": ", ".join(part for part in told if part), **_kind(argument)}


def _kind(argument: Argument) -> Mapping[str, Any]:
    match argument.kind:
        case ArgumentKind.CHOICE:
            return {"enum": list(argument.choices)}
        case ArgumentKind.FLAG:
            return {"enum": _YES_OR_NO}
        case ArgumentKind.NUMBER:
            return {"type": ["string", "number"]}
        case ArgumentKind.CONDITION:
            return {"type": "string"}
        case _:
            return {"type": ["string", "number", "boolean"]}


def _about(phase: type[Phase]) -> str:
    return (phase.__doc__ or "").strip().partition("\n")[0]
