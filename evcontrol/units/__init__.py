"""Units with kinds: quantities that must not be mixed have units that do not convert into each other.

``%O2`` is no ``%airsat``, a ``cell`` no ``particle``, a gauge pressure (``psig``) no pressure difference (``psi``), a
temperature (``degC``) no temperature difference (``delta_degC``). A unit is written as factors joined by ``.`` and
``/`` without spaces, each with a power from 2 to 9 if need be: ``mL/min``, ``L/m2/h``, ``Pa.s``, ``1/s``; the empty
text is the unit of a plain number.
"""

from evcontrol.units.convert import (
    a_kind,
    add,
    compatible,
    convert,
    converter,
    difference,
    divide,
    kind,
    multiply,
    subtract,
)
from evcontrol.units.quantity import Quantity, number_text, parse_quantity
from evcontrol.units.unit import Unit, UnitError, is_reading, parse

__all__ = [
    "Quantity",
    "Unit",
    "UnitError",
    "a_kind",
    "add",
    "compatible",
    "convert",
    "converter",
    "difference",
    "divide",
    "is_reading",
    "kind",
    "multiply",
    "number_text",
    "parse",
    "parse_quantity",
    "subtract",
]
