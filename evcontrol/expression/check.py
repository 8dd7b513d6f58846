"""From syntax tree to checked expression: names against the scope, kinds against each other, units made coherent."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from evcontrol.expression import wording
from evcontrol.expression.errors import Mistake, MistakeError
from evcontrol.expression.evaluate import number_function
from evcontrol.expression.model import (
    NUMBER_FUNCTIONS,
    TEST_FUNCTIONS,
    VOTES,
    Begins,
    Combined,
    Compared,
    Computed,
    Constant,
    Contrary,
    Converted,
    Lasting,
    Numeric,
    QualityTest,
    Read,
    Reading,
    Symbol,
    Test,
    Voted,
)
from evcontrol.expression.syntax import (
    Arithmetic,
    Call,
    Comparison,
    HeldFor,
    Label,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    write,
)
from evcontrol.units import (
    Unit,
    UnitError,
    a_kind,
    add,
    compatible,
    convert,
    difference,
    divide,
    is_reading,
    multiply,
    parse,
    subtract,
)

A = TypeVar("A")
B = TypeVar("B")

_NS_PER_SECOND: Final = 1_000_000_000
_PLAIN: Final = parse("")
_SECONDS: Final = parse("s")
_RESULT_UNIT: Final[dict[str, Callable[[Unit, Unit], Unit]]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
}


class Checker:
    """Checks one expression against the names of a scope; every method raises MistakeError with all that it found.

    ``names`` collects the symbols' names that the expression reads.
    """

    def __init__(self, scope: Mapping[str, Symbol]) -> None:
        self._scope = scope
        self.names: set[str] = set()

    def test(self, node: Node) -> Test:
        """The condition that a tree stands for."""
        match node:
            case Comparison() if any(self._is_state(operand) for operand in node.operands):
                return self._state_comparison(node)
            case Comparison():
                operands = self._same_unit(node.operands)
                _refuse_beyond(node, operands)
                written = [parse(operand.unit) for operand in node.operands if isinstance(operand, Number)]
                return Compared(operands, node.operators, node, shown=next(iter(written), operands[0].unit))
            case Logic():
                return Combined(node.word, tuple(_each(self.test, node.operands)))
            case Not():
                return Contrary(self.test(node.operand))
            case HeldFor():
                return self._lasting(node)
            case Call() if node.function not in NUMBER_FUNCTIONS:
                return self._test_call(node)
            case Name():
                symbol = self._symbol(node)
                raise MistakeError(wording.no_condition(symbol), node.at)
            case _:
                raise MistakeError(f"{write(node)} is no condition: compare it with something", node.at)

    def number(self, node: Node) -> Numeric:
        """The number that a tree stands for."""
        match node:
            case Number():
                return _constant(node)
            case Name():
                return self._read(node)
            case Negative():
                return self._one_operand("neg", node.operand, node.at)
            case Arithmetic():
                return self._arithmetic(node)
            case Call() if node.function not in TEST_FUNCTIONS:
                return self._number_call(node)
            case Label():
                raise MistakeError(f"{write(node)} is a label: only a state is compared with one", node.at)
            case _:
                raise MistakeError(f"{write(node)} is a condition where a number is wanted", node.at)

    def number_in(self, node: Node, unit: Unit) -> Numeric:
        """The number that a tree stands for, in ``unit``."""
        numeric = self.number(node)
        if not compatible(numeric.unit, unit):
            raise MistakeError(wording.wrong_unit(node, numeric.unit, unit), node.at)
        return _converted(numeric, unit)

    def _symbol(self, node: Name) -> Symbol:
        symbol = self._scope.get(node.text)
        if symbol is None:
            raise MistakeError(wording.unknown_name(node.text, self._scope), node.at)
        self.names.add(symbol.name)
        return symbol

    def _read(self, node: Name) -> Numeric:
        symbol = self._symbol(node)
        if symbol.labels:
            raise MistakeError(wording.compare_state(symbol), node.at)
        return Read(symbol, parse(symbol.unit))

    def _one_operand(self, operation: str, operand: Node, at: int) -> Numeric:
        numeric = self.number(operand)
        if is_reading(numeric.unit):
            written = wording.OPERATIONS[operation]
            raise MistakeError(f"{written} of {a_kind(numeric.unit)} has no meaning: take a difference first", at)
        return _computed(operation, (numeric,), numeric.unit, at)

    def _arithmetic(self, node: Arithmetic) -> Numeric:
        left, right = _each(self.number, (node.left, node.right))
        try:
            unit = _RESULT_UNIT[node.operator](left.unit, right.unit)
        except UnitError as error:
            raise wording.no_result(node, left.unit, right.unit, str(error)) from None
        if node.operator in "+-":
            scale = left.unit if node.operator == "-" else unit
            left, right = _on_scale(left, scale), _on_scale(right, scale)
        return _computed(node.operator, (left, right), unit, node.right.at)

    def _number_call(self, node: Call) -> Numeric:
        if node.function not in NUMBER_FUNCTIONS:
            raise MistakeError(wording.unknown_function(node.function), node.at)
        if node.function == "abs":
            return self._one_operand("abs", _only_argument(node), node.at)
        if len(node.arguments) < 2:
            raise MistakeError(f"{node.function}() takes two or more arguments", node.at)
        operands = self._same_unit(node.arguments)
        return _computed(node.function, operands, operands[0].unit, node.at)

    def _same_unit(self, nodes: tuple[Node, ...]) -> tuple[Numeric, ...]:
        """The numbers in the unit of the first that changes, so that constants are converted once and for all."""
        numerics = _each(self.number, nodes)
        pairs = list(zip(nodes, numerics, strict=True))
        leading, lead = next((pair for pair in pairs if not isinstance(pair[1], Constant)), pairs[0])

        def in_lead_unit(pair: tuple[Node, Numeric]) -> Numeric:
            node, numeric = pair
            if not compatible(numeric.unit, lead.unit):
                raise MistakeError(wording.apart(leading, lead.unit, node, numeric.unit), node.at)
            return _converted(numeric, lead.unit)

        return tuple(_each(in_lead_unit, pairs))

    def _is_state(self, node: Node) -> bool:
        symbol = self._scope.get(node.text) if isinstance(node, Name) else None
        return symbol is not None and bool(symbol.labels)

    def _state_comparison(self, node: Comparison) -> Test:
        first = next(operand for operand in node.operands if isinstance(operand, Name) and self._is_state(operand))
        symbol = self._symbol(first)
        if len(node.operands) != 2 or node.operators[0] not in {"=", "!="}:
            message = f"states are compared with = or != only: {wording.compare_state(symbol)}"
            raise MistakeError(message, first.at)
        operands = _each(lambda operand: self._state_or_label(operand, symbol), node.operands)
        return Compared(tuple(operands), node.operators, node, shown=_PLAIN, labels=symbol.labels)

    def _state_or_label(self, node: Node, symbol: Symbol) -> Numeric:
        """The code of a label of ``symbol``, or a tag with the same labels; a label comes before a tag of its name."""
        if not isinstance(node, Name | Label):
            raise MistakeError(wording.compare_state(symbol), node.at)
        if node.text in symbol.labels:
            return Constant(float(symbol.labels.index(node.text)), _PLAIN)
        if isinstance(node, Label) or not self._is_state(node):
            raise MistakeError(wording.unknown_label(node.text, symbol), node.at)
        other = self._symbol(node)
        if other.labels != symbol.labels:
            raise MistakeError(f"{node.text} and {symbol.name} have different labels", node.at)
        return Read(other, _PLAIN)

    def _lasting(self, node: HeldFor) -> Test:
        return Lasting(self.test(node.condition), _duration_ns(node.duration), node)

    def _test_call(self, node: Call) -> Test:
        if node.function not in TEST_FUNCTIONS:
            raise MistakeError(wording.unknown_function(node.function), node.at)
        if node.function in VOTES:
            return self._votes(node)
        argument = _only_argument(node)
        if node.function == "rising":
            return Begins(self.test(argument))
        if not isinstance(argument, Name):
            raise MistakeError(f"{node.function}() takes the name of one tag", argument.at)
        return QualityTest(self._symbol(argument), good=node.function == "good")

    def _votes(self, node: Call) -> Test:
        if len(node.arguments) < 3:
            raise MistakeError(f"{node.function}() takes how many are needed, and two or more conditions", node.at)
        first, *conditions = node.arguments
        most = len(conditions)
        needed = first.value if isinstance(first, Number) and not first.unit else math.nan
        if needed not in range(1, most + 1):
            raise MistakeError(f"{node.function}() begins with how many are needed: 1 to {most} of {most}", first.at)
        return Voted(node.function, int(needed), tuple(_each(self.test, conditions)))


def _each(check: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """What ``check`` makes of each; MistakeError with the mistakes of all."""
    done: list[B] = []
    mistakes: list[Mistake] = []
    for item in items:
        try:
            done.append(check(item))
        except MistakeError as error:
            mistakes += error.mistakes
    if mistakes:
        raise MistakeError(mistakes[0].message, mistakes[0].at, tuple(mistakes[1:]))
    return done


def _refuse_beyond(node: Comparison, operands: tuple[Numeric, ...]) -> None:
    """Refuse a number that a name is compared with and can never read."""
    pairs = list(zip(node.operands, operands, strict=True))
    for (left, one), (right, other) in itertools.pairwise(pairs):
        for name, read, at, number in ((left, one, right, other), (right, other, left, one)):
            if not isinstance(read, Read) or not isinstance(number, Constant):
                continue
            symbol = read.symbol
            if not symbol.low <= number.value <= symbol.high:
                raise MistakeError(wording.beyond(name, symbol, number.value), at.at)


def _only_argument(node: Call) -> Node:
    if len(node.arguments) != 1:
        raise MistakeError(f"{node.function}() takes one argument", node.at)
    return node.arguments[0]


def _constant(node: Number) -> Constant:
    try:
        return Constant(node.value, parse(node.unit))
    except UnitError as error:
        raise MistakeError(str(error), node.at) from None


def _duration_ns(node: Number) -> int:
    constant = _constant(node)
    if not compatible(constant.unit, _SECONDS):
        raise MistakeError(wording.wrong_unit(node, constant.unit, _SECONDS), node.at)
    duration = round(convert(constant.value, constant.unit, _SECONDS) * _NS_PER_SECOND)
    if duration <= 0:
        raise MistakeError("a condition lasts longer than 0 s: leave the for away", node.at)
    return duration


def _computed(operation: str, operands: tuple[Numeric, ...], unit: Unit, at: int) -> Numeric:
    computed = Computed(operation, operands, unit)
    if not all(isinstance(operand, Constant) for operand in operands):
        return computed
    value = _value(computed)
    if not math.isfinite(value):
        raise MistakeError("this cannot be computed: a division by zero, or too large a number", at)
    return Constant(value, unit)


def _converted(numeric: Numeric, unit: Unit) -> Numeric:
    if numeric.unit == unit:
        return numeric
    converted = Converted(numeric, unit)
    return Constant(_value(converted), unit) if isinstance(numeric, Constant) else converted


def _on_scale(numeric: Numeric, scale: Unit) -> Numeric:
    """On the scale itself, or as a difference on it."""
    return _converted(numeric, scale if compatible(numeric.unit, scale) else difference(scale))


def _value(numeric: Numeric) -> float:
    """The value of a number that comes from constants alone."""
    return number_function(numeric, only_good=False)(_nothing)


def _nothing(name: str) -> Reading:
    raise LookupError(f"a constant does not read {name}")
