"""``evcontrol nta`` in words, as JSON and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from evcontrol.cli.commands import run
from tests.drivers.nta_files import as_805, failed, measurement, sizes, summary

FIELDS = [
    "file", "instrument", "software", "sample", "captured_at", "replicates", "dilution", "concentration_measured",
    "concentration_stock", "mean", "mode", "sd", "d10", "d50", "d90", "span", "fraction_below_200", "tracks",
    "warnings", "checks",
]  # fmt: skip


def saved(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}-ExperimentSummary.csv"
    path.write_text(text, encoding="latin-1")
    return str(path)


def saved_sizes(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}_size_488.txt"
    path.write_bytes(text.encode("latin-1"))
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


def test_both_instruments_have_the_same_fields_and_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [saved(tmp_path, "a", summary()), saved_sizes(tmp_path, "b", sizes())]
    files += [saved_sizes(tmp_path, "c", as_805(sizes()))]
    assert run(["nta", *files, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [list(one) for one in told] == [FIELDS] * 3
    assert [one["instrument"] for one in told] == ["NanoSight", "ZetaView", "ZetaView"]
    for one in told:
        assert {"name", "valid", "reason"} <= set(one["replicates"][0])
        for name in FIELDS[6:-3]:
            assert isinstance(one[name], float), name
        assert isinstance(one["tracks"], int)
        assert {"name", "passed", "words", "contradiction"} == set(one["checks"][0])
        assert one["concentration_stock"] == pytest.approx(one["concentration_measured"] * one["dilution"])
        assert one["mean"] == pytest.approx(told[0]["mean"], rel=0.02)
    assert {name: told[1][name] for name in FIELDS[3:] if name != "checks"} == {
        name: told[2][name] for name in FIELDS[3:] if name != "checks"
    }


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


def test_everything_that_cannot_be_read_is_one_line_and_the_others_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 99)
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(10_000_000_000)
    names = ["folder", "empty.csv", "binary.csv", "huge.csv", "none.csv", "none*.csv", "a/b.csv"]
    assert run(["nta", *(str(tmp_path / name) for name in names), "/dev/zero", saved(tmp_path, "a", summary())]) == 1
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert len(lines) == len(names) + 1
    for line, words in zip(
        lines,
        ["is a folder; give the files in it", "empty", "not a text", "more than 5 MB", "no such file", "no such file",
         "no such file", "not a file that holds data"],
        strict=True,
    ):  # fmt: skip
        assert line.startswith("evcontrol: ")
        assert words in line
    assert "S-000042" in told.out


def test_a_pattern_that_no_shell_has_taken_apart_stands_for_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [saved(tmp_path, name, summary()) for name in ("b", "a [1]")]
    assert run(["nta", str(tmp_path / "*.csv"), "--json"]) == 0
    assert [one["file"] for one in json.loads(capsys.readouterr().out)] == sorted(files)
    assert run(["nta", files[1], "--json"]) == 0
    assert [one["file"] for one in json.loads(capsys.readouterr().out)] == [files[1]]


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["nta", saved(tmp_path, "a", summary()), "--plot", str(tmp_path / "none" / "out.svg")]) == 1
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "out.svg: no such file or directory" in told.err


def test_bins_of_any_width_are_drawn_on_one_scale(tmp_path: Path) -> None:
    picture = tmp_path / "out.svg"
    files = [saved(tmp_path, "a", summary()), saved_sizes(tmp_path, "b", sizes())]
    assert run(["nta", *files, "--plot", str(picture)]) == 0
    lines = ElementTree.parse(picture).getroot().findall("{http://www.w3.org/2000/svg}polyline")
    highest = [min(float(point.split(",")[1]) for point in line.get("points", "").split()) for line in lines]
    assert highest[0] == pytest.approx(highest[1], abs=20.0)


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


def test_nothing_but_a_picture_is_drawn_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = saved(tmp_path, "a", summary())
    before = Path(export).read_bytes()
    plant = tmp_path / "plant.svg"
    plant.write_text("name: Mine\n", encoding="utf-8")
    for picture, told in ((export, "ends in .svg"), (str(plant), "is no picture")):
        assert run(["nta", export, "--plot", picture]) == 2
        assert told in capsys.readouterr().err.replace("\n", " ")
    assert (Path(export).read_bytes(), plant.read_text(encoding="utf-8")) == (before, "name: Mine\n")
    picture = str(tmp_path / "new.svg")
    assert [run(["nta", export, "--plot", picture]) for _ in range(2)] == [0, 0]


def test_a_sample_without_particles_has_a_picture_too(tmp_path: Path) -> None:
    picture = tmp_path / "out.svg"
    assert run(["nta", saved(tmp_path, "a", summary(measurement(particles_per_ml=0.0))), "--plot", str(picture)]) == 0
    assert picture.exists()
