"""Every ``evcontrol`` command line in README.md and docs/ is one that the command line takes as it stands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from evcontrol.access.people import LOCK_S, MAX_FAILURES
from evcontrol.access.permission import ROLES
from evcontrol.access.rules import MIN_PASSWORD
from evcontrol.cli.commands import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = typer.main.get_command(app)
RUN_A_BATCH = (ROOT / "docs" / "how-to" / "run-a-batch.md").read_text(encoding="utf-8")


def in_blocks(text: str) -> Iterator[str]:
    """Commands of the code blocks, a line each."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield from (part.strip() for part in re.split(r"&&|;|\|", line) if part.strip().startswith("evcontrol "))


def in_text(text: str) -> Iterator[str]:
    """Commands in backticks outside code blocks."""
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (re.sub(r"\s+", " ", one) for one in re.findall(r"`(evcontrol [^`]+)`", prose))


FOUND = [
    pytest.param(line, whole, id=f"{path.relative_to(ROOT)}: {line}")
    for path in DOCUMENTS
    for find, whole in ((in_blocks, True), (in_text, False))
    for line in find(path.read_text(encoding="utf-8"))
]


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the words after it; AssertionError when there is none."""
    command: Any = COMMANDS
    rest = words
    while getattr(command, "commands", None) is not None and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"no command {rest[0]!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize(("line", "whole"), FOUND)
def test_every_command_line_names_a_command_and_its_options(line: str, whole: bool) -> None:
    words = shlex.split(line, comments=True)[1:]
    command, rest = command_of([word for word in words if word not in ("COMMAND", "...", "FILE...")])
    known = {option: parameter for parameter in command.params for option in parameter.opts} | {"--help": None}
    given = {word.partition("=")[0] for word in rest if word.startswith("-") and not re.fullmatch(r"-?\d.*", word)}
    assert given <= set(known), f"{given - set(known)} of {line}"
    if whole:
        parse(command, rest, line)


def parse(command: Any, rest: list[str], line: str) -> None:
    """As the command line itself reads it: required options and arguments too; nothing is run."""
    command.make_context("evcontrol", list(rest), resilient_parsing=False)
    if "batch start" in line:
        assert "--purpose" in rest


API = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
ROUTES = re.findall(r"^\| `([A-Z]+ /api/[^`?]+)", API, re.MULTILINE)


def test_every_address_of_the_api_that_is_named_is_in_its_reference() -> None:
    patterns = [re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route))) for route in ROUTES]
    named = {
        one for path in DOCUMENTS for one in re.findall(r"`([A-Z]+ /api/[^`?]+)`", path.read_text(encoding="utf-8"))
    }
    assert len(named) > len(ROUTES)
    for one in named:
        assert any(pattern.fullmatch(one) for pattern in patterns) or one == "GET /api/stream", one


def test_there_are_command_lines_to_look_at() -> None:
    assert len(FOUND) > 40


def test_the_roles_are_told_as_they_are() -> None:
    words = {
        "run batches": "operate",
        "command by hand": "command",
        "acknowledge alarms": "acknowledge",
        "shelve alarms": "shelve",
        "change setpoints of alarms": "adjust",
        "take alarms out of service": "disable",
        "reset interlocks": "reset",
        "bypass interlocks": "bypass",
        "force values": "force",
        "steer batches": "steer",
        "hand recipes in": "author",
        "approve recipes": "approve",
        "sign": "sign",
        "administer people": "administer",
    }
    rows = dict(
        re.findall(r"^\| (\w+) \| (.+) \|$", RUN_A_BATCH.split("| Role | May |")[1].split("\n\n")[0], re.MULTILINE)
    )
    rows["supervisor"] = rows["supervisor"].replace("what an operator may", rows["operator"])
    for role, permissions in ROLES.items():
        assert {word for text, word in words.items() if text in rows[role]} == {p.value for p in permissions} - {"read"}


def test_the_rules_of_passwords_are_told_as_they_are() -> None:
    assert f"at least {MIN_PASSWORD} characters" in RUN_A_BATCH
    assert (MAX_FAILURES, LOCK_S) == (5, 900.0)
    assert "five wrong ones in a row lock the access for 15 minutes" in RUN_A_BATCH
