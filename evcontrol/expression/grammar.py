"""The grammar of expressions, and the parser from text to syntax tree."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Final, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args

from evcontrol.expression.errors import MistakeError
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
    children,
)

LONGEST: Final = 4000
"""Characters that an expression may have."""

DEEPEST: Final = 60
"""Levels that an expression may nest; a sum of n terms has n."""

_KEYWORD: Final = r"(?:and|or|not|for)(?![\w.])"
_UNIT: Final = r"(?:1\/)?(?:[^\W\d_]|[%°])[\w%°^]*(?:[.\/](?:[^\W\d_]|[%°])[\w%°^]*)*"

# A unit follows its number in the same token, so that no unit is ever taken for a name (`5 min`, `min(a, b)`).
# Spellings of other languages are read too, to be refused with a word on what to write.
_GRAMMAR: Final = (
    (
        r"""
    ?start: either
    ?either: both | both (_OR both)+ -> any_of
    ?both: negation | negation (_AND negation)+ -> all_of
    ?negation: lasting | NOT negation -> contrary
    ?lasting: comparison | comparison _FOR NUMBER -> held
    ?comparison: sum | sum (COMPARE sum)+ -> compared
    ?sum: product | sum (PLUS | MINUS) product -> arithmetic
    ?product: unary | product (TIMES | OVER) unary -> arithmetic
    ?unary: atom | MINUS unary -> negative
    ?atom: NUMBER -> number
        | NAME -> name
        | TEXT -> label
        | NAME _OPEN _CLOSE -> call
        | NAME _OPEN either (_COMMA either)* _CLOSE -> call
        | _OPEN either _CLOSE -> bracketed

    _AND.2: /and(?![\w.])/
    _OR.2: /or(?![\w.])/
    NOT.2: /not(?![\w.])/
    _FOR.2: /for(?![\w.])/
    NAME: /(?!KEYWORD)[^\W\d]\w*(?:\.\w+)*/
    NUMBER: /[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?:\s*(?!(?i:KEYWORD))UNIT)?/
    TEXT: /"[^"\n]*"/
    COMPARE: /<=|>=|!=|==|<>|=|<|>|≤|≥|≠/
    PLUS: "+"
    MINUS: "-"
    TIMES: "*"
    OVER: "/"
    _OPEN: "("
    _CLOSE: ")"
    _COMMA: ","
    %ignore /\s+/
"""
    )
    .replace("KEYWORD", _KEYWORD)
    .replace("UNIT", _UNIT)
)

_INSTEAD: Final = {"==": "=", "<>": "!=", "≤": "<=", "≥": ">=", "≠": "!="}
_FOREIGN: Final = {
    "&": "write and",
    "|": "write or",
    "!": "write not",
    "'": 'labels stand in "double quotes"',
    '"': "the quotes are not closed",
    "^": "write a product instead of a power",
    "%": "write a number and the unit, as in 2 %O2",
    ",": "decimals are written with a point",
    ".": "a number begins and ends with a digit",
    "[": "write ( )",
    "{": "write ( )",
    "×": "write *",  # noqa: RUF001
    "·": "write *",
    "÷": "write /",
    "−": "write -",  # noqa: RUF001
}
_DIGITS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def parse(text: str) -> Node:
    """The syntax tree of a text; MistakeError where it is not of the language."""
    if not text.strip():
        raise MistakeError("the expression is empty", 0)
    if len(text) > LONGEST:
        raise MistakeError(f"the expression has more than {LONGEST} characters", LONGEST)
    try:
        # With a transformer inside the parser, lark returns what the transformer makes.
        node = _bare(cast("_Raw", _parser().parse(text)))
    except UnexpectedInput as error:
        raise _syntax_mistake(text, error) from None
    _refuse_deep(node)
    return node


@dataclass(frozen=True, slots=True)
class _Bracketed:
    """Remembers the parentheses until it is known whether they were needed."""

    node: Node


_Raw = Node | _Bracketed


@v_args(inline=True)
class _TreeBuilder(Transformer[Token, _Raw]):
    """Makes the nodes while lark reduces; refuses what the grammar cannot tell from what is right."""

    def number(self, token: Token) -> Number:
        match = _DIGITS.match(token)
        digits = match.group() if match is not None else ""
        value = float(digits)
        if math.isinf(value):
            raise MistakeError(f"{digits} is too large a number", _start(token))
        return Number(value, token[len(digits) :].strip(), _start(token))

    def name(self, token: Token) -> Name:
        return Name(str(token), _start(token))

    def label(self, token: Token) -> Label:
        return Label(token[1:-1], _start(token))

    def bracketed(self, raw: _Raw) -> _Bracketed:
        return _Bracketed(_bare(raw))

    def call(self, token: Token, *arguments: _Raw) -> Call:
        return Call(str(token), tuple(_bare(argument) for argument in arguments), _start(token))

    def negative(self, sign: Token, raw: _Raw) -> Node:
        operand = _bare(raw)
        if isinstance(operand, Number):
            return Number(-operand.value, operand.unit, _start(sign))
        return Negative(operand, _start(sign))

    def arithmetic(self, left: _Raw, operator: Token, right: _Raw) -> Arithmetic:
        return Arithmetic(str(operator), _bare(left), _bare(right), _bare(left).at)

    def compared(self, *parts: _Raw | Token) -> Comparison:
        operators = [part for part in parts if isinstance(part, Token)]
        operands = tuple(_bare(part) for part in parts if not isinstance(part, Token))
        for operator in operators:
            if operator in _INSTEAD:
                raise MistakeError(f"{operator} is written {_INSTEAD[operator]} here", _start(operator))
        words = tuple(str(operator) for operator in operators)
        if len(words) > 1 and not (len(words) == 2 and (set(words) <= {"<", "<="} or set(words) <= {">", ">="})):
            raise MistakeError("a range is written as in 2 psi <= TMP <= 7 psi; else join with and", operands[0].at)
        return Comparison(operands, words, operands[0].at)

    def held(self, raw: _Raw, token: Token) -> HeldFor:
        condition = _bare(raw)
        return HeldFor(condition, self.number(token), condition.at)

    def contrary(self, word: Token, raw: _Raw) -> Not:
        if isinstance(raw, HeldFor):
            raise _two_readings("not", raw)
        return Not(_bare(raw), _start(word))

    def all_of(self, *raws: _Raw) -> Logic:
        return _logic("and", raws)

    def any_of(self, *raws: _Raw) -> Logic:
        return _logic("or", raws)


def _logic(word: str, raws: tuple[_Raw, ...]) -> Logic:
    last = raws[-1]
    if isinstance(last, HeldFor) and not all(isinstance(raw, HeldFor) for raw in raws):
        raise _two_readings(word, last)
    operands = tuple(_bare(raw) for raw in raws)
    return Logic(word, operands, operands[0].at)


def _two_readings(word: str, held: HeldFor) -> MistakeError:
    return MistakeError(f"does for belong to this condition or to the whole with {word}? Put parentheses", held.at)


def _bare(raw: _Raw) -> Node:
    return raw.node if isinstance(raw, _Bracketed) else raw


def _start(token: Token) -> int:
    return token.start_pos or 0


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", transformer=_TreeBuilder())


def _refuse_deep(node: Node) -> None:
    level: tuple[Node, ...] = (node,)
    depth = 1
    while level:
        if depth > DEEPEST:
            raise MistakeError(f"nested more than {DEEPEST} deep", level[0].at)
        level = tuple(child for parent in level for child in children(parent))
        depth += 1


def _syntax_mistake(text: str, error: UnexpectedInput) -> MistakeError:
    match error:
        case UnexpectedCharacters():
            at, found, expected = error.pos_in_stream or 0, text[error.pos_in_stream or 0], set(error.allowed or ())
        case UnexpectedToken() if error.token.type != "$END":
            at, found, expected = _start(error.token), str(error.token), set(error.expected)
        case UnexpectedToken():
            at, found, expected = len(text.rstrip()), "", set(error.expected)
        case _:
            raise error
    return MistakeError(
        _what_is_wrong(found, operand_expected="NAME" in expected, close_expected="_CLOSE" in expected), at
    )


def _what_is_wrong(found: str, *, operand_expected: bool, close_expected: bool) -> str:
    wanted = "a name or a number is wanted" if operand_expected else "an operator is wanted"
    if not found:
        return f"{wanted} at the end" if operand_expected else "a ( is not closed"
    if found == ")" and not operand_expected and not close_expected:
        return ") without ("
    hint = _FOREIGN.get(found)
    if hint is None and found.lower() in {"and", "or", "not", "for"} and not found.islower():
        hint = f"write {found.lower()}"
    return f"{found!r} is not understood here: {hint or wanted}"
