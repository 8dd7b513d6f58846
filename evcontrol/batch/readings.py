"""What a tag read at a moment of the record, or why that is not known."""

from __future__ import annotations

from typing import Final

import numpy as np

from evcontrol.clock import NS, iso
from evcontrol.history.reader import Column
from evcontrol.quality import is_good, text

FRESH_S: Final = 10.0
"""A reading older than this (process time, or three usual intervals) does not stand for a moment."""
REACH_NS: Final = round(60 * FRESH_S * NS)
"""How far before a moment readings are looked at."""


def held_at(column: Column, tag: str, t: int) -> tuple[float | None, str]:
    """The reading that held at a moment; None with the reason when it was not Good or is missing."""
    i = int(np.searchsorted(column.t, t, side="right")) - 1
    usual = float(np.median(np.diff(column.t))) if len(column) > 1 else 0.0
    if i < 0 or t - int(column.t[i]) > max(FRESH_S * NS, 3.0 * usual):
        return None, f"{tag} has no reading at {iso(t)}"
    if not is_good(int(column.q[i])):
        return None, f"{tag} is {text(int(column.q[i]))} at {iso(t)}"
    return float(column.v[i]), ""
