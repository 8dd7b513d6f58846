"""Shipped recipes with random faults: mistakes with places, or none, and never a traceback or a hang."""

from __future__ import annotations

import copy
import io
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from evcontrol.plant.load import load_plant
from evcontrol.procedure.check import mistakes_of

ROOT = Path(__file__).parents[2]
PLANT = load_plant(ROOT / "config" / "plants" / "demo.yaml")
FOLDERS = (ROOT / "config" / "recipes", Path(__file__).parent / "wrong")
TEXTS = [path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted(folder.glob("*.yaml"))]
LONGEST_S = 10.0
SHARE = 100
"""Mutations of one test case."""
ALPHABET = "abxyz019 :,{}[]()\"'#-&*!|>%@`\n\t\\<=+/.äµ\u2028\x00\ufeff"
TOKEN = re.compile(r"\w+|[^\w\s]")


def characters(text: str, chance: random.Random) -> str:
    """Some characters put in, left out or changed."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice(("", chance.choice(ALPHABET))) + text[at + chance.randint(0, 1) :]
    return text


def lines(text: str, chance: random.Random) -> str:
    """A line left out, doubled, moved, or indented otherwise."""
    rows = text.splitlines(keepends=True)
    at, to = chance.randrange(len(rows)), chance.randrange(len(rows))
    row = rows.pop(at)
    match chance.randrange(4):
        case 1:
            rows[at:at] = [row, row]
        case 2:
            rows.insert(to, row)
        case 3:
            rows.insert(at, chance.choice((" ", "  ", "    ")) + row if chance.random() < 0.5 else row.lstrip(" "))
    return "".join(rows)


def tokens(text: str, chance: random.Random) -> str:
    """A word or sign exchanged for another one of the same or another recipe."""
    places = list(TOKEN.finditer(text))
    for match in sorted(chance.sample(places, chance.randint(1, 3)), key=lambda m: -m.start()):
        other = chance.choice(TOKEN.findall(chance.choice(TEXTS)))
        text = text[: match.start()] + other + text[match.end() :]
    return text


def trees(text: str, chance: random.Random) -> str:
    """A part of the data left out, or exchanged for another part or for a value of another kind."""
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except Exception:  # noqa: BLE001  (a wrong recipe that is no YAML has no tree)
        return tokens(text, chance)
    places = [place for place in _places(data) if place[0] is not data or isinstance(data, dict)]
    if not places:
        return text
    parent, key = chance.choice(places)
    other, part = chance.choice(places)
    values = (
        None,
        0,
        -1,
        1e400,
        True,
        "",
        [],
        {},
        [[]],
        {"a": {}},
        "x" * 5000,
        "((((" * 50,
        copy.deepcopy(other[part]),
    )
    if chance.random() < 0.25:
        del parent[key]
    else:
        parent[key] = chance.choice(values)
    written = io.StringIO()
    dumper = YAML(typ="safe", pure=True)
    dumper.representer.ignore_aliases = lambda _: True
    dumper.dump(data, written)
    return written.getvalue()


def _places(data: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    keys = list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else []
    for key in keys:
        found.append((data, key))
        found += _places(data[key])
    return found


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (characters, lines, tokens, trees)


def check_share(number: int) -> int:
    """Check one share of mutated recipes; how many of them had mistakes."""
    chance = random.Random(number)
    wrong = 0
    for _ in range(SHARE):
        text = chance.choice(TEXTS)
        for _ in range(chance.randint(1, 2)):
            text = chance.choice(MUTATIONS)(text, chance) or "x"
        begun = time.monotonic()
        found = mistakes_of(text, "m.yaml", PLANT)
        assert time.monotonic() - begun < LONGEST_S, text
        assert all(m.line >= 1 and m.column >= 1 and m.what.strip() and "\n" not in m.what for m in found), text
        assert not any("Error" in m.what or "object at 0x" in m.what for m in found), text
        wrong += bool(found)
    return wrong


@pytest.mark.parametrize("number", range(10))
def test_a_mutated_recipe_gives_mistakes_and_no_traceback(number: int) -> None:
    assert check_share(number) > SHARE // 2


@pytest.mark.full
@pytest.mark.parametrize("number", range(10, 100))
def test_many_mutated_recipes_give_mistakes_and_no_traceback(number: int) -> None:
    assert check_share(number) > SHARE // 2
