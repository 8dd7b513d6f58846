"""Which tags belong to a unit, and how a reading is shown: value, unit, quality, owner, and its place in the range."""

from __future__ import annotations

import re

from evcontrol.api.picture import Picture
from evcontrol.api.schema import TagView
from ui import bar, words
from ui.table import Cell
from ui.theme import Tone

SYSTEM = "SYS"
"""The unit of the engine's own tags."""
KEY_VALUES = 12
"""So many values of a unit are shown in the overview."""
_TRANSMITTER = re.compile(r"[A-Z]T(_|$)")
"""Names of measurements after ISA-5.1: the second letter is T."""
_OWN = frozenset({"STATE", "PHASE", "CONTENT"})


def of_unit(picture: Picture, unit: str) -> list[TagView]:
    """The tags of a unit, in the order of the plant."""
    return [tag for name, tag in picture.tags.items() if name.partition(".")[0] == unit]


def is_measured(tag: TagView) -> bool:
    """Whether a tag is a number that nobody commands."""
    return tag.kind in ("analog", "integer") and tag.writable is None


def key_values(picture: Picture, unit: str) -> list[TagView]:
    """What an overview shows of a unit: what its loops control, then measurements, then what is worked out of them."""
    controlled = {loop.pv for loop in picture.loops if loop.unit == unit}
    measured = [tag for tag in of_unit(picture, unit) if tag.kind == "analog" and tag.writable is None and tag.unit]

    def order(tag: TagView) -> int:
        if tag.name in controlled:
            return 0
        return 1 if _TRANSMITTER.match(words.short(tag.name)) else 2

    return sorted(measured, key=order)[:KEY_VALUES]


def state_of(picture: Picture, unit: str) -> str:
    """The procedural state of a unit in words; empty for one without."""
    return picture.value_text(f"{unit}.STATE")


def phase_of(picture: Picture, unit: str) -> str:
    """The names of the phases that run, without where they stand in the procedure."""
    paths = picture.value_text(f"{unit}.PHASE").split(", ")
    return ", ".join(path.rpartition("/")[2] for path in paths)


def content_of(picture: Picture, unit: str) -> str:
    """What the unit holds."""
    return picture.value_text(f"{unit}.CONTENT")


def scale(picture: Picture, tag: TagView) -> bar.Scale | None:
    """A reading in its range; None for a tag without one."""
    if tag.low is None or tag.high is None or not tag.low < tag.high or tag.kind not in ("analog", "integer"):
        return None
    marks = [loop.setpoint for loop in picture.loops if loop.pv == tag.name and loop.mode == "auto"]
    return bar.Scale(tag.low, tag.high, picture.number(tag.name), marks[0] if marks else None)


def value_cell(picture: Picture, tag: TagView) -> Cell:
    """A value without its unit; a Bad one is a word, never a number."""
    text = picture.value_text(tag.name)
    if not text and picture.quality_text(tag.name).startswith("Bad"):
        return Cell("Bad", Tone.BAD)
    return Cell(text, Tone.VALUE)


def quality_cell(picture: Picture, tag: TagView) -> Cell:
    """The quality in words."""
    text = picture.quality_text(tag.name)
    return Cell(text, words.quality_tone(text))


def owners(picture: Picture, unit: str) -> list[tuple[str, list[str]]]:
    """Who owns which actuators of a unit; nobody comes last."""
    found: dict[str, list[str]] = {}
    for tag in of_unit(picture, unit):
        if tag.writable is not None:
            found.setdefault(words.owner(picture.owners.get(tag.name)), []).append(words.short(tag.name))
    return sorted(found.items(), key=lambda item: item[0] == "nobody")
