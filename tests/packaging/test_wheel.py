"""The wheel runs outside a checkout, with the plants and recipes that come with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the built wheel installed, and nothing of the checkout."""
    made = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = made.glob("*.whl")
    site = made / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    return site


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=site.parent, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("package", ["evcontrol", "drivers", "simulators"])
def test_the_packages_are_those_of_the_wheel(site: Path, package: str) -> None:
    where = run(site, "-c", f"import {package}; print({package}.__file__)").stdout.strip()
    assert Path(where).is_relative_to(site)


def test_the_shipped_recipe_is_checked_against_the_shipped_plant(site: Path) -> None:
    recipe = site / "evcontrol" / "_config" / "recipes" / "ultrafiltration.yaml"
    plant = site / "evcontrol" / "_config" / "plants" / "tff.yaml"
    done = run(site, "-m", "evcontrol.cli.main", "check", str(recipe), str(plant))
    assert done.returncode == 0, done.stderr


def test_the_demo_finds_what_it_needs(site: Path) -> None:
    code = "from evcontrol.cli.demo_script import load_script; print(load_script().product)"
    done = run(site, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
