"""Random expression trees: any that can be written, and such that the checker accepts."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from evcontrol.expression import Symbol
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
)

SCOPE = {
    name: Symbol(name, unit)
    for name, unit in {
        "TFF201.TMP": "psi",
        "TFF201.DP": "bar",
        "TFF201.P_FEED": "psig",
        "TFF201.P_RET": "psig",
        "result.n": "",
        "param.factor": "",
        "elapsed": "s",
        "t2": "min",
    }.items()
}
UNITS_OF_KIND = {"psi": ["psi", "bar"], "psig": ["psig"], "": [""], "s": ["s", "min"]}

ORDERS = [("<", "<="), (">", ">=")]
OPERATORS = ["<", "<=", ">", ">=", "=", "!="]

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}(\.[A-Za-z0-9_]{1,4}){0,2}", fullmatch=True).filter(
    lambda text: text not in {"and", "or", "not", "for"}
)
units = st.sampled_from(["", "psi", "mL/min", "1/s", "%v/v", "LMH/bar", "degC", "x", "min", "particle/mL"])
positive = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
plain_numbers = st.builds(Number, positive, units)
any_numbers = st.builds(Number, st.floats(allow_nan=False, allow_infinity=False), units)
labels = st.builds(Label, st.text(alphabet="abc D-1", max_size=6))


def _above(nodes: SearchStrategy[Node]) -> SearchStrategy[Node]:
    several = st.lists(nodes, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        nodes.filter(lambda node: not isinstance(node, Number)).map(Negative),
        st.builds(Arithmetic, st.sampled_from("+-*/"), nodes, nodes),
        st.builds(Comparison, st.tuples(nodes, nodes), st.sampled_from(OPERATORS).map(lambda word: (word,))),
        st.builds(
            Comparison,
            st.tuples(nodes, nodes, nodes),
            st.sampled_from(ORDERS).flatmap(lambda order: st.tuples(*[st.sampled_from(order)] * 2)),
        ),
        st.builds(Logic, st.sampled_from(["and", "or"]), several),
        nodes.map(Not),
        st.builds(HeldFor, nodes, plain_numbers),
        st.builds(Call, names, st.lists(nodes, max_size=3).map(tuple)),
    )


any_trees: SearchStrategy[Node] = st.recursive(any_numbers | labels | names.map(Name), _above, max_leaves=15)


def _leaves(kind: str) -> SearchStrategy[Node]:
    own = [name for name, symbol in SCOPE.items() if symbol.unit in UNITS_OF_KIND[kind]]
    values = st.integers(-400, 400).map(lambda eighths: eighths / 8)
    return st.one_of(st.sampled_from(own).map(Name), st.builds(Number, values, st.sampled_from(UNITS_OF_KIND[kind])))


def _divisors() -> SearchStrategy[Node]:
    """Exact in floating point, so that a division by zero is one for everybody."""
    return st.sampled_from(["result.n", "param.factor"]).map(Name)


def _numbers_above(kind: str, depth: int) -> SearchStrategy[Node]:
    if depth == 0:
        return _leaves(kind)
    same, plain = numbers(kind, depth - 1), numbers("", depth - 1)
    if kind == "psig":
        step = numbers("psi", depth - 1)
        return st.one_of(
            _leaves(kind),
            st.builds(Arithmetic, st.sampled_from("+-"), same, step),
            st.builds(Arithmetic, st.just("+"), step, same),
            st.builds(Call, st.sampled_from(["min", "max"]), st.tuples(same, same)),
        )
    gauges = numbers("psig", depth - 1)
    choices = [
        _leaves(kind),
        same.filter(lambda node: not isinstance(node, Number)).map(Negative),
        st.builds(Arithmetic, st.sampled_from("+-"), same, same),
        st.builds(Arithmetic, st.just("*"), same, plain),
        st.builds(Arithmetic, st.just("*"), plain, same),
        st.builds(Arithmetic, st.just("/"), same, _divisors()),
        st.builds(Call, st.sampled_from(["min", "max"]), st.lists(same, min_size=2, max_size=3).map(tuple)),
        st.builds(Call, st.just("abs"), st.tuples(same)),
    ]
    if kind == "psi":
        choices.append(st.builds(Arithmetic, st.just("-"), gauges, gauges))
    return st.one_of(choices)


_CACHE: dict[tuple[str, int], SearchStrategy[Node]] = {}


def numbers(kind: str, depth: int) -> SearchStrategy[Node]:
    """Numbers of a kind that the checker accepts."""
    if (kind, depth) not in _CACHE:
        _CACHE[kind, depth] = st.deferred(lambda: _numbers_above(kind, depth))
    return _CACHE[kind, depth]


def _comparisons(kind: str) -> SearchStrategy[Node]:
    side = numbers(kind, 2)
    ranges = st.sampled_from(ORDERS).flatmap(lambda order: st.tuples(*[st.sampled_from(order)] * 2))
    return st.one_of(
        st.builds(Comparison, st.tuples(side, side), st.sampled_from(OPERATORS).map(lambda word: (word,))),
        st.builds(Comparison, st.tuples(side, side, side), ranges),
    )


def _conditions_above(tests: SearchStrategy[Node]) -> SearchStrategy[Node]:
    durations = st.builds(Number, st.sampled_from([0.5, 1.0, 2.0, 3.0]), st.just("s"))
    return st.one_of(
        st.builds(Logic, st.sampled_from(["and", "or"]), st.lists(tests, min_size=2, max_size=3).map(tuple)),
        tests.map(Not),
        st.builds(HeldFor, tests, durations),
        st.builds(Call, st.just("rising"), st.tuples(tests)),
    )


conditions: SearchStrategy[Node] = st.recursive(
    st.one_of(
        st.sampled_from(sorted(UNITS_OF_KIND)).flatmap(_comparisons),
        st.builds(Call, st.sampled_from(["good", "bad"]), st.sampled_from(sorted(SCOPE)).map(lambda n: (Name(n),))),
    ),
    _conditions_above,
    max_leaves=5,
)
"""Conditions over SCOPE that the checker accepts, but for constants that divide by zero."""
