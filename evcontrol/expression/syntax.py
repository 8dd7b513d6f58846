"""The syntax tree of expressions, and its text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from evcontrol.units import number_text

# `at` is where the node begins in the text; trees are equal wherever they stand.


@dataclass(frozen=True, slots=True)
class Number:
    """A number with the unit as written; empty when there is none."""

    value: float
    unit: str = ""
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a tag, parameter or result, or a label without quotes."""

    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Label:
    """A label in quotes."""

    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Negative:
    """Unary minus; a negative number is a :class:`Number`."""

    operand: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``+ - * /`` of two operands."""

    operator: str
    left: Node
    right: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands and an operator, or three with two (a range)."""

    operands: tuple[Node, ...]
    operators: tuple[str, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Logic:
    """``and`` or ``or`` of two or more conditions."""

    word: str
    operands: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary of a condition."""

    operand: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class HeldFor:
    """A condition that must last."""

    condition: Node
    duration: Number
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the language and its arguments."""

    function: str
    arguments: tuple[Node, ...]
    at: int = field(default=0, compare=False)


Node: TypeAlias = Number | Name | Label | Negative | Arithmetic | Comparison | Logic | Not | HeldFor | Call

_ATOM: Final = 9
_UNARY: Final = 8
_STRENGTH: Final = {"or": 1, "and": 2, "not": 3, "for": 4, "compare": 5, "+": 6, "-": 6, "*": 7, "/": 7}


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    match node:
        case Negative() | Not():
            return (node.operand,)
        case Arithmetic():
            return (node.left, node.right)
        case Comparison() | Logic():
            return node.operands
        case HeldFor():
            return (node.condition, node.duration)
        case Call():
            return node.arguments
        case _:
            return ()


def write(node: Node) -> str:  # noqa: PLR0911 - one for each kind of node
    """The text of a tree, with as few parentheses as it needs; parsing it gives the same tree."""
    match node:
        case Number():
            return f"{number_text(node.value)} {node.unit}".rstrip()
        case Name():
            return node.text
        case Label():
            return f'"{node.text}"'
        case Negative():
            return "-" + _within(node.operand, _UNARY)
        case Arithmetic():
            own = _STRENGTH[node.operator]
            return f"{_within(node.left, own)} {node.operator} {_within(node.right, own + 1)}"
        case Comparison():
            return _write_comparison(node)
        case Logic():
            return f" {node.word} ".join(_within_logic(operand, _STRENGTH[node.word] + 1) for operand in node.operands)
        case Not():
            return "not " + _within_logic(node.operand, _STRENGTH["not"])
        case HeldFor():
            return f"{_within(node.condition, _STRENGTH['compare'])} for {write(node.duration)}"
        case Call():
            return f"{node.function}({', '.join(write(argument) for argument in node.arguments)})"


def _write_comparison(node: Comparison) -> str:
    parts = [_within(node.operands[0], _STRENGTH["+"])]
    for operator, operand in zip(node.operators, node.operands[1:], strict=True):
        parts += [operator, _within(operand, _STRENGTH["+"])]
    return " ".join(parts)


def _within(node: Node, needed: int) -> str:
    return write(node) if _strength(node) >= needed else f"({write(node)})"


def _within_logic(node: Node, needed: int) -> str:
    """As a member of a condition, where a bare ``for`` could be read in two ways."""
    return f"({write(node)})" if isinstance(node, HeldFor) else _within(node, needed)


def _strength(node: Node) -> int:  # noqa: PLR0911 - one for each kind of node
    match node:
        case Arithmetic():
            return _STRENGTH[node.operator]
        case Comparison():
            return _STRENGTH["compare"]
        case Logic():
            return _STRENGTH[node.word]
        case Not():
            return _STRENGTH["not"]
        case HeldFor():
            return _STRENGTH["for"]
        case Negative():
            return _UNARY
        case _:
            return _ATOM
