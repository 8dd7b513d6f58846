"""docs/how-to/write-an-ultrafiltration-recipe.md, executed word for word: what to save, to put in, to type, to see."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "write-an-ultrafiltration-recipe.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = Path(sys.executable).with_name("evcontrol")


def instructions() -> Iterator[tuple[str, str, str]]:
    """The page from the top: the prose before each block, the block's language and text; at last the prose alone."""
    begin = 0
    for match in BLOCK.finditer(TEXT):
        yield TEXT[begin : match.start()], match.group(1), match.group(2)
        begin = match.end()
    yield TEXT[begin:], "", ""


class Reader:
    """Somebody who does exactly what the page says."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "polish.yaml"
        self.folder = folder
        self.right = ""
        self.command = ""
        self.seen = ""
        self.shown: list[str] = []

    def do(self, prose: str, language: str, block: str) -> None:
        if "Put it right again" in prose:
            self.file.write_text(self.right, encoding="utf-8")
        swap = re.search(r"Write `(.+?)` instead of `(.+?)`, and check again", prose)
        if swap is not None:
            self.right = self.file.read_text(encoding="utf-8")
            assert swap.group(2) in self.right
            self.file.write_text(self.right.replace(swap.group(2), swap.group(1)), encoding="utf-8")
            self.run(self.command)
        match language:
            case "yaml":
                self.save(prose, block)
            case "sh":
                self.run(block.strip())
            case "text":
                assert " ".join(block.split()) in " ".join(self.seen.split())
                self.shown.append(block)

    def save(self, prose: str, block: str) -> None:
        if "Save this as `polish.yaml`" in prose:
            self.file.write_text(block, encoding="utf-8")
            return
        lines = self.file.read_text(encoding="utf-8").splitlines(keepends=True)
        behind = re.search(r"Put this behind `(\w+)`", prose)
        under = re.search(r"Put this under `operation: (\w+)`, before its `steps:`", prose)
        assert (behind is None) != (under is None), prose
        if behind is not None:
            at = lines.index(f"          - phase: {behind.group(1)}\n") + 2  # behind its with
        elif under is not None:
            at = lines.index(f"      - operation: {under.group(1)}\n") + 1
        self.file.write_text("".join([*lines[:at], block, *lines[at:]]), encoding="utf-8")

    def run(self, command: str) -> None:
        self.command = command
        program, *arguments = command.split()
        assert program == "evcontrol"
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "160"},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert "Traceback" not in done.stderr
        self.seen = done.stdout + done.stderr


@pytest.mark.timeout(280)
def test_the_page_leads_from_nothing_to_a_recipe_that_ran(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    reader = Reader(tmp_path)
    for prose, language, block in instructions():
        reader.do(prose, language, block)
    assert len(reader.shown) == 4
    recipe = reader.file.read_text(encoding="utf-8")
    assert all(word in recipe for word in ("loop: wash", "at_most:", "on:", "failure:", "timeout:"))
    assert "tff.TMP_HIGH" in recipe
    assert "dry-run" in reader.command
