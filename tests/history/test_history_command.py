"""`evcontrol history` works on a data directory without an engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.cli.fault import WRONG_USE, CliError
from evcontrol.cli.history import export, parse_time, query
from evcontrol.clock import NS
from evcontrol.history.export import iso_ns
from evcontrol.quality import BAD
from tests.history.plant import START, frame, make_tags
from tests.history.test_reader import write


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with ten readings."""
    write(tmp_path / "history", make_tags(), [frame(START + i * NS, [float(i)]) for i in range(10)])
    return tmp_path


def test_without_a_tag_the_tags_are_listed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query(data=data)
    shown = capsys.readouterr().out
    assert "2026-03-01T00:00:00.000Z to 2026-03-01T00:00:09.000Z" in shown
    assert "TEMP" in shown
    query(data=data, json=True)
    assert [tag["tag"] for tag in json.loads(capsys.readouterr().out)["tags"]] == ["TEMP"]


def test_readings_as_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query(tag=["TEMP"], start="2026-03-01T00:00:02Z", end="2026-03-01T00:00:03+00:00", data=data, json=True)
    (series,) = json.loads(capsys.readouterr().out)["series"]
    assert (series["v"], series["unit"], series["quality"]) == ([2.0, 3.0], "degC", ["Good", "Good"])


def test_means_as_a_table_and_as_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query(tag=["TEMP"], parts=5, data=data)
    assert "TEMP (degC)" in capsys.readouterr().out
    query(tag=["TEMP"], parts=1, data=data, json=True)
    (series,) = json.loads(capsys.readouterr().out)["series"]
    assert series["mean"] == [pytest.approx(4.0, abs=1e-6)]


def test_states_are_shown_by_their_names_and_a_doubtful_part_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    frames = [frame(START, [0.0, 1.0], index=(3, 4)), frame(START + NS, [1.0, 2.0], BAD, index=(3, 4))]
    frames += [frame(START + (2 + i) * NS, [float(i), 3.0], index=(3, 4)) for i in range(2)]
    write(tmp_path / "history", make_tags(), frames)
    query(tag=["VALVE", "STEP"], parts=3, data=tmp_path)
    rows = [re.split(r" {2,}", line.strip())[1:] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [["closed", "text"], ["Bad", "Bad"], ["closed ... open", "text"]]


def test_export_to_a_file_and_to_standard_output_is_the_same(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data / "readings.csv"
    export(out=out, data=data)
    assert "readings.csv" in capsys.readouterr().out
    export(data=data)
    shown = capsys.readouterr().out
    assert shown == out.read_text(encoding="utf-8")
    assert len(shown.splitlines()) == 11


def test_what_cannot_be_given_is_said_in_one_line(data: Path, tmp_path: Path) -> None:
    with pytest.raises(CliError, match="never recorded: NOPE"):
        query(tag=["NOPE"], data=data)
    with pytest.raises(CliError, match="there are no readings in"):
        query(data=tmp_path / "elsewhere")
    with pytest.raises(CliError, match="before it begins") as caught:
        query(start="2026-03-02", end="2026-03-01", data=data)
    assert caught.value.status == WRONG_USE
    with pytest.raises(CliError, match="no ISO 8601 time"):
        query(start="yesterday", data=data)


@given(st.integers(0, 4_000_000_000 * NS))
def test_a_time_is_read_as_it_was_written(t: int) -> None:
    assert parse_time(iso_ns(np.array([t]))[0]) == t


def test_times_have_zones_and_fractions() -> None:
    assert parse_time("2026-03-01") == parse_time("2026-03-01T01:00:00+01:00") == START
    assert parse_time("2026-03-01T00:00:00.5") == START + NS // 2
