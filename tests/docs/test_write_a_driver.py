"""The driver of the how-to is made from its page, installed as a package of its own, held to the suite, and checked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.conformance import Rig, Trouble

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "write-a-driver.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
LIMIT_S = 100


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, and in ``site`` the package as pip installs it."""
    folder = tmp_path_factory.mktemp("condux")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", str(folder / "site"), str(folder)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def run(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(package / "site"), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_the_page_has_every_file_of_the_package() -> None:
    assert set(FILES) == {
        "pyproject.toml",
        "condux/telegram.py",
        "condux/driver.py",
        "test_condux.py",
        "plant.yaml",
    }


def test_the_page_names_every_trouble_and_whatever_a_rig_can_give() -> None:
    assert [trouble for trouble in Trouble if f"`{trouble}`" not in PAGE and trouble is not Trouble.NONE] == []
    given = {name for name in vars(Rig) if not name.startswith("_")} - {"start", "stop", "driver", "timeout_s"}
    assert sorted(name for name in given if f"`{name}`" not in PAGE) == []


QUICK = "not late and not mute and not garbage and not refusing"
"""Without most of the troubles, each of which takes its seconds."""


@pytest.mark.parametrize("which", [QUICK, pytest.param("", marks=pytest.mark.full)], ids=["quick", "whole"])
def test_the_driver_passes_the_suite(package: Path, which: str) -> None:
    done = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", "test_condux.py", "-k", which)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout


def test_the_plant_file_is_right_and_a_misspelt_option_and_a_wrong_point_are_told_with_their_lines(
    package: Path,
) -> None:
    check = ("-m", "evcontrol.cli.main", "check")
    done = run(package, *check, "plant.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    mistakes = {"option.yaml": ("serial_number", "serialnumber"), "point.yaml": ("quantity: T", "quantity: X")}
    for name, (right, wrong) in mistakes.items():
        (package / name).write_text(FILES["plant.yaml"].replace(right, wrong), encoding="utf-8")
    done = run(package, *check, *mistakes)
    told = done.stdout + done.stderr
    assert done.returncode != 0
    for name, (right, _) in mistakes.items():
        number = next(i for i, line in enumerate(FILES["plant.yaml"].splitlines(), 1) if right in line)
        assert f"{name}:{number}:" in told, told
