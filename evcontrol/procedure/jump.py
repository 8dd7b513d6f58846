"""A jump of a held batch to what has not begun: what comes before it is skipped, what was under way stopped."""

from __future__ import annotations

from dataclasses import dataclass

from evcontrol.procedure.element import Element
from evcontrol.procedure.recipe import Level
from evcontrol.procedure.states import State
from evcontrol.procedure.stepping import SteeringError


@dataclass(frozen=True, slots=True)
class Jump:
    """Where to, what has not begun and never will, and what had begun and is stopped."""

    to: Element
    skipped: tuple[Element, ...]
    stopped: tuple[Element, ...]


def plan_jump(root: Element, to: Element, what: str) -> Jump:
    """What a jump to ``to`` passes over. SteeringError unless the procedure is held and ``to`` has not begun.

    A jump does not lead into a choice or loop, which decide by themselves what of them is run.
    """
    if root.state is not State.HELD:
        raise SteeringError(f"{what} is {root.state}: hold it before a jump")
    if to.state is not State.IDLE or to.skipped:
        state = "skipped" if to.skipped else to.state.lower()
        raise SteeringError(f"{to.path or 'the procedure'} is {state}: a jump leads to what has not begun")
    passed: list[Element] = []
    inside = to
    while (above := inside.parent) is not None:
        if above.level in (Level.CHOICE, Level.LOOP):
            raise SteeringError(f"{to.path} is inside the {above.level} {above.path}: a jump leads before or behind it")
        if above.level is not Level.PARALLEL:
            passed = [*above.children[: above.children.index(inside)], *passed]
        inside = above
    skipped = tuple(e for e in passed if e.state is State.IDLE and not e.skipped)
    stopped = tuple(e for e in passed if e.active)
    if not skipped and not stopped:
        raise SteeringError(f"nothing stands between where {what} is and {to.path}: restart it")
    return Jump(to, skipped, stopped)
