"""``evcontrol check``: every mistake with its line, for plants and recipes alike."""

import json
from pathlib import Path

import pytest

from evcontrol.cli.main import main
from tests.cli.processes import PLANT, RECIPE


class Checked:
    """What the command said and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["check", *arguments])
        self.status = ended.value.code
        self.out, self.err = capsys.readouterr()
        self.lines = self.out.splitlines()


def changed(source: Path, target: Path, *changes: tuple[str, str]) -> Path:
    text = source.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    target.write_text(text, encoding="utf-8")
    return target


def line_of(file: Path, what: str) -> int:
    return 1 + next(i for i, line in enumerate(file.read_text().splitlines()) if what in line)


def test_what_is_shipped_has_no_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    checked = Checked(capsys, str(PLANT), str(RECIPE))
    assert (checked.status, checked.err) == (0, "")
    assert checked.lines == [f"{PLANT}: no mistakes", f"{RECIPE}: no mistakes"]


def test_every_mistake_of_a_recipe_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = changed(
        RECIPE,
        tmp_path / "recipe.yaml",
        ("phase: flush", "phase: flsuh"),
        ("tmp: {value: 4 psi", "tmp: {value: 4 kg"),
        ("flow: 300 mL/min", "flow: 300000 mL/min"),
    )
    checked = Checked(capsys, str(wrong))
    assert checked.status == 1
    assert f"{wrong}:{line_of(wrong, 'flsuh')}:" in checked.out
    assert "did you mean 'flush'?" in checked.out
    assert f"{wrong}:{line_of(wrong, '4 kg')}:" in checked.out
    assert f"{wrong}:{line_of(wrong, '300000')}:" in checked.out


def test_every_mistake_of_a_plant_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = changed(
        PLANT,
        tmp_path / "plant.yaml",
        ("scan: 1 s", "scan: 1 kg"),
        ("driver: mt-sics", "driver: mt-sisc"),
    )
    checked = Checked(capsys, str(wrong))
    assert checked.status == 1
    assert f"{wrong}:{line_of(wrong, '1 kg')}:" in checked.out


def test_a_recipe_is_checked_against_the_given_plant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = changed(PLANT, tmp_path / "plant.yaml", ("    class: tff", "    class: reactor"))
    checked = Checked(capsys, str(RECIPE), "--plant", str(other))
    assert checked.status == 1
    assert "no free unit of class 'tff'" in checked.out


def test_one_wrong_file_does_not_hide_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strange = tmp_path / "strange.yaml"
    strange.write_text("a: 1\n")
    broken = tmp_path / "broken.yaml"
    broken.write_text("recipe: [\n")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    absent = tmp_path / "absent.yaml"
    checked = Checked(capsys, *(str(file) for file in (strange, broken, binary, absent, RECIPE)))
    assert checked.status == 1
    assert f"{strange}:1:1: neither a recipe" in checked.out
    assert f"{broken}:2:" in checked.out
    assert f"{binary}:1:1: not UTF-8" in checked.out
    assert f"{absent}:1:1: No such file" in checked.out
    assert f"{RECIPE}: no mistakes" in checked.out


def test_mistakes_are_there_for_machines_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = changed(RECIPE, tmp_path / "recipe.yaml", ("phase: flush", "phase: flsuh"))
    checked = Checked(capsys, str(wrong), "--json")
    assert checked.status == 1
    (mistake,) = json.loads(checked.out)["mistakes"]
    assert (mistake["file"], mistake["line"]) == (str(wrong), line_of(wrong, "flsuh"))


def test_without_a_file_it_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    checked = Checked(capsys)
    assert checked.status == 2


def test_what_runs_on_without_the_engine_is_told_and_all_of_it_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = Checked(capsys, str(PLANT))
    assert plain.lines == [f"{PLANT}: no mistakes"]
    old = "description: Flow setpoint of the transfer pump\n    write: {on_silence: controller_watchdog"
    runs_on = changed(PLANT, tmp_path / "plant.yaml", (old, old.replace("controller_watchdog", "runs_on")))
    checked = Checked(capsys, str(runs_on))
    assert checked.status == 0
    assert f"{runs_on}: TFF201.P102_SP runs on when the engine falls silent" in checked.lines[1]
    rows = {line.split()[0]: line for line in Checked(capsys, str(runs_on), "--verbose").lines if "TFF201" in line}
    assert "RUNS ON" in rows["TFF201.P102_SP"]
    assert "goes to its safe state" in rows["TFF201.P101_SP"]
    assert "watchdog 10" in rows["TFF201.P101_SP"]
    entries = json.loads(Checked(capsys, str(runs_on), "--verbose", "--json").out)["actuators"]
    assert {entry["tag"]: entry["on_silence"] for entry in entries}["TFF201.P102_SP"] == "runs_on"


def test_a_hazardous_phase_on_an_actuator_that_runs_on_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = "description: Cross-flow setpoint of the feed pump\n    write: {on_silence: controller_watchdog"
    runs_on = changed(PLANT, tmp_path / "plant.yaml", (old, old.replace("controller_watchdog", "runs_on")))
    checked = Checked(capsys, str(RECIPE), "--plant", str(runs_on))
    assert checked.status == 1
    assert "is hazardous, and TFF201.P101_SP runs on when the engine falls silent" in checked.out
