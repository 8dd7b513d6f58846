"""``evcontrol alarms``: the changes and figures of a journal, as people and machines read them."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest

from evcontrol.api.client import Client
from evcontrol.api.schema import AlarmView
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


def view(name: str, priority: str, state: str, since: int) -> AlarmView:
    return AlarmView(
        alarm=name, unit="U", state=state, priority=priority, acknowledged=state == "acknowledged", since=since * NS,
        text="Pressure high", first_out=name == "U.HIGH", cause="Somebody shut it", consequence="It bursts",
        corrective_action="Open it", setpoint=8.0, setpoint_unit="psig",
    )  # fmt: skip


class Engine(Client):
    """The alarms of an engine, and what was asked of it."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, float, str]] = []
        self.signed: list[tuple[str, ...]] = []

    async def remove_alarm(self, alarm: str, reason: str, password: str) -> None:
        self.signed.append(("remove", alarm, reason, password))

    async def return_alarm(self, alarm: str, reason: str, password: str) -> None:
        self.signed.append(("return", alarm, reason, password))

    async def alarms(self, *, every: bool = False) -> list[AlarmView]:
        standing = [
            view("U.SEEN", "critical", "acknowledged", 3),
            view("U.LOW", "low", "unacknowledged", 2),
            view("U.HIGH", "high", "unacknowledged", 1),
        ]
        return standing + [view("U.QUIET", "high", "normal", 0)] * every

    async def change_alarm_setpoint(self, alarm: str, setpoint: float, reason: str) -> AlarmView:
        self.changes.append((alarm, setpoint, reason))
        return view(alarm, "high", "normal", 0).model_copy(update={"setpoint": setpoint})


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    it = Engine()
    monkeypatch.setattr("evcontrol.cli.alarms.reading", lambda _data, work: asyncio.run(work(it)))
    for room in ("alarms", "connect"):  # where commands that sign and that do not take it from
        monkeypatch.setattr(
            f"evcontrol.cli.{room}.signed_on", lambda _data, _user, _stdin, work, _secret="": asyncio.run(work(it))
        )
    return it


@pytest.mark.usefixtures("engine")
def test_the_list_has_the_most_urgent_first_with_what_follows_and_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["alarms", "list", "--json"]) == 0
    assert [one["alarm"] for one in json.loads(capsys.readouterr().out)] == ["U.HIGH", "U.LOW", "U.SEEN"]
    assert run(["alarms", "list", "--all", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 4
    assert run(["alarms", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[:5] == [
        "U.HIGH  high  unacknowledged since 1970-01-01T00:00:01.000Z, first out",
        "    Pressure high",
        "    cause: Somebody shut it",
        "    if nobody acts: It bursts",
        "    what to do: Open it",
    ]


def test_a_setpoint_is_sent_in_the_alarms_unit(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alarms", "set", "U.HIGH", "0.5 barg", "--reason", "it fouls"]) == 0
    [(alarm, setpoint, reason)] = engine.changes
    assert (alarm, reason) == ("U.HIGH", "it fouls")
    assert setpoint == pytest.approx(7.25189, abs=1e-4)
    assert "U.HIGH: the setpoint is 7.25189 psig" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["U.HIHG", "5 psig", "--reason", "r"], "did you mean 'U.HIGH'?"),
        (["U.HIGH", "5", "--reason", "r"], "write 5 psig"),
        (["U.HIGH", "5 mL", "--reason", "r"], "does not convert"),
        (["U.HIGH", "5 psig", "--reason", ""], "--reason: is empty"),
    ],
)
def test_what_cannot_be_sent_is_told(
    engine: Engine, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(["alarms", "set", *arguments]) != 0
    assert words in capsys.readouterr().err
    assert engine.changes == []


@pytest.mark.parametrize("deed", ["remove", "return"])
def test_an_alarm_goes_out_of_service_and_back_with_the_password_as_its_signature(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], deed: str
) -> None:
    monkeypatch.setenv("EVCONTROL_PASSWORD", "a long pass phrase")
    assert run(["alarms", deed, "U.HIGH", "--reason", "probe is out"]) == 0
    assert engine.signed == [(deed, "U.HIGH", "probe is out", "a long pass phrase")]
    assert "U.HIGH is " in capsys.readouterr().out
    assert run(["alarms", deed, "U.HIGH", "--reason", " "]) != 0
    assert len(engine.signed) == 1


def test_a_changed_setpoint_stands_among_the_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(tmp_path / "journal", HandClock())
    body = {"alarm": "U.HIGH", "old": 8.0, "new": 7.5, "unit": "psig", "configured": 8.0, "reason": "it fouls"}
    journal.append(Kind.ALARM_SETPOINT, ANNA, body)
    journal.close()
    [row] = rows(tmp_path, capsys)
    told = (row["alarm"], row["old"], row["new"], row["unit"], row["who"], row["why"])
    assert told == ("U.HIGH", "setpoint 8", "setpoint 7.5", "psig", "user:anna", "it fouls")
