"""Master recipes as people write them: YAML with parameters and a tree of procedural elements (ISA-88.00.01, 5.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evcontrol.procedure.recipe_file import ParameterSection, RecipeFile
from evcontrol.procedure.step import Level, ParameterSpec, Step
from evcontrol.procedure.structure import Structure
from evcontrol.yaml_source import Document, Mistake, SourceError
from evcontrol.yaml_source import Path as Place

__all__ = ["Level", "ParameterSpec", "Recipe", "Step", "load_recipe", "parse_recipe", "read_recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A master recipe; ``hash`` is the SHA-256 of its text."""

    name: str
    version: str
    product: str
    description: str
    units: Mapping[str, str]
    """The recipe's own names of units, and the class that each must have."""
    parameters: Mapping[str, ParameterSpec]
    operations: Mapping[str, Mapping[str, ParameterSpec]]
    """The operations of its library, and the parameters of each."""
    procedure: Step
    hold_level: Level
    """How far a hold of one phase goes: to the whole of its operation, unit procedure or procedure."""
    text: str
    hash: str
    document: Document


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file. Raises SourceError with every mistake and its place, OSError when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SourceError([Mistake(str(path), 1, 1, "not UTF-8 text")]) from None
    return parse_recipe(text, str(path))


def parse_recipe(text: str, file: str) -> Recipe:
    """The recipe in ``text``; ``file`` is named in mistakes. Raises SourceError."""
    recipe, mistakes = read_recipe(text, file)
    if mistakes:
        raise SourceError(mistakes)
    return recipe


def read_recipe(text: str, file: str) -> tuple[Recipe, list[Mistake]]:
    """The recipe in ``text`` as far as it can be made out, and the mistakes in the structure of its procedure.

    Raises SourceError when keys and values are wrong already.
    """
    document = Document(text, file)
    section = document.validated(RecipeFile, document.data)
    structure = Structure(section, document)
    procedure = structure.procedure()
    recipe = Recipe(
        name=section.recipe,
        version=section.version,
        product=section.product,
        description=section.description,
        units={name: unit.unit_class for name, unit in section.units.items()},
        parameters=_parameters(section.parameters, ("parameters",)),
        operations={
            name: _parameters(operation.parameters, ("operations", name, "parameters"))
            for name, operation in section.operations.items()
        },
        procedure=procedure,
        hold_level=Level(section.hold_level),
        text=text,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        document=document,
    )
    return recipe, structure.mistakes


def _parameters(sections: Mapping[str, ParameterSection], place: Place) -> dict[str, ParameterSpec]:
    return {
        name: ParameterSpec(
            name, p.value, p.low, p.high, p.description, (*place, name), p.live, p.scale_by or "", p.per or ""
        )
        for name, p in sections.items()
    }
