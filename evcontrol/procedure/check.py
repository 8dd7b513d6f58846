"""Checking a recipe against a plant and the phase library, and binding it: the control recipe (ISA-88.00.01, 5.3.5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from evcontrol.expression import Condition, Reading, Symbol, compile_condition, compile_value
from evcontrol.plant.model import OnSilence, Plant
from evcontrol.procedure import conflicts, parameters
from evcontrol.procedure.handling import BoundHandler, bind_handlers
from evcontrol.procedure.mistakes import Mistakes
from evcontrol.procedure.parameters import Values
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, UnknownPhaseError, phase_type, phase_types
from evcontrol.procedure.recipe import Level, Recipe, Step, read_recipe
from evcontrol.procedure.results import results_of
from evcontrol.yaml_source import Mistake, SourceError, nearest
from evcontrol.yaml_source import Path as Place

ArgumentValue = float | str | bool | Condition | None
FLAGS: Final = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class BoundStep:
    """An element bound to equipment: the plant's unit, the phase's class, and its arguments in their units.

    Of a loop ``until`` is its end condition, and it has as many turns as it makes at most.
    """

    step: Step
    unit: str
    phase: type[Phase] | None
    arguments: Mapping[str, ArgumentValue]
    when: Condition | None
    steps: tuple[BoundStep, ...]
    until: Condition | None = None
    handlers: tuple[BoundHandler, ...] = ()

    def walk(self) -> Iterator[BoundStep]:
        """This element and all below it."""
        yield self
        for step in self.steps:
            yield from step.walk()


@dataclass(frozen=True, slots=True)
class ControlRecipe:
    """A recipe bound to one plant with the parameters of one batch (as texts with their units)."""

    recipe: Recipe
    units: Mapping[str, str]
    """The recipe's names of units and the plant's."""
    parameters: Mapping[str, str]
    procedure: BoundStep


def bind(recipe: Recipe, plant: Plant, given: Mapping[str, str] | None = None) -> ControlRecipe:
    """Check a recipe and bind it. ``given`` are parameters of this batch, such as ``{"tmp": "4 psi"}``.

    Units are bound by class: the first free one of the plant. Raises SourceError with every mistake.
    """
    return _Binder(recipe, plant, given or {}).bind()


def mistakes_of(text: str, file: str, plant: Plant) -> list[Mistake]:
    """Every mistake of a recipe on a plant, in its structure and in what it says, in the order of the file."""
    try:
        recipe, found = read_recipe(text, file)
    except SourceError as error:
        return error.mistakes
    try:
        bind(recipe, plant)
    except SourceError as error:
        found = [*found, *error.mistakes]
    return SourceError(found).mistakes


@dataclass(frozen=True, slots=True)
class _Scope:
    """What expressions of a step may read beside the tags: parameters, and results of phases that ran before."""

    values: Values
    results: Mapping[str, Symbol]


class _Binder:
    def __init__(self, recipe: Recipe, plant: Plant, given: Mapping[str, str]) -> None:
        self._recipe = recipe
        self._plant = plant
        self._given = given
        self._mistakes = Mistakes(recipe.document)
        self._units: dict[str, str] = {}
        self._unknown_units: set[str] = set()
        self._tags: dict[str, Symbol] = {}

    def bind(self) -> ControlRecipe:
        self._bind_units()
        values, texts = parameters.of_batch(self._recipe.parameters, self._given, self._mistakes)
        procedure = self._step(self._recipe.procedure, _Scope(values, {}))
        if self._mistakes.found:
            raise SourceError(self._mistakes.found)
        return ControlRecipe(self._recipe, self._units, texts, procedure)

    def _bind_units(self) -> None:
        for name, unit_class in self._recipe.units.items():
            free = [u.name for u in self._plant.units.values() if u.unit_class == unit_class]
            free = [unit for unit in free if unit not in self._units.values()]
            if not free:
                known = {u.unit_class for u in self._plant.units.values()}
                what = f"the plant {self._plant.name!r} has no free unit of class {unit_class!r}"
                place = ("units", name, "class")
                self._mistakes.wrong(place, what + ("" if unit_class in known else nearest(unit_class, known)))
                continue
            self._units[name] = free[0]
            for tag, symbol in self._plant.symbols.items():
                if self._plant.unit_of(tag) == free[0]:
                    limits = self._plant.tags[tag]
                    bounded = symbol if symbol.labels else replace(symbol, low=limits.low, high=limits.high)
                    self._tags[f"{name}.{tag.partition('.')[2]}"] = bounded

    def _step(self, step: Step, scope: _Scope) -> BoundStep:
        unit = self._unit_of(step)
        if step.level is Level.PARALLEL:
            self._share_no_unit(step)
        when = self._condition((*step.place, "when"), step.when, scope) if step.when else None
        if when is not None and step.level is Level.BRANCH:
            self._check_branch(step)
        elif when is not None and not when.names:
            self._wrong((*step.place, "when"), f"{step.when} reads no tag and no result: it never changes")
        handlers = bind_handlers(step, self._plant, self._units, self._readable(scope), self._mistakes)
        inside = self._inside(step, scope)
        phase = self._phase(step, unit) if step.level is Level.PHASE else None
        arguments = self._arguments(step, phase, scope) if phase is not None else {}
        turns = self._turns(step, scope) if step.level is Level.LOOP else len(step.steps)
        below = tuple(self._below(step, inside))[:turns]
        return BoundStep(step, unit, phase, arguments, when, below, self._until(step, inside), handlers)

    def _below(self, step: Step, scope: _Scope) -> Iterator[BoundStep]:
        """The steps inside, each with the results of those that have surely run before it."""
        follows = step.level not in (Level.PARALLEL, Level.CHOICE)
        results = dict(scope.results)
        for below in step.steps:
            yield self._step(below, replace(scope, results=dict(results)))
            if follows:
                results |= results_of(below)

    def _inside(self, step: Step, scope: _Scope) -> _Scope:
        """What steps inside may read: of an operation of the library its parameters too."""
        if not step.use or step.use not in self._recipe.operations:
            return scope
        specs = self._recipe.operations[step.use]
        return replace(
            scope, values=parameters.of_operation(specs, step.arguments, scope.values, step.place, self._mistakes)
        )

    def _turns(self, step: Step, scope: _Scope) -> int:
        """How many turns a loop makes at most."""
        if not step.times:
            return len(step.steps)
        place = (*step.place, "times")
        line, column = self._mistakes.start(place)
        with self._mistakes.at(place):
            value = compile_value(step.times, scope.values, unit="", line=line, column=column)
            times = value.evaluate(_nothing).value
            if times != round(times) or not 1 <= times <= len(step.steps):
                what = f"times: {times:g} is no whole number from 1 to the loop's bound (at_most: {len(step.steps)})"
                self._wrong(place, what)
            else:
                return round(times)
        return len(step.steps)

    def _until(self, step: Step, scope: _Scope) -> Condition | None:
        if not step.until:
            return None
        # The condition is looked at after a turn: it may read what the turn's phases found.
        turn = replace(scope, results={**scope.results, **results_of(step)})
        until = self._condition((*step.place, "until"), step.until, turn)
        if until is not None and not until.names:
            self._wrong((*step.place, "until"), f"{step.until} reads no tag and no result: it never changes")
        return until

    def _check_branch(self, step: Step) -> None:
        """A choice is decided in one moment."""
        if until_later := conflicts.needs_time(step.when):
            self._wrong((*step.place, "when"), f"a choice is decided in one moment: {until_later} cannot be true then")

    def _share_no_unit(self, step: Step) -> None:
        """Steps that run at once must not command one unit."""
        for place, what in conflicts.shared_units(step, self._commands):
            self._wrong(place, what)

    @staticmethod
    def _commands(step: Step) -> bool:
        try:
            return step.level is Level.PHASE and bool(phase_type(step.phase).actuators)
        except UnknownPhaseError:
            return False

    def _unit_of(self, step: Step) -> str:
        if not step.unit:
            return ""
        if step.unit not in self._recipe.units and step.unit not in self._unknown_units:
            self._unknown_units.add(step.unit)
            what = f"unit {step.unit!r} is not among the recipe's units{nearest(step.unit, self._recipe.units)}"
            self._wrong((*step.place, "unit"), what)
        return self._units.get(step.unit, "")

    def _phase(self, step: Step, unit: str) -> type[Phase] | None:
        place = (*step.place, "phase")
        try:
            phase = phase_type(step.phase)
        except UnknownPhaseError:
            self._wrong(place, f"no phase is called {step.phase!r}{nearest(step.phase, phase_types())}")
            return None
        if phase.unit_class and not step.unit:
            self._wrong(place, f"{step.phase} needs a unit of class {phase.unit_class!r}: write 'unit:' here or above")
        elif phase.unit_class and unit:
            self._fits(phase, step, unit)
        return phase

    def _fits(self, phase: type[Phase], step: Step, unit: str) -> None:
        """Whether a unit has what a phase needs, and is safe without us."""
        place = (*step.place, "phase")
        has = self._plant.units[unit].unit_class
        if has != phase.unit_class:
            self._wrong(place, f"{step.phase} runs on units of class {phase.unit_class!r}, and {unit} is {has!r}")
            return
        for tag in (*phase.tags, *phase.actuators):
            if f"{unit}.{tag}" not in self._plant.tags:
                self._wrong(place, f"{step.phase} needs the tag {unit}.{tag}, which the plant does not have")
        for loop in phase.loops:
            if f"{unit}.{loop}" not in self._plant.loops:
                self._wrong(place, f"{step.phase} needs the loop {unit}.{loop}, which the plant does not have")
        for tag in phase.actuators if phase.hazardous else ():
            spec = self._plant.writes.get(f"{unit}.{tag}")
            if spec is None:
                self._wrong(place, f"{step.phase} writes {unit}.{tag}, which the plant does not let be written")
            elif spec.on_silence is OnSilence.RUNS_ON:
                what = f"{step.phase} is hazardous, and {unit}.{tag} runs on when the engine falls silent"
                self._wrong(place, f"{what}: give it a watchdog (on_silence in the plant file)")

    def _arguments(self, step: Step, phase: type[Phase], scope: _Scope) -> dict[str, ArgumentValue]:
        known = {argument.name: argument for argument in phase.arguments}
        before = len(self._mistakes.found)
        for name in step.arguments:
            if name not in known:
                self._wrong((*step.place, "with", name), f"{step.phase} has no argument {name!r}{nearest(name, known)}")
        values: dict[str, ArgumentValue] = {}
        for name, argument in known.items():
            text = step.arguments.get(name, argument.default)
            if text is None:
                what = f"{step.phase} needs {name!r} ({argument.description}): write it under 'with:'"
                self._wrong(step.place, what)
            else:
                values[name] = self._value((*step.place, "with", name), argument, text, scope) if text else None
        if len(self._mistakes.found) == before and (misfit := phase.misfit(values)):
            self._wrong(step.place, f"{step.phase}: {misfit}")
        return values

    def _value(self, place: Place, argument: Argument, text: str, scope: _Scope) -> ArgumentValue:
        match argument.kind:
            case ArgumentKind.NUMBER:
                return self._number(place, argument, text, scope)
            case ArgumentKind.CONDITION:
                return self._condition(place, text, replace(scope, results={}))
            case ArgumentKind.FLAG:
                if text not in FLAGS:
                    self._not_among(place, argument, text, list(FLAGS))
                return FLAGS.get(text)
            case ArgumentKind.CHOICE if text not in argument.choices:
                self._not_among(place, argument, text, list(argument.choices))
                return None
            case _:
                return text

    def _not_among(self, place: Place, argument: Argument, text: str, choices: list[str]) -> None:
        self._wrong(place, f"{argument.name}: {text!r} is none of {', '.join(choices)}")

    def _number(self, place: Place, argument: Argument, text: str, scope: _Scope) -> float | None:
        line, column = self._mistakes.start(place)
        with self._mistakes.at(place):
            value = compile_value(text, scope.values, unit=argument.unit, line=line, column=column)
            number = value.evaluate(_nothing).value
            low, high = argument.low, argument.high
            if (low is not None and number < low) or (high is not None and number > high) or math.isnan(number):
                limits = f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'} {argument.unit}"
                self._wrong(place, f"{argument.name}: {number:g} {argument.unit} is outside {limits.strip()}")
            return number
        return None

    def _readable(self, scope: _Scope) -> dict[str, Symbol]:
        """What a condition may read."""
        return {**scope.values, **self._tags, **scope.results}

    def _condition(self, place: Place, text: str, scope: _Scope) -> Condition | None:
        line, column = self._mistakes.start(place)
        with self._mistakes.at(place):
            return compile_condition(text, self._readable(scope), line=line, column=column)
        return None

    def _wrong(self, place: Place, what: str) -> None:
        self._mistakes.wrong(place, what)


def _nothing(name: str) -> Reading:
    raise LookupError(f"a constant does not read {name}")
