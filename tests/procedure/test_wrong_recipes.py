"""Wrong recipes: each file of the corpus gives exactly the mistakes that its last lines name, all of them at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evcontrol.plant.load import load_plant
from evcontrol.procedure.check import mistakes_of

ROOT = Path(__file__).parents[2]
PLANT = load_plant(ROOT / "config" / "plants" / "demo.yaml")
CORPUS = sorted((Path(__file__).parent / "wrong").glob("*.yaml"))


def expected(path: Path) -> list[str]:
    """The comments at the end: ``# line:column: what``."""
    found = re.findall(r"^# (\d+:\d+: .*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [f"{path.name}:{one}" for one in found]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_wrong_recipe_gives_exactly_the_expected_mistakes(path: Path) -> None:
    told = [str(mistake) for mistake in mistakes_of(path.read_text(encoding="utf-8"), path.name, PLANT)]
    assert told == expected(path)
    assert told


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 60
