"""Checking a recipe against a plant and the phase library, and binding it: the control recipe (ISA-88.00.01, 5.3.5)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from evcontrol.acquisition.image import constant_name
from evcontrol.expression import Condition, ExpressionError, Reading, Symbol, compile_condition, compile_value
from evcontrol.plant.model import OnSilence, Plant
from evcontrol.procedure import conflicts
from evcontrol.procedure.hazards import unhandled
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, UnknownPhaseError, phase_type, phase_types
from evcontrol.procedure.recipe import GO_TO, HandlerSpec, Level, Recipe, Step, read_recipe
from evcontrol.procedure.recipe_file import MOST_PASSES
from evcontrol.procedure.results import PREFIX as RESULT
from evcontrol.procedure.results import ResultScope
from evcontrol.procedure.scaling import scaled, scaling_mistakes
from evcontrol.quality import GOOD
from evcontrol.units import UnitError, parse_quantity
from evcontrol.yaml_source import Mistake, SourceError, nearest
from evcontrol.yaml_source import Path as Place

_BAD = "bad("
ArgumentValue = float | str | bool | Condition | None
FLAGS = {"yes": True, "no": False}
MOST_REPEATS = 10_000
"""Most passes of a loop in all the passes of those around it."""


@dataclass(frozen=True, slots=True)
class BoundHandler:
    """A handler bound to equipment; one of ``when``, ``alarm``, ``timeout_s`` and ``failure`` says what it is for.

    ``action`` is ``hold``, ``stop``, ``abort``, ``end`` or ``go to NAME``; with a question in ``ask`` the answers and
    their actions are ``choices``.
    """

    when: Condition | None
    alarm: str
    timeout_s: float
    failure: bool
    action: str
    ask: str
    choices: Mapping[str, str]
    text: str
    """What it is for, in words."""


@dataclass(frozen=True, slots=True)
class BoundStep:
    """An element bound to equipment: the plant's unit, the phase's class, and its arguments in their units.

    ``condition`` is the ``if`` of a branch or the ``until`` of a loop, which has at most ``at_most`` passes.
    """

    step: Step
    unit: str
    phase: type[Phase] | None
    arguments: Mapping[str, ArgumentValue]
    when: Condition | None
    steps: tuple[BoundStep, ...]
    condition: Condition | None = None
    at_most: int = 0
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

    @property
    def when_needed(self) -> frozenset[str]:
        """The plant's units that the batch takes when it needs them first."""
        return frozenset(self.units[name] for name in self.recipe.when_needed)


def bind(
    recipe: Recipe,
    plant: Plant,
    given: Mapping[str, str] | None = None,
    *,
    units: Mapping[str, str] | None = None,
    busy: Collection[str] = (),
) -> ControlRecipe:
    """Check a recipe and bind it. ``given`` are parameters of this batch, such as ``{"tmp": "4 psi"}``.

    Units are bound to those of ``units`` (the recipe's names and the plant's), else by class: the first of the plant
    that is not ``busy``, else the first. Raises SourceError with every mistake.
    """
    return _Binder(recipe, plant, given or {}, units or {}, busy).bind()


def mistakes_of(text: str, file: str, plant: Plant) -> list[Mistake]:
    """Every mistake of a recipe on a plant, in its structure and in what it says, in the order of the file.

    That hazardous phases are handled is asked here only: a batch that outlived its engine is bound again in any case.
    """
    try:
        recipe, found = read_recipe(text, file)
    except SourceError as error:
        return error.mistakes
    found = [*found, *(recipe.document.mistake(place, what) for place, what in unhandled(recipe))]
    try:
        bind(recipe, plant)
    except SourceError as error:
        found += error.mistakes
    return SourceError(found).mistakes


class _Binder:
    def __init__(
        self,
        recipe: Recipe,
        plant: Plant,
        given: Mapping[str, str],
        wanted: Mapping[str, str],
        busy: Collection[str],
    ) -> None:
        self._recipe = recipe
        self._plant = plant
        self._given = given
        self._wanted = wanted
        self._busy = busy
        self._mistakes: list[Mistake] = []
        self._unknown_units: set[str] = set()
        self._units: dict[str, str] = {}
        self._values: dict[str, Reading] = {}
        self._scope: dict[str, Symbol] = {}
        self._tags: dict[str, Symbol] = {}
        self._results = ResultScope(recipe.procedure)
        self._repeats = 1
        """How often what is looked at is repeated by the loops that it stands in."""

    def bind(self) -> ControlRecipe:
        self._bind_units()
        texts = self._parameters()
        procedure = self._step(self._recipe.procedure)
        if self._mistakes:
            raise SourceError(self._mistakes)
        return ControlRecipe(self._recipe, self._units, texts, procedure)

    def _bind_units(self) -> None:
        for name, unit_class in self._recipe.units.items():
            free = [u.name for u in self._plant.units.values() if u.unit_class == unit_class]
            free = [unit for unit in free if unit not in self._units.values()]
            free.sort(key=lambda unit: unit in self._busy)
            if name in self._wanted:
                free = [unit for unit in free if unit == self._wanted[name]]
            if not free:
                known = {u.unit_class for u in self._plant.units.values()}
                what = f"the plant {self._plant.name!r} has no free unit of class {unit_class!r}"
                self._wrong(("units", name), what + ("" if unit_class in known else nearest(unit_class, known)))
                continue
            self._units[name] = free[0]
            for tag, symbol in self._plant.symbols.items():
                if self._plant.unit_of(tag) == free[0]:
                    limits = self._plant.tags[tag]
                    bounded = symbol if symbol.labels else replace(symbol, low=limits.low, high=limits.high)
                    self._tags[f"{name}.{tag.partition('.')[2]}"] = bounded

    def _parameters(self) -> dict[str, str]:
        for name in self._given:
            if name not in self._recipe.parameters:
                what = f"the recipe has no parameter {name!r}{nearest(name, self._recipe.parameters)}"
                self._wrong(("parameters",), what)
        for place, what in scaling_mistakes(self._recipe):
            self._wrong(place, what)
        texts = {}
        for name, spec in self._recipe.parameters.items():
            text = self._given[name] if name in self._given else scaled(spec, self._recipe, self._given)
            said = text if name in self._given or text == spec.value else f"{text} (scaled by {spec.scale_by})"
            with self._at(spec.place):
                written = parse_quantity(spec.value)
                value = parse_quantity(text, like=written.unit)
                for limit, beyond in ((spec.low, "below"), (spec.high, "above")):
                    if limit is None:
                        continue
                    bound = parse_quantity(limit).to(value.unit)
                    if (value.value < bound) if beyond == "below" else (value.value > bound):
                        self._wrong(spec.place, f"parameter {name}: {said} is {beyond} its limit {limit}")
                self._values[name] = Reading(value.value, GOOD)
                self._scope[name] = Symbol(name, value.unit.text)
                texts[name] = text
        return texts

    def _step(self, step: Step) -> BoundStep:
        unit = self._unit_of(step)
        if step.level is Level.PARALLEL:
            self._share_no_unit(step)
        when = self._condition((*step.place, "when"), step.when, of=step) if step.when else None
        key = "until" if step.level is Level.LOOP else "if"
        inside = step.level is Level.LOOP
        condition = None
        if step.condition:
            condition = self._condition((*step.place, key), step.condition, of=step, inside=inside)
        if step.condition and step.level is not Level.LOOP and (late := conflicts.needs_time(step.condition)):
            self._wrong((*step.place, key), f"a choice is decided in one moment: {late} cannot be true then")
        outer = dict(self._values), dict(self._scope)
        self._take_given(step)
        phase = self._phase(step, unit) if step.level is Level.PHASE else None
        arguments = self._arguments(step, phase) if phase is not None else {}
        handlers = tuple(self._handler(one, step) for one in step.handlers)
        passes = self._passes(step)
        self._repeats *= max(1, passes)
        if passes and self._repeats > MOST_REPEATS:
            what = f"with the loops around it this one runs up to {self._repeats} times: at most {MOST_REPEATS}"
            self._wrong(step.place, what)
        below = tuple(self._step(one) for one in step.steps)
        self._repeats //= max(1, passes)
        for index, one in enumerate(step.steps):
            self._check_targets(one, step.steps[index + 1 :])
        bound = BoundStep(step, unit, phase, arguments, when, below, condition, passes, handlers)
        self._values, self._scope = outer
        return bound

    def _take_given(self, step: Step) -> None:
        """The parameters of an operation that is used here count in it and below."""
        taken: dict[str, tuple[float, str]] = {}
        for name, spec in step.given.items():
            line, column = self._recipe.document.place(spec.place)
            with self._at(spec.place):
                own = parse_quantity(spec.description)
                unit, taken[name] = own.unit, (own.value, own.unit.text)
                value = compile_value(spec.value, self._scope, unit=unit.text, line=line, column=column)
                number = value.evaluate(lambda n: self._values[n]).value
                for limit, beyond in ((spec.low, "below"), (spec.high, "above")):
                    bound = number if limit is None else parse_quantity(limit).to(unit)
                    if (number < bound) if beyond == "below" else (number > bound):
                        self._wrong(spec.place, f"parameter {name}: {spec.value} is {beyond} its limit {limit}")
                taken[name] = (number, unit.text)
        for name, (number, text) in taken.items():  # none of them reads another
            self._values[name] = Reading(number, GOOD)
            self._scope[name] = Symbol(name, text)

    def _passes(self, step: Step) -> int:
        """How many passes a loop has at most."""
        if not step.times:
            return step.at_most
        place = (*step.place, "times")
        line, column = self._recipe.document.place(place)
        with self._at(place):
            value = compile_value(step.times, self._scope, unit="", line=line, column=column)
            number = value.evaluate(lambda name: self._values[name]).value
            if number != round(number) or not 1 <= number <= MOST_PASSES:
                self._wrong(place, f"times: {number:g} is no whole number from 1 to {MOST_PASSES}")
                return 1
            return round(number)
        return 1

    def _handler(self, spec: HandlerSpec, step: Step) -> BoundHandler:
        place = spec.place
        when, alarm, timeout_s = None, "", 0.0
        if spec.when:
            when, text = self._condition((*place, "when"), spec.when, of=step, inside=True), spec.when
        elif spec.bad_quality:
            text = f"{_BAD}{spec.bad_quality})"
            when = self._condition((*place, "bad_quality"), text, -len(_BAD))
        elif spec.alarm:
            alarm, text = self._alarm((*place, "alarm"), spec.alarm), f"alarm {spec.alarm}"
        elif spec.timeout:
            text = f"not over within {spec.timeout}"
            with self._at((*place, "timeout")):
                timeout_s = parse_quantity(spec.timeout).to("s")
                if not timeout_s > 0:
                    self._wrong((*place, "timeout"), "a time-out is longer than 0 s")
        else:
            text = "a phase failed"
        action = f"{GO_TO}{spec.go_to}" if spec.go_to else spec.do
        if spec.failure and spec.ask and any(a not in ("hold", "stop", "abort") for a in spec.choices.values()):
            what = "after a failure a person may choose among hold, stop and abort: what failed cannot go on by itself"
            self._wrong((*place, "choices"), what)
        return BoundHandler(when, alarm, timeout_s, spec.failure, action, spec.ask, dict(spec.choices), text)

    def _alarm(self, place: Place, name: str) -> str:
        own, _, rest = name.partition(".")
        if own not in self._recipe.units:
            self._wrong(place, f"alarm {name!r}: write UNIT.ALARM with one of the recipe's units: "
                        f"{', '.join(self._recipe.units) or 'none'}")  # fmt: skip
            return ""
        full = f"{self._units.get(own, '')}.{rest}"
        if full not in self._plant.alarms and own in self._units:
            unit = f"{self._units[own]}."
            known = [f"{own}.{one.removeprefix(unit)}" for one in self._plant.alarms if one.startswith(unit)]
            self._wrong(place, f"{self._units[own]} has no alarm {rest!r}{nearest(name, known)}")
        return full

    def _check_targets(self, step: Step, later: tuple[Step, ...]) -> None:
        """A handler goes on with a step that comes after its own."""
        names = [one.name for one in later]
        for spec in step.handlers:
            targets = [spec.go_to, *(a.removeprefix(GO_TO) for a in spec.choices.values() if a.startswith(GO_TO))]
            for target in filter(None, targets):
                if target not in names:
                    what = f"{step.name!r} cannot go on with {target!r}: no step after it here is called so"
                    self._wrong(spec.place, what + nearest(target, names))

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
        for name in phase.constants:
            if name not in self._plant.units[unit].constants:
                what = f"{step.phase} needs the constant {name!r} of {unit}, which the plant file does not give"
                self._wrong(place, what)
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

    def _arguments(self, step: Step, phase: type[Phase]) -> dict[str, ArgumentValue]:
        known = {argument.name: argument for argument in phase.arguments}
        before = len(self._mistakes)
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
                values[name] = self._value((*step.place, "with", name), argument, text) if text else None
        if len(self._mistakes) == before and (misfit := phase.misfit(values)):
            self._wrong(step.place, f"{step.phase}: {misfit}")
        return values

    def _value(self, place: Place, argument: Argument, text: str) -> ArgumentValue:
        match argument.kind:
            case ArgumentKind.NUMBER:
                return self._number(place, argument, text)
            case ArgumentKind.CONDITION:
                return self._condition(place, text)
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

    def _number(self, place: Place, argument: Argument, text: str) -> float | None:
        line, column = self._recipe.document.place(place)
        with self._at(place):
            value = compile_value(text, self._scope, unit=argument.unit, line=line, column=column)
            number = value.evaluate(lambda name: self._values[name]).value
            low, high = argument.low, argument.high
            if (low is not None and number < low) or (high is not None and number > high) or math.isnan(number):
                limits = f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'} {argument.unit}"
                self._wrong(place, f"{argument.name}: {number:g} {argument.unit} is outside {limits.strip()}")
            return number
        return None

    def _condition(
        self, place: Place, text: str, aside: int = 0, of: Step | None = None, inside: bool = False
    ) -> Condition | None:
        """A condition, ``of`` an element whose phases' results it may read.

        ``aside`` are the columns by which it begins before what the file says.
        """
        line, column = self._recipe.document.place(place)
        with self._at(place):
            constants = {name: Symbol(constant_name(self._values[name].value), s.unit) for name, s in
                         self._scope.items()}  # fmt: skip
            results = self._results.symbols(of, inside) if of is not None and RESULT in text else {}
            scope = constants | self._tags | results
            condition = compile_condition(text, scope, line=line, column=column + aside)
            changing = (symbol.name for symbol in (*self._tags.values(), *results.values()))
            if condition.names.isdisjoint(changing):
                if place[-1] != "if":
                    self._wrong(place, "this condition reads no tag of a unit: what it says never changes")
                elif not condition.names:
                    self._wrong(place, "this condition reads no tag and no parameter: it always says the same")
            return condition
        return None

    @contextmanager
    def _at(self, place: Place) -> Iterator[None]:
        """Mistakes of units and expressions become mistakes of the file."""
        try:
            yield
        except ExpressionError as error:
            file = self._recipe.document.file
            for one in (error, *error.more):
                self._mistakes.append(Mistake(file, one.line, one.column, one.message))
        except UnitError as error:
            self._wrong(place, str(error))

    def _wrong(self, place: Place, what: str) -> None:
        self._mistakes.append(self._recipe.document.mistake(place, what))
