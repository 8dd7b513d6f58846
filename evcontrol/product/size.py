"""Size distributions of particles, from bins of equal width: their mean, mode, percentiles, span and small fraction."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SMALL_NM: Final = 200.0
"""Below this diameter an EV counts as small."""


@dataclass(frozen=True, slots=True)
class Size:
    """Figures of a distribution: diameters in nm, ``fraction_below_200`` plain, ``total`` in the unit of the bins."""

    total: float
    mean: float
    mode: float
    sd: float
    d10: float
    d50: float
    d90: float
    fraction_below_200: float

    @property
    def span(self) -> float:
        """(D90 - D10)/D50."""
        return (self.d90 - self.d10) / self.d50


def summary(centres: Sequence[float], amounts: Sequence[float]) -> Size:
    """The figures of a distribution: ``centres`` of its bins (nm, evenly spaced) and what each holds.

    Percentiles rise evenly within a bin, from edge to edge, as in the exports of NTA 3.4. Raises ValueError.
    """
    width = _checked(centres, amounts)
    total = math.fsum(amounts)
    mean = math.fsum(d * n for d, n in zip(centres, amounts, strict=True)) / total
    variance = math.fsum((d - mean) ** 2 * n for d, n in zip(centres, amounts, strict=True)) / total
    mode = max(zip(amounts, centres, strict=True), key=lambda pair: (pair[0], -pair[1]))[1]
    d10, d50, d90 = (_percentile(centres, amounts, width, share * total) for share in (0.1, 0.5, 0.9))
    small = math.fsum(
        n * min(1.0, max(0.0, (SMALL_NM - d) / width + 0.5)) for d, n in zip(centres, amounts, strict=True)
    )
    return Size(total, mean, mode, math.sqrt(variance), d10, d50, d90, min(1.0, small / total))


def _checked(centres: Sequence[float], amounts: Sequence[float]) -> float:
    """The width of the bins."""
    if len(centres) != len(amounts) or len(centres) < 2:
        raise ValueError(
            f"a distribution needs two bins or more, and an amount for each: {len(centres)}, {len(amounts)}"
        )
    width = centres[1] - centres[0]
    if not width > 0.0 or any(not math.isclose(b - a, width, rel_tol=1e-6) for a, b in itertools.pairwise(centres)):
        raise ValueError("the bins are not evenly spaced in rising order")
    if not all(math.isfinite(n) and n >= 0.0 for n in amounts):
        raise ValueError("a bin holds less than nothing, or no number")
    if not math.fsum(amounts) > 0.0:
        raise ValueError("the distribution is empty")
    return width


def _percentile(centres: Sequence[float], amounts: Sequence[float], width: float, wanted: float) -> float:
    passed = 0.0
    for centre, amount in zip(centres, amounts, strict=True):
        if amount > 0.0 and passed + amount >= wanted:
            return centre - width / 2.0 + width * min(1.0, (wanted - passed) / amount)
        passed += amount
    return max(c for c, n in zip(centres, amounts, strict=True) if n > 0.0) + width / 2.0
