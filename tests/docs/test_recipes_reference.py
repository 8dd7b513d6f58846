"""docs/reference/recipes.md: every phase and argument as the code has them, every form of expression, every unit."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from evcontrol.expression import ExpressionError, Symbol, compile_condition, compile_value
from evcontrol.expression.grammar import DEEPEST, LONGEST
from evcontrol.expression.model import NUMBER_FUNCTIONS, TEST_FUNCTIONS
from evcontrol.plant.load import load_plant
from evcontrol.procedure.context import TOLERANCE_S
from evcontrol.procedure.phase import Argument, phase_types
from evcontrol.procedure.recipe_file import HandlerSection, ParameterSection, RecipeFile, StepSection
from evcontrol.units import compatible
from evcontrol.units.table import DEFINITIONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reference" / "recipes.md").read_text(encoding="utf-8")
SHIPPED = {name: kind for name, kind in phase_types().items() if kind.__module__.startswith("evcontrol.phases.")}
PLANT = load_plant(ROOT / "config" / "plants" / "tff.yaml")
SCOPE = {
    f"tff.{name.partition('.')[2]}": symbol for name, symbol in PLANT.symbols.items() if name.startswith("TFF201.")
}


def chapter(heading: str, text: str = TEXT) -> str:
    level = heading.partition(" ")[0]
    return re.split(rf"^#{{2,{len(level)}}} ", text.split(f"\n{heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def as_documented(argument: Argument) -> list[str]:
    low, high = argument.low, argument.high
    limits = {
        (True, True): "-",
        (False, True): f"from {low:g}" if low is not None else "",
        (True, False): f"to {high:g}" if high is not None else "",
        (False, False): f"{low:g} to {high:g}" if low is not None and high is not None else "",
    }[low is None, high is None]
    default = {None: "required", "": "none"}.get(argument.default, f"`{argument.default}`")
    meaning = argument.description + (f": {', '.join(argument.choices)}" if argument.choices else "")
    return [f"`{argument.name}`", argument.kind.value, argument.unit or "-", default, limits, meaning]


def test_every_shipped_phase_has_its_section_and_no_other() -> None:
    assert set(re.findall(r"^### (\w+)$", chapter("## Phases"), re.MULTILINE)) == set(SHIPPED)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_argument_of_a_phase_is_told_as_the_code_has_it(name: str) -> None:
    told = rows(chapter(f"### {name}"))
    assert told[0] == ["Argument", "Kind", "Unit", "Default", "Limits", "Meaning"]
    assert told[1:] == [as_documented(argument) for argument in SHIPPED[name].arguments]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_a_phase_needs_of_its_unit_is_told(name: str) -> None:
    kind, text = SHIPPED[name], chapter(f"### {name}")
    loops = re.findall(r"`(\w+)`", text.partition("with the loops")[2])
    assert set(loops) == set(kind.loops)
    needs = f"Needs a unit of class `{kind.unit_class}`" if kind.unit_class else "Needs no unit."
    assert needs in text


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_conditions_may_read_of_a_phase_is_told(name: str) -> None:
    told = chapter(f"### {name}").partition("In conditions: ")[2].partition(".\n")[0]
    if name not in ("prompt", "entry"):
        assert re.findall(r"`(\w+)`(?: \((.*?)\))?", told) == [(r.name, r.unit) for r in SHIPPED[name].results]


def test_how_long_an_outage_each_phase_bears_is_told() -> None:
    told = {
        name: float(hours) for names, hours in rows(chapter("## Phases"))[1:4] for name in re.findall(r"`(\w+)`", names)
    }
    assert told == {name: kind.bears_outage_h for name, kind in SHIPPED.items() if math.isfinite(kind.bears_outage_h)}


def test_every_result_of_a_phase_is_named() -> None:
    words = {"product, by balance and hold-up": "product", "left in the circuit": "left in the circuit"}
    for name, kind in SHIPPED.items():
        path = ROOT / Path(*kind.__module__.split(".")).with_suffix(".py")
        body = path.read_text(encoding="utf-8").split(f"class {kind.__name__}(")[1].split("\nclass ")[0]
        for result in re.findall(r'\.result\(\s*"([^"]+)"', body):
            told = words.get(result, result).removesuffix(" by totaliser").removesuffix(" is").removesuffix(" at start")
            assert told.lower().split()[0] in chapter(f"### {name}").lower(), (name, result)


def test_every_key_of_the_file_is_told_and_no_other() -> None:
    *tables, events, acts = chapter("## The file").split("\n| Key ")[1:]
    tables.append(events + acts)
    models: list[type[BaseModel]] = [RecipeFile, ParameterSection, StepSection, HandlerSection]
    for table, model in zip(tables, models, strict=True):
        told = {
            key for line in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", line)
        }
        assert told == {field.alias or name for name, field in model.model_fields.items()}
    required = {line[0].strip("`") for line in rows(chapter("## The file")) if line[1:2] == ["required"]}
    fields = [(name, field) for model in models[:2] for name, field in model.model_fields.items()]
    assert required == {name for name, field in fields if field.is_required()}


FOUND = {"result.flush.nwp": Symbol("NWP", "LMH/bar")}


def test_every_example_of_the_language_compiles() -> None:
    forms = rows(chapter("## Expressions").split("| Form |")[1])
    assert len(forms) == 19
    for _, example in forms:
        text = example.strip("`")
        if text == "2.5 psi":
            assert compile_value(text, SCOPE, unit="psi").unit.text == "psi"
        else:
            assert compile_condition(text, SCOPE | FOUND).text == text


def test_every_function_operator_and_limit_of_the_language_is_told() -> None:
    text = chapter("## Expressions")
    functions = set(re.findall(r"`(\w+)\(", text.split("| Form |")[1].split("\n* ")[0]))
    assert functions - {"max"} | {"max"} >= NUMBER_FUNCTIONS | TEST_FUNCTIONS
    assert functions <= NUMBER_FUNCTIONS | TEST_FUNCTIONS
    for word in ("and", "or", "not", "for", "<", "<=", ">", ">=", "=", "!=", "+", "-", "*", "/"):
        assert f"`{word}`" in text
    assert f"at most {LONGEST} characters and nests at most {DEEPEST} deep" in text
    assert f"unknown for {TOLERANCE_S:g} s holds the phase" in text


@pytest.mark.parametrize(
    ("ambiguous", "plain"),
    [("a = on and b = on for 20 s", "(a = on and b = on) for 20 s"), ("not a = on for 20 s", "not (a = on for 20 s)")],
)
def test_two_readings_are_refused_as_it_is_told(ambiguous: str, plain: str) -> None:
    scope = {name: Symbol(name, "", ("off", "on")) for name in "ab"}
    with pytest.raises(ExpressionError, match="parentheses"):
        compile_condition(ambiguous, scope)
    assert compile_condition(plain, scope).names


def test_every_unit_is_listed_beside_units_of_its_kind() -> None:
    lines = rows(chapter("## Units"))[1:]
    listed = [unit for _, units in lines for unit in re.findall(r"`([^`]+)`", units)]
    assert sorted(listed) == sorted(DEFINITIONS)
    for kind, units in lines:
        if kind in ("time", "length", "mass", "volume", "force", "pressure difference", "gauge pressure"):
            first, *others = re.findall(r"`([^`]+)`", units)
            assert all(compatible(first, other) for other in others), kind
