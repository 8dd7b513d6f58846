"""A check of transfers and filtrations that have no other: what is to be reached comes nearer."""

from __future__ import annotations

import math

from evcontrol.clock import NS
from evcontrol.phases.dosing import Look
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.quality import is_bad

STALL_S = 600.0
"""Process time without progress after which a person is to look."""
STALL_SCANS = 5
LEAST = 0.5
"""What counts as progress, in the tag's unit: more than the noise of a balance (an engineering default)."""


def nearing(context: PhaseContext, tag: str, target: float, look: Look = lambda: None) -> Look:
    """A check for each scan, after ``look``: HoldRequiredError when a tag has not come nearer to ``target`` for long.

    Time in which the tag is Bad or the batch is frozen does not count.
    """
    clock = context.rooms.clock
    nearest, idle_s, scans, last = math.inf, 0.0, 0, clock.now()

    def check() -> None:
        nonlocal nearest, idle_s, scans, last
        look()
        passed, last = (clock.now() - last) / NS, clock.now()
        value, quality = context.reading(tag)
        if is_bad(quality):
            return
        missing = abs(target - value)
        if missing < nearest - LEAST:
            nearest, idle_s, scans = missing, 0.0, 0
            return
        idle_s, scans = idle_s + min(passed, 2.0 * context.scan_s), scans + 1
        if idle_s >= STALL_S and scans >= STALL_SCANS:
            unit = context.rooms.plant.tags[f"{context.unit}.{tag}"].unit
            now = f"now {value:.1f} {unit}"
            raise HoldRequiredError(
                f"{tag} has not come nearer to {target:.1f} {unit} for {STALL_S / 60:.0f} min ({now}): "
                "look for a shut line, an empty container or a blocked membrane"
            )

    return check
