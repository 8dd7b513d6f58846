"""Whether a ZetaView measurement agrees with itself.

The tolerances are the rounding of the file: its tables have four digits, its medians six decimals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.nta_bins import percentile
from drivers.nta_result import Check
from drivers.nta_zetaview_text import WIDTH_NM, Bin

ROUNDED: Final = 6e-4
"""Of a number with four digits."""
ROUNDED_SIZES: Final = 2e-3
"""Of what is worked out from sizes with four digits, to the third power."""
TOTALS: Final = 1e-3
"""Between the concentrations of both tables."""
MEDIAN_NM: Final = 0.001
MEDIAN_VOLUME_NM: Final = 0.02
HALF_BIN_NM: Final = WIDTH_NM / 2
"""The instrument counts a bin as full at its middle: its percentiles lie so far below those of the bins' edges."""
_WHOLE: Final = 9999.0
"""Up to which numbers of particles are written exactly."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says besides its tables: traces, and the medians by number, concentration and volume, nm."""

    traces: float
    median: float
    median_concentration: float
    median_volume: float


def check(linear: Sequence[Bin], logarithmic: Sequence[Bin], told: Told) -> tuple[Check, ...]:
    """All checks, each on a contradiction."""
    return (
        _rows(linear, logarithmic),
        _traces(linear, told.traces),
        _tables(linear, logarithmic),
        _medians(linear, told),
    )


def middles(rows: Sequence[Bin]) -> tuple[float, ...]:
    """The exact middles of the linear bins, nm."""
    return tuple(WIDTH_NM * (i + 0.5) for i in range(len(rows)))


def _rows(linear: Sequence[Bin], logarithmic: Sequence[Bin]) -> Check:
    """Volume and area of each bin against its particles, and the concentration against that of all bins."""
    counted = [row for row in (*linear, *logarithmic) if row.number > 0.0]
    each = sum(row.concentration for row in counted) / sum(row.number for row in counted) if counted else 0.0
    wrong = list(_wrong(linear, middles(linear), each, ROUNDED))
    wrong += _wrong(logarithmic, [row.size for row in logarithmic], each, ROUNDED_SIZES)
    words = wrong[0] if wrong else "particles, concentration, volume and area of each bin belong together"
    return Check("bins", not wrong, words, contradiction=True)


def _wrong(rows: Sequence[Bin], sizes: Sequence[float], each: float, room: float) -> Iterator[str]:
    """The rows whose columns do not belong together. ``each`` is the concentration that one particle stands for.

    The area is that of the circle (pi/4 d^2), not that of the sphere.
    """
    for row, size in zip(rows, sizes, strict=True):
        columns = (
            ("concentration", row.concentration, each, ROUNDED),
            ("volume", row.volume, math.pi / 6 * size**3, room),
            ("area", row.area, math.pi / 4 * size**2, room),
        )
        for name, value, of_one, share in columns:
            if abs(value - row.number * of_one) > share * row.number * of_one:
                yield f"line {row.line}: its {name} is not that of {row.number:g} particles"


def _traces(linear: Sequence[Bin], traces: float) -> Check:
    total = sum(row.number for row in linear)
    room = sum(ROUNDED * row.number for row in linear if row.number > _WHOLE)
    words = f"{total:g} particles in the bins, {traces:g} traces"
    return Check("sum of bins", abs(total - traces) <= room, words, contradiction=True)


def _tables(linear: Sequence[Bin], logarithmic: Sequence[Bin]) -> Check:
    def close(of: Callable[[Bin], float], share: float) -> bool:
        one, other = sum(map(of, linear)), sum(map(of, logarithmic))
        return abs(one - other) <= share * max(one, other)

    many = any(row.number > _WHOLE for row in (*linear, *logarithmic))
    same = close(lambda row: row.number, ROUNDED if many else 0.0) and close(lambda row: row.concentration, TOTALS)
    words = "the same particles" if same else "not the same number of particles"
    return Check("both tables", same, f"{words} in both", contradiction=True)


def _medians(linear: Sequence[Bin], told: Told) -> Check:
    sizes = middles(linear)
    numbers = [row.number for row in linear]
    by_number = percentile(sizes, numbers, 0.5) - HALF_BIN_NM
    volumes = [number * size**3 for number, size in zip(numbers, sizes, strict=True)]
    by_volume = percentile(sizes, volumes, 0.5) - HALF_BIN_NM
    many = any(number > _WHOLE for number in numbers)
    columns = (
        ("number", told.median, by_number, WIDTH_NM * ROUNDED if many else MEDIAN_NM),
        ("concentration", told.median_concentration, by_number, WIDTH_NM * ROUNDED if many else MEDIAN_NM),
        ("volume", told.median_volume, by_volume, MEDIAN_VOLUME_NM),
    )
    wrong = [name for name, value, found, room in columns if abs(value - found) > room]
    words = f"that of {wrong[0]} is not that of the bins" if wrong else "D50 by number, concentration and volume"
    return Check("medians", not wrong, words, contradiction=True)
