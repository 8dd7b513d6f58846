"""What a nanoparticle-tracking (NTA) export says, whichever instrument wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev

SMALL_NM = 200.0


class NtaFileError(Exception):
    """A file that is no usable export: one line with file, place and remedy.

    ``incomplete`` when what is missing may still be written: the end of the file is not there yet.
    """

    def __init__(self, file: str, line: int, problem: str, remedy: str, *, incomplete: bool = False) -> None:
        """``line`` counts from 1; 0 for the file as a whole."""
        place = f"{file}, line {line}" if line else file
        super().__init__(f"{place}: {problem}; {remedy}")
        self.problem = problem
        self.line = line
        self.incomplete = incomplete


@dataclass(frozen=True, slots=True)
class Sizes:
    """Figures of a size distribution weighted by number, nm."""

    mean: float
    mode: float
    sd: float
    d10: float
    d50: float
    d90: float


NO_SIZES = Sizes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""What an instrument writes for a video without particles."""


@dataclass(frozen=True, slots=True)
class Replicate:
    """One video, or one position in the cell. ``concentration`` (particles/mL) is that in the cell.

    One that failed is not valid, says why, and has no figures. ``sizes`` and ``bins`` (particles/mL in each) are
    missing also where an instrument has them for all replicates together only.
    """

    name: str
    valid: bool
    reason: str
    concentration: float | None
    sizes: Sizes | None
    tracks: int
    """Tracks long enough to be in the distribution."""
    completed_tracks: int
    particles_per_frame: float
    bins: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One of our checks. ``contradiction``: if it failed, two places of the file that must agree do not."""

    name: str
    passed: bool
    words: str
    contradiction: bool


@dataclass(frozen=True, slots=True)
class NtaExport:
    """One measurement: its replicates, their averages as the instrument forms them, and what to think of it.

    Concentrations are particles/mL: ``concentration_measured`` in the cell, ``concentration_stock`` in the sample, None
    when no ``dilution`` is recorded. ``sizes`` and both concentrations are averages over the valid replicates;
    ``file_concentration`` and ``file_sizes`` are the file's own averages, which count a failed video as 0 (None when it
    has none). ``captured_at`` is ISO 8601 in the instrument's own time, or whatever stands there; None for nothing.
    """

    instrument: str
    software: str
    sample: str
    captured_at: str | None
    replicates: tuple[Replicate, ...]
    dilution: float | None
    concentration_measured: float
    concentration_stock: float | None
    sizes: Sizes
    file_concentration: float | None
    file_sizes: Sizes | None
    bin_centres: tuple[float, ...]
    """Middles of the bins, nm; all are equally wide."""
    distribution: tuple[float, ...]
    """Particles/mL in each bin, in the cell: the average over the valid replicates."""
    warnings: tuple[str, ...]
    """The instrument's own, with the replicates that they are about."""
    checks: tuple[Check, ...]
    trusted: bool
    """Whether the instrument calls no valid replicate's concentration unreliable or not calibrated."""

    @property
    def valid_replicates(self) -> tuple[Replicate, ...]:
        """Those that count; at least one."""
        return tuple(one for one in self.replicates if one.valid)

    @property
    def tracks(self) -> int:
        """Tracks in the distributions of all valid replicates."""
        return sum(one.tracks for one in self.valid_replicates)

    @property
    def cv(self) -> float | None:
        """Coefficient of variation of the valid replicates' concentrations; None for a single one or no particles."""
        return variation([one.concentration or 0.0 for one in self.valid_replicates])

    @property
    def span(self) -> float | None:
        """(D90 - D10) / D50; None without particles."""
        return (self.sizes.d90 - self.sizes.d10) / self.sizes.d50 if self.sizes.d50 > 0.0 else None

    @property
    def fraction_below_200(self) -> float | None:
        """Share of the particles in bins whose middle is below 200 nm; None without particles."""
        total = sum(self.distribution)
        if total <= 0.0:
            return None
        return sum(c for size, c in zip(self.bin_centres, self.distribution, strict=True) if size < SMALL_NM) / total

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Where the file contradicts itself, in words: none of its numbers can be trusted then."""
        return tuple(
            f"{check.name}: {check.words}" for check in self.checks if check.contradiction and not check.passed
        )


def variation(values: list[float]) -> float | None:
    """Sample standard deviation over mean; None for fewer than two values or a mean of 0."""
    return stdev(values) / mean(values) if len(values) > 1 and mean(values) > 0.0 else None
