"""Whether the two balances and the transfer totaliser agree: what leaves one vessel must come to another.

A balance that was re-zeroed, or a vessel that was changed, reads Good; only the sum tells. A filtration that went on by
such a weight would end too early, or run dry.
"""

from __future__ import annotations

import math

from evcontrol.phases.dosing import Look
from evcontrol.phases.water import density
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.prompts import PromptKind
from evcontrol.quality import is_bad

LEAST_TOLERANCE_G = 20.0
TOLERANCE = 0.04
"""By how much the sum may be wrong, as a share of what is filtered (totaliser, what is on its way between vessels).

This is for balances and vessels that changed; small leaks are for the liquid balance of the record.
"""
SCANS_APART = 4
GROSS = 2.5
"""Times the tolerance from which on one scan is enough."""
PERMEATE, RETENTATE = "permeate vessel", "retentate vessel"


def reference(context: PhaseContext, total_g: float, target_g: float) -> dict[str, float]:
    """The weights (g) and the totaliser (mL) at the start of a filtration, and the weight at which it ends.

    It is recorded as one entry and replaced as one, so that a crash never leaves a target beside another's start.
    """
    return {
        "total_g": total_g,
        "ret_g": context.value("WT_RET"),
        "perm_g": context.value("WT_PERM"),
        "fq_ml": context.value("FQ_IN"),
        "empty_g": context.value("RET_EMPTY"),
        "target_g": round(target_g, 2),
        "vessels_changed": 0,
    }


def moved_g(context: PhaseContext, start: dict[str, float]) -> float:
    """What came from nowhere (or went there) since the start; NaN while a reading is Bad."""
    readings = [context.reading(tag) for tag in ("WT_RET", "WT_PERM", "FQ_IN", "TT")]
    if any(is_bad(quality) for _, quality in readings):
        return math.nan
    retentate, permeate, totaliser, celsius = (value for value, _ in readings)
    came = (totaliser - start["fq_ml"]) * density(celsius)
    return retentate - start["ret_g"] + permeate - start["perm_g"] - came


def tolerance_g(start: dict[str, float]) -> float:
    """By how much the sum may be wrong."""
    return max(LEAST_TOLERANCE_G, TOLERANCE * start["total_g"])


def guard(context: PhaseContext, start: dict[str, float]) -> Look:
    """A check for each scan: HoldRequiredError when the balances do not agree, a little for some scans or grossly.

    A little in one scan proves nothing: skid and balances are read one after another, and liquid flows between.
    """
    apart = 0

    def look() -> None:
        nonlocal apart
        moved = moved_g(context, start)
        apart = apart + 1 if abs(moved) > tolerance_g(start) else 0
        if apart >= SCANS_APART or abs(moved) > GROSS * tolerance_g(start):
            raise _disagreement(moved)

    return look


def confirm(context: PhaseContext, start: dict[str, float]) -> None:
    """With everything at rest: HoldRequiredError when the balances do not agree. No weight that lies ends a batch."""
    moved = moved_g(context, start)
    if abs(moved) > tolerance_g(start):
        raise _disagreement(moved)


async def settle(context: PhaseContext, start: dict[str, float], target_on: str) -> dict[str, float]:
    """Before a filtration goes on: when the balances do not agree, ask which vessel was changed, and count from there.

    ``target_on`` is the vessel by whose weight the filtration ends. Returns the reference to go on with, recorded.
    """
    moved = moved_g(context, start)
    if math.isnan(moved):
        raise HoldRequiredError("a balance cannot be read")
    if abs(moved) <= tolerance_g(start):
        return start
    number = int(start["vessels_changed"]) + 1
    text = f"The balances differ by {moved:+.1f} g from what was transferred. Which vessel was changed or re-zeroed?"
    answer = await context.ask(f"vessel {number}", PromptKind.CHOICE, text, choices=(PERMEATE, RETENTATE))
    changed = start | {"vessels_changed": number}
    if answer == PERMEATE:
        changed["perm_g"] += moved
    else:
        changed["ret_g"] += moved
        changed["empty_g"] += moved
        await context.set_tag("RET_EMPTY", changed["empty_g"])
    if answer == target_on:
        changed["target_g"] = round(changed["target_g"] + moved, 2)
    await context.record("start", changed)
    return changed


def _disagreement(moved: float) -> HoldRequiredError:
    return HoldRequiredError(
        f"the balances do not agree: {moved:+.1f} g came from nowhere since the filtration began; look for a leak, "
        "a changed vessel or a balance that was re-zeroed, then restart"
    )
