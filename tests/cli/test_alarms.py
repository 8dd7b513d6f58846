"""``evcontrol alarms``: the changes and figures of a journal, as people and machines read them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest

from evcontrol.cli.commands import run
from evcontrol.clock import NS
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.store import Journal
from tests.alarms.conftest import HandClock

ANNA = Origin.user("anna", "console-1")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """U.HIGH and V.LOW raised, and U.HIGH acknowledged, a second apart, from 1970-01-01T00:16:40Z."""
    clock = HandClock()
    journal = Journal(tmp_path / "journal", clock)
    told: Sequence[tuple[str, str, str, Origin, str]] = (
        ("U.HIGH", "normal", "unacknowledged", ENGINE, "U.P > 8 psig (U.P is 9 psig)"),
        ("V.LOW", "normal", "unacknowledged", ENGINE, "V.L < 1, and more"),
        ("U.HIGH", "unacknowledged", "acknowledged", ANNA, "acknowledged: seen"),
    )
    for name, old, new, who, why in told:
        body = {"alarm": name, "old": old, "new": new, "priority": "high", "value": 9.0, "unit": "psig", "text": why}
        journal.append(Kind.ALARM_STATE, who, body | {"until": 0, "first_out": False})
        clock.t += NS
    journal.close()
    return tmp_path


def rows(data: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, str]]:
    assert run(["alarms", "journal", "--data", str(data), "--csv", *options]) == 0
    return list(csv.DictReader(StringIO(capsys.readouterr().out)))


def test_the_journal_tells_every_change_with_who_and_why(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(data, capsys)
    assert [(row["alarm"], row["new"], row["who"]) for row in found] == [
        ("U.HIGH", "unacknowledged", "engine"),
        ("V.LOW", "unacknowledged", "engine"),
        ("U.HIGH", "acknowledged", "user:anna"),
    ]
    assert found[1]["why"] == "V.L < 1, and more"
    assert (found[2]["station"], found[2]["why"]) == ("console-1", "acknowledged: seen")


def test_csv_and_json_tell_the_same(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(data, capsys)
    assert run(["alarms", "journal", "--data", str(data), "--json"]) == 0
    assert [{k: str(v) for k, v in entry.items()} for entry in json.loads(capsys.readouterr().out)] == found


@pytest.mark.parametrize(
    ("options", "alarms"),
    [
        (["--alarm", "V.LOW"], ["V.LOW"]),
        (["--alarm", "U"], ["U.HIGH", "U.HIGH"]),
        (["--from", "1970-01-01T00:16:41Z"], ["V.LOW", "U.HIGH"]),
        (["--to", "1970-01-01T00:16:41Z"], ["U.HIGH", "V.LOW"]),
        (["--from", "2026-01-01"], []),
    ],
)
def test_only_what_is_asked_for_is_shown(
    data: Path, capsys: pytest.CaptureFixture[str], options: list[str], alarms: list[str]
) -> None:
    assert [row["alarm"] for row in rows(data, capsys, *options)] == alarms


def test_the_figures_are_over_the_whole_journal_unless_times_are_given(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["alarms", "figures", "--data", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["raised"], found["peak"], found["by_priority"]) == (2, 2, {"high": 2})
    assert run(["alarms", "figures", "--data", str(data), "--from", "1970-01-01T00:16:41Z"]) == 0
    assert capsys.readouterr().out.startswith("1 alarms from ")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["journal", "--csv", "--json"], 2, "choose one"),
        (["journal", "--batch", "B-9"], 1, "B-9"),
        (["figures", "--from", "2026-01-02", "--to", "2026-01-01"], 2, "before it begins"),
        (["journal", "--from", "yesterday"], 2, "no ISO 8601 time"),
    ],
)
def test_what_cannot_be_shown_is_told_in_one_line(
    data: Path, capsys: pytest.CaptureFixture[str], options: list[str], status: int, words: str
) -> None:
    assert run(["alarms", options[0], "--data", str(data), *options[1:]]) == status
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_a_directory_without_a_journal_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alarms", "journal", "--data", str(tmp_path)]) == 1
    assert "there is no journal" in capsys.readouterr().err
