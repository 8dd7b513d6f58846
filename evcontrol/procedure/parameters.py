"""The values of parameters: defaults, what a batch or a caller sets, scaling, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from evcontrol.expression import Reading, Symbol, compile_value
from evcontrol.procedure.mistakes import Mistakes
from evcontrol.procedure.step import ParameterSpec
from evcontrol.units import Quantity, UnitError, compatible, number_text, parse_quantity
from evcontrol.yaml_source import Path as Place
from evcontrol.yaml_source import nearest

SCALES: Final = ("cell", "mL", "g", "m2")
"""What a parameter may be scaled by: cells, volume, mass, membrane area."""

Values = Mapping[str, Symbol]
"""Parameters as names of the expression language that stand for constants."""


def of_batch(
    specs: Mapping[str, ParameterSpec], given: Mapping[str, str], mistakes: Mistakes
) -> tuple[Values, dict[str, str]]:
    """The recipe's parameters in one batch, as constants and as texts; ``given`` is what the batch sets."""
    for name in given:
        if name not in specs:
            mistakes.wrong(("parameters",), f"the recipe has no parameter {name!r}{nearest(name, specs)}")

    def written(name: str, spec: ParameterSpec) -> Quantity:
        return parse_quantity(given.get(name, spec.value), like=parse_quantity(spec.value).unit)

    quantities = _all(specs, written, mistakes)
    for name, spec in specs.items():
        if name in quantities and spec.scale_by and name not in given:
            with mistakes.at(spec.place):
                quantities[name] = _scaled(spec, quantities[name], specs, quantities)
        elif spec.per and not spec.scale_by:
            mistakes.wrong((*spec.place, "per"), "per says nothing without scale_by")
    _check_limits(specs, quantities, mistakes)
    # What is as written stays as written; what was scaled is told as it came out.
    texts = {
        name: str(quantity) if specs[name].scale_by and name not in given else given.get(name, specs[name].value)
        for name, quantity in quantities.items()
    }
    return _constants(quantities), texts


def of_operation(
    specs: Mapping[str, ParameterSpec],
    arguments: Mapping[str, str],
    outer: Values,
    place: Place,
    mistakes: Mistakes,
) -> Values:
    """The parameters of an operation where it is used: expressions over those around it, at ``place``."""
    for name in arguments:
        if name not in specs:
            what = f"the operation has no parameter {name!r}{nearest(name, specs)}"
            mistakes.wrong((*place, "with", name), what)

    def worked_out(name: str, spec: ParameterSpec) -> Quantity:
        written = parse_quantity(spec.value)
        if name not in arguments:
            return written
        there = (*place, "with", name)
        with mistakes.at(there):
            line, column = mistakes.start(there)
            value = compile_value(arguments[name], outer, unit=written.unit.text, line=line, column=column)
            return Quantity(value.evaluate(_nothing).value, written.unit)
        return written

    quantities = _all(specs, worked_out, mistakes)
    _check_limits(specs, quantities, mistakes, {name: (*place, "with", name) for name in arguments})
    return {**outer, **_constants(quantities)}


def _all(
    specs: Mapping[str, ParameterSpec], value: Callable[[str, ParameterSpec], Quantity], mistakes: Mistakes
) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for name, spec in specs.items():
        with mistakes.at(spec.place):
            found[name] = value(name, spec)
    return found


def _scaled(
    spec: ParameterSpec, value: Quantity, specs: Mapping[str, ParameterSpec], quantities: Mapping[str, Quantity]
) -> Quantity:
    by = quantities.get(spec.scale_by)
    if by is None:
        if spec.scale_by in specs:
            return value  # its own mistake is told
        raise UnitError(f"no parameter is called {spec.scale_by!r}{nearest(spec.scale_by, specs)}")
    if specs[spec.scale_by].scale_by:
        raise UnitError(f"{spec.scale_by} is scaled itself: scale by a parameter that is not")
    if not any(compatible(by.unit, scale) for scale in SCALES):
        raise UnitError(f"{spec.scale_by} is in {by.unit.text}: scale by cells, a volume, a mass or a membrane area")
    if not spec.per:
        raise UnitError(f"{spec.name} is scaled: write 'per:' with the amount of {spec.scale_by} for which it is")
    per = parse_quantity(spec.per, like=by.unit).to(by.unit)
    if not per > 0:
        raise UnitError(f"per: {spec.per} is not above 0")
    return Quantity(value.value * by.value / per, value.unit)


def _check_limits(
    specs: Mapping[str, ParameterSpec],
    quantities: Mapping[str, Quantity],
    mistakes: Mistakes,
    places: Mapping[str, Place] | None = None,
) -> None:
    for name, quantity in quantities.items():
        spec = specs[name]
        place = (places or {}).get(name, spec.place)
        for limit, beyond in ((spec.low, "below"), (spec.high, "above")):
            if limit is None:
                continue
            with mistakes.at(spec.place):
                bound = parse_quantity(limit).to(quantity.unit)
                if (quantity.value < bound) if beyond == "below" else (quantity.value > bound):
                    what = f"parameter {name}: {number_text(quantity.value)} {quantity.unit.text}".rstrip()
                    mistakes.wrong(place, f"{what} is {beyond} its limit {limit}")


def _constants(quantities: Mapping[str, Quantity]) -> dict[str, Symbol]:
    return {name: Symbol(name, q.unit.text, constant=q.value) for name, q in quantities.items()}


def _nothing(name: str) -> Reading:
    raise LookupError(f"a constant does not read {name}")
