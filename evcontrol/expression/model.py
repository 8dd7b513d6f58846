"""What expressions read, and the checked form of expressions: names resolved, units coherent, constants computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple, TypeAlias

from evcontrol.expression.syntax import Comparison, HeldFor
from evcontrol.units import Unit


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a name in a scope stands for: its unit, and the labels of a discrete or enumerated one by code.

    ``name`` is what a :data:`Resolve` is asked for; a scope may list a symbol under another name. With ``low`` and
    ``high``, what it can read at all, a comparison with a number beyond them is refused.
    """

    name: str
    unit: str
    labels: tuple[str, ...] = ()
    low: float = -inf
    high: float = inf


class Reading(NamedTuple):
    """A value in its symbol's unit (NaN when Bad) and its quality as OPC UA status code."""

    value: float
    quality: int


Resolve = Callable[[str], Reading]
"""Gives the present reading of a name."""

NUMBER_FUNCTIONS: Final = frozenset({"abs", "min", "max", "median"})
VOTES: Final = frozenset({"votes", "votes_bad_trips", "votes_degraded"})
TEST_FUNCTIONS: Final = frozenset({"rising", "good", "bad"}) | VOTES

# Compared by identity: two alike timers in one expression are two timers.


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A number."""

    value: float
    unit: Unit


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """The reading of a name."""

    symbol: Symbol
    unit: Unit


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A number in another unit of its kind."""

    operand: Numeric
    unit: Unit


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """An operation (``+ - * /``, ``neg``, ``abs``, ``min``, ``max``, ``median``) on operands whose units fit."""

    operation: str
    operands: tuple[Numeric, ...]
    unit: Unit


Numeric: TypeAlias = Constant | Read | Converted | Computed


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Neighbours compared, all in one unit; with ``labels`` the numbers are their codes."""

    operands: tuple[Numeric, ...]
    operators: tuple[str, ...]
    syntax: Comparison
    shown: Unit
    """The unit in which a person is told the present value."""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """``and`` or ``or`` of tests."""

    word: str
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Contrary:
    """``not``."""

    test: Test


@dataclass(frozen=True, slots=True, eq=False)
class Lasting:
    """A test that must be True without a break for ``duration`` (ns of process time)."""

    test: Test
    duration: int
    syntax: HeldFor


@dataclass(frozen=True, slots=True, eq=False)
class Begins:
    """True for the one update at which a test has become True."""

    test: Test


@dataclass(frozen=True, slots=True, eq=False)
class QualityTest:
    """Whether a name is Good, or Bad."""

    symbol: Symbol
    good: bool


@dataclass(frozen=True, slots=True, eq=False)
class Voted:
    """Whether at least ``needed`` of the tests of redundant sensors are True; ``word`` says what an unknown one is.

    ``votes``: it stays unknown, and the whole with it where it would decide. ``votes_bad_trips``: a vote for True.
    ``votes_degraded``: left out, and each one less is needed, down to one (2oo3 becomes 1oo2, then 1oo1).
    """

    word: str
    needed: int
    tests: tuple[Test, ...]


Test: TypeAlias = Compared | Combined | Contrary | Lasting | Begins | QualityTest | Voted


def reads(numeric: Numeric) -> Iterator[Read]:
    """Every reading that a number comes from, from left to right."""
    match numeric:
        case Read():
            yield numeric
        case Converted():
            yield from reads(numeric.operand)
        case Computed():
            for operand in numeric.operands:
                yield from reads(operand)
        case Constant():
            return
