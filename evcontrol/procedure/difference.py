"""How two versions of a recipe differ, in the terms of recipes and not of lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from evcontrol.procedure.recipe import HandlerSpec, Level, ParameterSpec, Recipe, Step

# What a recipe says is read off its model, so that a key that comes to the language is never passed over.
HEAD_APART: Final = frozenset({"units", "when_needed", "parameters", "procedure", "text", "hash", "document"})
PARAMETER_APART: Final = frozenset({"name", "place"})
STEP_APART: Final = frozenset({"name", "path", "place", "unit", "arguments", "steps", "handlers", "given"})
HANDLER_APART: Final = frozenset({"place", "when", "alarm", "bad_quality", "timeout", "failure", "do", "go_to", "ask",
                                  "choices"})  # fmt: skip
"""Fields that are told otherwise than as a name and a value, or that say nothing of the recipe."""
_WORDS: Final = {"level": "kind"}
_EVENTS: Final = ("when", "alarm", "bad_quality", "timeout", "failure")


def differences(old: Recipe, new: Recipe) -> list[str]:
    """One line for each difference; none for recipes that say the same, however they are written."""
    return [
        *_values("recipe", _fields(old, HEAD_APART), _fields(new, HEAD_APART)),
        *_values("unit", units_in_words(old), units_in_words(new), named=True),
        *_parameters("parameter", old.parameters, new.parameters),
        *_steps(old.procedure, new.procedure, ("", "")),
    ]


def units_in_words(recipe: Recipe) -> dict[str, str]:
    """What a recipe says of each of its units."""
    return {
        name: f"{unit_class}, allocated when needed" if name in recipe.when_needed else unit_class
        for name, unit_class in recipe.units.items()
    }


def own_differences(old: Step, new: Step, above: tuple[str, str]) -> Iterator[str]:
    """How two elements that stand for each other differ, without what is in them.

    ``above`` are the units of what they are in: a unit that is inherited is told there.
    """
    place = new.path or "procedure"
    yield from _values(place, _fields(old, STEP_APART), _fields(new, STEP_APART))
    if (old.unit, new.unit) != above:
        yield from _values(place, {"unit": old.unit}, {"unit": new.unit})
    yield from _values(f"{place}: with", old.arguments, new.arguments, named=True)
    yield from _parameters(f"{place}: given", old.given, new.given)
    yield from _handlers(place, old.handlers, new.handlers)


def _values(what: str, old: Mapping[str, object], new: Mapping[str, object], *, named: bool = False) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        place = f"{what} {key}" if named else f"{what}: {key}"
        if key not in old:
            yield f"{place} added: {_said(new[key])}"
        elif key not in new:
            yield f"{place} removed: {_said(old[key])}"
        elif old[key] != new[key]:
            yield f"{place} {_said(old[key])} -> {_said(new[key])}"


def _parameters(what: str, old: Mapping[str, ParameterSpec], new: Mapping[str, ParameterSpec]) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            yield f"{what} {name} added: {new[name].value}"
        elif name not in new:
            yield f"{what} {name} removed: {old[name].value}"
        else:
            yield from _values(
                f"{what} {name}", _fields(old[name], PARAMETER_APART), _fields(new[name], PARAMETER_APART)
            )


def _steps(old: Step, new: Step, above: tuple[str, str]) -> Iterator[str]:
    """Two elements that stand for each other, and what is in them; ``above`` are the units of what they are in."""
    yield from own_differences(old, new, above)
    before, after = {step.name: step for step in old.steps}, {step.name: step for step in new.steps}
    for name, step in before.items():
        if name not in after:
            yield f"{step.path} removed ({_kind(step)})"
    last = ""
    for name, step in after.items():
        if name not in before:
            yield f"{step.path} added {f'after {last}' if last else 'as the first'} ({_kind(step)})"
            yield from (f"{one.path} added ({_kind(one)})" for one in step.walk() if one is not step)
        last = name
    common = [name for name in before if name in after]
    order = [name for name in after if name in before]
    if common != order and new.level is not Level.PARALLEL:
        yield f"{new.path or 'procedure'}: the order was {', '.join(common)} and is {', '.join(order)}"
    for name in order:
        yield from _steps(before[name], after[name], (old.unit, new.unit))


def _handlers(place: str, old: tuple[HandlerSpec, ...], new: tuple[HandlerSpec, ...]) -> Iterator[str]:
    before, after = [_handler(one) for one in old], [_handler(one) for one in new]
    for one in (Counter(before) - Counter(after)).elements():
        yield f"{place}: handler removed: {one}"
    for one in (Counter(after) - Counter(before)).elements():
        yield f"{place}: handler added: {one}"
    kept, was = [one for one in after if one in before], [one for one in before if one in after]
    if kept != was and Counter(kept) == Counter(was):
        yield f"{place}: the order of the handlers is {'; '.join(kept)}"


def _handler(spec: HandlerSpec) -> str:
    event = next((key for key in _EVENTS if getattr(spec, key)), "")
    said = "" if event == "failure" else f" {getattr(spec, event, '')}"
    does = f"go to {spec.go_to}" if spec.go_to else spec.do
    choices = ", ".join(f"{answer}: {action}" for answer, action in spec.choices.items())
    more = "".join(f", {key} {_said(value)}" for key, value in _fields(spec, HANDLER_APART).items() if value)
    return f"on {event}{said}: " + (f"ask {spec.ask!r} ({choices})" if spec.ask else does) + more


def _fields(of: Any, apart: frozenset[str]) -> dict[str, object]:
    return {_WORDS.get(one.name, one.name): getattr(of, one.name) for one in fields(of) if one.name not in apart}


def _kind(step: Step) -> str:
    if step.level is not Level.PHASE:
        return f"{step.level} of {sum(1 for one in step.walk() if one.level is Level.PHASE)} phases"
    return ", ".join([f"phase {step.phase}", *(f"{name} {value}" for name, value in step.arguments.items())])


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in (None, "", 0) else "none"
