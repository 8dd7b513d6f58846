"""The documents of the drivers: no option is missing, every default is right, and every example is a plant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined
from ruamel.yaml import YAML

from drivers import line_late
from drivers.alicat import _WORDS, READS_A_CHECK, AlicatOptions, AlicatPoint, GasController, GasField
from drivers.alicat_telegram import STATUS_WORDS
from drivers.driver import LinkState, Model, Outcome
from drivers.masterflex import MasterflexOptions, MasterflexPoint
from drivers.masterflex_usb import MasterflexUsbOptions, MasterflexUsbPoint
from drivers.modbus_options import ModbusOptions, ModbusRtuOptions, Watchdog
from drivers.modbus_points import ModbusPoint
from drivers.modbus_refusal import REFUSALS
from drivers.mtsics import BalanceField, MtSicsOptions, MtSicsPoint
from drivers.nta_folder import NtaFolderOptions, NtaFolderPoint
from drivers.nta_ledger import KINDS
from drivers.nta_values import WRITABLE, NtaField, unit_of
from drivers.nta_watch import State
from drivers.opcua_options import Mode, OpcUaOptions, OpcUaWatchdog, Trigger
from drivers.opcua_points import DataType, OpcUaPoint
from drivers.pendotech import PendotechOptions, PendotechPoint
from drivers.pendotech_telegram import Channel
from drivers.pump import FLOW_UNITS, SETTABLE, PumpField, PumpPoint, PumpSpec
from drivers.registry import driver_types
from drivers.sbi import SbiOptions, SbiPoint
from drivers.sbi_telegram import weight_of
from drivers.watson_marlow import WatsonMarlowOptions, WatsonMarlowPoint, WatsonMarlowPump
from evcontrol import quality
from evcontrol.plant.load import parse_plant
from evcontrol.plant.model import OnSilence, Plant

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "drivers.md").read_text(encoding="utf-8")
HOW_TO = (DOCS / "how-to" / "connect-equipment.md").read_text(encoding="utf-8")
SHIPPED = (Path(__file__).parents[2] / "config" / "plants" / "tff.yaml").read_text(encoding="utf-8")

MODELS: dict[str, tuple[tuple[type[Model], str], ...]] = {
    "modbus-tcp": ((ModbusOptions, "### Options"), (Watchdog, "`watchdog`:"), (ModbusPoint, "### Point")),
    "modbus-rtu": ((ModbusRtuOptions, "### Options"),),
    "opc-ua": ((OpcUaOptions, "### Options"), (OpcUaWatchdog, "`watchdog`:"), (OpcUaPoint, "### Point")),
    "mt-sics": ((MtSicsOptions, "### Options"), (MtSicsPoint, "### Point")),
    "pendotech-pressuremat": ((PendotechOptions, "### Options"), (PendotechPoint, "### Point")),
    "sartorius-sbi": ((SbiOptions, "### Options"), (SbiPoint, "### Point")),
    "watson-marlow": (
        (WatsonMarlowOptions, "### Options"),
        (WatsonMarlowPump, "`pumps`:"),
        (WatsonMarlowPoint, "### Point"),
    ),
    "masterflex-classic": (
        (MasterflexOptions, "### Options"),
        (PumpSpec, "`pumps`:"),
        (MasterflexPoint, "### Point"),
    ),
    "masterflex-usb": (
        (MasterflexUsbOptions, "### Options"),
        (PumpSpec, "`pumps`:"),
        (MasterflexUsbPoint, "### Point"),
    ),
    "alicat": (
        (AlicatOptions, "### Options"),
        (GasController, "`controllers`:"),
        (AlicatPoint, "### Point"),
    ),
    "nta-folder": ((NtaFolderOptions, "### Options"), (NtaFolderPoint, "### Point")),
}
TABLES = [(driver, model, after) for driver, models in MODELS.items() for model, after in models]


def section(driver: str) -> str:
    return REFERENCE.split(f"\n## {driver}\n")[1].split("\n## ")[0]


def rows(driver: str, after: str) -> dict[str, list[str]]:
    """The first table after a text, by what stands in its first column."""
    lines = iter(section(driver).split(after, 1)[1].splitlines())
    table: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            table[cells[0].strip("`")] = cells[1:]
        elif table:
            break
    return table


def fenced(text: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_every_shipped_driver_has_its_section_and_every_model_its_table() -> None:
    shipped = {name: kind for name, kind in driver_types().items() if name in MODELS}
    assert set(shipped) == set(MODELS)
    for name, kind in shipped.items():
        told = MODELS[name] + (MODELS["modbus-tcp"] if name == "modbus-rtu" else ())
        assert {kind.options_model, kind.point_model} <= {model for model, _ in told}


@pytest.mark.parametrize(("driver", "model", "after"), TABLES, ids=lambda value: getattr(value, "__name__", value))
def test_every_field_is_named_and_none_that_does_not_exist(driver: str, model: type[Model], after: str) -> None:
    assert set(rows(driver, after)) == set(model.model_fields)


WITH_DEFAULTS = [one for one in TABLES if one[1] not in (MtSicsPoint, NtaFolderPoint, PendotechPoint, SbiPoint)]


@pytest.mark.parametrize(
    ("driver", "model", "after"), WITH_DEFAULTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_every_default_is_the_one_of_the_code(driver: str, model: type[Model], after: str) -> None:
    for name, (_, default, *_) in rows(driver, after).items():
        assert default.strip("`").removesuffix(".0") == shown(model.model_fields[name].default), name


def shown(default: Any) -> str:
    """A default as the tables show it."""
    if default is PydanticUndefined:
        return "-"
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    return str(default)


def test_every_value_of_a_counter_has_its_unit_and_its_range() -> None:
    told = rows("nta-folder", "| Value |")
    assert list(told) == [field.value for field in NtaField]
    for field in NtaField:
        unit, is_text = unit_of(field)
        cell, meaning = told[field.value]
        assert cell == ("text" if is_text else unit or "-"), field
        assert meaning.startswith("writable: ") is (field in WRITABLE), field
    for field, (low, high, _) in WRITABLE.items():
        if field is not NtaField.KIND:
            assert f"{low:.0f} to {high:.0f}" in told[field.value][1], field
    assert ", ".join(f"{code} {kind}" for code, kind in enumerate(KINDS) if code) in told["kind"][1]
    states = re.findall(r"(\d) (\w+)", told["state"][1])
    assert states == [(str(state.value), state.name.lower()) for state in State]


@pytest.mark.parametrize("point", [WatsonMarlowPoint, MasterflexPoint, MasterflexUsbPoint], ids=lambda p: p.__name__)
def test_every_kind_of_pump_has_the_fields_that_are_told(point: type[PumpPoint]) -> None:
    (driver,) = (name for name, models in MODELS.items() if any(model is point for model, _ in models))
    values = re.findall(r"`(\w+)`", rows(driver, "### Point")["field"][0])
    assert values == [field.value for field in PumpField if field in point.has]
    told = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section("Several instruments on one line"), re.MULTILINE))
    assert list(told) == [field.value for field in PumpField]
    assert told["flow"] == ", ".join(FLOW_UNITS)
    assert frozenset(PumpField) - SETTABLE == {PumpField.STATE}


def test_every_status_word_of_a_gas_controller_is_told_with_what_it_makes_of_which_readings() -> None:
    told = rows("alicat", "| Word in the data frame |")
    assert {word.strip("`") for key in told for word in key.split(", ")} == STATUS_WORDS
    for word, (code, fields) in _WORDS.items():
        words = told[word][0]
        assert quality.text(code).split(":")[0] in words
        if len(fields) == 1:
            assert f"`{fields[0]}`" in words
        same = words.endswith("the same")
        assert same or quality.reason(code) in words
    values = re.findall(r"`(\w+)`", rows("alicat", "### Point")["field"][0])
    assert values == [field.value for field in GasField]
    assert f"after every {READS_A_CHECK} readings" in section("alicat")


def words_of(kind: type[StrEnum]) -> Iterator[str]:
    return (f"`{member.value}`" for member in kind)


def test_every_choice_is_named() -> None:
    for name in ("table", "type", "word_order", "byte_order"):
        kind = ModbusPoint.model_fields[name].annotation
        assert isinstance(kind, type)
        assert issubclass(kind, StrEnum)
        values = rows("modbus-tcp", "### Point")[name][0]
        assert [f"`{value}`" for value in re.findall(r"`(\w+)`", values)] == list(words_of(kind))
    for driver in ("mt-sics", "sartorius-sbi"):
        assert all(word in section(driver) for word in words_of(BalanceField))
    assert re.findall(r"`\w+`", rows("pendotech-pressuremat", "### Point")["channel"][0]) == list(words_of(Channel))
    for name, kind in (("mode", Mode), ("trigger", Trigger)):
        assert re.findall(r"`\w+`", rows("opc-ua", "### Options")[name][0]) == list(words_of(kind))
    assert all(kind.value in section("opc-ua") for kind in DataType)
    assert all(word in REFERENCE for word in words_of(LinkState))
    assert all(f"| {outcome.value} |" in REFERENCE for outcome in Outcome)


def test_every_exception_code_has_the_outcome_and_the_words_of_the_code() -> None:
    told = re.findall(r"^\| (\d+) \| (\w+) \| (.+) \|$", section("modbus-tcp"), re.MULTILINE)
    assert told == [(str(code), refusal.outcome.value, refusal.words) for code, refusal in REFUSALS.items()]


def test_every_line_of_a_sartorius_has_the_quality_of_the_code() -> None:
    told = re.findall(r"^\| (`.+`) \| ((?:Good|Bad).*) \|$", section("sartorius-sbi"), re.MULTILINE)
    assert len(told) == 7
    for lines, words in told:
        for line in re.findall(r"`(.+?)`", lines):
            code = weight_of(line.encode(), "g", "g")[0].quality
            assert quality.text(code) == words.replace("Good, in motion", "Good: in motion"), line


def test_every_quality_is_in_the_words_that_a_person_sees() -> None:
    known = {quality.text(code) for code in vars(quality).values() if isinstance(code, int) and code >= quality.BAD}
    for text in (REFERENCE, HOW_TO):
        told = set(re.findall(r"\| (Bad: [a-z' ]+) \|", text))
        assert told <= known
    assert len(set(re.findall(r"\| (Bad: [a-z' ]+) \|", REFERENCE))) == 11
    whose = "every tag[a-z ]*|one tag|some tags, changing|weight"
    for row in re.findall(rf"^\| (?:{whose}): ([a-z' ]+)", HOW_TO, re.MULTILINE):
        assert f"Bad: {row.strip()}" in known


@pytest.mark.parametrize("text", fenced(HOW_TO), ids=lambda text: text.splitlines()[0])
def test_every_example_of_the_how_to_is_a_plant_without_mistakes(text: str) -> None:
    plant = parse_plant(text, "example.yaml")
    assert isinstance(plant, Plant)
    assert not plant.simulated


def test_the_first_example_can_change_nothing() -> None:
    plant = parse_plant(fenced(HOW_TO)[0], "example.yaml")
    options = plant.devices["TFF201"].options
    assert isinstance(options, ModbusOptions)
    assert (options.heartbeat, options.watchdog, plant.writes) == (None, None, {})
    assert not [b for b in plant.devices["TFF201"].points if isinstance(b.point, ModbusPoint) and b.point.writable]


def test_the_examples_of_the_reference_fit_into_the_shipped_plant() -> None:
    for example in fenced(REFERENCE):
        given, data = YAML(typ="safe").load(example), YAML(typ="safe").load(SHIPPED)
        for name, device in given["devices"].items():
            kind = driver_types()[device["driver"]]
            kind.options_model.model_validate(device["options"])
            assert name in data["devices"]
        for name, tag in given["tags"].items():
            driver_types()[given["devices"][tag["device"]]["driver"]].point_model.model_validate(tag["point"])
            assert name in data["tags"]


def test_every_answer_to_silence_is_described() -> None:
    assert re.findall(r"^\| `(\w+)` \|", HOW_TO, re.MULTILINE) == ["on_silence"] + [each.value for each in OnSilence]


def test_how_long_a_late_answer_is_waited_for() -> None:
    assert f"{line_late.TIMES:g} time-outs after the request, or one time-out and {line_late.MOST_S:g} s" in REFERENCE


def test_the_arithmetic_of_the_scaling_is_right() -> None:
    numbers = re.search(r"`scale: ([\d.]+)` \(60 / 27648\)", HOW_TO)
    assert numbers is not None
    assert float(numbers[1]) == pytest.approx(60 / 27648)
    assert "`scale: 0.00375` (60 / 16000) and `offset: -25`" in HOW_TO
    for raw, degrees in ((4000, -10.0), (20000, 50.0)):
        assert raw * 0.00375 - 25 == pytest.approx(degrees)


@pytest.mark.parametrize("document", ["reference/drivers.md", "how-to/connect-equipment.md"])
def test_every_link_leads_somewhere(document: str) -> None:
    path = DOCS / document
    text = path.read_text(encoding="utf-8")
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in text.splitlines()}
    for target in re.findall(r"\]\(([^)]+)\)", text.replace("\n", " ")):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (path.parent / target).exists(), target
