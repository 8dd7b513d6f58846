import math

import pytest

from evcontrol.expression import Reading, Resolve, Symbol, compile_condition
from evcontrol.expression.describe import duration_text, value_text
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD, UNCERTAIN_INITIAL

S = 1_000_000_000
SCOPE = {
    "WT_PERM": Symbol("WT_PERM", "g"),
    "TMP": Symbol("TMP", "psi"),
    "P_FEED": Symbol("P_FEED", "psig"),
    "P_RET": Symbol("P_RET", "psig"),
    "PUMP": Symbol("PUMP", "", ("Stopped", "Running")),
    "VALVE": Symbol("VALVE", "", ("Stopped", "Running")),
    "n": Symbol("n", ""),
    "elapsed": Symbol("elapsed", "s"),
}
VALUES = {
    "WT_PERM": 950.2,
    "TMP": 3.21,
    "P_FEED": 12.1,
    "P_RET": 3.0,
    "PUMP": 1.0,
    "VALVE": 0.0,
    "n": 3.0,
    "elapsed": 312.0,
}
NOT_CONNECTED = Reading(math.nan, BAD_NOT_CONNECTED)


def resolve_with(**changed: float | Reading) -> Resolve:
    def resolve(name: str) -> Reading:
        reading = changed.get(name, VALUES[name])
        return reading if isinstance(reading, Reading) else Reading(reading, GOOD)

    return resolve


def described(text: str, **changed: float | Reading) -> str:
    condition = compile_condition(text, SCOPE)
    condition.update(resolve_with(**changed), 0)
    return condition.describe(resolve_with(**changed))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("WT_PERM >= 1820 g", "WT_PERM >= 1820 g (now 950.2 g)"),
        ("WT_PERM>=1.82kg", "WT_PERM >= 1.82 kg (now 0.9502 kg)"),
        ("elapsed > 10 min", "elapsed > 10 min (now 5.2 min)"),
        ("2 psi <= TMP <= 7 psi", "2 psi <= TMP <= 7 psi (now 3.21 psi)"),
        ("P_FEED - P_RET > 5 psi", "P_FEED - P_RET > 5 psi (now 9.1 psi; P_FEED 12.1 psig, P_RET 3 psig)"),
        ("P_FEED > P_RET", "P_FEED > P_RET (now P_FEED 12.1 psig, P_RET 3 psig)"),
        ("PUMP = Running", "PUMP = Running (now Running)"),
        ("PUMP = VALVE", "PUMP = VALVE (now PUMP Running, VALVE Stopped)"),
        ("good(TMP)", "TMP is Good (now Good)"),
        ("bad(TMP)", "TMP is Bad (now Good)"),
        ("not PUMP = Running", "not (PUMP = Running) (now Running)"),
        ("rising(TMP > 5 psi)", "TMP > 5 psi begins (now 3.21 psi)"),
        ("1 = 1", "1 = 1"),
        (
            "TMP > 5 psi and (n > 2 or good(TMP))",
            "TMP > 5 psi (now 3.21 psi) and (n > 2 (now 3) or TMP is Good (now Good))",
        ),
    ],
)
def test_conditions_in_words_with_present_values(text: str, words: str) -> None:
    assert described(text) == words


def test_an_unknown_condition_says_why() -> None:
    assert (
        described("WT_PERM >= 1820 g", WT_PERM=NOT_CONNECTED) == "WT_PERM >= 1820 g unknown: WT_PERM Bad: not connected"
    )
    uncertain = Reading(3.0, UNCERTAIN_INITIAL)
    assert described("TMP > 5 psi", TMP=uncertain) == "TMP > 5 psi unknown: TMP Uncertain: not yet settled"
    assert described("n > 5", n=math.nan) == "n > 5 unknown: n has no value"
    assert described("1 / n > 5", n=0.0) == "1 / n > 5 unknown: cannot be computed from n 0"
    assert (
        described("P_FEED > P_RET", P_FEED=NOT_CONNECTED, P_RET=NOT_CONNECTED)
        == "P_FEED > P_RET unknown: P_FEED Bad: not connected, P_RET Bad: not connected"
    )


def test_an_unknown_member_says_why_among_the_others() -> None:
    assert (
        described("WT_PERM >= 1820 g or n > 2", WT_PERM=NOT_CONNECTED)
        == "WT_PERM >= 1820 g (unknown: WT_PERM Bad: not connected) or n > 2 (now 3)"
    )


def test_an_input_that_does_not_matter_is_named_without_leaving_the_condition_unknown() -> None:
    assert (
        described("5 psig < P_RET < P_FEED", P_FEED=NOT_CONNECTED)
        == "5 psig < P_RET < P_FEED (now P_RET 3 psig, P_FEED Bad: not connected)"
    )


def test_a_quality_test_shows_the_quality() -> None:
    assert described("good(TMP)", TMP=NOT_CONNECTED) == "TMP is Good (now Bad: not connected)"


def test_a_code_without_label_is_shown_as_code() -> None:
    assert described("PUMP = Running", PUMP=7.0) == "PUMP = Running (now code 7)"


def test_for_shows_the_time_left() -> None:
    condition = compile_condition("TMP > 3 psi for 10 min", SCOPE)
    low, high, lost = resolve_with(TMP=2.0), resolve_with(), resolve_with(TMP=NOT_CONNECTED)
    assert condition.describe(low) == "TMP > 3 psi for 10 min (now 2 psi)"
    condition.update(high, 0)
    condition.update(high, 12 * S)
    assert condition.describe(high) == "TMP > 3 psi for 10 min (now 3.21 psi, 9.8 min left)"
    condition.update(high, 596_500_000_000)
    assert condition.describe(high) == "TMP > 3 psi for 10 min (now 3.21 psi, 3.5 s left)"
    condition.update(high, 600 * S)
    assert condition.describe(high) == "TMP > 3 psi for 10 min (now 3.21 psi, long enough)"
    condition.update(lost, 601 * S)
    assert condition.describe(lost) == "TMP > 3 psi for 10 min unknown: TMP Bad: not connected"


def test_for_of_a_compound_shows_the_time_left_once() -> None:
    condition = compile_condition("(TMP > 3 psi and n > 2) for 10 s", SCOPE)
    condition.update(resolve_with(), 0)
    condition.update(resolve_with(), 4 * S)
    assert condition.describe(resolve_with()) == "(TMP > 3 psi (now 3.21 psi) and n > 2 (now 3)) for 10 s (6 s left)"


@pytest.mark.parametrize(
    ("value", "words"),
    [(1819.6, "1819.6 g"), (1819.9999, "1819.9999 g"), (1820.0, "1820 g"), (1821.4, "1821 g"), (950.24, "950.2 g")],
)
def test_a_value_never_reads_like_the_limit_that_it_is_not(value: float, words: str) -> None:
    assert described("WT_PERM >= 1820 g", WT_PERM=value).endswith(f"(now {words})")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3.14159, "3.142 psi"),
        (0.000123456, "0.0001235 psi"),
        (123456.7, "123457 psi"),
        (2.34567e9, "2.346e9 psi"),
        (-0.5, "-0.5 psi"),
        (0.0, "0 psi"),
        (math.inf, "inf psi"),
    ],
)
def test_values_have_sensible_digits(value: float, words: str) -> None:
    assert value_text(value, "psi") == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.46, "3.5 s"), (60.0, "60 s"), (150.0, "2.5 min"), (7200.0, "2 h"), (0.04, "0.1 s")]
)
def test_durations_have_a_sensible_unit(seconds: float, words: str) -> None:
    assert duration_text(seconds) == words
