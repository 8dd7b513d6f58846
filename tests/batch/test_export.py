"""The export holds everything of a batch that somebody else needs to read and to check it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from evcontrol.batch.export import write_export
from evcontrol.batch.record import UnknownBatchError, read_record
from evcontrol.history.reader import HistoryError
from evcontrol.journal.events import Kind
from evcontrol.quality import BAD_NOT_CONNECTED
from tests.batch.story import BATCH, RECIPE, Story, tell

FILES = {
    "README.txt", "journal.jsonl", "plant.jsonl", "recipe.yaml", "report.html", "readings.csv", "verification.json",
}  # fmt: skip


def exported(data: Path, out: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(write_export(data, BATCH, out)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_holds_every_file_and_their_hashes(tmp_path: Path) -> None:
    tell(tmp_path / "data")
    files = exported(tmp_path / "data", tmp_path / "b.zip")
    assert files.keys() == FILES
    verification = json.loads(files["verification.json"])
    assert verification["files"] == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != "verification.json"
    }
    assert files["recipe.yaml"].decode() == RECIPE
    assert b"Batch report B-0001" in files["report.html"]


def test_the_verdicts_stand_in_it(tmp_path: Path) -> None:
    tell(tmp_path / "data")
    verification = json.loads(exported(tmp_path / "data", tmp_path / "b.zip")["verification.json"])
    record = read_record(tmp_path / "data", BATCH)
    assert verification["record"]["intact"] is True
    assert verification["balance"]["verdict"] == "closes"
    assert (verification["state"], verification["simulated"]) == ("Complete", True)
    assert verification["journal_head"] == {"before_event": record.head[0], "sha256": record.head[1]}


def test_its_events_are_the_journals_own_lines(tmp_path: Path) -> None:
    def mix(story: Story) -> None:
        story.event(Kind.LINK_STATE, {"device": "WT-RET", "state": "ready", "reason": ""})
        story.event(Kind.USER_CHANGED, {"user": "eve", "what": "password", "old": "", "new": ""})

    tell(tmp_path / "data", {"load": mix})
    files = exported(tmp_path / "data", tmp_path / "b.zip")
    lines = (tmp_path / "data" / "journal" / "000001.jsonl").read_bytes().splitlines()
    own = [line for line in lines if json.loads(line)["batch"] == BATCH]
    assert files["journal.jsonl"].splitlines() == own
    assert [json.loads(line)["kind"] for line in files["plant.jsonl"].splitlines()] == ["engine.started", "link.state"]
    assert set(files["plant.jsonl"].splitlines()) <= set(lines)
    events = json.loads(files["verification.json"])["events"]
    assert [event["sha256"] for event in events] == [hashlib.sha256(line).hexdigest() for line in own]


def test_its_readings_are_those_of_the_batch_with_their_quality(tmp_path: Path) -> None:
    def lose(story: Story) -> None:
        story.quality["WT_PERM"] = BAD_NOT_CONNECTED

    tell(tmp_path / "data", {"end": lose, "after recover": lose})
    text = exported(tmp_path / "data", tmp_path / "b.zip")["readings.csv"].decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["time"] == "2026-03-01T00:00:03.000000000Z"
    assert float(rows[0]["TFF201.WT_RET [g]"]) == 500.0
    assert (rows[-1]["TFF201.WT_PERM [g]"], rows[-1]["TFF201.WT_PERM quality"]) == ("", "Bad: not connected")
    assert len(rows) == len({row["time"] for row in rows}) > 300


def test_a_directory_takes_it_under_the_batchs_name(tmp_path: Path) -> None:
    tell(tmp_path / "data")
    (tmp_path / "out").mkdir()
    assert write_export(tmp_path / "data", BATCH, tmp_path / "out") == tmp_path / "out" / "B-0001.zip"


def test_the_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    tell(tmp_path / "data")
    first = write_export(tmp_path / "data", BATCH, tmp_path / "a.zip").read_bytes()
    assert write_export(tmp_path / "data", BATCH, tmp_path / "b.zip").read_bytes() == first


def test_nothing_is_left_behind_when_it_fails(tmp_path: Path) -> None:
    tell(tmp_path / "data")
    with pytest.raises(UnknownBatchError):
        write_export(tmp_path / "data", "B-7", tmp_path / "b.zip")
    (history,) = (tmp_path / "data" / "history").glob("*.db")
    history.write_bytes(b"not a database" * 1000)
    with pytest.raises(HistoryError):
        write_export(tmp_path / "data", BATCH, tmp_path / "b.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
