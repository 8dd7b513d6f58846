"""A few tags of every kind, and frames of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evcontrol.clock import NS
from evcontrol.signals import Frame, Tag, TagKind, TagTable

START = 1_772_323_200 * NS
"""2026-03-01T00:00:00Z."""


def make_tags(unit: str = "degC") -> TagTable:
    """Tags of every kind; ``unit`` is that of the temperature."""
    kinds = [
        ("TEMP", unit, TagKind.ANALOG, ()),
        ("FLOW", "mL/min", TagKind.ANALOG, ()),
        ("COUNT", "", TagKind.INTEGER, ()),
        ("VALVE", "", TagKind.DISCRETE, ("closed", "open")),
        ("STEP", "", TagKind.TEXT, ()),
    ]
    return TagTable(Tag(n, i, u, k, 0.0, 100.0, n.lower(), labels) for i, (n, u, k, labels) in enumerate(kinds))


def frame(
    t: int,
    values: Sequence[float],
    quality: Sequence[int] | int = 0,
    *,
    index: Sequence[int] = (0,),
    group: str = "skid",
    wall: int | None = None,
) -> Frame:
    """A frame of the tags in ``index``."""
    codes = np.broadcast_to(np.array(quality, dtype=np.uint32), (len(index),)).copy()
    value = np.array(values, dtype=np.float64)
    return Frame(t, t if wall is None else wall, group, np.array(index, dtype=np.int32), value, codes)
