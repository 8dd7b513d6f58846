"""``evcontrol batch``: what is wrong with the arguments is told before an engine is looked for."""

from pathlib import Path

import pytest

from evcontrol.cli.main import main
from tests.cli.processes import RECIPE


def _ends(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code, capsys.readouterr().err


def test_an_empty_purpose_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, err = _ends(capsys, "batch", "start", str(RECIPE), "--purpose", " ", "--data", str(tmp_path))
    assert (status, err) == (2, "evcontrol: --purpose: is empty\n")


def test_an_empty_reason_for_a_restart_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, err = _ends(capsys, "batch", "restart", "B-0001", "--reason", " ", "--data", str(tmp_path))
    assert (status, err) == (2, "evcontrol: --reason is empty: say why\n")


def test_too_long_a_reason_names_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, err = _ends(capsys, "batch", "hold", "B-0001", "--reason", "x" * 501, "--data", str(tmp_path))
    assert status == 2
    assert err.startswith("evcontrol: --reason: ")
    assert err.count("\n") == 1
