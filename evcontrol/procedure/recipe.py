"""Master recipes as people write them: YAML with parameters and a tree of procedural elements (ISA-88.00.01, 5.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from evcontrol.yaml_source import Document, Mistake, SourceError
from evcontrol.yaml_source import Path as Place

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]


def _scalar_text(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("write one value here; quote a text that has commas, colons or brackets")


Scalar = Annotated[str, BeforeValidator(_scalar_text)]


def _quantity_text(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError(f"write a quantity with its unit, such as '{value} g'")
    return value


Measure = Annotated[Line, BeforeValidator(_quantity_text)]


class Level(StrEnum):
    """Kinds of elements; ``parallel`` runs its steps at once, the others one after another."""

    PROCEDURE = "procedure"
    UNIT_PROCEDURE = "unit procedure"
    OPERATION = "operation"
    PARALLEL = "parallel"
    PHASE = "phase"


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A recipe parameter: its value and limits as written, such as ``4 psi``."""

    name: str
    value: str
    low: str | None
    high: str | None
    description: str
    place: Place
    live: bool = False
    """Whether it may be changed while a batch runs."""


@dataclass(frozen=True, slots=True)
class Step:
    """One element of the procedure.

    ``path`` is the names from the top joined by ``/``; ``unit`` the recipe's own name of a unit, inherited from above;
    ``when`` the condition that must hold before the element starts; ``arguments`` the values of a phase as written.
    """

    level: Level
    name: str
    path: str
    place: Place
    unit: str = ""
    phase: str = ""
    when: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    def walk(self) -> Iterator[Step]:
        """This element and all below it, in the order of the file."""
        yield self
        for step in self.steps:
            yield from step.walk()


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
    document = Document(text, file)
    section = document.validated(_RecipeFile, document.data)
    mistakes: list[Mistake] = []
    steps = tuple(_steps(section.procedure, document, ("procedure",), "", "", mistakes))
    for step in steps:
        if step.level is Level.OPERATION:
            mistakes.append(document.mistake(step.place, f"operation {step.name!r} stands outside a unit_procedure"))
    if not steps:
        mistakes.append(document.mistake(("procedure",), "the procedure has no steps"))
    if mistakes:
        raise SourceError(mistakes)
    parameters = {
        name: ParameterSpec(name, p.value, p.low, p.high, p.description, ("parameters", name), p.live)
        for name, p in section.parameters.items()
    }
    return Recipe(
        name=section.recipe,
        version=section.version,
        product=section.product,
        description=section.description,
        units={name: unit.unit_class for name, unit in section.units.items()},
        parameters=parameters,
        procedure=Step(Level.PROCEDURE, "", "", ("procedure",), arguments={}, steps=steps),
        hold_level=Level(section.hold_level),
        text=text,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        document=document,
    )


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Parameter(_Section):
    value: Measure
    low: Measure | None = None
    high: Measure | None = None
    description: str = ""
    live: bool = False


class _Unit(_Section):
    unit_class: Annotated[str, Field(alias="class")]


class _Step(_Section):
    unit_procedure: Name | None = None
    operation: Name | None = None
    parallel: Name | None = None
    phase: Name | None = None
    name: Name | None = None
    unit: Name | None = None
    when: Line = ""
    arguments: Annotated[dict[str, Scalar], Field(alias="with")] = {}
    steps: list[_Step] = []


class _RecipeFile(_Section):
    recipe: Line
    version: Line
    product: Line
    description: str = ""
    units: dict[Name, _Unit] = {}
    parameters: dict[Name, _Parameter] = {}
    hold_level: Literal["phase", "operation", "unit procedure", "procedure"] = "procedure"
    procedure: list[_Step]


_LEVELS: Final = {
    "unit_procedure": Level.UNIT_PROCEDURE,
    "operation": Level.OPERATION,
    "parallel": Level.PARALLEL,
    "phase": Level.PHASE,
}
_INSIDE: Final = {
    Level.UNIT_PROCEDURE: frozenset({Level.OPERATION, Level.PARALLEL, Level.PHASE}),
    Level.OPERATION: frozenset({Level.PARALLEL, Level.PHASE}),
    Level.PARALLEL: frozenset({Level.UNIT_PROCEDURE, Level.OPERATION, Level.PARALLEL, Level.PHASE}),
}
"""Which elements may stand in which."""


def _steps(
    sections: list[_Step], document: Document, place: Place, above: str, unit: str, mistakes: list[Mistake]
) -> Iterator[Step]:
    names: set[str] = set()
    for number, section in enumerate(sections):
        here = (*place, number)
        step = _step(section, document, here, above, unit, mistakes)
        if step is None:
            continue
        if step.name in names:
            mistakes.append(document.mistake(here, f"two steps here are called {step.name!r}: give one another name"))
        names.add(step.name)
        yield step


def _step(
    section: _Step, document: Document, here: Place, above: str, unit: str, mistakes: list[Mistake]
) -> Step | None:
    kinds = [kind for kind in _LEVELS if getattr(section, kind) is not None]
    if len(kinds) != 1:
        what = "each step is one of unit_procedure, operation, parallel and phase"
        mistakes.append(document.mistake(here, f"{what}; this one is {' and '.join(kinds) or 'none of them'}"))
        return None
    level = _LEVELS[kinds[0]]
    name = section.name or getattr(section, kinds[0])
    path = f"{above}/{name}" if above else name
    own_unit = section.unit or unit
    _check_shape(section, level, document, here, mistakes)
    below = tuple(_steps(section.steps, document, (*here, "steps"), path, own_unit, mistakes))
    for step in below:
        if step.level not in _INSIDE.get(level, frozenset()):
            mistakes.append(document.mistake(step.place, f"a {step.level} cannot stand inside a {level}"))
    return Step(
        level=level,
        name=name,
        path=path,
        place=here,
        unit=own_unit,
        phase=section.phase or "",
        when=section.when,
        arguments=section.arguments,
        steps=below,
    )


def _check_shape(section: _Step, level: Level, document: Document, here: Place, mistakes: list[Mistake]) -> None:
    if level is Level.PHASE and section.steps:
        mistakes.append(document.mistake((*here, "steps"), "a phase has no steps"))
    if level is not Level.PHASE and not section.steps:
        mistakes.append(document.mistake(here, f"this {level} has no steps"))
    if level is not Level.PHASE and section.arguments:
        mistakes.append(document.mistake((*here, "with"), f"only a phase takes 'with:', not a {level}"))


_Step.model_rebuild()
