"""Parameters that follow another one: a recipe gives them for its own batch size, and another size scales them.

The value of a parameter with ``scale_by`` is right for the default of the parameter that is named there (cells, volume,
membrane area); it is in proportion to it in a batch that gives that another value (ISA-88.00.01, 5.3.3: formula values
that are referred to a batch size). A batch that gives the parameter itself is taken at its word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from evcontrol.procedure.recipe import ParameterSpec, Recipe
from evcontrol.units import Quantity, UnitError, is_reading, parse_quantity
from evcontrol.yaml_source import Path as Place
from evcontrol.yaml_source import nearest

_DIGITS: Final = 12
"""Digits of a scaled number: what a double cannot tell exactly is not shown."""


def scaled(spec: ParameterSpec, recipe: Recipe, given: Mapping[str, str]) -> str:
    """The value of a parameter for a batch that does not give it; as in the recipe when nothing scales it."""
    base = recipe.parameters.get(spec.scale_by)
    if base is None or base.name not in given:
        return spec.value
    try:
        own, reference = parse_quantity(spec.value), parse_quantity(base.value)
        size = parse_quantity(given[base.name], like=reference.unit).to(reference.unit)
    except UnitError:  # it is told where it stands
        return spec.value
    if not reference.value:
        return spec.value
    value = own.value * size / reference.value
    return str(Quantity(float(f"{value:.{_DIGITS}g}"), own.unit))


def scaling_mistakes(recipe: Recipe) -> Iterator[tuple[Place, str]]:
    """What cannot be scaled, and why."""
    for spec in recipe.parameters.values():
        if spec.scale_by and (what := _mistake(spec, recipe.parameters)):
            yield (*spec.place, "scale_by"), what


def _mistake(spec: ParameterSpec, parameters: Mapping[str, ParameterSpec]) -> str:
    base = parameters.get(spec.scale_by)
    if base is None:
        return f"the recipe has no parameter {spec.scale_by!r}{nearest(spec.scale_by, parameters)}"
    if base is spec:
        return f"{spec.name} cannot be scaled by itself"
    if base.scale_by:
        return f"{base.name} is scaled by {base.scale_by} itself: scale {spec.name} by {base.scale_by} too"
    if base.live:
        return f"{base.name} is live, and a change of it would not scale {spec.name}: one of the two has to go"
    try:
        return _no_proportion(spec, base)
    except UnitError:  # it is told where it stands
        return ""


def _no_proportion(spec: ParameterSpec, base: ParameterSpec) -> str:
    own, reference = parse_quantity(spec.value), parse_quantity(base.value)
    for name, quantity in ((spec.name, own), (base.name, reference)):
        if is_reading(quantity.unit):
            return f"{name} is in {quantity.unit.text}, whose zero is a convention: it has no double"
    return "" if reference.value else f"{base.name} is 0 in the recipe, and nothing is in proportion to that"
