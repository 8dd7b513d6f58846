"""What the checker tells a person: what is wrong, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from evcontrol.expression.errors import MistakeError
from evcontrol.expression.model import NUMBER_FUNCTIONS, TEST_FUNCTIONS, Symbol
from evcontrol.expression.syntax import Arithmetic, Node, Number, write
from evcontrol.units import Unit, a_kind, compatible, difference, kind, number_text

OPERATIONS: Final = {"neg": "the negative", "abs": "abs()"}


def unknown_name(text: str, known: Iterable[str]) -> str:
    """A name that the scope does not have."""
    return f"{text} is not known here{_did_you_mean(text, known)}"


def unknown_function(text: str) -> str:
    """A function that the language does not have."""
    return f"{text}() is no function{_did_you_mean(text, NUMBER_FUNCTIONS | TEST_FUNCTIONS)}"


def unknown_label(text: str, symbol: Symbol) -> str:
    """A label that a state does not have."""
    labels = ", ".join(symbol.labels)
    return f"{text} is no label of {symbol.name} ({labels}){_did_you_mean(text, symbol.labels)}"


def beyond(name: Node, symbol: Symbol, value: float) -> str:
    """A number that a name is compared with and can never read."""
    span = f"{number_text(symbol.low)} to {number_text(symbol.high)} {symbol.unit}".rstrip()
    return f"{write(name)} reads {span}, and never comes past {f'{number_text(value)} {symbol.unit}'.rstrip()}"


def compare_state(symbol: Symbol) -> str:
    """A state that is not compared with one of its labels."""
    first = symbol.labels[0]
    example = first if first.isidentifier() else f'"{first}"'
    return f"{symbol.name} is a state: write {symbol.name} = {example} (labels: {', '.join(symbol.labels)})"


def no_condition(symbol: Symbol) -> str:
    """A name that stands where a condition is wanted."""
    if symbol.labels:
        return compare_state(symbol)
    return f"{symbol.name} is a number: compare it, as in {symbol.name} > {f'0 {symbol.unit}'.strip()}"


def wrong_unit(node: Node, unit: Unit, wanted: Unit) -> str:
    """A number of another kind than the place wants."""
    hint = _bare_number(node, wanted)
    if not wanted.text:
        return f"{_is(node, unit)}, a plain number is wanted"
    return f"{_is(node, unit)}, {wanted.text} is wanted" + (f": {hint}" if hint else "")


def apart(leading: Node, wanted: Unit, node: Node, unit: Unit) -> str:
    """Two numbers of different kinds that are compared."""
    hint = _bare_number(node, wanted)
    if hint is None and isinstance(node, Number) and unit != wanted and _one_scale(unit, wanted):
        hint = f"write {number_text(node.value)} {wanted.text}"
    return f"{_is(leading, wanted)}, {_is(node, unit)}" + (f": {hint}" if hint else "")


def no_result(node: Arithmetic, left: Unit, right: Unit, reason: str) -> MistakeError:
    """Two numbers that have no sum, product ... for a reason."""
    if node.operator in "+-" and _bare_number(node.right, left):
        return MistakeError(apart(node.left, left, node.right, right), node.right.at)
    if node.operator in "+-" and _bare_number(node.left, right):
        return MistakeError(apart(node.right, right, node.left, left), node.left.at)
    return MistakeError(reason, node.right.at)


def _bare_number(node: Node, unit: Unit) -> str | None:
    """What to write instead of a number whose unit was forgotten; None for all else."""
    if not isinstance(node, Number) or node.unit or not unit.text:
        return None
    return f"write {number_text(node.value)} {unit.text}"


def _one_scale(unit: Unit, other: Unit) -> bool:
    return compatible(difference(unit), difference(other))


def _is(node: Node, unit: Unit) -> str:
    """``30 mL/min is a flow`` for a number, ``TFF201.TMP is in psi`` for all else."""
    if not unit.text:
        return f"{write(node)} has no unit"
    if isinstance(node, Number) and kind(unit) != unit.text:
        return f"{write(node)} is {a_kind(unit)}"
    return f"{write(node)} is in {unit.text}"


def _did_you_mean(text: str, known: Iterable[str]) -> str:
    names = list(known)
    same = [name for name in names if name.lower() == text.lower()]
    nearest = same or difflib.get_close_matches(text, names, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""
