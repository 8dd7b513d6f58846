"""How a batch and its elements are shown: place, kind, state, what is waited for, and the commands valid now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evcontrol.procedure.element import Element
from evcontrol.procedure.phase import FASTEST
from evcontrol.procedure.states import Command, State, allowed_commands

NOT_FOR_BATCHES: Final = frozenset({Command.START, Command.RESET})
"""Commands that a batch does not take: it is started once, and what has ended stays ended."""


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """What a batch is; ``created`` in process time, UTC ns; ``recipe_state`` as it was then.

    ``revision`` counts how often the part that had not begun was changed.
    """

    id: str
    recipe_name: str
    product: str
    purpose: str
    created: int
    kind: str
    recipe_state: str
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ElementStatus:
    """One element as it is shown: its place, kind, state, what it waits for, and the commands valid now."""

    path: str
    kind: str
    state: str
    waiting: str
    commands: list[str]


def status(element: Element) -> ElementStatus:
    """An element as it is shown."""
    commands = sorted(c for c in allowed_commands(element.state) if c not in NOT_FOR_BATCHES)
    waiting = element.waiting
    if element.context is not None and element.active:
        works = element.state in (State.RUNNING, State.PAUSING)
        waiting = element.context.waiting if works else element.reason
    elif element.parent is None and element.state is not State.RUNNING:
        waiting = element.reason
    return ElementStatus(element.path, element.level.value, element.state.value, waiting, list(commands))


def speed_limit(batch: str, root: Element) -> tuple[float, str]:
    """The highest multiple of real time that the elements bear now, and why."""
    active = [element for element in root.walk() if element.active]
    if any(element.state is not State.RUNNING for element in active):
        return 1.0, f"{batch} is {root.state}"
    limits = [
        (min(e.bound.phase.max_speed, e.context.speed_limit), e.path)
        for e in active
        if e.is_phase and e.bound.phase is not None and e.context is not None
    ]
    return min(limits, default=(FASTEST, batch))
