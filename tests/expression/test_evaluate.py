import itertools
import math

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from evcontrol.expression import Condition, Reading, Resolve, Symbol, compile_condition, compile_value
from evcontrol.expression.syntax import Node, write
from evcontrol.quality import (
    BAD_NOT_CONNECTED,
    BAD_OUT_OF_RANGE,
    BAD_TIMEOUT,
    GOOD,
    GOOD_DYNAMIC,
    UNCERTAIN,
    UNCERTAIN_INITIAL,
)
from tests.expression.reference import BASE, Reference, Step, TooCloseError
from tests.expression.trees import SCOPE, conditions, numbers

S = 1_000_000_000
State = bool | None
ABC = {name: Symbol(name, "") for name in "ABC"}
READINGS = {True: Reading(1.0, GOOD), False: Reading(0.0, GOOD), None: Reading(math.nan, BAD_NOT_CONNECTED)}


def of(**readings: float | Reading) -> Resolve:
    """A resolve of these readings; a bare number is Good."""
    full = {name: r if isinstance(r, Reading) else Reading(r, GOOD) for name, r in readings.items()}
    return lambda name: full[name]


def state(text: str, **states: State) -> State:
    """Of a condition in which the bare names A, B, C stand for conditions of these states."""
    for name in states:
        text = text.replace(name, f"{name} = 1")
    return compile_condition(text, ABC).update(of(**{name: READINGS[s] for name, s in states.items()}), 0)


T, F, U = True, False, None


@pytest.mark.parametrize(
    ("a", "b", "both", "either"),
    [
        (T, T, T, T), (T, F, F, T), (T, U, U, T),
        (F, T, F, T), (F, F, F, F), (F, U, F, U),
        (U, T, U, T), (U, F, F, U), (U, U, U, U),
    ],
)  # fmt: skip
def test_and_and_or_follow_kleene(a: State, b: State, both: State, either: State) -> None:
    assert state("(A) and (B)", A=a, B=b) is both
    assert state("(A) or (B)", A=a, B=b) is either


@pytest.mark.parametrize(("a", "contrary"), [(T, F), (F, T), (U, U)])
def test_not_follows_kleene(a: State, contrary: State) -> None:
    assert state("not (A)", A=a) is contrary


def test_three_members_are_as_two_and_one() -> None:
    for a, b, c in itertools.product((T, F, U), repeat=3):
        assert state("(A) and (B) and (C)", A=a, B=b, C=c) is state("((A) and (B)) and (C)", A=a, B=b, C=c)
        assert state("(A) or (B) or (C)", A=a, B=b, C=c) is state("(A) or ((B) or (C))", A=a, B=b, C=c)


@pytest.mark.parametrize("quality", [UNCERTAIN, UNCERTAIN_INITIAL, BAD_NOT_CONNECTED, 0xC000_0000])
def test_an_input_that_is_not_good_leaves_a_condition_unknown(quality: int) -> None:
    assert compile_condition("A > 1", ABC).update(of(A=Reading(5.0, quality)), 0) is None
    assert compile_condition("B > 1 + A", ABC).update(of(A=Reading(5.0, quality), B=1.0), 0) is None
    assert compile_condition("min(A, B) > 1", ABC).update(of(A=0.0, B=Reading(5.0, quality)), 0) is None


def test_good_with_a_sub_status_is_good() -> None:
    assert compile_condition("A > 1", ABC).update(of(A=Reading(5.0, GOOD_DYNAMIC)), 0) is True


def test_no_number_leaves_a_condition_unknown_even_if_good() -> None:
    for text in ("A > 1", "A != 1", "max(1, A) > 0", "abs(A) >= 0"):
        assert compile_condition(text, ABC).update(of(A=math.nan), 0) is None


def test_a_division_by_zero_leaves_a_condition_unknown() -> None:
    assert compile_condition("B / A > 1", ABC).update(of(A=0.0, B=1.0), 0) is None


def test_a_range_that_one_side_decides_is_false_though_the_other_is_unknown() -> None:
    condition = compile_condition("2 <= A <= B", ABC)
    assert condition.update(of(A=1.0, B=READINGS[None]), 0) is False
    assert condition.update(of(A=3.0, B=READINGS[None]), 0) is None


@pytest.mark.parametrize(
    ("quality", "good", "bad"),
    [(GOOD, T, F), (GOOD_DYNAMIC, T, F), (UNCERTAIN, F, F), (BAD_NOT_CONNECTED, F, T), (0xC000_0000, F, T)],
)
def test_quality_tests_are_always_known(quality: int, good: bool, bad: bool) -> None:
    resolve = of(A=Reading(math.nan, quality))
    assert compile_condition("good(A)", ABC).update(resolve, 0) is good
    assert compile_condition("bad(A)", ABC).update(resolve, 0) is bad


def test_states_are_compared_by_label() -> None:
    scope = {"P": Symbol("P", "", ("Idle", "Held", "Locked out")), "Q": Symbol("Q", "", ("Idle", "Held", "Locked out"))}
    resolve = of(P=1.0, Q=2.0)
    assert compile_condition("P = Held", scope).update(resolve, 0) is True
    assert compile_condition("P != Held", scope).update(resolve, 0) is False
    assert compile_condition('"Locked out" = Q', scope).update(resolve, 0) is True
    assert compile_condition("P = Q", scope).update(resolve, 0) is False
    assert compile_condition("P = Held", scope).update(of(P=READINGS[None]), 0) is None


def test_units_are_made_coherent() -> None:
    resolve = of(**{"TFF201.TMP": 14.6, "TFF201.DP": 1.0, "TFF201.P_FEED": 10.0, "TFF201.P_RET": 2.0, "elapsed": 90.0})
    for text, expected in [
        ("TFF201.TMP > 1 bar", True),
        ("TFF201.TMP > TFF201.DP", True),
        ("TFF201.DP < TFF201.TMP", True),
        ("TFF201.TMP - TFF201.DP < 0.1 psi", True),
        ("TFF201.P_FEED - TFF201.P_RET = 8 psi", True),
        ("TFF201.P_RET + TFF201.DP > 16.5 psig", True),
        ("1 min < elapsed < 2 min", True),
        ("elapsed + 30 s > 3 min", False),
    ]:
        assert compile_condition(text, SCOPE).update(resolve, 0) is expected, text


def updates(condition: Condition, states: list[tuple[float, State]]) -> list[State]:
    """What a condition on A says at these times (s) and states of ``A = 1``."""
    return [condition.update(of(A=READINGS[s]), round(t * S)) for t, s in states]


def test_for_is_true_when_the_condition_was_true_for_so_long_without_a_break() -> None:
    condition = compile_condition("A = 1 for 10 s", ABC)
    assert updates(condition, [(0, T), (5, T), (9.999, T), (10, T), (11, T)]) == [F, F, F, T, T]


def test_for_begins_again_after_false_and_after_unknown() -> None:
    condition = compile_condition("A = 1 for 10 s", ABC)
    assert updates(condition, [(0, T), (9, F), (10, T), (19, T), (20, T)]) == [F, F, F, F, T]
    condition = condition.fresh()
    assert updates(condition, [(0, T), (9, U), (10, T), (19, T), (20, T)]) == [F, U, F, F, T]


def test_for_is_timed_though_another_member_decides() -> None:
    condition = compile_condition("(A = 1 for 10 s) or B = 1", ABC)
    for t in range(10):
        assert condition.update(of(A=1.0, B=1.0), t * S) is True
    assert condition.update(of(A=1.0, B=0.0), 10 * S) is True


def test_two_alike_timers_run_each_by_itself() -> None:
    condition = compile_condition("(A = 1 for 2 s) and not (B = 1 for 2 s)", ABC)
    assert [condition.update(of(A=1.0, B=b), t * S) for t, b in [(0, 0.0), (1, 1.0), (2, 1.0), (3, 1.0)]] == [
        F,
        F,
        T,
        F,
    ]


def test_rising_is_true_for_one_update() -> None:
    condition = compile_condition("rising(A = 1)", ABC)
    assert updates(condition, [(0, F), (1, T), (2, T), (3, F), (4, T)]) == [F, T, F, F, T]


def test_what_is_true_from_the_start_has_not_risen() -> None:
    assert updates(compile_condition("rising(A = 1)", ABC), [(0, T), (1, T)]) == [F, F]
    assert updates(compile_condition("rising(A = 1)", ABC), [(0, U), (1, T)]) == [U, F]


def test_a_rise_while_unknown_is_seen_when_known_again() -> None:
    assert updates(compile_condition("rising(A = 1)", ABC), [(0, F), (1, U), (2, T), (3, T)]) == [F, U, T, F]
    assert updates(compile_condition("rising(A = 1)", ABC), [(0, T), (1, U), (2, T)]) == [F, U, F]


def test_a_fresh_condition_shares_no_state() -> None:
    first = compile_condition("A = 1 for 10 s", ABC)
    first.update(of(A=1.0), 0)
    second = first.fresh()
    assert first.update(of(A=1.0), 10 * S) is True
    assert second.update(of(A=1.0), 10 * S) is False
    assert (second.text, second.names) == (first.text, first.names)


def test_a_condition_knows_since_when_it_is_unknown() -> None:
    condition = compile_condition("A = 1", ABC)
    seen = []
    for t, s in [(1, T), (2, U), (3, U), (4, F), (5, U)]:
        condition.update(of(A=READINGS[s]), t)
        seen.append(condition.unknown_since)
    assert seen == [None, 2, 2, None, 5]
    assert condition.fresh().unknown_since is None


def test_a_value_has_the_worst_quality_of_its_inputs() -> None:
    value = compile_value("A + B", ABC, unit="")
    assert value.evaluate(of(A=1.0, B=2.0)) == (3.0, GOOD)
    assert value.evaluate(of(A=1.0, B=Reading(2.0, GOOD_DYNAMIC))) == (3.0, GOOD_DYNAMIC)
    assert value.evaluate(of(A=Reading(1.0, UNCERTAIN_INITIAL), B=Reading(2.0, GOOD))) == (3.0, UNCERTAIN_INITIAL)
    bad = value.evaluate(of(A=Reading(1.0, UNCERTAIN), B=Reading(2.0, BAD_TIMEOUT)))
    assert math.isnan(bad.value)
    assert bad.quality == BAD_TIMEOUT


@pytest.mark.parametrize("resolve", [of(A=0.0, B=1.0), of(A=math.nan, B=1.0), of(A=1e-300, B=1e300)])
def test_a_value_that_cannot_be_computed_is_bad(resolve: Resolve) -> None:
    reading = compile_value("B / A", ABC, unit="").evaluate(resolve)
    assert math.isnan(reading.value)
    assert reading.quality == BAD_OUT_OF_RANGE


def test_a_value_is_in_the_unit_that_was_asked_for() -> None:
    assert compile_value("30 mL/min", {}, unit="L/h").evaluate(of()) == (1.8, GOOD)
    assert compile_value("elapsed", SCOPE, unit="min").evaluate(of(elapsed=90.0)) == (1.5, GOOD)
    assert compile_value("elapsed", SCOPE, unit="min").unit.text == "min"


readings = st.tuples(
    st.integers(-80, 80).map(lambda eighths: eighths / 8),
    st.sampled_from([GOOD] * 5 + [GOOD_DYNAMIC, UNCERTAIN_INITIAL, BAD_NOT_CONNECTED]),
)
steps = st.fixed_dictionaries(dict.fromkeys(SCOPE, readings))
histories = st.lists(st.tuples(st.integers(1, 4), steps), min_size=1, max_size=5)


def _in_time(history: list[tuple[int, dict[str, tuple[float, int]]]]) -> list[Step]:
    """Steps half a second times so many apart."""
    times = itertools.accumulate(gap for gap, _ in history)
    return [(t * S // 2, step) for t, (_, step) in zip(times, history, strict=True)]


@given(conditions, histories)
@settings(max_examples=500, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
def test_a_condition_is_what_the_reference_says_at_every_step(
    tree: Node, gaps: list[tuple[int, dict[str, tuple[float, int]]]]
) -> None:
    history = _in_time(gaps)
    reference = Reference(SCOPE, history)
    try:
        expected = [reference.condition(tree, i) for i in range(len(history))]
    except TooCloseError:
        reject()
    condition = compile_condition(write(tree), SCOPE)
    found = [condition.update(_resolve(step), t) for t, step in history]
    assert found == expected
    assert condition.describe(_resolve(history[-1][1]))


@given(
    st.sampled_from(["psi", "psig", "", "s"]).flatmap(lambda kind: st.tuples(st.just(kind), numbers(kind, 3))), steps
)
@settings(max_examples=300, deadline=None)
def test_a_value_is_what_the_reference_says(case: tuple[str, Node], step: dict[str, tuple[float, int]]) -> None:
    kind, tree = case
    base = {"psi": "bar", "psig": "psig", "": "", "s": "s"}[kind]
    expected = Reference(SCOPE, [(0, {name: (value, GOOD) for name, (value, _) in step.items()})]).number(tree, 0)
    value = compile_value(write(tree), SCOPE, unit=base)
    reading = value.evaluate(_resolve(step))
    worst = max((step[name][1] for name in value.names), default=GOOD)
    if worst >= BAD_NOT_CONNECTED:
        assert math.isnan(reading.value)
        assert reading.quality == worst
    elif expected is None:
        assert math.isnan(reading.value)
        assert reading.quality == BAD_OUT_OF_RANGE
    else:
        in_unit = expected.value / (BASE[base])
        assert reading.quality == worst
        assert reading.value == pytest.approx(float(in_unit), rel=1e-9, abs=1e-9 * float(expected.size) + 1e-300)


def _resolve(step: dict[str, tuple[float, int]]) -> Resolve:
    """Readings as acquisition gives them: a Bad one has no value."""
    return lambda name: Reading(math.nan if step[name][1] >= BAD_NOT_CONNECTED else step[name][0], step[name][1])
