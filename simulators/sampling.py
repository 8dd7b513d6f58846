"""What a sample contains when somebody takes it to a particle counter."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from simulators.process.liquid import Liquid
from simulators.process.nta import SampleProperties


class SampleKind(StrEnum):
    """What was sampled."""

    BEADS = "beads"
    DILUENT = "diluent"
    MEDIUM = "medium"
    POOL = "pool"
    CLARIFIED = "clarified"
    CONCENTRATE = "concentrate"
    PERMEATE = "permeate"
    PRODUCT = "product"


BEADS: Final = SampleProperties(1.0e10, 100.0, 0.05)
DILUENT: Final = SampleProperties(2.0e6, 90.0, 0.5)
CELL_EVS: Final = (118.0, 0.30)
FOREIGN_EVS: Final = (95.0, 0.40)
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

    def sample_of(self, kind: str) -> SampleProperties:
        """What a sample of a kind contains; of a container that was never filled, what is in the diluent.

        ValueError for what is no kind of sample.
        """
        self.look()
        which = SampleKind(kind)
        if which is SampleKind.BEADS:
            return BEADS
        if which not in self._latest:
            return DILUENT
        per_ml, foreign = self._latest[which]
        mode, spread = (own + foreign * (other - own) for own, other in zip(CELL_EVS, FOREIGN_EVS, strict=True))
        return SampleProperties(per_ml, mode, spread)

    def state(self) -> dict[str, list[float]]:
        """The latest compositions, for :meth:`restore`."""
        return {kind.name: list(latest) for kind, latest in self._latest.items()}

    def restore(self, state: dict[str, list[float]]) -> None:
        """Put them back. Raises KeyError or ValueError for a state of another shape."""
        self._latest = {SampleKind[name]: (float(per_ml), float(share)) for name, (per_ml, share) in state.items()}
