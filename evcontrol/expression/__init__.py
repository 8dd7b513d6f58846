"""The language of conditions and values that recipes, interlocks and alarms share.

``compile_condition`` and ``compile_value`` check a text against the names of a scope, with their units and labels, and
give an object that is cheap to ask at every scan.
"""

from evcontrol.expression.condition import Condition, Value, compile_condition, compile_value
from evcontrol.expression.errors import ExpressionError
from evcontrol.expression.model import Reading, Resolve, Symbol

__all__ = [
    "Condition",
    "ExpressionError",
    "Reading",
    "Resolve",
    "Symbol",
    "Value",
    "compile_condition",
    "compile_value",
]
