"""Numbers with their uncertainty, kept apart by cause, so that what two numbers share adds up or cancels as it must.

First-order propagation (JCGM 100:2008, 5.1 and 5.2): the spread of a result by each cause is the sum of its parts'
spreads, each times its slope; the spreads of different causes add in quadrature. For products and ratios of numbers
that share no cause this is CV^2 = sum CV_i^2; a cause that scales both terms of a ratio leaves it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from evcontrol import units


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its unit; ``spread`` is its standard uncertainty by cause, signed, in the same unit."""

    value: float
    unit: str = ""
    spread: Mapping[str, float] = field(default_factory=dict)

    @property
    def uncertainty(self) -> float:
        """Standard uncertainty over all causes, in the figure's unit."""
        return math.hypot(*self.spread.values())

    @property
    def cv(self) -> float:
        """The uncertainty over the number; infinite for an uncertain zero."""
        if self.uncertainty == 0.0:
            return 0.0
        return self.uncertainty / abs(self.value) if self.value else math.inf


def relative(value: float, unit: str, cvs: Mapping[str, float]) -> Figure:
    """A figure from relative uncertainties (plain, 0.1 is 10 %) by cause."""
    return Figure(value, unit, {cause: value * cv for cause, cv in cvs.items()})


def multiply(a: Figure, b: Figure) -> Figure:
    """The product, with its unit."""
    spread = _joined(a, b, lambda cause: a.spread.get(cause, 0.0) * b.value + b.spread.get(cause, 0.0) * a.value)
    return Figure(a.value * b.value, units.multiply(a.unit, b.unit).text, spread)


def divide(a: Figure, b: Figure) -> Figure:
    """The ratio, with its unit. Raises ZeroDivisionError."""
    ratio = a.value / b.value
    spread = _joined(a, b, lambda cause: (a.spread.get(cause, 0.0) - ratio * b.spread.get(cause, 0.0)) / b.value)
    return Figure(ratio, units.divide(a.unit, b.unit).text, spread)


def add(figures: Iterable[Figure]) -> Figure:
    """The sum of figures of one unit. Raises ValueError for none, and UnitError where units differ."""
    first, *others = figures
    for other in others:
        first = _sum(first, other, 1.0)
    return first


def subtract(a: Figure, b: Figure) -> Figure:
    """The difference of two figures of one unit; UnitError where units differ."""
    return _sum(a, b, -1.0)


def _sum(a: Figure, b: Figure, sign: float) -> Figure:
    if a.unit != b.unit:
        raise units.UnitError(f"{a.unit or '1'} and {b.unit or '1'} are not added: bring them into one unit first")
    spread = _joined(a, b, lambda cause: a.spread.get(cause, 0.0) + sign * b.spread.get(cause, 0.0))
    return Figure(a.value + sign * b.value, a.unit, spread)


def _joined(a: Figure, b: Figure, slope: Callable[[str], float]) -> dict[str, float]:
    return {cause: slope(cause) for cause in dict.fromkeys([*a.spread, *b.spread])}
