"""Whether a NanoSight measurement agrees with itself, and whether it is good enough.

The tolerances of what must agree are the rounding of the file, with a little room: over the public exports of NTA 3.2
to 3.4 that were looked at, no video exceeds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from statistics import mean, stdev
from typing import Final

from drivers.nta_acceptance import good_enough
from drivers.nta_bins import moments, percentile
from drivers.nta_result import NO_SIZES, Check, Replicate

SUM_OF_BINS: Final = 0.005
"""Of the concentration, which is written with three digits."""
SIZE_NM: Final = 0.06
"""Sizes are written with one decimal."""
MODE_NM: Final = 0.6
PERCENTILE_NM: Final = (-0.15, 1.15)
"""From the size that the bins give to the one that is written: some versions count from a bin's lower end."""
AVERAGE: Final = 0.006
AVERAGE_NM: Final = 0.11
STANDARD_ERROR: Final = 0.006
"""Of the concentration."""
PARTICLES_PER_FRAME: Final = (20.0, 100.0)


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file says besides its videos' figures; concentrations in the cell, particles/mL.

    ``percentiles`` are those of each video at 10, 50 and 90 %, nm. The averages and their errors are the file's, which
    counts a failed video as 0; None when it has none.
    """

    centres: Sequence[float]
    percentiles: Sequence[tuple[float, float, float]]
    names_again: Sequence[str]
    average: tuple[float, ...] | None
    """Concentration, then the sizes in their order."""
    error: tuple[float, ...] | None
    """Standard errors of the same."""


def check(replicates: Sequence[Replicate], stated: Stated) -> tuple[Check, ...]:
    """All checks, those on contradictions first."""
    valid = [(i, one) for i, one in enumerate(replicates) if one.valid]
    return (
        _names(replicates, stated),
        _sum_of_bins(valid),
        *_sizes(valid, stated),
        _percentiles(valid, stated),
        _averages(replicates, stated),
        _standard_errors(replicates, stated),
        _track_counts(valid),
        *good_enough(replicates, PARTICLES_PER_FRAME),
    )


_Videos = Sequence[tuple[int, Replicate]]


def _names(replicates: Sequence[Replicate], stated: Stated) -> Check:
    other = [one.name for one, again in zip(replicates, stated.names_again, strict=True) if one.name != again]
    words = f"{other[0]!r} is named otherwise in the size data" if other else "the same videos in both parts"
    return Check("names", not other, words, contradiction=True)


def _sum_of_bins(valid: _Videos) -> Check:
    def difference(one: Replicate) -> float:
        total, concentration = sum(one.bins), one.concentration or 0.0
        return abs(total - concentration) / concentration if concentration > 0.0 else float(total > 0.0)

    worst = _worst((difference(one), one.name) for _, one in valid)
    words = f"at most {worst[0]:.2%} from the concentration{_of(worst, SUM_OF_BINS)}"
    return Check("sum of bins", worst[0] <= SUM_OF_BINS, words, contradiction=True)


def _sizes(valid: _Videos, stated: Stated) -> list[Check]:
    """Mean, SD and mode against the bins."""
    differences: list[tuple[tuple[float, str], ...]] = []
    for _, one in valid:
        sizes = one.sizes or NO_SIZES
        told = (sizes.mean, sizes.sd, sizes.mode)
        found = moments(stated.centres, one.bins)
        differences.append(tuple((abs(a - b), one.name) for a, b in zip(found, told, strict=True)))
    checks = []
    for place, (name, tolerance) in enumerate((("mean", SIZE_NM), ("SD", SIZE_NM), ("mode", MODE_NM))):
        worst = _worst(each[place] for each in differences)
        words = f"at most {worst[0]:.2f} nm from that of the bins{_of(worst, tolerance)}"
        checks.append(Check(name, worst[0] <= tolerance, words, contradiction=True))
    return checks


def _percentiles(valid: _Videos, stated: Stated) -> Check:
    """D10, D50 and D90 against the percentile rows and against the bins."""
    wrong = []
    for i, one in valid:
        sizes = one.sizes or NO_SIZES
        told = (sizes.d10, sizes.d50, sizes.d90)
        counted = [percentile(stated.centres, one.bins, share) for share in (0.1, 0.5, 0.9)]
        low, high = PERCENTILE_NM
        if any(abs(a - b) > SIZE_NM for a, b in zip(told, stated.percentiles[i], strict=True)):
            wrong.append(f"{one.name}: D10, D50 or D90 is another size in the list of percentiles")
        elif any(not low <= b - a <= high for a, b in zip(told, counted, strict=True)):
            wrong.append(f"{one.name}: D10, D50 or D90 is not that of the bins")
    words = wrong[0] if wrong else "D10, D50 and D90 are those of the list and of the bins"
    return Check("percentiles", not wrong, words, contradiction=True)


def _figures(one: Replicate) -> tuple[float, ...]:
    """Concentration and sizes, with 0 for those of a failed video, as the instrument counts it."""
    return (one.concentration or 0.0, *astuple(one.sizes or NO_SIZES))


_NAMES: Final = ("concentration", "mean", "mode", "SD", "D10", "D50", "D90")


def _averages(replicates: Sequence[Replicate], stated: Stated) -> Check:
    if stated.average is None:
        return Check("averages", passed=True, words="the file has none", contradiction=True)
    found = [mean(column) for column in zip(*map(_figures, replicates), strict=True)]
    rooms = [AVERAGE * found[0], *[AVERAGE_NM] * 6]
    wrong = [n for n, a, b, room in zip(_NAMES, found, stated.average, rooms, strict=True) if abs(a - b) > room]
    failed = [one.name for one in replicates if not one.valid]
    words = f"the file's average of {wrong[0]} is not that of its videos" if wrong else "those of all videos"
    if failed and not wrong:
        words += f"; the file counts the failed {', '.join(failed)} as 0, which is left out here"
    return Check("averages", not wrong, words, contradiction=True)


def _standard_errors(replicates: Sequence[Replicate], stated: Stated) -> Check:
    if stated.error is None or len(replicates) < 2:
        return Check("standard errors", passed=True, words="the file has none", contradiction=True)
    columns = list(zip(*map(_figures, replicates), strict=True))
    found = [stdev(column) / len(column) ** 0.5 for column in columns]
    rooms = [STANDARD_ERROR * mean(columns[0]), *[AVERAGE_NM] * 6]
    wrong = [n for n, a, b, room in zip(_NAMES, found, stated.error, rooms, strict=True) if abs(a - b) > room]
    words = f"that of {wrong[0]} is not the videos' SD / sqrt(n)" if wrong else "SD / sqrt(n) of the videos"
    return Check("standard errors", not wrong, words, contradiction=True)


def _track_counts(valid: _Videos) -> Check:
    wrong = [one.name for _, one in valid if one.tracks > one.completed_tracks]
    words = f"{wrong[0]} has more valid tracks than completed ones" if wrong else "no more valid than completed ones"
    return Check("track counts", not wrong, words, contradiction=True)


def _worst(differences: Iterable[tuple[float, str]]) -> tuple[float, str]:
    return max(differences, default=(0.0, ""))


def _of(worst: tuple[float, str], tolerance: float) -> str:
    return f" ({worst[1]})" if worst[0] > tolerance else ""
