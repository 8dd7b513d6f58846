import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.units import (
    UnitError,
    a_kind,
    add,
    compatible,
    convert,
    difference,
    divide,
    kind,
    multiply,
    parse,
    subtract,
)
from evcontrol.units.table import DEFINITIONS

FAMILIES = [
    ["s", "ms", "min", "h", "d"],
    ["L", "mL", "uL", "m3", "cm3"],
    ["kg", "g", "mg", "ug"],
    ["psi", "bar", "mbar", "Pa", "kPa", "mmHg", "dyn/cm2", "N/m2"],
    ["psig", "barg", "mbarg"],
    ["degC", "K"],
    ["mL/min", "L/h", "m3/s"],
    ["LMH", "L/m2/h", "mL/min/cm2", "mm/s"],
    ["LMH/bar", "LMH/psi"],
    ["mS/cm", "uS/cm", "S/m"],
    ["mM", "M", "uM", "mol/m3"],
    ["mg/mL", "g/L", "kg/m3"],
    ["particle/mL", "particle/L"],
    ["m2", "cm2", "mm2"],
]
KINDS_OF_THEIR_OWN = [
    "%O2",
    "%airsat",
    "%v/v",
    "%open",
    "%rh",
    "cell",
    "particle",
    "psig",
    "psi",
    "degC",
    "delta_degC",
    "g",
    "mL",
    "mL/min",
    "LMH",
    "1/s",
    "rpm",
    "s",
    "m2",
    "mm",
    "DV",
    "x",
    "mM",
    "EU/mL",
    "CFU",
]

pairs = st.sampled_from(FAMILIES).flatmap(lambda family: st.tuples(st.sampled_from(family), st.sampled_from(family)))
values = st.floats(min_value=-1e12, max_value=1e12)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (1.0, "L", "mL", 1000.0),
        (950.2, "g", "kg", 0.9502),
        (60.0, "mL/min", "L/h", 3.6),
        (0.1, "h", "min", 6.0),
        (1.0, "LMH", "L/m2/h", 1.0),
        (37.0, "degC", "K", 310.15),
        (0.0, "K", "degC", -273.15),
        (1.0, "mM", "uM", 1000.0),
        (10.0, "dyn/cm2", "Pa", 1.0),
        (1.0, "psi", "Pa", 6894.757293168361),
        (1.0, "bar", "psi", 14.503773773020923),
        (1.0, "psig", "barg", 0.06894757293168361),
        (760.0, "mmHg", "Pa", 101325.0144354),
        (20.0, "cm2", "m2", 0.002),
    ],
)
def test_known_conversions(value: float, source: str, target: str, expected: float) -> None:
    converted = convert(value, source, target)
    assert type(converted) is float
    assert converted == pytest.approx(expected, rel=1e-15, abs=1e-12)


@given(st.integers(-(10**12), 10**12))
def test_a_whole_factor_is_exact(value: int) -> None:
    assert convert(value / 1000, "L", "mL") == float(Fraction(value / 1000) * 1000)
    assert convert(float(value), "mL", "L") == float(Fraction(value, 1000))
    assert convert(float(value), "s", "h") == float(Fraction(value, 3600))


@given(pairs, values)
def test_a_conversion_there_and_back_gives_the_number(pair: tuple[str, str], value: float) -> None:
    there = convert(value, pair[0], pair[1])
    assert convert(there, pair[1], pair[0]) == pytest.approx(value, rel=1e-14, abs=1e-12)


@given(pairs)
def test_not_a_number_stays_so(pair: tuple[str, str]) -> None:
    assert math.isnan(convert(math.nan, pair[0], pair[1]))


def test_every_unit_of_a_family_converts_and_none_into_another_family() -> None:
    for i, family in enumerate(FAMILIES):
        for j, other in enumerate(FAMILIES):
            for a in family:
                for b in other:
                    assert compatible(a, b) is (i == j), (a, b)


def test_kinds_do_not_mix() -> None:
    kinds = ["", *KINDS_OF_THEIR_OWN]
    for a in kinds:
        for b in kinds:
            if a == b:
                assert convert(2.5, a, b) == 2.5
                continue
            assert not compatible(a, b)
            with pytest.raises(UnitError, match="does not convert into"):
                convert(1.0, a, b)


def test_a_refusal_names_both_kinds() -> None:
    with pytest.raises(UnitError) as refused:
        convert(1, "psig", "mL/min")
    assert str(refused.value) == "psig (gauge pressure) does not convert into mL/min (flow)"


def test_units_too_far_apart_for_a_float_are_refused() -> None:
    with pytest.raises(UnitError, match="too far apart"):
        convert(1.0, "ng9.nm9.fmol9", "kg9.m9.mol9")


@pytest.mark.parametrize(
    ("a", "operation", "b", "expected"),
    [
        ("psig", subtract, "psig", "psi"),
        ("psig", subtract, "barg", "psi"),
        ("barg", subtract, "psi", "barg"),
        ("psig", add, "psi", "psig"),
        ("psi", add, "psig", "psig"),
        ("psi", add, "bar", "psi"),
        ("degC", subtract, "degC", "delta_degC"),
        ("degC", subtract, "K", "delta_degC"),
        ("degC", add, "delta_degC", "degC"),
        ("mL", add, "L", "mL"),
        ("", add, "", ""),
        ("mL/min", multiply, "min", "mL"),
        ("mL", divide, "min", "mL/min"),
        ("mL", divide, "mL/min", "min"),
        ("particle/mL", multiply, "mL", "particle"),
        ("mL", divide, "mL", ""),
        ("L/h", divide, "m2", "L/h/m2"),
        ("", divide, "s", "1/s"),
        ("m", multiply, "m", "m2"),
    ],
)
def test_units_of_results(a: str, operation: object, b: str, expected: str) -> None:
    assert callable(operation)
    assert operation(a, b).text == expected
    assert operation(parse(a), parse(b)) == parse(expected)


@pytest.mark.parametrize(
    ("a", "operation", "b"),
    [
        ("psig", add, "psig"),
        ("degC", add, "K"),
        ("psi", subtract, "psig"),
        ("psi", add, "mL"),
        ("degC", subtract, "psi"),
        ("psig", multiply, ""),
        ("", multiply, "degC"),
        ("psig", divide, "psig"),
        ("mL", divide, "degC"),
        ("psi", add, ""),
        ("%O2", subtract, "%airsat"),
        ("m9", multiply, "m"),
    ],
)
def test_results_without_meaning_are_refused(a: str, operation: object, b: str) -> None:
    assert callable(operation)
    with pytest.raises(UnitError):
        operation(a, b)


def test_a_flux_is_a_flow_over_an_area() -> None:
    assert compatible(divide("mL/min", "cm2"), "LMH")
    assert convert(1.0, divide("mL/min", "cm2"), "LMH") == pytest.approx(600.0)


def test_a_plain_ratio_of_two_units_of_a_kind_is_a_plain_number() -> None:
    assert convert(250.0, divide("mL", "L"), "") == 0.25


def test_differences() -> None:
    assert difference("psig").text == "psi"
    assert difference("degC").text == "delta_degC"
    assert difference("mL").text == "mL"


def test_kinds_in_words() -> None:
    assert kind("L/h") == "flow"
    assert a_kind("m2") == "an area"
    assert a_kind("psig") == "a gauge pressure"
    assert a_kind("DV/h") == "in DV/h"
    assert kind("") == "plain number"


def test_every_defined_unit_has_a_size() -> None:
    for atom in DEFINITIONS:
        assert convert(1.0, atom, atom) == 1.0
