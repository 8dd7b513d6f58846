"""docs/how-to/from-nothing-to-a-recipe.md: the page is followed word for word, and what it shows is what comes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evcontrol.cli.commands import run
from evcontrol.cli.fault import DONE, WRONG
from tests.docs.examples import fenced

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "from-nothing-to-a-recipe.md").read_text(encoding="utf-8")


def test_the_page_leads_to_a_recipe_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").symlink_to(ROOT / "config")
    recipe, handlers = fenced(TEXT, "yaml")
    check, check_again, rehearse, rehearse_again = (command.split()[1:] for command in fenced(TEXT, "sh"))
    said, said_of_a_mistake = fenced(TEXT, "text")
    file = tmp_path / "polish.yaml"

    file.write_text(recipe, encoding="utf-8")
    assert run(check) == DONE
    assert capsys.readouterr().out == said

    place = "      - operation: filtration\n"
    assert recipe.count(place) == 1
    handled = recipe.replace(place, place + handlers)
    file.write_text(handled.replace("go_to: recover", "go_to: recovr"), encoding="utf-8")
    assert run(check_again) == WRONG
    assert capsys.readouterr().out == said_of_a_mistake

    file.write_text(handled, encoding="utf-8")
    assert run(rehearse) == DONE
    told = capsys.readouterr().out
    assert "Complete after" in told
    assert "Liquid balance" in told
    assert re.search(r"Complete +polish", told)

    old, new = re.findall(r"replace `(.*?)` by `(.*?)`", TEXT)[0]
    file.write_text(handled.replace(f"timeout: {old}", f"timeout: {new}"), encoding="utf-8")
    assert run(rehearse_again) == DONE
    told = capsys.readouterr().out
    assert re.search(r"Stopped +filtration", told)
    assert re.search(r"Complete +recover", told)
