"""What a sample contains when somebody takes it to a particle counter."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple

from simulators.process.liquid import Liquid


class SampleKind(IntEnum):
    """What was sampled."""

    NONE = 0
    BEADS = 1
    DILUENT = 2
    MEDIUM = 3
    POOL = 4
    CLARIFIED = 5
    CONCENTRATE = 6
    PERMEATE = 7
    PRODUCT = 8


class SizeDistribution(NamedTuple):
    """A log-normal distribution of diameters: median in nm, standard deviation of the logarithm."""

    median_nm: float
    spread: float


class Sample(NamedTuple):
    """Particles per mL of the undiluted sample, and their sizes."""

    particles_per_ml: float
    size: SizeDistribution


BEADS: Final = Sample(1.0e10, SizeDistribution(100.0, 0.05))
DILUENT: Final = Sample(2.0e6, SizeDistribution(90.0, 0.5))
CELL_EVS: Final = SizeDistribution(115.0, 0.34)
FOREIGN_EVS: Final = SizeDistribution(95.0, 0.40)
LEAST_ML: Final = 0.5
"""Less cannot be sampled."""


class SampleShelf:
    """The latest composition of each place, so that a sample can be counted after its container is empty."""

    def __init__(self, places: Callable[[], dict[SampleKind, tuple[Liquid, ...]]]) -> None:
        """``places`` tells the liquids of each kind, which are sampled as if mixed."""
        self._places = places
        self._latest: dict[SampleKind, tuple[float, float]] = {}

    def look(self) -> None:
        """Remember what is in the containers now."""
        for kind, liquids in self._places().items():
            volume = sum(liquid.volume_ml for liquid in liquids)
            if volume >= LEAST_ML:
                evs = sum(liquid.evs for liquid in liquids)
                foreign = sum(liquid.foreign_evs for liquid in liquids)
                self._latest[kind] = (evs / volume, foreign / evs if evs > 0.0 else 0.0)

    def sample_of(self, kind: int) -> Sample:
        """What a sample of a kind contains; of a container that was never filled, what is in the diluent."""
        self.look()
        if kind == SampleKind.BEADS:
            return BEADS
        if kind not in self._latest:
            return DILUENT
        per_ml, foreign = self._latest[SampleKind(kind)]
        median = CELL_EVS.median_nm * (1.0 - foreign) + FOREIGN_EVS.median_nm * foreign
        spread = CELL_EVS.spread * (1.0 - foreign) + FOREIGN_EVS.spread * foreign
        return Sample(per_ml, SizeDistribution(median, spread))

    def state(self) -> dict[str, list[float]]:
        """The latest compositions, for :meth:`restore`."""
        return {kind.name: list(latest) for kind, latest in self._latest.items()}

    def restore(self, state: dict[str, list[float]]) -> None:
        """Put them back. Raises KeyError or ValueError for a state of another shape."""
        self._latest = {SampleKind[name]: (float(per_ml), float(share)) for name, (per_ml, share) in state.items()}
