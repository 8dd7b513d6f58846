"""Set against actual: what the recipe asked of a phase, and what was reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from evcontrol.batch.entries import BatchRecord, ElementEntry, Result
from evcontrol.history.reader import Column, HistoryError, HistoryReader
from evcontrol.quality import good_mask
from evcontrol.units import Quantity, UnitError, parse_quantity

RESULTS: Final[Mapping[tuple[str, str], str]] = {
    ("flush", "min_nwp"): "NWP",
    ("load", "mass"): "feed",
    ("concentrate", "vcf"): "VCF",
    ("concentrate", "mass"): "retentate",
    ("diafilter", "diavolumes"): "diavolumes",
    ("clean", "accept"): "NWP of new",
}
"""The result that answers an argument of a phase."""
LIMITS: Final = frozenset({"min_nwp", "accept"})
"""Arguments that are limits and not targets: no deviation from them is reckoned."""
MEASURED: Final[Mapping[str, str]] = {"tmp": "TMP", "cross_flow": "FT_FEED"}
"""The tag that shows an argument, as the median of the Good readings while the permeate valve was open."""
PERMEATE_OPEN: Final = "XV102_FB"


@dataclass(frozen=True, slots=True)
class Row:
    """One argument: as it was set, what was reached, by how many per cent that differs, and how it was found."""

    name: str
    asked: str
    actual: str = ""
    deviation: float | None = None
    how: str = ""


def set_against_actual(record: BatchRecord, phase: ElementEntry, reader: HistoryReader) -> list[Row]:
    """A row for each argument that the recipe gives a phase."""
    return [_row(record, phase, name, written, reader) for name, written in phase.arguments.items()]


def other_results(phase: ElementEntry) -> list[Result]:
    """The results of a phase that answer none of its arguments."""
    answering = {RESULTS.get((phase.phase, name)) for name in phase.arguments}
    return [result for result in phase.results if result.name not in answering]


def _row(record: BatchRecord, phase: ElementEntry, name: str, written: str, reader: HistoryReader) -> Row:
    value = next((p.value for p in record.parameters if p.name == written), written)
    asked = written if value == written else f"{value} ({written})"
    wanted = RESULTS.get((phase.phase, name))
    result = next((r for r in reversed(phase.results) if r.name == wanted), None)
    if result is not None and isinstance(result.value, (int, float)):
        reached, how = f"{result.value:.5g} {result.unit}".strip(), "result"
    elif name in MEASURED:
        reached, how = _median(phase, MEASURED[name], reader), "median while the permeate was open"
    else:
        return Row(name, asked)
    deviation = None if name in LIMITS or not reached else _deviation(value, reached)
    return Row(name, asked, reached, deviation, how if reached else "")


def _deviation(asked: str, reached: str) -> float | None:
    """How many per cent of the set value the actual one is off; None when they are not comparable."""
    try:
        target = parse_quantity(asked)
        actual = parse_quantity(reached)
        return _percent(target, actual)
    except UnitError:
        return None


def _percent(target: Quantity, actual: Quantity) -> float | None:
    wanted = target.to(actual.unit)
    return None if wanted == 0.0 else 100.0 * (actual.value - wanted) / wanted


def _median(phase: ElementEntry, tag: str, reader: HistoryReader) -> str:
    """Median over a phase with its unit, so that ramps do not count for much; empty when there is none."""
    if phase.started is None or phase.ended is None:
        return ""
    names = [f"{phase.unit}.{tag}", f"{phase.unit}.{PERMEATE_OPEN}"]
    try:
        columns = reader.raw(names, phase.started, phase.ended)
    except HistoryError:
        return ""
    readings, valve = (columns[name] for name in names)
    if not len(valve):
        return ""
    values = readings.v[good_mask(readings.q) & _held(valve, readings)]
    return f"{float(np.median(values)):.4g} {readings.unit}" if len(values) else ""


def _held(valve: Column, readings: Column) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which readings were taken while the valve was last read open."""
    place = np.searchsorted(valve.t, readings.t, side="right") - 1
    opened = good_mask(valve.q) & (valve.v == 1.0)
    held: np.ndarray[tuple[int], np.dtype[np.bool_]] = (place >= 0) & opened[np.maximum(place, 0)]
    return held
