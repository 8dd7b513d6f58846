"""A slow, plain interpreter of expressions over whole histories, to hold the compiled ones against.

It works on syntax trees with exact fractions in base units. Each step of a history is ``{name: (value, quality)}`` at a
time in ns; a condition at step ``i`` may look at all steps before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from evcontrol.expression import Symbol
from evcontrol.expression.syntax import (
    Arithmetic,
    Call,
    Comparison,
    HeldFor,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
)

# The few units of these tests, in bar, seconds and plain numbers.
BASE = {
    "": Fraction(1),
    "psi": Fraction("4.4482216152605") / Fraction("0.0254") ** 2 / 100000,
    "psig": Fraction("4.4482216152605") / Fraction("0.0254") ** 2 / 100000,
    "bar": Fraction(1),
    "s": Fraction(1),
    "min": Fraction(60),
}
NEARLY = Fraction(1, 10**9)


class TooCloseError(Exception):
    """Two sides so near that rounding decides: nothing can be said of such a case."""


@dataclass(frozen=True)
class Known:
    """A number, and how large the numbers were that it came from."""

    value: Fraction
    size: Fraction


Step = tuple[int, dict[str, tuple[float, int]]]


class Reference:
    def __init__(self, scope: dict[str, Symbol], history: list[Step]) -> None:
        self.scope = scope
        self.history = history

    def condition(self, node: Node, i: int) -> bool | None:  # noqa: PLR0911 - one for each form
        match node:
            case Comparison():
                pairs = zip(node.operands, node.operators, node.operands[1:], strict=False)
                return self._all([self._compare(a, operator, b, i) for a, operator, b in pairs])
            case Logic(word="and"):
                return self._all([self.condition(operand, i) for operand in node.operands])
            case Logic():
                negated = [self._not(self.condition(operand, i)) for operand in node.operands]
                return self._not(self._all(negated))
            case Not():
                return self._not(self.condition(node.operand, i))
            case HeldFor():
                return self._held(node, i)
            case Call(function="rising"):
                return self._rising(node.arguments[0], i)
            case Call(arguments=(Name(text=name),)):
                severity = self.history[i][1][name][1] >> 30
                return severity == 0 if node.function == "good" else severity >= 2
        raise AssertionError(node)

    def number(self, node: Node, i: int) -> Known | None:  # noqa: PLR0911 - one for each form
        match node:
            case Number():
                value = Fraction(node.value) * BASE[node.unit]
                return Known(value, abs(value))
            case Name():
                reading, quality = self.history[i][1][node.text]
                if quality >> 30 or math.isnan(reading):
                    return None
                value = Fraction(reading) * BASE[self.scope[node.text].unit]
                return Known(value, abs(value))
            case Negative():
                operand = self.number(node.operand, i)
                return None if operand is None else Known(-operand.value, operand.size)
            case Arithmetic():
                return self._arithmetic(node, i)
            case Call():
                operands = [self.number(argument, i) for argument in node.arguments]
                known = [operand for operand in operands if operand is not None]
                if len(known) < len(operands):
                    return None
                values = [operand.value for operand in known]
                chosen = {"min": min(values), "max": max(values), "abs": abs(values[0])}[node.function]
                return Known(chosen, max(operand.size for operand in known))
        raise AssertionError(node)

    def _arithmetic(self, node: Arithmetic, i: int) -> Known | None:
        left, right = self.number(node.left, i), self.number(node.right, i)
        if left is None or right is None:
            return None
        match node.operator:
            case "+":
                return Known(left.value + right.value, left.size + right.size)
            case "-":
                return Known(left.value - right.value, left.size + right.size)
            case "*":
                return Known(left.value * right.value, left.size * right.size)
        if right.value == 0:
            return None
        return Known(left.value / right.value, left.size / abs(right.value))

    def _compare(self, a: Node, operator: str, b: Node, i: int) -> bool | None:
        left, right = self.number(a, i), self.number(b, i)
        if left is None or right is None:
            return None
        if abs(left.value - right.value) <= NEARLY * (left.size + right.size):
            raise TooCloseError
        less = left.value < right.value
        return {"<": less, "<=": less, ">": not less, ">=": not less, "=": False, "!=": True}[operator]

    def _held(self, node: HeldFor, i: int) -> bool | None:
        now = self.condition(node.condition, i)
        if not now:
            return now
        first = i
        while first > 0 and self.condition(node.condition, first - 1):
            first -= 1
        duration = Fraction(node.duration.value) * BASE[node.duration.unit] * 10**9
        return self.history[i][0] - self.history[first][0] >= round(duration)

    def _rising(self, node: Node, i: int) -> bool | None:
        now = self.condition(node, i)
        if not now:
            return now
        before = [state for j in range(i) if (state := self.condition(node, j)) is not None]
        return bool(before) and not before[-1]

    @staticmethod
    def _all(states: list[bool | None]) -> bool | None:
        return False if False in states else None if None in states else True

    @staticmethod
    def _not(state: bool | None) -> bool | None:
        return None if state is None else not state
