"""A revision of a running batch's control recipe: what ran is locked, what has not begun may be another.

An element is the same when it has the same place in the procedure. A loop that has begun is locked as a whole, since
all of it may have run already; so is a choice that has chosen, but for what of the chosen branch has not begun.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from evcontrol.expression import Condition
from evcontrol.procedure.check import ArgumentValue, BoundStep, ControlRecipe
from evcontrol.procedure.difference import own_differences, units_in_words
from evcontrol.procedure.element import Element, tree
from evcontrol.procedure.recipe import Level, ParameterSpec, Recipe
from evcontrol.procedure.states import State

_ORDERED: Final = frozenset({Level.PROCEDURE, Level.UNIT_PROCEDURE, Level.OPERATION, Level.LOOP})


def parameters_for(old: ControlRecipe, new: Recipe) -> dict[str, str]:
    """The batch's own values of parameters that the new recipe leaves as they were; of others it says the value.

    One that follows another is left as it was when what it follows, and that one's value, are so too.
    """
    return {
        name: text
        for name, text in old.parameters.items()
        if _rests_on(name, new.parameters) == _rests_on(name, old.recipe.parameters)
    }


def locked_head(old: ControlRecipe, new: Recipe) -> Iterator[str]:
    """What holds for the whole batch, and cannot change within it."""
    for what, was, now in (
        ("product", old.recipe.product, new.product),
        ("hold_level", old.recipe.hold_level.value, new.hold_level.value),
        ("units", _units(old.recipe), _units(new)),
    ):
        if was != now:
            yield f"{what}: {was} -> {now}, and that holds for the whole batch"


def locked(element: Element, bound: BoundStep, whole: bool = False) -> Iterator[str]:
    """What ``bound`` would change of an element that has begun; ``whole``: nothing in it may change either."""
    state = _state_of(element)
    above = element.parent.bound.step.unit if element.parent is not None else ""
    for line in own_differences(element.bound.step, bound.step, (above, above)):
        yield f"{line}, and it {state}"
    if element.active or (whole and not element.over):
        for name, was, now in _values(element.bound, bound):
            yield f"{element.path}: {name} {was} -> {now}, and it {state}"
    whole = whole or _is_whole(element)
    steps = {step.step.name: step for step in bound.steps}
    closed = whole or _is_closed(element)
    fixed = [child for child in element.children if closed or child.begun]
    for child in fixed:
        step = steps.get(child.bound.step.name)
        if step is None:
            yield f"{child.path} is left out, and it {_state_of(child, element)}"
        else:
            yield from locked(child, step, whole)
    first, names = [child.bound.step.name for child in fixed], list(steps)
    if not all(name in steps for name in first):
        return
    if closed and len(names) > len(first):
        added = ", ".join(name for name in names if name not in first)
        yield f"{element.path or 'the procedure'} would have {added} as well, and it {state}"
    elif (closed or element.level in _ORDERED) and names[: len(first)] != first:
        yield f"{element.path or 'the procedure'}: what has begun comes first: {', '.join(first)}"


def grow(element: Element, bound: BoundStep, whole: bool = False) -> None:
    """Have an element that has begun go on as ``bound`` says; of what has not begun nothing is left."""
    whole = whole or _is_whole(element)
    closed = whole or _is_closed(element)
    kept = {child.bound.step.name: child for child in element.children if closed or child.begun}
    element.children = [kept.get(step.step.name) or tree(step, element) for step in bound.steps]
    for child, step in zip(element.children, bound.steps, strict=True):
        if child.bound is not step:
            grow(child, step, whole)
    element.rebind(bound)


def _rests_on(name: str, parameters: Mapping[str, ParameterSpec]) -> tuple[str, ...]:
    """What a recipe says of the value of a parameter; nothing when it has none of that name."""
    spec = parameters.get(name)
    if spec is None:
        return ()
    base = parameters.get(spec.scale_by)
    return (spec.value,) if base is None else (spec.value, base.name, base.value)


def _is_whole(element: Element) -> bool:
    """Whether an element that has begun is locked with all that is in it."""
    return element.over or element.level is Level.LOOP


def _is_closed(element: Element) -> bool:
    """Whether nothing can be added to an element: a choice that has chosen goes on with what comes after it."""
    return element.level is Level.CHOICE and element.decided


def _state_of(element: Element, above: Element | None = None) -> str:
    if element.skipped:
        return "was passed over"
    if element.state is State.IDLE:
        inside = above if above is not None else element.parent
        return f"stands in {inside.path}, which has begun" if inside is not None and inside.path else "has begun"
    return f"is {element.state.value}"


def _values(old: BoundStep, new: BoundStep) -> Iterator[tuple[str, object, object]]:
    """Values that an element goes by and that parameters change, where they differ."""
    for name, was in old.arguments.items():
        now = new.arguments.get(name)
        if _said(was) != _said(now):
            yield name, _text(was), _text(now)
    conditions = [("condition", old.condition, new.condition)]
    conditions += [("handler", a.when, b.when) for a, b in zip(old.handlers, new.handlers, strict=False)]
    for name, one, other in conditions:
        if _said(one) != _said(other):
            yield name, _text(one), f"{_text(other)} with other values"
    if old.at_most != new.at_most:
        yield "passes", old.at_most, new.at_most


def _said(value: ArgumentValue) -> object:
    return (value.text, value.names) if isinstance(value, Condition) else value


def _text(value: ArgumentValue) -> object:
    return value.text if isinstance(value, Condition) else value


def _units(recipe: Recipe) -> str:
    return ", ".join(f"{name} ({said})" for name, said in sorted(units_in_words(recipe).items())) or "none"
