"""Viable cells: what a harvest's yield is divided by, and their integral over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evcontrol.product.evaluation import Evaluation, Input, Source, absent
from evcontrol.product.figure import Figure, relative
from evcontrol.product.uncertainty import CELLS_COUNTED, CELLS_ESTIMATED

DAY_NS: Final = 86_400 * 10**9
HARVEST: Final = "harvest"
COUNTED: Final = "counted"


@dataclass(frozen=True, slots=True)
class CellCount:
    """Viable cells of the whole vessel at a time (process, UTC ns); ``method`` is ``counted`` or ``estimated``.

    ``cv`` plain; None where nobody gave it.
    """

    t: int
    when: str
    viable: float | None
    method: str
    source: Source
    cv: float | None = None
    viability: float | None = None

    @property
    def input(self) -> Input:
        """The count as a number to reckon with."""
        declared = CELLS_COUNTED if self.method == COUNTED else CELLS_ESTIMATED
        own = f"cells {self.source.event if self.source.event is not None else self.t}"
        figure = relative(self.viable or 0.0, "cell", {own: declared.cv if self.cv is None else self.cv})
        return Input(f"viable cells at {self.when} ({self.method})", figure, self.source)


def at_harvest(counts: Sequence[CellCount]) -> Evaluation:
    """The viable cells at harvest: the last count, or, when all are estimates, the last of those, as provisional."""
    name = "viable cells at harvest"
    harvest = [count for count in counts if count.when == HARVEST]
    if not harvest:
        return absent(name, "no viable count at harvest")
    counted = [count for count in harvest if count.method == COUNTED]
    last = (counted or harvest)[-1]
    if last.viable is None or last.viable <= 0.0:
        return absent(name, "the viable count at harvest gives no living cells", inputs=(last.input,))
    return Evaluation(name, "", last.input.figure, (last.input,), provisional=_provisional([last]))


def cell_days(counts: Sequence[CellCount], start: int, end: int) -> Evaluation:
    """The integral of viable cells over a time (process, UTC ns), in cell.d.

    Between two counts cells grow (or die) exponentially: the integral of a piece is its length times the logarithmic
    mean of its ends. Nothing is extrapolated: a time that the counts do not span gives no number.
    """
    name, formula = "integral of viable cells", "sum of (X2 - X1)/ln(X2/X1) x time between counts"
    known = sorted((count for count in counts if count.viable is not None and count.viable > 0.0), key=lambda c: c.t)
    if end <= start:
        return absent(name, "the time of conditioning is empty")
    if not known or known[0].t > start or known[-1].t < end:
        return absent(name, "viable cells were not counted both before and after conditioning")
    first = max(i for i, count in enumerate(known) if count.t <= start)
    last = min(i for i, count in enumerate(known) if count.t >= end)
    used = known[first : last + 1]
    inputs = tuple(count.input for count in used)
    values = [i.figure.value for i in inputs]
    times = [count.t for count in used]
    whole = integral(times, values, start, end)
    spread: dict[str, float] = {}
    for i, each in enumerate(inputs):
        more = [value * (1.001 if j == i else 1.0) for j, value in enumerate(values)]
        slope = (integral(times, more, start, end) - whole) / (0.001 * values[i])
        spread |= {cause: slope * size for cause, size in each.figure.spread.items()}
    return Evaluation(name, formula, Figure(whole, "cell.d", spread), inputs, provisional=_provisional(used))


def integral(times: Sequence[int], values: Sequence[float], start: int, end: int) -> float:
    """Value-days from ``start`` to ``end`` (ns) of a curve that is exponential between its points, which span them."""
    total = 0.0
    for t1, t2, x1, x2 in zip(times, times[1:], values, values[1:], strict=False):
        low, high = max(t1, start), min(t2, end)
        if high > low:
            a, b = (x1 * (x2 / x1) ** ((t - t1) / (t2 - t1)) for t in (low, high))
            total += (high - low) / DAY_NS * log_mean(a, b)
    return total


def log_mean(a: float, b: float) -> float:
    """(b - a)/ln(b/a), the mean of an exponential curve between two positive values."""
    away = math.log(b / a)
    return (b - a) / away if abs(away) > 1e-6 else (a + b) / 2.0


def _provisional(counts: Sequence[CellCount]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(f"viable cells at {count.when} are {count.method}, not counted" for count in counts
                      if count.method != COUNTED)
    )  # fmt: skip
