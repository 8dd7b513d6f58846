import pytest

from evcontrol.expression import ExpressionError, Symbol, compile_condition, compile_value

SCOPE = {
    name: Symbol(name, unit, labels)
    for name, unit, labels in [
        ("TFF201.TMP", "psi", ()),
        ("TFF201.P_FEED", "psig", ()),
        ("TFF201.P_RET", "psig", ()),
        ("TFF201.FLOW", "mL/min", ()),
        ("TFF201.PUMP", "", ("Stopped", "Running", "Locked out")),
        ("TFF201.VALVE", "", ("Closed", "Open")),
        ("TFF201.DRAIN", "", ("Closed", "Open")),
        ("BR101.DO", "%O2", ()),
        ("BR101.T", "degC", ()),
        ("param.target_vcf", "x", ()),
        ("result.n", "", ()),
        ("elapsed", "s", ()),
        ("Open", "psi", ()),
    ]
}


def mistakes_of(text: str) -> list[str]:
    with pytest.raises(ExpressionError) as caught:
        compile_condition(text, SCOPE)
    return [str(mistake) for mistake in (caught.value, *caught.value.more)]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        # names
        ("TFF201.TPM > 5 psi", "1:1: TFF201.TPM is not known here; did you mean TFF201.TMP?"),
        ("tff201.tmp > 5 psi", "1:1: tff201.tmp is not known here; did you mean TFF201.TMP?"),
        ("5 psi < zzz", "1:9: zzz is not known here"),
        ("good(TFF201.FLO)", "1:6: TFF201.FLO is not known here; did you mean TFF201.FLOW?"),
        ("risin(result.n > 1)", "1:1: risin() is no function; did you mean rising?"),
        ("sqrt(result.n) > 1", "1:1: sqrt() is no function"),
        # kinds
        ("TFF201.TMP > 30 mL/min", "1:14: TFF201.TMP is in psi, 30 mL/min is a flow"),
        ("30 mL/min < TFF201.TMP", "1:1: TFF201.TMP is in psi, 30 mL/min is a flow"),
        ("TFF201.TMP > TFF201.FLOW", "1:14: TFF201.TMP is in psi, TFF201.FLOW is in mL/min"),
        ("TFF201.TMP > 5", "1:14: TFF201.TMP is in psi, 5 has no unit: write 5 psi"),
        ("2 <= TFF201.TMP <= 7 psi", "1:1: TFF201.TMP is in psi, 2 has no unit: write 2 psi"),
        ("TFF201.P_FEED > 5 psi", "1:17: TFF201.P_FEED is in psig, 5 psi is a pressure difference: write 5 psig"),
        ("TFF201.TMP > 5 psig", "1:14: TFF201.TMP is in psi, 5 psig is a gauge pressure: write 5 psi"),
        (
            "BR101.T > 37 K + 1 K",
            "1:18: K (temperature) and K (temperature) do not add: only a difference can be added",
        ),
        ("BR101.DO > 2 %airsat", "1:12: BR101.DO is in %O2, 2 %airsat is an air saturation"),
        ("BR101.DO > 2 %", "1:12: % does not say of what: write %O2 or %airsat or %v/v or %open or %rh"),
        ("param.target_vcf > 10", "1:20: param.target_vcf is in x, 10 has no unit: write 10 x"),
        ("result.n > 10 x", "1:12: result.n has no unit, 10 x is a concentration factor"),
        ("TFF201.FLOW > 30 ml/min", "1:15: 'ml/min' is not a unit; did you mean mL/min?"),
        ("TFF201.TMP + 3 > 5 psi", "1:14: TFF201.TMP is in psi, 3 has no unit: write 3 psi"),
        ("3 - TFF201.TMP > 5 psi", "1:1: TFF201.TMP is in psi, 3 has no unit: write 3 psi"),
        ("TFF201.TMP + TFF201.FLOW > 5 psi", "1:14: psi (pressure difference) and mL/min (flow) do not add"),
        (
            "(TFF201.P_FEED + TFF201.P_RET) / 2 > 3 psig",
            "1:18: psig (gauge pressure) and psig (gauge pressure) do not add: only a difference can be added",
        ),
        ("abs(TFF201.P_FEED) > 1 psig", "1:1: abs() of a gauge pressure has no meaning: take a difference first"),
        ("-BR101.T < 1 degC", "1:1: the negative of a temperature has no meaning: take a difference first"),
        ("min(TFF201.TMP, 3 mL) > 1 psi", "1:17: TFF201.TMP is in psi, 3 mL is a volume"),
        ("result.n * TFF201.TMP > 3 bar.s", "1:25: result.n * TFF201.TMP is in psi, 3 bar.s is a viscosity"),
        # states
        (
            "TFF201.PUMP = Runing",
            "1:15: Runing is no label of TFF201.PUMP (Stopped, Running, Locked out); did you mean",
        ),
        ("TFF201.PUMP = 1", "1:15: TFF201.PUMP is a state: write TFF201.PUMP = Stopped (labels: Stopped, Running,"),
        ("TFF201.PUMP", "1:1: TFF201.PUMP is a state: write TFF201.PUMP = Stopped (labels: Stopped, Running, Locked"),
        ("TFF201.PUMP + 1 > 2", "1:1: TFF201.PUMP is a state: write TFF201.PUMP = Stopped"),
        ("TFF201.PUMP > Stopped", "1:1: states are compared with = or != only"),
        ("TFF201.PUMP = TFF201.VALVE", "1:15: TFF201.VALVE and TFF201.PUMP have different labels"),
        ("TFF201.PUMP = TFF201.TMP", "1:15: TFF201.TMP is no label of TFF201.PUMP"),
        ('result.n = "Running"', '1:12: "Running" is a label: only a state is compared with one'),
        # conditions and numbers
        ("result.n", "1:1: result.n is a number: compare it, as in result.n > 0"),
        ("TFF201.TMP", "1:1: TFF201.TMP is a number: compare it, as in TFF201.TMP > 0 psi"),
        ("5 psi", "1:1: 5 psi is no condition: compare it with something"),
        ("min(result.n, 1)", "1:1: min(result.n, 1) is no condition: compare it with something"),
        ("(result.n > 1) + 2 > 1", "1:2: result.n > 1 is a condition where a number is wanted"),
        ("good(result.n) > 1", "1:1: good(result.n) is a condition where a number is wanted"),
        ("good(result.n + 1)", "1:6: good() takes the name of one tag"),
        ("good(result.n, elapsed)", "1:1: good() takes one argument"),
        ("abs() > 1", "1:1: abs() takes one argument"),
        ("min(result.n) > 1", "1:1: min() takes two or more arguments"),
        ("result.n > 1 / (2 - 2)", "1:17: this cannot be computed: a division by zero, or too large a number"),
        ("result.n > 1e308 * 100", "1:20: this cannot be computed: a division by zero, or too large a number"),
        # durations
        ("result.n > 1 for 10", "1:18: 10 has no unit, s is wanted: write 10 s"),
        ("result.n > 1 for 10 g", "1:18: 10 g is a mass, s is wanted"),
        ("result.n > 1 for 0 s", "1:18: a condition lasts longer than 0 s: leave the for away"),
        ("result.n > 1 for elapsed", "1:18: 'elapsed' is not understood here: an operator is wanted"),
        (
            "not result.n > 1 for 5 s",
            "1:5: does for belong to this condition or to the whole with not? Put parentheses",
        ),
        (
            "elapsed > 1 s and result.n > 1 for 5 s",
            "1:19: does for belong to this condition or to the whole with and? Put parentheses",
        ),
        # spelling
        ("result.n == 1", "1:10: == is written = here"),
        ("result.n <> 1", "1:10: <> is written != here"),
        ("result.n ≥ 1", "1:10: ≥ is written >= here"),
        ("result.n > 1 AND elapsed > 1 s", "1:14: 'AND' is not understood here: write and"),
        ("result.n > 1 && elapsed > 1 s", "1:14: '&' is not understood here: write and"),
        ("!result.n > 1", "1:1: '!' is not understood here: write not"),
        ("result.n > 1,5", "1:13: ',' is not understood here: decimals are written with a point"),
        ("result.n > .5", "1:12: '.' is not understood here: a number begins and ends with a digit"),
        ("TFF201.PUMP = 'Running'", '1:15: "\'" is not understood here: labels stand in "double quotes"'),
        ('TFF201.PUMP = "Running', "1:15: '\"' is not understood here: the quotes are not closed"),
        ("0 < result.n > 1", "1:1: a range is written as in 2 psi <= TMP <= 7 psi; else join with and"),
        ("result.n = 1 = 1", "1:1: a range is written as in 2 psi <= TMP <= 7 psi; else join with and"),
        ("", "1:1: the expression is empty"),
        ("  ", "1:1: the expression is empty"),
        ("result.n > ", "1:11: a name or a number is wanted at the end"),
        ("(result.n > 1", "1:14: a ( is not closed"),
        ("result.n > 1)", "1:13: ) without ("),
        ("result.n elapsed", "1:10: 'elapsed' is not understood here: an operator is wanted"),
        ("result.n > > 1", "1:12: '>' is not understood here: a name or a number is wanted"),
        ("result.n > 1e999", "1:12: 1e999 is too large a number"),
    ],
)
def test_mistakes_say_what_is_wrong_and_where(text: str, mistake: str) -> None:
    (found,) = mistakes_of(text)
    assert found.startswith(mistake)


def test_all_mistakes_are_found_at_once_in_the_order_of_the_text() -> None:
    assert mistakes_of("TFF201.TPM > 5 psi and (TFF201.FLOW > 3\n or min(foo, 5 ml) > 1 L)") == [
        "1:1: TFF201.TPM is not known here; did you mean TFF201.TMP?",
        "1:39: TFF201.FLOW is in mL/min, 3 has no unit: write 3 mL/min",
        "2:9: foo is not known here",
        "2:14: 'ml' is not a unit; did you mean mL?",
    ]


def test_places_count_from_where_the_text_stands_in_its_file() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_condition("result.n > 1\n  and foo > 1", SCOPE, line=12, column=20)
    assert (caught.value.line, caught.value.column) == (13, 7)
    with pytest.raises(ExpressionError) as caught:
        compile_value("1 psi + foo", SCOPE, unit="psi", line=12, column=20)
    assert (caught.value.line, caught.value.column, caught.value.message) == (12, 28, "foo is not known here")


@pytest.mark.parametrize(
    ("text", "unit", "mistake"),
    [
        ("30", "mL/min", "30 has no unit, mL/min is wanted: write 30 mL/min"),
        ("5 psi", "mL/min", "5 psi is a pressure difference, mL/min is wanted"),
        ("TFF201.P_FEED", "psi", "TFF201.P_FEED is in psig, psi is wanted"),
        ("TFF201.TMP", "", "TFF201.TMP is in psi, a plain number is wanted"),
        ("result.n > 1", "", "result.n > 1 is a condition where a number is wanted"),
        ("TFF201.PUMP", "", "TFF201.PUMP is a state"),
        ("rising(result.n > 1)", "", "rising(result.n > 1) is a condition where a number is wanted"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(text: str, unit: str, mistake: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_value(text, SCOPE, unit=unit)
    assert caught.value.message.startswith(mistake)


@pytest.mark.parametrize(
    "text",
    [
        "TFF201.P_FEED - TFF201.P_RET > 0.3 bar",
        "TFF201.P_RET + (TFF201.P_FEED - TFF201.P_RET) / 2 < 1 barg",
        "BR101.T - 37 degC < 0.5 delta_degC",
        "-5 psig < TFF201.P_FEED",
        "TFF201.FLOW * elapsed > 0.5 L",
        "TFF201.FLOW / 20 cm2 < 60 LMH",
        "max(TFF201.FLOW, 1 L/h) > 10 mL/min",
        "TFF201.PUMP = Running",
        'TFF201.PUMP != "Locked out"',
        "Running = TFF201.PUMP",
        "TFF201.VALVE = TFF201.DRAIN",
        "TFF201.VALVE = Open",
        "(TFF201.PUMP = Running and TFF201.TMP > 1 psi) for 10 s",
        "TFF201.TMP > 1 psi for 5 s and TFF201.TMP > 2 psi for 1 min",
        "not (result.n > 1 for 5 s)",
        "rising(elapsed > 10 min)",
        "1 = 1",
    ],
)
def test_what_has_meaning_is_accepted(text: str) -> None:
    condition = compile_condition(text, SCOPE)
    assert condition.text == text
    assert condition.names <= set(SCOPE)


def test_a_condition_names_what_it_reads_and_no_labels() -> None:
    condition = compile_condition("TFF201.VALVE = Open and good(elapsed) and abs(TFF201.TMP) > 1 psi", SCOPE)
    assert condition.names == {"TFF201.VALVE", "elapsed", "TFF201.TMP"}


def test_a_scope_may_list_a_symbol_under_another_name() -> None:
    scope = {"PUMP": SCOPE["TFF201.PUMP"]}
    assert compile_condition("PUMP = Running", scope).names == {"TFF201.PUMP"}
