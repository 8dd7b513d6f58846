"""docs/reference/plant-file.md names every key of the plant file with its default, and none that does not exist."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from evcontrol.plant import schema
from evcontrol.plant.alarm_specs import (
    ON_BAD,
    PRIORITIES,
    PROMPT_S,
    SOON_S,
    AlarmClass,
    OnBad,
    Priority,
    Severity,
)
from evcontrol.plant.load import load_plant
from evcontrol.plant.load_alarms import KINDS
from evcontrol.plant.model import FailureAction, LoopAction, OnSilence
from evcontrol.plant.sensor_checks import CheckState, Doubt
from evcontrol.signals import TagKind

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reference" / "plant-file.md").read_text(encoding="utf-8")

TABLES: dict[str, type[schema.Section]] = {
    "## Top level": schema.PlantFile,
    "## devices": schema.DeviceSection,
    "## tags": schema.TagSection,
    "Under `on_change`:": schema.OnChangeSection,
    "Under `rate` and `spread`:": schema.WindowSection,
    "Under `write`:": schema.WriteSection,
    "## units": schema.UnitSection,
    "Each entry of `reconcile`:": schema.ReconcileSection,
    "Each entry of `take_over`:": schema.TakeOverSection,
    "## modules": schema.ModuleSection,
    "## loops": schema.LoopSection,
    "Under `on_bad`:": schema.OnBadSection,
    "Each entry of `split`:": schema.SplitSection,
    "## interlocks": schema.InterlockSection,
    "## permissives": schema.PermissiveSection,
    "## alarms": schema.AlarmSection,
    "Under `high` and `low`:": schema.LimitSection,
    "Under `deviation`:": schema.DeviationSection,
    "Under `rate` of an alarm:": schema.ChangeSection,
    "Under `discrepancy`:": schema.DiscrepancySection,
    "Under `stale` and `watchdog`:": schema.SilenceSection,
    "Under `bad_quality`:": schema.BadQualitySection,
    "Under `state`:": schema.StateSection,
    "Under `adjustable`:": schema.AdjustableSection,
    "## checks": schema.CheckSection,
    "Under `frozen`:": schema.FrozenSection,
    "Under `partner`:": schema.PartnerSection,
    "Under `jump`:": schema.JumpSection,
    "Under `contradiction`:": schema.ContradictionSection,
    "Under `implausible`:": schema.ImplausibleSection,
    "## influxdb": schema.InfluxSection,
    "## history": schema.HistorySection,
}


def told(heading: str) -> dict[str, tuple[str, str]]:
    """Default and meaning by key, of the first table after a heading."""
    table = TEXT.split(f"\n{heading}\n")[1].split("\n| Key ")[1].split("\n\n")[0]
    found: dict[str, tuple[str, str]] = {}
    for line in table.splitlines()[2:]:
        keys, default, meaning = line.strip("| ").split(" | ")
        found |= {key: (default.strip(), meaning) for key in re.findall(r"`(\w+)`", keys)}
    return found


SPECIAL = {
    (schema.TagSection, "unit"): ("", "plain number"),
    (schema.WriteSection, "within"): (10.0, "10 s"),
    (schema.JumpSection, "hold"): (60.0, "60 s"),
    (schema.InfluxSection, "timeout"): (10.0, "10 s"),
    (schema.InfluxSection, "longest_pause"): (30.0, "30 s"),
}


def default_of(name: str, section: type[schema.Section]) -> str:
    default = section.model_fields[name].default
    if (section, name) in SPECIAL:
        value, told = SPECIAL[section, name]
        assert default == value
        return told
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, StrEnum):
        return f"`{default}`"
    if isinstance(default, int | float):
        return str(default).lower() if isinstance(default, bool) else f"{default:g}"
    return "none" if default in ({}, (), None) else default or "empty"


def test_every_section_of_the_schema_has_its_table() -> None:
    sections = {kind for kind in vars(schema).values() if isinstance(kind, type) and issubclass(kind, schema.Section)}
    assert set(TABLES.values()) == sections - {schema.Section}


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_named_with_its_default_and_no_other(heading: str) -> None:
    section = TABLES[heading]
    keys = {field.alias or name: default_of(name, section) for name, field in section.model_fields.items()}
    assert {key: default for key, (default, _) in told(heading).items()} == keys


@pytest.mark.parametrize(
    ("heading", "key", "words"),
    [
        ("Under `write`:", "on_silence", OnSilence),
        ("## tags", "kind", TagKind),
        ("## loops", "action", LoopAction),
        ("Under `on_bad`:", "action", FailureAction),
        ("## alarms", "priority", Priority),
        ("## alarms", "severity", Severity),
        ("## alarms", "class", AlarmClass),
        ("## alarms", "on_bad", OnBad),
        ("## checks", "quality", Doubt),
        ("## checks", "state", CheckState),
    ],
)
def test_every_choice_is_named(heading: str, key: str, words: type[StrEnum]) -> None:
    named = set(re.findall(r"`(\w+)`", told(heading)[key][1]))
    assert named >= {word.value for word in words}


def test_the_kinds_of_alarms_stand_first_and_each_with_what_a_bad_input_does() -> None:
    assert tuple(told("## alarms"))[: len(KINDS)] == KINDS
    rows = dict(re.findall(r"^\| `(\w+)` \| `(hold|raise|never_clear)` \|", TEXT, re.MULTILINE))
    assert set(rows) == set(KINDS)
    assert sorted(rows.values()) == sorted([*(on_bad.value for on_bad in ON_BAD.values()), OnBad.HOLD.value])


def test_the_table_of_priorities_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(severe|serious|minor)` \| (\w+) \| (\w+) \| (\w+) \|", TEXT, re.MULTILINE)
    assert {row[0]: row[1:] for row in rows} == {severity.value: row for severity, row in PRIORITIES.items()}
    assert (PROMPT_S, SOON_S) == (5 * 60, 30 * 60)


def test_the_constants_that_phases_ask_for_are_named() -> None:
    phases = (ROOT / "evcontrol" / "phases").glob("*.py")
    asked = {name for path in phases for name in re.findall(r'constant\("(\w+)"', path.read_text(encoding="utf-8"))}
    assert asked
    assert asked <= set(re.findall(r"`(\w+)`", told("## units")["constants"][1]))
    units = load_plant(ROOT / "config" / "plants" / "demo.yaml").units
    stirred = {"impeller", "power_number", "carrier", "density"}
    assert asked == set(units["TFF201"].constants) | set(units["BR101"].constants) | stirred
