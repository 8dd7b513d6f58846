"""Checked expressions as closures: NaN stands for a number that is not known, None for a condition that is not.

Conditions follow Kleene: ``False and unknown`` is False, ``True or unknown`` is True.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import isnan, nan
from statistics import median
from typing import Final

from evcontrol.expression.model import (
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
    Resolve,
    Test,
    Voted,
)
from evcontrol.quality import UNCERTAIN, is_bad, is_good
from evcontrol.units import converter

NumberFunction = Callable[[Resolve], float]
TestFunction = Callable[[Resolve, int], bool | None]


class Timer:
    """How long the test of a :class:`Lasting` has been True: since when, and the time of the last update (ns)."""

    __slots__ = ("now", "since")

    def __init__(self) -> None:
        self.since: int | None = None
        self.now = 0


Timers = dict[Lasting, Timer]


def number_function(numeric: Numeric, *, only_good: bool) -> NumberFunction:
    """The function that computes a number: NaN when an input has none, or (``only_good``) is not Good."""
    match numeric:
        case Constant():
            value = numeric.value
            return lambda resolve: value
        case Read():
            return _read_good(numeric.symbol.name) if only_good else _read_any(numeric.symbol.name)
        case Converted():
            convert = converter(numeric.operand.unit, numeric.unit)
            operand = number_function(numeric.operand, only_good=only_good)
            return lambda resolve: convert(operand(resolve))
        case Computed():
            operands = [number_function(operand, only_good=only_good) for operand in numeric.operands]
            return _OPERATIONS[numeric.operation](*operands)


def test_function(test: Test, timers: Timers) -> TestFunction:  # noqa: PLR0911 - one for each kind of test
    """The function that decides a condition, with state of its own; the timers are entered into ``timers``."""
    match test:
        case Compared():
            return _compared(test)
        case Combined():
            # Every member is called every time: one that measures time must see each update.
            members = [test_function(member, timers) for member in test.tests]
            return _combined(members, deciding=test.word == "or")
        case Contrary():
            inner = test_function(test.test, timers)
            return lambda resolve, now: None if (state := inner(resolve, now)) is None else not state
        case Lasting():
            timer = timers[test] = Timer()
            return _lasting(test_function(test.test, timers), test.duration, timer)
        case Begins():
            return _begins(test_function(test.test, timers))
        case QualityTest():
            name, wanted = test.symbol.name, is_good if test.good else is_bad
            return lambda resolve, now: wanted(resolve(name)[1])
        case Voted():
            return _voted(test, [test_function(member, timers) for member in test.tests])


def _read_good(name: str) -> NumberFunction:
    def read(resolve: Resolve) -> float:
        value, quality = resolve(name)
        return value if quality < UNCERTAIN else nan

    return read


def _read_any(name: str) -> NumberFunction:
    return lambda resolve: resolve(name)[0]


def _divided(left: NumberFunction, right: NumberFunction) -> NumberFunction:
    def divide(resolve: Resolve) -> float:
        over = right(resolve)
        return left(resolve) / over if over else nan

    return divide


def _extreme(choose: Callable[[list[float]], float], operands: tuple[NumberFunction, ...]) -> NumberFunction:
    def extreme(resolve: Resolve) -> float:
        values = [operand(resolve) for operand in operands]
        return nan if any(map(isnan, values)) else choose(values)

    return extreme


def _median(*operands: NumberFunction) -> NumberFunction:
    """The median of those that are known, of which there must be two."""

    def middle(resolve: Resolve) -> float:
        values = [value for operand in operands if not isnan(value := operand(resolve))]
        return median(values) if len(values) > 1 else nan

    return middle


_OPERATIONS: Final[dict[str, Callable[..., NumberFunction]]] = {
    "+": lambda left, right: lambda resolve: left(resolve) + right(resolve),
    "-": lambda left, right: lambda resolve: left(resolve) - right(resolve),
    "*": lambda left, right: lambda resolve: left(resolve) * right(resolve),
    "/": _divided,
    "neg": lambda operand: lambda resolve: -operand(resolve),
    "abs": lambda operand: lambda resolve: abs(operand(resolve)),
    "min": lambda *operands: _extreme(min, operands),
    "max": lambda *operands: _extreme(max, operands),
    "median": _median,
}

_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def _compared(test: Compared) -> TestFunction:
    operands = [number_function(operand, only_good=True) for operand in test.operands]
    pairs = [
        _pair(left, _COMPARISONS[word], right)
        for left, word, right in zip(operands, test.operators, operands[1:], strict=False)
    ]
    return pairs[0] if len(pairs) == 1 else _combined(pairs, deciding=False)


def _pair(left: NumberFunction, holds: Callable[[float, float], bool], right: NumberFunction) -> TestFunction:
    def compare(resolve: Resolve, now: int) -> bool | None:
        a, b = left(resolve), right(resolve)
        if isnan(a) or isnan(b):
            return None
        return bool(holds(a, b))

    return compare


def _combined(members: list[TestFunction], *, deciding: bool) -> TestFunction:
    """One member that is ``deciding`` decides; else one that is unknown leaves the whole unknown."""

    def combine(resolve: Resolve, now: int) -> bool | None:
        states = [member(resolve, now) for member in members]
        if deciding in states:
            return deciding
        return None if None in states else not deciding

    return combine


def _voted(test: Voted, members: list[TestFunction]) -> TestFunction:
    def vote(resolve: Resolve, now: int) -> bool | None:
        states = [member(resolve, now) for member in members]
        return count_votes(test.word, test.needed, states)

    return vote


def count_votes(word: str, needed: int, states: list[bool | None]) -> bool | None:
    """What a vote comes to; see :class:`~evcontrol.expression.model.Voted`."""
    yes, unknown = states.count(True), states.count(None)
    match word:
        case "votes_bad_trips":
            return yes + unknown >= needed
        case "votes_degraded":
            return None if unknown == len(states) else yes >= max(1, needed - unknown)
        case _:
            if yes >= needed:
                return True
            return None if yes + unknown >= needed else False


def _lasting(inner: TestFunction, duration: int, timer: Timer) -> TestFunction:
    def lasting(resolve: Resolve, now: int) -> bool | None:
        state = inner(resolve, now)
        timer.now = now
        if not state:
            timer.since = None
            return state
        if timer.since is None:
            timer.since = now
        return now - timer.since >= duration

    return lasting


def _begins(inner: TestFunction) -> TestFunction:
    last_known: bool | None = None

    def begins(resolve: Resolve, now: int) -> bool | None:
        nonlocal last_known
        state = inner(resolve, now)
        if state is None:
            return None
        begun = state and last_known is False
        last_known = state
        return begun

    return begins
