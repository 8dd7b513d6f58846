"""docs/reference/command-line.md names every command with its options, and nothing that is not there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from evcontrol.cli.commands import app

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")


def commands(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield name, {option for p in command.params for option in p.opts if option.startswith("-")}
        return
    for word, one in below.items():
        yield from commands(one, f"{name} {word}")


def test_every_command_is_named_and_no_other() -> None:
    named = {text.strip() for text in re.findall(r"`(evcontrol [a-z][a-z -]*[a-z])(?: [A-Z].*?)?`", TEXT)}
    assert named == {name for name, _ in commands(typer.main.get_command(app), "evcontrol")}


def test_every_option_is_named_and_no_other() -> None:
    known = {o for _, options in commands(typer.main.get_command(app), "evcontrol") for o in options}
    named = set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", TEXT)) - {"--help"}
    assert named == known - {"--help", "-h"}
