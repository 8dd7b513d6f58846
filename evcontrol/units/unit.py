"""Units and their spelling."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from evcontrol.units.table import DEFINITIONS, DIFFERENCES, HABITS

Powers = tuple[tuple[str, int], ...]
"""Atoms of the table with their powers."""

HIGHEST_POWER: Final = 9

_BARE_PERCENT: Final = frozenset({"%", "percent", "pct", "per cent"})
_PERCENT_HINT: Final = "does not say of what: write " + " or ".join(a for a in DEFINITIONS if a.startswith("%"))

_TOKENS: Final = re.compile(r"%v/v[2-9]?(?![^./])|[^./]+|[./]")
_POWER: Final = re.compile(r"(.+?)([2-9])")


class UnitError(ValueError):
    """A unit or quantity that is misspelt, or units that do not go together; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit, made by :func:`parse`; two are equal when they are spelt alike (see :func:`compatible`)."""

    text: str
    powers: Powers = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=4096)
def parse(text: str) -> Unit:
    """The unit that is spelt so; UnitError with the nearest right spelling."""
    stripped = text.strip()
    if stripped.lower() in _BARE_PERCENT:
        raise UnitError(f"{stripped} {_PERCENT_HINT}")
    powers = _parse_powers(stripped)
    if powers is None:
        nearest = _nearest(stripped)
        raise UnitError(f"{stripped!r} is not a unit" + (f"; did you mean {nearest}?" if nearest else ""))
    reading = next((atom for atom, _ in powers if atom in DIFFERENCES), stripped)
    if reading != stripped:
        raise UnitError(f"{stripped}: {reading} cannot be part of a unit; write {DIFFERENCES[reading]}")
    return Unit(stripped, powers)


def as_unit(unit: Unit | str) -> Unit:
    """The unit itself, or the one that is spelt so."""
    return parse(unit) if isinstance(unit, str) else unit


def is_reading(unit: Unit | str) -> bool:
    """Whether the unit is of a scale with a conventional zero (``psig``, ``degC``), which only differences add to."""
    return as_unit(unit).text in DIFFERENCES


def spell(powers: Powers) -> str:
    """The text of a unit with these powers."""
    over = ".".join(_spell_power(atom, power) for atom, power in powers if power > 0)
    under = "".join("/" + _spell_power(atom, -power) for atom, power in powers if power < 0)
    return (over or "1") + under if over or under else ""


def _parse_powers(text: str) -> Powers | None:
    if not text:
        return ()
    tokens = _TOKENS.findall(text)
    if tokens[0] == "1" and len(tokens) > 1 and tokens[1] == "/":
        tokens = tokens[1:]
    else:
        tokens.insert(0, ".")
    if len(tokens) % 2:
        return None
    powers: dict[str, int] = {}
    for joint, factor in zip(tokens[::2], tokens[1::2], strict=True):
        found = _factor(factor)
        if joint not in "./" or found is None:
            return None
        atom, power = found
        if atom in powers:
            return None
        powers[atom] = power if joint == "." else -power
    return tuple(powers.items())


def _factor(text: str) -> tuple[str, int] | None:
    if text in DEFINITIONS:
        return text, 1
    match = _POWER.fullmatch(text)
    if match is not None and match[1] in DEFINITIONS:
        return match[1], int(match[2])
    return None


def _nearest(text: str) -> str | None:
    """The right spelling nearest to a wrong one, each factor for itself; None when there is none."""
    plain = text.replace(" ", "").replace("µ", "u").replace("μ", "u").replace("²", "2").replace("³", "3")
    plain = "1" + plain if plain.startswith("/") else plain
    parts = []
    for token in _TOKENS.findall(plain.replace("*", ".").replace("·", ".").replace("^", "")):
        part = token if token in {".", "/", "1"} else _nearest_factor(token)
        if part is None:
            return None
        parts.append(part)
    nearest = "".join(parts)
    return nearest if nearest and _parse_powers(nearest) is not None else None


def _nearest_factor(text: str) -> str | None:
    if _factor(text) is not None:
        return text
    habit = HABITS.get(text.lower())
    if habit is not None:
        return habit
    power = _POWER.fullmatch(text)
    if power is not None:
        base = _nearest_factor(power[1])
        return None if base is None else base + power[2]
    same = [atom for atom in DEFINITIONS if atom.lower() == text.lower()]
    return next(iter(same or difflib.get_close_matches(text, DEFINITIONS, n=1)), None)


def _spell_power(atom: str, power: int) -> str:
    return atom if power == 1 else f"{atom}{power}"
