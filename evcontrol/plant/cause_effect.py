"""The cause-and-effect table of a plant: which interlock brings which actuator where."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evcontrol.plant.model import InterlockSpec, Plant, UnitSpec
from evcontrol.units import number_text

SAFE_DEFAULT = "default"
_HEAD = ("Interlock", "Cause", "Looked at while", "Not known for", "Reset", "Bypass", "Batch")


@dataclass(frozen=True, slots=True)
class Cause:
    """One interlock: its condition in words, and the value of each actuator that it trips."""

    interlock: str
    unit: str
    when: str
    only_while: str
    tolerance_s: float
    latched: bool
    bypass_longest_s: float
    holds_batch: bool
    description: str
    effects: Mapping[str, str]


def cause_and_effect(plant: Plant) -> list[Cause]:
    """Every interlock in the order of the plant file.

    An actuator whose safe value depends on what the vessel holds has all of them: ``air (medium), off (default)``.
    """
    return [
        Cause(
            spec.name, spec.unit, spec.when, spec.while_, spec.tolerance_s, spec.latched, spec.bypass_longest_s,
            spec.whole_unit, spec.description, dict(_effects(plant, spec)),
        )
        for spec in plant.interlocks.values()
    ]  # fmt: skip


def as_markdown(plant: Plant) -> str:
    """The table as a document: one section for each unit, one row for each interlock."""
    parts = [f"# Cause and effect: {plant.name}", f"Plant file SHA-256 `{plant.hash}`."]
    for unit in plant.units:
        causes = [cause for cause in cause_and_effect(plant) if cause.unit == unit]
        if causes:
            parts.append(f"## {unit}: {plant.units[unit].description}")
            parts.append("\n".join(_markdown_rows(causes)))
    return "\n\n".join(parts) + "\n"


def as_csv(plant: Plant) -> str:
    """The same as one table with a column for each actuator; what an interlock leaves alone is empty."""
    causes = cause_and_effect(plant)
    actuators = _actuators(causes)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_HEAD, *actuators])
    for cause in causes:
        writer.writerow([*_facts(cause), *(cause.effects.get(tag, "") for tag in actuators)])
    return out.getvalue()


def _effects(plant: Plant, spec: InterlockSpec) -> Iterator[tuple[str, str]]:
    unit = plant.units[spec.unit]
    tags = dict.fromkeys(tag for state in unit.safe_states.values() for tag in state) if spec.whole_unit else {}
    for tag in {**tags, **dict.fromkeys(spec.trip)}:
        yield tag, _words(plant, tag, spec.trip[tag]) if tag in spec.trip else _safe_words(plant, unit, tag)


def _safe_words(plant: Plant, unit: UnitSpec, tag: str) -> str:
    by_value: dict[str, list[str]] = {}
    for content, state in unit.safe_states.items():
        if tag in state:
            by_value.setdefault(_words(plant, tag, state[tag]), []).append(content)
    if len(by_value) == 1:
        return next(iter(by_value))
    return ", ".join(f"{value} ({', '.join(contents)})" for value, contents in by_value.items())


def _words(plant: Plant, tag: str, value: float) -> str:
    spec = plant.tags[tag]
    return spec.labels[int(value)] if spec.labels else f"{number_text(value)} {spec.unit}".rstrip()


def _actuators(causes: list[Cause]) -> list[str]:
    return list(dict.fromkeys(tag for cause in causes for tag in cause.effects))


def _facts(cause: Cause) -> list[str]:
    return [
        cause.interlock,
        cause.when,
        cause.only_while or "always",
        f"{number_text(cause.tolerance_s)} s",
        "by a person" if cause.latched else "by itself",
        f"{number_text(cause.bypass_longest_s)} s at most" if cause.bypass_longest_s else "never",
        "held" if cause.holds_batch else "held when it has one of these actuators",
    ]


def _markdown_rows(causes: list[Cause]) -> Iterator[str]:
    actuators = _actuators(causes)
    head = [*_HEAD, *(tag.partition(".")[2] for tag in actuators)]
    yield _row(head)
    yield _row(["---"] * len(head))
    for cause in causes:
        yield _row([*_facts(cause), *(cause.effects.get(tag, "") for tag in actuators)])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
