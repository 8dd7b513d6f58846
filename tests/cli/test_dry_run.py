"""``evcontrol dry-run`` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evcontrol.cli.commands import run
from evcontrol.cli.fault import DONE, WRONG, WRONG_USE
from tests.cli.processes import PLANT, RECIPE, kinds

ASKS = """\
recipe: Asks
version: 1.0.0
product: P
units:
  tff: {class: tff}
parameters:
  pause: {value: 10 s, low: 1 s, high: 60 s}
procedure:
  - unit_procedure: asking
    unit: tff
    steps:
      - phase: entry
        name: mass
        with: {text: Mass of the buffer, name: buffer, unit: g%s}
      - phase: wait
        with: {time: pause}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "asks.yaml"
    path.write_text(ASKS % ", low: 100, high: 300", encoding="utf-8")
    return path


def rehearsed(*arguments: str | Path) -> int:
    return run(["dry-run", *(str(argument) for argument in arguments), "--plant", str(PLANT)])


def test_a_whole_ultrafiltration_is_rehearsed_with_its_course_material_and_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "kept"
    assert rehearsed(RECIPE, "--out", out, "--json") == DONE
    found = json.loads(capsys.readouterr().out)["rehearsed"]
    assert found["state"] == "Complete"
    took = {step["path"]: step["took_s"] for step in found["steps"]}
    assert 5 * 60 < took["ultrafiltration/filtration/concentrate"] < 30 * 60
    masses = {one["what"]: one["mass_g"] for one in found["material"]}
    assert masses["feed in"] + masses["buffer in"] == pytest.approx(
        masses["permeate out"] + masses["retentate out"] + masses["left in the circuit"], rel=0.01
    )
    results = {(one["path"].rpartition("/")[2], one["name"]): one["value"] for one in found["results"]}
    assert results["concentrate", "VCF"] == pytest.approx(10.0, rel=0.01)
    assert (out / "reports" / "B-0001.html").exists()
    assert run(["record", "verify", "B-0001", "--data", str(out)]) == DONE
    assert kinds(out)[0] == "engine.started"


def test_numbers_are_answered_with_the_middle_of_what_is_accepted(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearsed(recipe) == DONE
    assert "200 g" in capsys.readouterr().out


def test_a_file_of_answers_comes_first(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("answers:\n  - {when: Mass of the buffer, value: 123}\n", encoding="utf-8")
    assert rehearsed(recipe, "--answers", answers) == DONE
    assert "123 g" in capsys.readouterr().out


def test_a_wrong_file_of_answers_is_told_in_one_line(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("answers: [{value: 1}]\n", encoding="utf-8")
    assert rehearsed(recipe, "--answers", answers) == WRONG
    assert capsys.readouterr().err == f"evcontrol: {answers}: not a file of answers (answers.0.when: Field required)\n"


def test_a_question_that_nobody_can_answer_is_told_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "asks.yaml"
    recipe.write_text(ASKS % "", encoding="utf-8")
    assert rehearsed(recipe) == WRONG
    first, second = capsys.readouterr().err.splitlines()
    assert first == "evcontrol: nobody knows what to answer to 'Mass of the buffer' (asking/mass)"
    assert "--answers" in second


def test_two_versions_are_compared_figure_by_figure(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(recipe.read_text().replace("10 s", "50 s").replace("1.0.0", "1.1.0"), encoding="utf-8")
    assert rehearsed(recipe, "--against", other) == DONE
    told = capsys.readouterr().out
    assert "Parameter pause" in told
    assert "asking/wait: took" in told
    assert "buffer" not in told.partition("Asks 1.0.0  ")[2], "what is the same is left out"


def test_a_batch_that_does_not_end_is_told_with_what_it_waits_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "endless.yaml"
    waits = "when: tff.LT > 50 %v/v\n        with: {time: pause}"
    text = (ASKS % ", low: 1, high: 3").replace("with: {time: pause}", waits)
    recipe.write_text(text, encoding="utf-8")
    assert rehearsed(recipe, "--hours", "0.1") == WRONG
    assert "not over after 0.1 h: asking/wait waits for tff.LT > 50 %v/v" in " ".join(capsys.readouterr().out.split())


def test_parameters_are_set_and_unknown_ones_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearsed(recipe, "--set", "pause=20 s", "--json") == DONE
    assert json.loads(capsys.readouterr().out)["rehearsed"]["parameters"] == {"pause": "20 s"}
    assert rehearsed(recipe, "--set", "puase=20 s") == WRONG_USE
    assert "has no parameter 'puase'; it has pause" in capsys.readouterr().err


def test_mistakes_of_a_recipe_are_told_as_by_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "wrong.yaml"
    recipe.write_text((ASKS % "").replace("phase: wait", "phase: wiat"), encoding="utf-8")
    assert rehearsed(recipe) == WRONG
    assert f"{recipe}:15:" in capsys.readouterr().err


def test_a_directory_that_is_in_use_is_left_alone(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearsed(recipe, "--out", tmp_path) == WRONG_USE
    assert "not empty" in capsys.readouterr().err
