"""Declared uncertainties where nothing better was measured: relative, standard (one sigma), plain (0.1 is 10 %).

Engineering defaults, each with its ground, to be replaced by those of the laboratory's own validation. An NTA count
carries 20 to 50 % in all; it is parted here into what every count of one instrument shares and what each has alone,
since only the first leaves a ratio of two counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared relative uncertainty and its ground."""

    cv: float
    what: str
    ground: str


NTA_CALIBRATION: Final = Declared(
    0.20,
    "an NTA instrument's calibration for concentration, with its laser, camera and settings: shared by all its counts",
    "two instruments differed significantly at the same settings, day-to-day CV up to 25 % "
    "(Vestad et al. 2017, J. Extracell. Vesicles 6:1344087)",
)
NTA_COUNT: Final = Declared(
    0.12,
    "one NTA count besides what its videos show: dilution, loading, place in the sample chamber",
    "upper end of the within-day CV of 1 to 12 % (Vestad et al. 2017, J. Extracell. Vesicles 6:1344087)",
)
NTA_VIDEOS: Final = Declared(
    0.20,
    "CV of the videos of a count that does not give it",
    "the limit at which a count is still accepted",
)
CELLS_COUNTED: Final = Declared(
    0.10, "a count of viable cells", "what experienced counters reach by hand, 5 to 15 %: its middle"
)
CELLS_ESTIMATED: Final = Declared(
    0.30, "viable cells estimated from the uptake of glucose", "spread of published uptake of MSCs, 0.125 to 0.377 pmol"
    "/cell/h: half a range of threefold width, taken as rectangular on a logarithmic scale",
)  # fmt: skip
MASS: Final = Declared(0.005, "a mass by load cell or balance", "half a per cent of the reading: industrial load cells")
MASS_RECKONED: Final = Declared(
    0.01,
    "a mass reckoned from balances and the hold-up of a circuit",
    "the limit within which the liquid balance closes",
)
DENSITY: Final = Declared(
    0.005,
    "the density of a liquid of the process taken as that of water: shared by all volumes",
    "cell culture media are 0.5 to 1 % denser than water",
)
VOLUME_ENTERED: Final = Declared(0.05, "a volume that was entered by hand", "drawn with a syringe and read off")

DEFAULTS: Final[Mapping[str, Declared]] = MappingProxyType(
    {
        "NTA, calibration": NTA_CALIBRATION,
        "NTA, each count": NTA_COUNT,
        "NTA, videos": NTA_VIDEOS,
        "viable cells, counted": CELLS_COUNTED,
        "viable cells, estimated": CELLS_ESTIMATED,
        "mass, weighed": MASS,
        "mass, reckoned": MASS_RECKONED,
        "density": DENSITY,
        "volume, entered": VOLUME_ENTERED,
    }
)
"""All of them by the name that the documentation gives them."""
