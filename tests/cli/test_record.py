"""``evcontrol record``: without an engine, from the data directory alone."""

import asyncio
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from evcontrol.api.schema import BatchCommand, StartBatch
from evcontrol.cli.main import main
from tests.api.served import Served, recipe_text, serve


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one batch, of an engine that has ended."""
    data = tmp_path_factory.mktemp("data")

    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            start = StartBatch(recipe=recipe_text(), recipe_name="uf.yaml", purpose="a test")
            batch = (await client.start_batch(start)).summary.batch
            await client.command_batch(batch, BatchCommand(command="abort", reason="enough"))
            while (await client.batch(batch)).summary.state != "Aborted":
                await asyncio.sleep(0.01)

    serve(data, work)
    return data


def record(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["record", *arguments])
    return int(ended.value.code or 0)


def test_a_record_that_nobody_touched_is_intact(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record("verify", "B-0001", "--data", str(recorded)) == 0
    assert "the record of B-0001 is intact" in capsys.readouterr().out
    assert record("verify", "B-0001", "--data", str(recorded), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["intact"], found["faults"]) == (True, [])
    assert len(found["head"]["hash"]) == 64


def test_a_changed_record_is_found(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    shutil.copytree(recorded, data)
    (segment,) = (data / "journal").glob("*.jsonl")
    segment.write_text(segment.read_text().replace("enough", "enouGh", 1))
    assert record("verify", "B-0001", "--data", str(data)) == 1
    assert "NOT intact" in capsys.readouterr().out


def test_the_report_is_written_where_it_was_asked_for(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.html"
    assert record("report", "B-0001", "--data", str(recorded), "--out", str(out)) == 0
    assert "B-0001" in out.read_text(encoding="utf-8")
    assert str(out) in capsys.readouterr().out


def test_the_export_is_one_archive(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "record.zip"
    assert record("export", "B-0001", "--data", str(recorded), "--out", str(out)) == 0
    assert zipfile.ZipFile(out).testzip() is None
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize("work", ["verify", "report", "export"])
def test_an_unknown_batch_is_one_line(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], work: str
) -> None:
    more = ["--out", str(tmp_path / "x")] if work == "export" else []
    assert record(work, "B-0009", "--data", str(recorded), *more) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_directory_without_data_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record("verify", "B-0001", "--data", str(tmp_path / "none")) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
