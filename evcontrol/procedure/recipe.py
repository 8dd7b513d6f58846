"""Master recipes as people write them: YAML with parameters and a tree of procedural elements (ISA-88.00.01, 5.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from evcontrol.procedure.recipe_file import HandlerSection, OperationSection, RecipeFile, StepSection
from evcontrol.yaml_source import Document, Mistake, SourceError, nearest
from evcontrol.yaml_source import Path as Place


class Level(StrEnum):
    """Kinds of elements.

    ``parallel`` runs its steps at once, ``choice`` the first one whose ``if`` is true, ``loop`` all of them again and
    again; the others run theirs one after another.
    """

    PROCEDURE = "procedure"
    UNIT_PROCEDURE = "unit procedure"
    OPERATION = "operation"
    PARALLEL = "parallel"
    CHOICE = "choice"
    LOOP = "loop"
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
    scale_by: str = ""
    """The parameter that it is in proportion to; empty for none."""


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """What is to be done when something happens while an element runs, as written.

    Exactly one of ``when``, ``alarm``, ``bad_quality``, ``timeout`` and ``failure`` is given. ``choices`` are the
    answers to a question (``ask``) and what each of them does.
    """

    place: Place
    when: str
    alarm: str
    bad_quality: str
    timeout: str
    failure: bool
    do: str
    go_to: str
    ask: str
    choices: Mapping[str, str]


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
    condition: str = ""
    """``if`` of a branch, ``until`` of a loop."""
    times: str = ""
    at_most: int = 0
    handlers: tuple[HandlerSpec, ...] = ()
    given: Mapping[str, ParameterSpec] = field(default_factory=dict)
    """Parameters of the operation that was used here; ``description`` is the value that each has by itself."""

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
    when_needed: frozenset[str]
    """Those of them that a batch takes when it needs them first, and not at its start."""
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


def canonical_text(text: str) -> str:
    """The text that a version is known by, however an editor ended its lines: LF, and no byte order mark before it."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return lines if lines.endswith("\n") else f"{lines}\n"


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
    mistakes: list[Mistake] = []
    builder = _Builder(document, section.operations, mistakes)
    steps = tuple(builder.steps(section.procedure, ("procedure",), "", ""))
    handlers = builder.handlers(section.handlers, ())
    for spec in handlers:
        if spec.do == "end" or spec.go_to or any(_leaves(action) for action in spec.choices.values()):
            what = "the whole procedure cannot be left out: hold, stop or abort it"
            mistakes.append(document.mistake(spec.place, what))
    for step in steps:
        if step.level is Level.OPERATION:
            mistakes.append(document.mistake(step.place, f"operation {step.name!r} stands outside a unit_procedure"))
    for operation, written in section.operations.items():
        for key, p in written.parameters.items():
            if p.scale_by:
                place = ("operations", operation, "parameters", key, "scale_by")
                mistakes.append(document.mistake(place, "only a parameter of the whole recipe can be scaled: give this "
                                "one a value that follows, where the operation is used"))  # fmt: skip
    for name in section.operations.keys() - builder.used:
        mistakes.append(document.mistake(("operations", name), f"operation {name!r} is never used"))
    if not steps:
        mistakes.append(document.mistake(("procedure",), "the procedure has no steps"))
    parameters = {
        name: ParameterSpec(name, p.value, p.low, p.high, p.description, ("parameters", name), p.live, p.scale_by or "")
        for name, p in section.parameters.items()
    }
    recipe = Recipe(
        name=section.recipe,
        version=section.version,
        product=section.product,
        description=section.description,
        units={name: unit.unit_class for name, unit in section.units.items()},
        when_needed=frozenset(name for name, unit in section.units.items() if unit.allocate == "when needed"),
        parameters=parameters,
        procedure=Step(Level.PROCEDURE, "", "", ("procedure",), steps=steps, handlers=handlers),
        hold_level=Level(section.hold_level),
        text=text,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        document=document,
    )
    return recipe, mistakes


_LEVELS: Final = {
    "unit_procedure": Level.UNIT_PROCEDURE,
    "operation": Level.OPERATION,
    "parallel": Level.PARALLEL,
    "choice": Level.CHOICE,
    "loop": Level.LOOP,
    "phase": Level.PHASE,
    "use": Level.OPERATION,
}
_GROUPS: Final = frozenset({Level.PARALLEL, Level.CHOICE, Level.LOOP})
_INSIDE: Final = {
    Level.UNIT_PROCEDURE: frozenset({Level.OPERATION, Level.PHASE}) | _GROUPS,
    Level.OPERATION: frozenset({Level.PHASE}) | _GROUPS,
    Level.PARALLEL: frozenset({Level.UNIT_PROCEDURE, Level.OPERATION, Level.PHASE}) | _GROUPS,
    Level.CHOICE: frozenset({Level.UNIT_PROCEDURE, Level.OPERATION, Level.PHASE}) | _GROUPS,
    Level.LOOP: frozenset({Level.OPERATION, Level.PHASE}) | _GROUPS,
}
"""Which elements may stand in which."""


class _Builder:
    """Makes steps of sections; an operation that is used stands in its place as if it were written there."""

    def __init__(self, document: Document, operations: Mapping[str, OperationSection], mistakes: list[Mistake]) -> None:
        self._document = document
        self._operations = operations
        self._mistakes = mistakes
        self._using: list[str] = []
        self.used: set[str] = set()

    def steps(self, sections: list[StepSection], place: Place, above: str, unit: str) -> Iterator[Step]:
        """The steps of a list, in its order."""
        names: set[str] = set()
        for number, section in enumerate(sections):
            here = (*place, number)
            step = self._step(section, here, above, unit)
            if step is None:
                continue
            if step.name in names:
                self._wrong(here, f"two steps here are called {step.name!r}: give one another name")
            names.add(step.name)
            yield step

    def handlers(self, sections: list[HandlerSection], here: Place) -> tuple[HandlerSpec, ...]:
        """The handlers of an element."""
        found = []
        for number, one in enumerate(sections):
            place = (*here, "on", number)
            events = [key for key in _EVENTS if getattr(one, key)]
            if len(events) != 1:
                self._wrong(place, f"a handler is for exactly one of {', '.join(_EVENTS)}")
            acts = [key for key in ("do", "go_to", "ask") if getattr(one, key)]
            if len(acts) != 1:
                self._wrong(place, "a handler does exactly one of do, go_to, ask")
            if bool(one.choices) != bool(one.ask):
                self._wrong(place, "a question (ask) has choices, and nothing else has")
            for label, action in one.choices.items():
                if action not in _ANSWERS and not action.startswith(GO_TO):
                    what = f"{action!r} is none of {', '.join(_ANSWERS)}, {GO_TO}NAME"
                    self._wrong((*place, "choices", label), what)
            found.append(
                HandlerSpec(
                    place, one.when, one.alarm, one.bad_quality, one.timeout, one.failure, one.do, one.go_to or "",
                    one.ask, one.choices,
                )
            )  # fmt: skip
        return tuple(found)

    def _step(self, section: StepSection, here: Place, above: str, unit: str) -> Step | None:
        kinds = [kind for kind in _LEVELS if getattr(section, kind) is not None]
        if len(kinds) != 1:
            what = f"each step is one of {', '.join(list(_LEVELS)[:-1])} and use"
            self._wrong(here, f"{what}; this one is {' and '.join(kinds) or 'none of them'}")
            return None
        level = _LEVELS[kinds[0]]
        name = section.name or getattr(section, kinds[0])
        path = f"{above}/{name}" if above else name
        own_unit = section.unit or unit
        if section.use is not None:
            return self._used(section, here, name, path, own_unit)
        self._check_shape(section, level, here)
        below = tuple(self.steps(section.steps, (*here, "steps"), path, own_unit))
        for step in below:
            if step.level not in _INSIDE.get(level, frozenset()):
                self._wrong(step.place, f"a {step.level} cannot stand inside a {level}")
        if level is Level.CHOICE:
            self._check_branches(below)
        for step in below if level is not Level.CHOICE else ():
            if step.condition and step.level is not Level.LOOP:
                self._wrong(
                    (*step.place, "if"), "only a branch of a choice takes 'if:'; to wait for something is 'when:'"
                )
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
            condition=section.until if level is Level.LOOP else section.condition,
            times=section.times or "",
            at_most=section.at_most or 0,
            handlers=self.handlers(section.handlers, here),
        )

    def _used(self, section: StepSection, here: Place, name: str, path: str, unit: str) -> Step | None:
        used = section.use or ""
        operation = self._operations.get(used)
        if operation is None:
            self._wrong((*here, "use"), f"there is no operation {used!r} under 'operations:'"
                        f"{nearest(used, self._operations)}")  # fmt: skip
            return None
        if used in self._using:
            self._wrong((*here, "use"), f"operation {used!r} uses itself")
            return None
        for key in section.arguments:
            if key not in operation.parameters:
                self._wrong((*here, "with", key), f"operation {used!r} has no parameter {key!r}"
                            f"{nearest(key, operation.parameters)}")  # fmt: skip
        if section.steps:
            self._wrong((*here, "steps"), f"the steps of {used!r} stand under 'operations:', and none here")
        place = ("operations", used)
        self._using.append(used)
        self.used.add(used)
        below = tuple(self.steps(operation.steps, (*place, "steps"), path, unit))
        self._using.pop()
        for step in below:
            if step.level not in _INSIDE[Level.OPERATION]:
                self._wrong(step.place, f"a {step.level} cannot stand inside an operation")
        own = self.handlers(section.handlers, here)
        return Step(
            level=Level.OPERATION,
            name=name,
            path=path,
            place=here,
            unit=unit,
            when=section.when,
            steps=below,
            condition=section.condition,
            handlers=(*own, *self.handlers(operation.handlers, place)),
            given={
                key: ParameterSpec(
                    key,
                    section.arguments.get(key, p.value),
                    p.low,
                    p.high,
                    p.value,
                    (*here, "with", key) if key in section.arguments else (*place, "parameters", key, "value"),
                )
                for key, p in operation.parameters.items()
            },
        )

    def _check_shape(self, section: StepSection, level: Level, here: Place) -> None:
        if level is Level.PHASE and section.steps:
            self._wrong((*here, "steps"), "a phase has no steps")
        if level is not Level.PHASE and not section.steps:
            self._wrong(here, f"this {level} has no steps")
        if level is not Level.PHASE and section.arguments:
            self._wrong((*here, "with"), f"only a phase takes 'with:', not a {level}")
        if level is not Level.LOOP:
            for key in ("until", "times", "at_most"):
                if getattr(section, key):
                    self._wrong((*here, key), f"only a loop takes '{key}:', not a {level}")
        elif not section.until and section.times is None:
            self._wrong(here, "this loop has no end: write 'times:', or 'until:' with 'at_most:'")
        elif section.until and section.at_most is None:
            self._wrong(here, "this loop may go on for ever: write 'at_most:' beside 'until:'")
        elif section.until and section.times is not None:
            self._wrong((*here, "times"), "a loop has either 'until:' or 'times:'")
        elif section.at_most is not None and section.times is not None:
            self._wrong((*here, "at_most"), "'at_most:' bounds 'until:'; 'times:' is a bound already")

    def _check_branches(self, branches: tuple[Step, ...]) -> None:
        conditions: set[str] = set()
        for step in branches:
            condition = " ".join(step.condition.split())
            if condition and condition in conditions:
                self._wrong(step.place, f"{step.name!r} is never reached: a branch before it has the same condition")
            conditions.add(condition)
        for step in branches[:-1]:
            if not step.condition:
                self._wrong(step.place, f"{step.name!r} is always chosen, and no branch after it is ever reached: "
                            "give it an 'if:', or put it last")  # fmt: skip

    def _wrong(self, place: Place, what: str) -> None:
        self._mistakes.append(self._document.mistake(place, what))


_EVENTS: Final = ("when", "alarm", "bad_quality", "timeout", "failure")
GO_TO: Final = "go to "
"""Beginning of a choice that goes on with another step."""
_ANSWERS: Final = ("continue", "hold", "stop", "abort", "end")


def _leaves(action: str) -> bool:
    return action == "end" or action.startswith(GO_TO)
