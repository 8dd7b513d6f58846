"""What units measure, how they convert, and which unit a sum or product has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Final, cast

import pint
from pint.util import UnitsContainer

from evcontrol.units.table import DEFINITIONS, DIFFERENCES, KINDS
from evcontrol.units.unit import HIGHEST_POWER, Powers, Unit, UnitError, as_unit, is_reading, parse, spell

_EXACT: Final = 2**53
_SMALLEST: Final = Fraction(1, 10**200)


def compatible(a: Unit | str, b: Unit | str) -> bool:
    """Whether quantities of both units are of one kind, so that they convert into each other."""
    return _scale(as_unit(a)).kind == _scale(as_unit(b)).kind


def convert(value: float, from_: Unit | str, to: Unit | str) -> float:
    """``value`` in another unit; NaN stays NaN. UnitError when the kinds differ.

    Exact (rounded once) where the factor or its inverse is a whole number.
    """
    return converter(as_unit(from_), as_unit(to))(value)


@lru_cache(maxsize=4096)
def converter(from_: Unit, to: Unit) -> Callable[[float], float]:
    """The function that converts numbers of one unit into another; UnitError when the kinds differ."""
    source, target = _scale(from_), _scale(to)
    if source.kind != target.kind:
        raise UnitError(f"{_in_words(from_)} does not convert into {_in_words(to)}")
    ratio = source.factor / target.factor
    if not _SMALLEST < ratio < 1 / _SMALLEST:
        raise UnitError(f"{from_.text} and {to.text} are too far apart to convert")
    offset = float((source.offset - target.offset) / target.factor)
    if abs(ratio.numerator) <= _EXACT and ratio.denominator <= _EXACT:
        times, over = float(ratio.numerator), float(ratio.denominator)
    else:
        times, over = float(ratio), 1.0
    if offset:
        return lambda value: value * times / over + offset
    if times == over:
        return lambda value: value
    if over == 1.0:
        return lambda value: value * times
    if times == 1.0:
        return lambda value: value / over
    return lambda value: value * times / over


def difference(unit: Unit | str) -> Unit:
    """The unit of the difference of two such quantities: ``psi`` for ``psig``, else the unit itself."""
    own = as_unit(unit)
    return parse(DIFFERENCES.get(own.text, own.text))


def add(a: Unit | str, b: Unit | str) -> Unit:
    """The unit of a sum, which is the first's or the reading's; UnitError for units that do not add."""
    left, right = as_unit(a), as_unit(b)
    if is_reading(left) and is_reading(right):
        raise UnitError(f"{_in_words(left)} and {_in_words(right)} do not add: only a difference can be added")
    if is_reading(right):
        left, right = right, left
    if not compatible(difference(left), right):
        raise UnitError(f"{_in_words(left)} and {_in_words(right)} do not add{_difference_hint(left, right)}")
    return left


def subtract(a: Unit | str, b: Unit | str) -> Unit:
    """The unit of ``a - b`` (``psig - psig`` is ``psi``); UnitError for units that do not subtract."""
    left, right = as_unit(a), as_unit(b)
    if is_reading(left) and compatible(left, right):
        return difference(left)
    if is_reading(right) or not compatible(difference(left), right):
        hint = _difference_hint(left, right)
        raise UnitError(f"{_in_words(right)} cannot be subtracted from {_in_words(left)}{hint}")
    return left


def multiply(a: Unit | str, b: Unit | str) -> Unit:
    """The unit of a product; UnitError for a reading such as ``psig`` or ``degC``."""
    return _combine(as_unit(a), as_unit(b), 1)


def divide(a: Unit | str, b: Unit | str) -> Unit:
    """The unit of a quotient; UnitError for a reading such as ``psig`` or ``degC``."""
    return _combine(as_unit(a), as_unit(b), -1)


def kind(unit: Unit | str) -> str:
    """What the unit measures, in words: ``flow``, ``gauge pressure``; its own text where there is no word."""
    own = as_unit(unit)
    return _words_by_kind().get(_scale(own).kind, own.text)


def a_kind(unit: Unit | str) -> str:
    """:func:`kind` with its article: ``a flow``, ``an area``; ``in DV/h`` where there is no word."""
    own = as_unit(unit)
    word = _words_by_kind().get(_scale(own).kind)
    if word is None:
        return f"in {own.text}"
    return f"an {word}" if word[0] in "aeio" else f"a {word}"


@dataclass(frozen=True, slots=True)
class _Scale:
    """A unit on its kind's base unit: base = factor * number + offset."""

    kind: Powers
    factor: Fraction
    offset: Fraction


@cache
def _registry() -> pint.UnitRegistry[Fraction]:
    registry: pint.UnitRegistry[Fraction] = pint.UnitRegistry(None, non_int_type=Fraction)
    for atom, definition in DEFINITIONS.items():
        registry.define(f"{_pint_name(atom)} = {definition}")
    return registry


def _pint_name(atom: str) -> str:
    """A name that pint accepts, and that is none of those which it makes by itself (delta_...)."""
    return atom.replace("%", "percent_").replace("/", "_per_").replace("delta_", "difference_in_")


@lru_cache(maxsize=4096)
def _scale(unit: Unit) -> _Scale:
    container = UnitsContainer({_pint_name(atom): power for atom, power in unit.powers})
    factor, base = _registry().get_root_units(container)
    dimensions = cast(Mapping[str, Fraction], _registry().get_dimensionality(container))
    offset = _registry().convert(Fraction(0), container, base) if is_reading(unit) else Fraction(0)
    powers = tuple(sorted((name, int(power)) for name, power in dimensions.items()))
    return _Scale(powers, Fraction(cast(Fraction, factor)), Fraction(offset))


@cache
def _words_by_kind() -> MappingProxyType[Powers, str]:
    return MappingProxyType({_scale(parse(text)).kind: word for text, word in KINDS.items()})


def _combine(left: Unit, right: Unit, sign: int) -> Unit:
    for unit, other in ((left, right), (right, left)):
        if is_reading(unit):
            verb = "multiply" if sign > 0 else "divide"
            hint = f"take a difference first ({unit.text} - {unit.text} is {difference(unit).text})"
            raise UnitError(f"{_in_words(unit)} and {_in_words(other)} do not {verb}: {hint}")
    powers = dict(left.powers)
    for atom, power in right.powers:
        powers[atom] = powers.get(atom, 0) + sign * power
    left_over = tuple((atom, power) for atom, power in powers.items() if power)
    if any(abs(power) > HIGHEST_POWER for _, power in left_over):
        raise UnitError(f"{_in_words(left)} and {_in_words(right)} make a power above {HIGHEST_POWER}")
    return Unit(spell(left_over), left_over)


def _in_words(unit: Unit) -> str:
    if not unit.text:
        return "a number without unit"
    word = kind(unit)
    return unit.text if word == unit.text else f"{unit.text} ({word})"


def _difference_hint(left: Unit, right: Unit) -> str:
    for reading, other in ((left, right), (right, left)):
        if is_reading(reading) and compatible(reading, other):
            return f": write the second in {difference(reading).text}"
    return ""
