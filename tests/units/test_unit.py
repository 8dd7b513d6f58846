import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.units import Unit, UnitError, divide, is_reading, multiply, parse
from evcontrol.units.table import DEFINITIONS, DIFFERENCES

REQUIRED = [
    "%O2",
    "%airsat",
    "%v/v",
    "%open",
    "%rh",
    "cell",
    "particle",
    "psig",
    "barg",
    "psi",
    "bar",
    "degC",
    "delta_degC",
    "g",
    "kg",
    "mL",
    "L",
    "mL/min",
    "L/h",
    "LMH",
    "LMH/bar",
    "mS/cm",
    "1/s",
    "rpm",
    "s",
    "min",
    "h",
    "m2",
    "cm2",
    "mm",
    "DV",
    "x",
    "mg/mL",
    "particle/mL",
    "dyn/cm2",
    "mM",
    "EU/mL",
    "CFU",
    "L/m2/h",
]

FACTORS = sorted(set(DEFINITIONS) - set(DIFFERENCES))


@pytest.mark.parametrize("text", [*REQUIRED, "", "Pa.s", "pmol/cell/h", "1/s2"])
def test_a_unit_keeps_its_spelling(text: str) -> None:
    assert parse(text).text == text
    assert parse(f" {text} ") == parse(text)
    assert hash(parse(text)) == hash(Unit(text, ()))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ml/min", "mL/min"),
        ("l/H", "L/h"),
        ("mL / min", "mL/min"),
        ("L/m^2/h", "L/m2/h"),
        ("L/m²/h", "L/m2/h"),
        ("lmh", "LMH"),
        ("µL", "uL"),
        ("psi g", "psig"),
        ("PSI", "psi"),
        ("°C", "degC"),
        ("C", "degC"),
        ("sec", "s"),
        ("/s", "1/s"),
        ("RPM", "rpm"),
        ("diavolumes", "DV"),
        ("VCF", "x"),
        ("particles/mL", "particle/mL"),
        ("% O2", "%O2"),
        ("%vol", "%v/v"),
        ("Pa*s", "Pa.s"),
    ],
)
def test_a_wrong_spelling_is_refused_with_the_right_one(wrong: str, right: str) -> None:
    with pytest.raises(UnitError, match=f"did you mean {right}\\?$"):
        parse(wrong)


@pytest.mark.parametrize("text", ["%", "percent", " % ", "pct"])
def test_a_bare_percent_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UnitError, match="does not say of what: write %O2 or %airsat or %v/v or %open or %rh"):
        parse(text)


@pytest.mark.parametrize("text", ["foo", "mL/", "/", "1", "2", "mL//min", "m1", "m10", "s.s", "mL/mL", "m/1"])
def test_what_is_no_unit_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match="is not a unit"):
        parse(text)


@pytest.mark.parametrize("text", ["LMH/barg", "mL/degC", "psig2", "1/K"])
def test_a_reading_is_no_part_of_a_unit(text: str) -> None:
    with pytest.raises(UnitError, match=r"cannot be part of a unit; write (bar|delta_degC|psi)$"):
        parse(text)


def test_readings_are_the_units_with_a_conventional_zero() -> None:
    readings = {text for text in [*DEFINITIONS, "mL/min", ""] if is_reading(text)}
    assert readings == {"psig", "barg", "mbarg", "degC", "K"}


@given(st.text(max_size=12) | st.text(alphabet="mLPsi/.%2O1 hgdeC", max_size=12))
def test_garbage_raises_nothing_but_a_unit_error(text: str) -> None:
    with contextlib.suppress(UnitError):
        assert parse(text).text == text.strip()


@given(st.lists(st.tuples(st.sampled_from(FACTORS), st.booleans()), min_size=1, max_size=5))
def test_the_text_of_a_product_is_a_unit_again(factors: list[tuple[str, bool]]) -> None:
    unit = parse("")
    for atom, over in factors:
        unit = multiply(unit, atom) if over else divide(unit, atom)
    assert dict(parse(unit.text).powers) == dict(unit.powers)
