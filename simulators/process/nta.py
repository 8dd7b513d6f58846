"""The optics of a nanoparticle-tracking counter: what a video of a diluted sample shows.

Particles drift through a thin sheet of laser light under a camera; each that stays in view for some frames makes a
track, whose Brownian motion gives its size. No input or output and no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BINS: Final = 1000
"""Of 1 nm each, from 0."""
CENTRES: Final[Array] = np.arange(BINS, dtype=np.float64) + np.float64(0.5)
FRAME_RATE: Final = 24.9825
ML_PER_FRAME: Final = 1e-7
"""Liquid in view: 1e7 particles/mL show one particle in a frame."""
TRACKS_PER_PARTICLE_FRAME: Final = 0.14
VALID_TRACKS: Final = 0.33
"""Share of the tracks that are long enough for a size."""
FALSE_PER_FRAME: Final = 0.05
"""Flickers that are taken for particles."""
CROWDED: Final = 500.0
"""Particles per frame at which half of them are lost in one another."""
VIDEO_CV: Final = 0.08
DRIFT: Final = 0.015
"""Standard deviation of what the instrument drifts from the first to the last video, as a share."""
SMALLEST_NM: Final = 10.0
KERNEL_NM: Final = 4.0
"""By which the sizes of single tracks are smoothed into a distribution (finite-track-length adjustment)."""


@dataclass(frozen=True, slots=True)
class SampleProperties:
    """What is in a sample: particles per mL, and their sizes, lognormal around ``mode_nm``.

    ``spread`` is the standard deviation of the logarithm of the size.
    """

    particles_per_ml: float
    mode_nm: float = 118.0
    spread: float = 0.30


@dataclass(frozen=True, slots=True)
class Video:
    """What one video gave. ``bins`` are particles/mL in the cell; Bin centres are :data:`CENTRES`."""

    frames: int
    particles_per_frame: float
    completed_tracks: int
    valid_tracks: int
    drift_x: float
    bins: Array

    @property
    def concentration(self) -> float:
        """Particles/mL in the cell."""
        return float(self.bins.sum())


def record(
    sample: SampleProperties, dilution: float, drift: float, seconds: float, random: np.random.Generator
) -> Video:
    """One video of the sample, diluted so many times, by an instrument that counts ``drift`` (a share) too many."""
    frames = int(seconds * FRAME_RATE)
    true = sample.particles_per_ml / dilution * ML_PER_FRAME
    seen = true / (1.0 + (true / CROWDED) ** 3) * math.exp(random.normal(0.0, VIDEO_CV)) * (1.0 + drift)
    per_frame = seen + FALSE_PER_FRAME * random.uniform(0.5, 1.5)
    completed = int(random.poisson(per_frame * frames * TRACKS_PER_PARTICLE_FRAME))
    valid = int(random.binomial(completed, VALID_TRACKS))
    return Video(
        frames=frames,
        particles_per_frame=per_frame if completed else 0.0,
        completed_tracks=completed,
        valid_tracks=valid,
        drift_x=random.normal(-3.9, 0.1),
        bins=_distribution(sample, valid, per_frame / ML_PER_FRAME, random),
    )


def drifts(videos: int, random: np.random.Generator) -> list[float]:
    """What the instrument counts too many in each of some videos: it drifts evenly, about their middle."""
    whole = random.normal(0.0, DRIFT)
    return [whole * ((i + 0.5) / videos - 0.5) for i in range(videos)]


def _distribution(sample: SampleProperties, tracks: int, concentration: float, random: np.random.Generator) -> Array:
    """The sizes of the tracks, smoothed, and scaled to the concentration; zeros without a track."""
    if tracks == 0:
        return np.zeros(BINS)
    median = sample.mode_nm * math.exp(sample.spread**2)
    sizes = np.clip(random.lognormal(math.log(median), sample.spread, tracks), SMALLEST_NM, BINS - 1.0)
    counted, _ = np.histogram(sizes, bins=BINS, range=(0.0, float(BINS)))
    reach = int(3 * KERNEL_NM)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / KERNEL_NM) ** 2)
    smooth = np.convolve(counted, kernel, mode="same")
    bins: Array = np.round(smooth / smooth.sum() * concentration)
    return bins
