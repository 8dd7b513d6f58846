"""The table of a plant's alarms, for those who approve them."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import pytest

from evcontrol.alarms.rationale import HEAD, as_csv, as_markdown
from evcontrol.cli.commands import run
from evcontrol.plant.load import load_plant

FILE = Path(__file__).parents[2] / "config" / "plants" / "demo.yaml"
PLANT = load_plant(FILE)


def test_every_alarm_has_its_row_and_every_row_says_what_has_to_be_known() -> None:
    rows = list(csv.DictReader(StringIO(as_csv(PLANT))))
    assert [row["Alarm"] for row in rows] == list(PLANT.alarms)
    needed = ("What", "Looks at", "When Bad", "Class", "Severity", "Respond within", "Priority", "Cause", "Consequence")
    assert all(row[name] for row in rows for name in (*needed, "What to do"))
    tmp = next(row for row in rows if row["Alarm"] == "TFF201.TMP_HIGH")
    assert (tmp["Looks at"], tmp["Deadband"], tmp["Setpoint may be"]) == (
        "TFF201.TMP > 8 psi",
        "0.3 psi",
        "4 to 9.5 psi",
    )
    lactate = next(row for row in rows if row["Alarm"] == "BR101.LACTATE_HIGH")
    assert lactate["Shelved for"] == "4 h (supervisor, engineer)"


def test_the_document_has_a_section_for_each_unit_and_one_for_the_engine() -> None:
    text = as_markdown(PLANT)
    assert next(line for line in text.splitlines() if line.startswith("## ")) == "## SYS: the engine itself"
    assert {line.count(" | ") for line in text.splitlines() if line.startswith("| ")} == {len(HEAD) - 1}
    assert all(f"| {name} | " in text for name in PLANT.alarms)


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plant", "alarms", str(FILE)]) == 0
    assert capsys.readouterr().out == as_markdown(PLANT)
    out = tmp_path / "alarms.csv"
    assert run(["plant", "alarms", str(FILE), "--format", "csv", "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == as_csv(PLANT)
