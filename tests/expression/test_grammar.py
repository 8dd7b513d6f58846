import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.expression import ExpressionError, Symbol, compile_condition, compile_value
from evcontrol.expression.grammar import DEEPEST, LONGEST, parse
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
from tests.expression.trees import SCOPE, any_trees, conditions

TMP = Name("TFF201.TMP")
FIVE = Number(5.0, "psi")
ABOVE = Comparison((TMP, FIVE), (">",))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("30 mL/min", Number(30.0, "mL/min")),
        ("2.5e9 particle/mL", Number(2.5e9, "particle/mL")),
        ("2000 1/s", Number(2000.0, "1/s")),
        ("10 min", Number(10.0, "min")),
        ("5psi", FIVE),
        ("-5 psig", Number(-5.0, "psig")),
        ("30 mL/min / 2", Arithmetic("/", Number(30.0, "mL/min"), Number(2.0))),
        ("30 mL/min/2", Arithmetic("/", Number(30.0, "mL/min"), Number(2.0))),
        ("a - -5", Arithmetic("-", Name("a"), Number(-5.0))),
        ("-a * b", Arithmetic("*", Negative(Name("a")), Name("b"))),
        ("a - b - c", Arithmetic("-", Arithmetic("-", Name("a"), Name("b")), Name("c"))),
        ("a + b * c", Arithmetic("+", Name("a"), Arithmetic("*", Name("b"), Name("c")))),
        ("TFF201.TMP > 5 psi", ABOVE),
        ("2 psi <= TFF201.TMP <= 5 psi", Comparison((Number(2.0, "psi"), TMP, FIVE), ("<=", "<="))),
        ("TFF201.TMP > 5 psi for 10 s", HeldFor(ABOVE, Number(10.0, "s"))),
        ("not TFF201.TMP > 5 psi", Not(ABOVE)),
        ("a = Held for 2 min", HeldFor(Comparison((Name("a"), Name("Held")), ("=",)), Number(2.0, "min"))),
        ('a = "Locked out"', Comparison((Name("a"), Label("Locked out")), ("=",))),
        ("min(a, 5 min) < s", Comparison((Call("min", (Name("a"), Number(5.0, "min"))), Name("s")), ("<",))),
        ("rising(good(a))", Call("rising", (Call("good", (Name("a"),)),))),
        ("android or nothing", Logic("or", (Name("android"), Name("nothing")))),
        ("and.x or b and c", Logic("or", (Name("and.x"), Logic("and", (Name("b"), Name("c")))))),
    ],
)
def test_texts_and_their_trees(text: str, tree: Node) -> None:
    assert parse(text) == tree


def test_lines_may_break_between_words() -> None:
    assert parse("TFF201.TMP\n  >\n5\npsi") == ABOVE


def test_nodes_know_where_they_begin() -> None:
    tree = parse("  (a) > 5 psi and\n not b")
    assert isinstance(tree, Logic)
    assert [operand.at for operand in tree.operands] == [3, 19]


@given(any_trees)
@settings(max_examples=300)
def test_a_tree_that_is_written_parses_to_the_same_tree(tree: Node) -> None:
    assert parse(write(tree)) == tree


@given(conditions)
def test_a_condition_that_is_written_parses_to_the_same_tree(tree: Node) -> None:
    assert parse(write(tree)) == tree


SIGNS = ["+", "-", "*", "/", "<", "<=", ">", ">=", "=", "==", "!=", "(", ")", ",", ".", ";", '"', "'", "%", "\n", "\0"]
WORDS = [
    "and",
    "or",
    "not",
    "for",
    "rising(",
    "good(",
    "bad(",
    "min(",
    "max(",
    "abs(",
    "Held",
    "STATE",
    '"Held"',
    "for 10 s",
]
NUMBERS = ["5", "5psi", "10", "s", "mL/min", "5 psi", "1e999", "0", "5 %", "é", "²", "\u0663", "\ud800", "\x1c"]
PIECES = [*SCOPE, *SIGNS, *WORDS, *NUMBERS]
WIDE = {**SCOPE, "STATE": Symbol("STATE", "", ("Idle", "Held"))}


@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join))
@settings(max_examples=600)
def test_garbage_raises_nothing_but_an_expression_error(text: str) -> None:
    _compile_both_ways(text)


@given(conditions.map(write), st.data())
@settings(max_examples=300)
def test_a_condition_with_a_slip_raises_nothing_but_an_expression_error(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    removed = data.draw(st.integers(0, 6))
    inserted = data.draw(st.sampled_from(["", *PIECES]))
    _compile_both_ways(text[:at] + inserted + text[at + removed :])


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3000 + "1" + ")" * 900,
        "(" * 1500 + "1 = 1" + ")" * 1500,
        "not " * 900 + "1 = 1",
        "-" * 3000 + "result.n",
        "+".join(["result.n"] * 400),
        "abs(" * 900,
        "rising(" * 500 + "1 = 1" + ")" * 500,
        "9" * 3999,
        "result.n = 1 and " * 200 + "1 = 1",
        "x" * 5000,
        "5 " + "mL/" * 1300 + "s = 1",
    ],
)
def test_monstrous_texts_raise_nothing_but_an_expression_error(text: str) -> None:
    _compile_both_ways(text)


def test_depth_and_length_are_bounded() -> None:
    for text in ("-" * DEEPEST + "result.n > 1", "1 = 1" + " " * LONGEST):
        with pytest.raises(ExpressionError, match=r"nested more than|has more than"):
            compile_condition(text, SCOPE)


def _compile_both_ways(text: str) -> None:
    try:
        compile_condition(text, WIDE, line=3, column=7)
    except ExpressionError as error:
        _assert_well_placed(error, text)
    try:
        compile_value(text, WIDE, unit="psi", line=3, column=7)
    except ExpressionError as error:
        _assert_well_placed(error, text)


def _assert_well_placed(error: ExpressionError, text: str) -> None:
    lines = text.split("\n")
    for mistake in (error, *error.more):
        assert mistake.message
        assert str(mistake) == f"{mistake.line}:{mistake.column}: {mistake.message}"
        row = mistake.line - 3
        assert 0 <= row < len(lines)
        first = 7 if row == 0 else 1
        assert first <= mistake.column <= first + len(lines[row])
