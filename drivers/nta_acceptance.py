"""Whether an NTA measurement is good enough: replicates, tracks, their spread, and how full the cell is."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Final

from drivers.nta_result import Check, Replicate, variation

ENOUGH_VIDEOS: Final = 3
ENOUGH_TRACKS: Final = 1000
MOST_CV: Final = 0.20


def good_enough(
    replicates: Sequence[Replicate], particles_per_frame: tuple[float, float], one: str = "video"
) -> list[Check]:
    """The four checks, none of which is about a contradiction.

    ``particles_per_frame`` is the range in which the instrument counts well; ``one`` is what a replicate is called.
    """
    valid = [each for each in replicates if each.valid]
    tracks = sum(each.tracks for each in valid)
    cv = variation([each.concentration or 0.0 for each in valid])
    frames = mean(each.particles_per_frame for each in valid)
    low, high = particles_per_frame
    varies = f"not known from one {one}" if cv is None else f"{cv:.1%} between {one}s (at most {MOST_CV:.0%})"
    enough = f"{len(valid)} of {len(replicates)} are valid (at least {ENOUGH_VIDEOS})"
    told = (
        (f"{one}s", len(valid) >= ENOUGH_VIDEOS, enough),
        ("tracks", tracks >= ENOUGH_TRACKS, f"{tracks} valid tracks (at least {ENOUGH_TRACKS})"),
        ("replicate CV", cv is not None and cv <= MOST_CV, varies),
        ("particles per frame", low <= frames <= high, f"{frames:.1f} ({low:.0f} to {high:.0f})"),
    )
    return [Check(name, passed, words, contradiction=False) for name, passed, words in told]
