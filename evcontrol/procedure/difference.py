"""How two versions of a recipe differ, in the terms of recipes and not of lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from evcontrol.procedure.recipe import HandlerSpec, Level, ParameterSpec, Recipe, Step

_HEAD: Final = ("name", "version", "product", "description", "hold_level")
_PARAMETER: Final = {"value": "value", "low": "low", "high": "high", "live": "live", "description": "description"}
_STEP: Final = {
    "level": "kind",
    "phase": "phase",
    "unit": "unit",
    "when": "when",
    "condition": "condition",
    "times": "times",
    "at_most": "at_most",
}
_EVENTS: Final = ("when", "alarm", "bad_quality", "timeout", "failure")


def differences(old: Recipe, new: Recipe) -> list[str]:
    """One line for each difference; none for recipes that say the same, however they are written."""
    return [
        *_values("recipe", {key: getattr(old, key) for key in _HEAD}, {key: getattr(new, key) for key in _HEAD}),
        *_values("unit", old.units, new.units, named=True),
        *_parameters("parameter", old.parameters, new.parameters),
        *_steps(old.procedure, new.procedure),
    ]


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
            yield from _values(f"{what} {name}", _fields(old[name], _PARAMETER), _fields(new[name], _PARAMETER))


def _steps(old: Step, new: Step) -> Iterator[str]:
    """Two elements that stand for each other, and what is in them."""
    place = new.path or "procedure"
    yield from _values(place, _fields(old, _STEP), _fields(new, _STEP))
    yield from _values(f"{place}: with", old.arguments, new.arguments, named=True)
    yield from _parameters(f"{place}: given", old.given, new.given)
    yield from _handlers(place, old.handlers, new.handlers)
    before, after = {step.name: step for step in old.steps}, {step.name: step for step in new.steps}
    for name in before.keys() - after.keys():
        yield f"{before[name].path} removed ({_kind(before[name])})"
    last = ""
    for name, step in after.items():
        if name not in before:
            yield f"{step.path} added {f'after {last}' if last else 'as the first'} ({_kind(step)})"
        last = name
    common = [name for name in before if name in after]
    order = [name for name in after if name in before]
    if common != order and new.level not in (Level.PARALLEL,):
        yield f"{place}: the order was {', '.join(common)} and is {', '.join(order)}"
    for name in order:
        yield from _steps(before[name], after[name])


def _handlers(place: str, old: tuple[HandlerSpec, ...], new: tuple[HandlerSpec, ...]) -> Iterator[str]:
    before, after = [_handler(one) for one in old], [_handler(one) for one in new]
    for one in before:
        if one not in after:
            yield f"{place}: handler removed: {one}"
    for one in after:
        if one not in before:
            yield f"{place}: handler added: {one}"
    kept = [one for one in after if one in before]
    if kept != [one for one in before if one in after]:
        yield f"{place}: the order of the handlers is {'; '.join(kept)}"


def _handler(spec: HandlerSpec) -> str:
    event = next((key for key in _EVENTS if getattr(spec, key)), "")
    said = "" if event == "failure" else f" {getattr(spec, event, '')}"
    does = f"go to {spec.go_to}" if spec.go_to else spec.do
    choices = ", ".join(f"{answer}: {action}" for answer, action in spec.choices.items())
    return f"on {event}{said}: " + (f"ask {spec.ask!r} ({choices})" if spec.ask else does)


def _fields(of: object, names: Mapping[str, str]) -> dict[str, object]:
    return {told: getattr(of, name) for name, told in names.items()}


def _kind(step: Step) -> str:
    inside = sum(1 for one in step.walk() if one.level is Level.PHASE)
    return f"phase {step.phase}" if step.level is Level.PHASE else f"{step.level} of {inside} phases"


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in (None, "", 0) else "none"
