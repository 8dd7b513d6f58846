"""Changing the permeate vessel in the middle of a filtration: what is taken away is not permeate that came back.

The weight before and the weight after are recorded, so that a crash between them loses nothing; what had passed before
the change counts on.
"""

from __future__ import annotations

from typing import Any, Final

from evcontrol.phases import circuit
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind
from evcontrol.procedure.prompts import PromptKind

FULL: Final = Argument(
    "permeate_full", ArgumentKind.NUMBER, "weight at which the permeate vessel is changed", "g", "", 100.0, 100000.0
)
KEY: Final = "permeate vessel {number}"
"""Progress of the change of that number: ``before_g`` and ``since`` (UTC ns), and ``after_g`` once it is done."""
PERMEATE, RETENTATE = "permeate", "retentate"


class VesselFullError(Exception):
    """The permeate vessel is to be changed before the filtration goes on."""


def is_full(context: PhaseContext) -> bool:
    """Whether the permeate vessel is at the weight at which the recipe has it changed."""
    full = context.arguments["permeate_full"]
    return full is not None and context.reading("WT_PERM").value >= full


async def change(context: PhaseContext, start: dict[str, float], target_on: str) -> dict[str, float]:
    """Have the vessel changed, with the permeate shut; the reference to go on with, recorded.

    ``start`` as :func:`evcontrol.phases.weights.reference` gives it; ``target_on`` says by which vessel's weight the
    filtration ends. Raises HoldRequiredError when the vessel that was put there is full too.
    """
    number = int(start.get("changes", 0)) + 1
    key = KEY.format(number=number)
    await context.for_seconds(circuit.REST_S, "the weight comes to rest")
    clock = context.rooms.clock
    state: dict[str, Any] = await context.once(
        key, lambda: {"before_g": context.value("WT_PERM"), "since": clock.now()}
    )
    text = f"The permeate vessel is full ({state['before_g']:.0f} g). Put an empty one in its place, and let it stand"
    await context.ask(key, PromptKind.CONFIRM, text)
    await context.for_seconds(circuit.REST_S, "the weight comes to rest")
    if is_full(context):
        raise HoldRequiredError(f"the permeate vessel is still full ({context.value('WT_PERM'):.0f} g): change it")
    after = context.value("WT_PERM")
    fell = state["before_g"] - after
    changed = start | {"perm_g": start["perm_g"] - fell, "changes": number}
    if target_on == PERMEATE:
        changed["target_g"] = round(start["target_g"] - fell, 2)
    # The reference last: until it is there, the change is gone through again, with what was recorded of it.
    await context.record(key, state | {"after_g": after})
    await context.record("start", changed)
    return changed


def under_way(context: PhaseContext, start: dict[str, float]) -> bool:
    """Whether a change had begun when the phase was interrupted."""
    return KEY.format(number=int(start.get("changes", 0)) + 1) in context.progress
