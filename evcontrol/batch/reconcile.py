"""Reconciliation after an outage: what was expected against what is read, before a batch may go on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evcontrol.access.sign import hash_of
from evcontrol.acquisition.image import ProcessImage
from evcontrol.clock import NS
from evcontrol.history.reader import HistoryReader
from evcontrol.plant.model import Plant
from evcontrol.quality import is_bad, reason

AS_EXPECTED = "as expected"
UNREADABLE = "cannot be read"
TOO_LONG = "longer than the phase bears"


@dataclass(frozen=True, slots=True)
class Item:
    """One comparison in words, and the expected number in the tag's unit (None when it is not known).

    ``number`` is what was read of a weight, which the ``tolerance`` lets differ, both in its unit.
    """

    what: str
    expected: str
    read: str
    verdict: str
    value: float | None
    number: float | None = None
    tolerance: float = 0.0

    def says_the_same(self, other: Item) -> bool:
        """Whether both find the same of the same thing: the last digit of a weight that moved is never still."""
        if self.what != other.what or (self.verdict == AS_EXPECTED) != (other.verdict == AS_EXPECTED):
            return False
        if self.number is None or other.number is None:
            return self.verdict == other.verdict
        return abs(self.number - other.number) <= self.tolerance

    def body(self) -> dict[str, Any]:
        """What is shown of it."""
        shown = asdict(self)
        del shown["number"], shown["tolerance"]
        return shown


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Everything compared, the length of the outage in process seconds, and the SHA-256 of all of it."""

    batch: str
    items: tuple[Item, ...]
    outage_s: float

    @property
    def shown_hash(self) -> str:
        """SHA-256 of what is shown."""
        return hash_of(self.body())

    def body(self) -> dict[str, Any]:
        """What is shown, as the journal keeps it."""
        return {"batch": self.batch, "items": [item.body() for item in self.items], "outage_s": self.outage_s}


def last_readings(history: HistoryReader, tags: Iterable[str], since: int, until: int) -> dict[str, float]:
    """The last good reading of each tag between two process times (UTC ns)."""
    found = {}
    for tag, column in history.raw(list(tags), since, until).items():
        good = [(value, quality) for value, quality in zip(column.v, column.q, strict=True) if not is_bad(int(quality))]
        if good:
            found[tag] = float(good[-1][0])
    return found


def reconcile(
    plant: Plant,
    image: ProcessImage,
    batch: str,
    units: Iterable[str],
    expected: Mapping[str, float],
    outage_s: float,
    bears_h: Mapping[str, float],
) -> Reconciliation:
    """Compare what was last known (``expected`` by tag) with what is read now: weights, and every actuator.

    ``bears_h`` are the outages (h of process time) that the phases bear that had begun, by path.
    """
    items = [_outage(path, hours, outage_s) for path, hours in bears_h.items()]
    for unit in units:
        for spec in plant.units[unit].reconcile:
            items.append(_measured(plant, image, spec.tag, expected.get(spec.tag), spec.tolerance))
        safe = plant.units[unit].safe_states
        content = image.text(plant.units[unit].content_tag)
        for tag, value in safe.get(content, safe["default"]).items():
            items.append(_actuator(plant, image, tag, value))
    return Reconciliation(batch, tuple(items), round(outage_s, 1))


def outage_seconds(last_ns: int, now_ns: int) -> float:
    """Process seconds between the last event before the outage and now."""
    return max(0.0, (now_ns - last_ns) / NS)


def _outage(path: str, bears_h: float, outage_s: float) -> Item:
    verdict = AS_EXPECTED if outage_s <= bears_h * 3600.0 else TOO_LONG
    return Item(f"outage in {path}", f"at most {bears_h:g} h", f"{outage_s / 3600.0:.2f} h", verdict, bears_h)


def _measured(plant: Plant, image: ProcessImage, tag: str, expected: float | None, tolerance: float) -> Item:
    value, quality = image.reading(tag)
    unit, decimals = plant.tags[tag].unit, plant.tags[tag].decimals
    known = "not known" if expected is None else f"{expected:.{decimals}f} {unit}"
    if is_bad(quality):
        return Item(tag, known, f"Bad: {reason(quality)}", UNREADABLE, expected)
    read = f"{value:.{decimals}f} {unit}"
    if expected is None:
        return Item(tag, known, read, "nothing to compare with", None)
    moved = value - expected
    if abs(moved) <= tolerance:
        return Item(tag, known, read, AS_EXPECTED, expected)
    words = f"moved by {moved:+.{decimals}f} {unit} (tolerance {tolerance:g} {unit})"
    return Item(tag, known, read, words, expected, value, tolerance)


def _actuator(plant: Plant, image: ProcessImage, tag: str, safe: float) -> Item:
    value, quality = image.reading(tag)
    wanted = _shown(plant, tag, safe)
    if is_bad(quality):
        return Item(tag, wanted, f"Bad: {reason(quality)}", UNREADABLE, safe)
    agrees = math.isclose(value, safe, abs_tol=plant.writes[tag].resolution)
    return Item(tag, wanted, _shown(plant, tag, value), AS_EXPECTED if agrees else "not in its safe state", safe)


def _shown(plant: Plant, tag: str, value: float) -> str:
    labels = plant.tags[tag].labels
    if labels and 0 <= int(value) < len(labels):
        return labels[int(value)]
    return f"{value:.{plant.tags[tag].decimals}f} {plant.tags[tag].unit}".rstrip()
