"""Figures of a histogram of sizes: mean, SD, mode and percentiles."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.nta_result import Sizes


def moments(centres: Sequence[float], bins: Sequence[float]) -> tuple[float, float, float]:
    """Mean, SD (of the population) and mode; zeros without particles. Of several highest bins the first is the mode."""
    total = sum(bins)
    if total <= 0.0:
        return 0.0, 0.0, 0.0
    middle = sum(size * c for size, c in zip(centres, bins, strict=True)) / total
    variance = sum((size - middle) ** 2 * c for size, c in zip(centres, bins, strict=True)) / total
    return middle, variance**0.5, centres[bins.index(max(bins))]


def percentile(centres: Sequence[float], bins: Sequence[float], share: float) -> float:
    """The size below which that share of the particles lies, even within a bin; 0 without particles."""
    target, below = share * sum(bins), 0.0
    width = centres[1] - centres[0]
    for size, c in zip(centres, bins, strict=True):
        if c > 0.0 and below + c >= target:
            return size + width * ((target - below) / c - 0.5)
        below += c
    return 0.0


def sizes_of(centres: Sequence[float], bins: Sequence[float], shift_nm: float = 0.0) -> Sizes:
    """All figures; ``shift_nm`` is added to the percentiles, for instruments that count a bin from elsewhere."""
    mean, sd, mode = moments(centres, bins)
    d10, d50, d90 = (percentile(centres, bins, share) + shift_nm for share in (0.1, 0.5, 0.9))
    return Sizes(mean, mode, sd, d10, d50, d90)
