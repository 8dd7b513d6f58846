"""Numbers with their units, read from and written to text."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from evcontrol.units.convert import compatible, convert, converter
from evcontrol.units.unit import Unit, UnitError, as_unit, parse

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.,])")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit."""

    value: float
    unit: Unit

    def to(self, unit: Unit | str) -> float:
        """The number in another unit; UnitError when it does not convert."""
        return convert(self.value, self.unit, unit)

    def __str__(self) -> str:
        return f"{number_text(self.value)} {self.unit.text}".rstrip()


def parse_quantity(text: str, *, like: Unit | str | None = None) -> Quantity:
    """The quantity in a text such as ``30 mL/min``, in the unit that was written.

    With ``like``, a unit that does not convert into it is refused, and so is a bare number unless ``like`` is the
    plain number's unit. UnitError says what is wrong.
    """
    stripped = text.strip()
    match = _NUMBER.match(stripped)
    if match is None:
        hint = " (decimals with a point)" if "," in stripped else ""
        raise UnitError(f"{text!r} does not begin with a number{hint}")
    value = float(match.group())
    if math.isinf(value):
        raise UnitError(f"{match.group()} is too large a number")
    quantity = Quantity(value, parse(stripped[match.end() :]))
    if like is not None:
        wanted = as_unit(like)
        if not quantity.unit.text and not compatible(quantity.unit, wanted):
            raise UnitError(f"{stripped} has no unit: write {stripped} {wanted.text}")
        converter(quantity.unit, wanted)
    return quantity


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number: ``30``, ``0.5``, ``2.5e9``."""
    if value == 0 or 1e-4 <= abs(value) < 1e6 or not math.isfinite(value):
        return repr(float(value)).removesuffix(".0")
    return str(Decimal(repr(float(value))).normalize()).lower().replace("e+", "e")
