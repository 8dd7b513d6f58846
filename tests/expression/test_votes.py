"""Votes of redundant sensors: 1oo2, 2oo3 and the median, and what an input that is not known counts as."""

from __future__ import annotations

from math import nan

import pytest

from evcontrol.expression import ExpressionError, Reading, Symbol, compile_condition, compile_value
from evcontrol.quality import BAD, GOOD

SCOPE = {name: Symbol(name, "psi") for name in ("A", "B", "C")}
HIGH, LOW, LOST = 12.0, 5.0, nan


def asked(text: str, *values: float) -> bool | None:
    readings = {name: Reading(v, BAD if v != v else GOOD) for name, v in zip("ABC", values, strict=False)}  # noqa: PLR0124
    return compile_condition(text, SCOPE).update(lambda name: readings[name], 0)


def vote(word: str, needed: int, *values: float) -> bool | None:
    conditions = ", ".join(f"{name} > 10 psi" for name in "ABC"[: len(values)])
    return asked(f"{word}({needed}, {conditions})", *values)


@pytest.mark.parametrize(
    ("word", "needed", "values", "holds"),
    [
        ("votes", 2, (HIGH, HIGH, LOW), True),
        ("votes", 2, (HIGH, LOW, LOW), False),
        ("votes", 2, (HIGH, LOST, LOW), None),
        ("votes", 2, (HIGH, HIGH, LOST), True),
        ("votes", 2, (LOW, LOW, LOST), False),
        ("votes", 1, (LOW, HIGH), True),
        ("votes", 1, (LOW, LOST), None),
        ("votes_bad_trips", 2, (HIGH, LOST, LOW), True),
        ("votes_bad_trips", 2, (LOW, LOST, LOW), False),
        ("votes_bad_trips", 1, (LOW, LOST), True),
        ("votes_degraded", 2, (HIGH, LOW, LOW), False),
        ("votes_degraded", 2, (HIGH, LOST, LOW), True),  # 1oo2
        ("votes_degraded", 2, (LOW, LOST, LOW), False),
        ("votes_degraded", 2, (LOST, LOST, HIGH), True),  # 1oo1
        ("votes_degraded", 2, (LOST, LOST, LOW), False),
        ("votes_degraded", 2, (LOST, LOST, LOST), None),
        ("votes_degraded", 1, (LOST, HIGH), True),
    ],
)
def test_a_vote(word: str, needed: int, values: tuple[float, ...], holds: bool | None) -> None:
    assert vote(word, needed, *values) is holds


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ((5, 12, 13), True),
        ((5, 6, 13), False),
        ((LOST, 12, 13), True),
        ((LOST, 4, 13), False),
        ((LOST, LOST, 13), None),
    ],
)
def test_the_median_is_that_of_the_known_of_which_there_must_be_two(
    values: tuple[float, ...], holds: bool | None
) -> None:
    assert asked("median(A, B, C) > 10 psi", *values) is holds


def test_a_derived_median_with_a_bad_input_is_bad() -> None:
    readings = {"A": Reading(nan, BAD), "B": Reading(1, GOOD), "C": Reading(2, GOOD)}
    assert compile_value("median(A, B, C)", SCOPE, unit="psi").evaluate(lambda name: readings[name]).quality == BAD


def test_who_voted_is_told_with_the_values() -> None:
    condition = compile_condition("votes(2, A > 10 psi, B > 10 psi, C > 10 psi)", SCOPE)
    told = condition.describe(lambda name: Reading({"A": 12.0, "B": 11.0, "C": 5.0}[name], GOOD))
    assert "votes 2 of 3" in told
    assert "now 12 psi" in told


@pytest.mark.parametrize(
    "text", ["votes(0, A > 1 psi, B > 1 psi)", "votes(3, A > 1 psi, B > 1 psi)", "votes(1.5, A > 1 psi, B > 1 psi)",
             "votes(1 psi, A > 1 psi, B > 1 psi)", "votes(1, A > 1 psi)", "votes(A > 1 psi, B > 1 psi, C > 1 psi)",
             "votes(1, A, B)"],
)  # fmt: skip
def test_a_wrong_vote_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_condition(text, SCOPE)
