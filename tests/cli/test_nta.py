"""``evcontrol nta`` in words, as JSON and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from evcontrol.cli.commands import run
from tests.drivers.nta_files import failed, measurement, summary

FIELDS = [
    "file", "instrument", "software", "sample", "captured_at", "replicates", "dilution", "concentration_measured",
    "concentration_stock", "mean", "mode", "sd", "d10", "d50", "d90", "span", "fraction_below_200", "tracks",
    "warnings", "checks",
]  # fmt: skip


def saved(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}-ExperimentSummary.csv"
    path.write_text(text, encoding="latin-1")
    return str(path)


def test_json_has_an_object_for_each_file_in_its_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = saved(tmp_path, "a", summary())
    bad = saved(tmp_path, "b", "Particle ID,Size/nm\n")
    without = saved(tmp_path, "c", summary(failed(measurement(dilution=None))))
    gone = str(tmp_path / "none.csv")
    assert run(["nta", good, bad, without, gone, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in told] == [good, bad, without, gone]
    assert list(told[0]) == FIELDS
    assert set(told[1]) == set(told[3]) == {"file", "error"}
    assert "a list of particles" in told[1]["error"]
    assert "no such file" in told[3]["error"]
    assert told[0]["dilution"] == 1000.0
    assert told[0]["concentration_stock"] == pytest.approx(1000 * told[0]["concentration_measured"])
    assert (told[2]["dilution"], told[2]["concentration_stock"]) == (None, None)
    assert [one["valid"] for one in told[2]["replicates"]] == [False, True, True]
    assert told[2]["replicates"][0]["reason"] == "no data"
    assert told[2]["replicates"][0]["mean"] is None


def test_every_field_of_the_json_is_in_the_reference(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    table = page.split("## Exports of NTA counters")[1].split("\n## ")[0]
    assert [field for field in FIELDS if f"`{field}`" not in table] == []


def test_a_person_reads_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["nta", saved(tmp_path, "a", summary()), saved(tmp_path, "c", summary(failed(measurement(dilution=None))))])
        == 0
    )
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        "NanoSight, NTA 3.4 Build 3.4.003", "S-000042", "2026-09-24T15:35:56", "e+11 particles/mL", "Dilution 1000",
        "Dilution not recorded", "Stock not known without the dilution", "failed: no data", "Completed Tracks: No Data",
    ):  # fmt: skip
        assert words in shown, words


def test_a_refused_file_is_one_line_and_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["nta", saved(tmp_path, "a", "0.5,0\n")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "a-ExperimentSummary.csv, line 1: an experiment summary without its header" in told.err


def test_the_picture_shows_every_file_that_could_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "out.svg"
    files = [
        saved(tmp_path, "a <1>", summary()),
        saved(tmp_path, "b", summary(measurement(seed=4))),
        saved(tmp_path, "c", "x\n"),
    ]
    assert run(["nta", *files, "--plot", str(picture)]) == 1
    root = ElementTree.parse(picture).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    assert len(root.findall(f"{space}polyline")) == 2
    texts = [one.text for one in root.iter(f"{space}text")]
    assert "a <1>-ExperimentSummary.csv" in texts
    assert f"the distributions are drawn in {picture}" in capsys.readouterr().out.replace("\n", "")


def test_a_sample_without_particles_has_a_picture_too(tmp_path: Path) -> None:
    picture = tmp_path / "out.svg"
    assert run(["nta", saved(tmp_path, "a", summary(measurement(particles_per_ml=0.0))), "--plot", str(picture)]) == 0
    assert picture.exists()
