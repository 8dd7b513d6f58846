"""``evcontrol recipe``: files are compared without an engine."""

from pathlib import Path

import pytest

from evcontrol.cli.main import main
from tests.cli.processes import RECIPE


def test_two_files_are_compared_in_the_terms_of_recipes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.yaml"
    text = RECIPE.read_text(encoding="utf-8")
    assert "tmp: {value: 4 psi" in text
    other.write_text(text.replace("tmp: {value: 4 psi", "tmp: {value: 5 psi"), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["recipe", "diff", str(RECIPE), str(other)])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "parameter tmp: value 4 psi -> 5 psi\n"


def test_a_version_without_an_engine_is_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["recipe", "diff", str(RECIPE), "0123456789ab", "--data", str(tmp_path)])
    assert ended.value.code != 0
    err = capsys.readouterr().err
    assert err.startswith("evcontrol: ")
    assert err.count("\n") == 1
