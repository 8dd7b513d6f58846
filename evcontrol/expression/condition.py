"""Compiling expressions to conditions and values."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan

from evcontrol.expression.check import Checker
from evcontrol.expression.describe import describe
from evcontrol.expression.errors import MistakeError, expression_error
from evcontrol.expression.evaluate import Timers, number_function, test_function
from evcontrol.expression.grammar import parse
from evcontrol.expression.model import (
    Begins,
    Combined,
    Contrary,
    Lasting,
    Numeric,
    Reading,
    Resolve,
    Symbol,
    Test,
    Voted,
)
from evcontrol.quality import BAD_OUT_OF_RANGE, is_bad, worst
from evcontrol.units import Unit
from evcontrol.units import parse as parse_unit


class Condition:
    """A condition with timers of its own; made by :func:`compile_condition`.

    ``text`` is as written, ``names`` are those that it reads. ``unknown_since`` is the time (process ns) of the update
    since which it has been unknown without a break, or None.
    """

    __slots__ = ("_test", "_timers", "_update", "names", "text", "unknown_since")

    def __init__(self, text: str, names: frozenset[str], test: Test) -> None:
        self.text = text
        self.names = names
        self.unknown_since: int | None = None
        self._test = test
        self._timers: Timers = {}
        self._update = test_function(test, self._timers)

    @property
    def remembers(self) -> bool:
        """Whether it depends on more than the present readings: on time (``for``) or on what was (``rising``)."""
        return _remembers(self._test)

    def fresh(self) -> Condition:
        """The same condition at its beginning: timers at zero, nothing risen yet."""
        return Condition(self.text, self.names, self._test)

    def update(self, resolve: Resolve, now_ns: int) -> bool | None:
        """Whether the condition holds at this process time, to be asked once a scan; None when it is not known."""
        state = self._update(resolve, now_ns)
        if state is not None:
            self.unknown_since = None
        elif self.unknown_since is None:
            self.unknown_since = now_ns
        return state

    def describe(self, resolve: Resolve) -> str:
        """The condition with the present values, for an operator: ``WT_PERM >= 1820 g (now 950.2 g)``.

        Times left are those of the last update.
        """
        return describe(self._test, self._timers, resolve)

    def __repr__(self) -> str:
        return f"<Condition {self.text!r}>"


class Value:
    """A number in ``unit`` that is computed when asked for; made by :func:`compile_value`."""

    __slots__ = ("_names", "_number", "names", "text", "unit")

    def __init__(self, text: str, names: frozenset[str], numeric: Numeric) -> None:
        self.text = text
        self.names = names
        self.unit: Unit = numeric.unit
        self._names = tuple(sorted(names))
        self._number = number_function(numeric, only_good=False)

    def evaluate(self, resolve: Resolve) -> Reading:
        """The number now, with the worst quality of its inputs; NaN and Bad when it cannot be computed."""
        quality = worst(resolve(name)[1] for name in self._names)
        if is_bad(quality):
            return Reading(nan, quality)
        value = self._number(resolve)
        return Reading(value, quality) if isfinite(value) else Reading(nan, BAD_OUT_OF_RANGE)

    def __repr__(self) -> str:
        return f"<Value {self.text!r} in {self.unit.text or '1'}>"


def _remembers(test: Test) -> bool:
    match test:
        case Lasting() | Begins():
            return True
        case Combined() | Voted():
            return any(map(_remembers, test.tests))
        case Contrary():
            return _remembers(test.test)
        case _:
            return False


def compile_condition(text: str, scope: Mapping[str, Symbol], *, line: int = 1, column: int = 1) -> Condition:
    """The condition in ``text``, which may use the names of ``scope``.

    ``line`` and ``column`` are where the text begins in its file. ExpressionError has every mistake with its place.
    """
    checker = Checker(scope)
    try:
        test = checker.test(parse(text))
    except MistakeError as error:
        raise expression_error(text, error.mistakes, line, column) from None
    return Condition(text, frozenset(checker.names), test)


def compile_value(text: str, scope: Mapping[str, Symbol], *, unit: str, line: int = 1, column: int = 1) -> Value:
    """The number in ``text``, in ``unit``; names and places as for :func:`compile_condition`.

    A number without unit is refused unless ``unit`` is empty. UnitError when ``unit`` itself is no unit.
    """
    checker, wanted = Checker(scope), parse_unit(unit)
    try:
        numeric = checker.number_in(parse(text), wanted)
    except MistakeError as error:
        raise expression_error(text, error.mistakes, line, column) from None
    return Value(text, frozenset(checker.names), numeric)
