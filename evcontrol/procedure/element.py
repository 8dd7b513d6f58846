"""The elements of one batch: their states, and how commands and ends travel through the tree (ISA-88.00.01, 6.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from evcontrol.expression import Condition
from evcontrol.procedure.check import BoundStep
from evcontrol.procedure.context import PhaseContext
from evcontrol.procedure.phase import Phase
from evcontrol.procedure.recipe import Level
from evcontrol.procedure.states import ACTIVE, FINAL, ON_DONE, State

_REACH: Final = {Level.PHASE: 0, Level.OPERATION: 1, Level.UNIT_PROCEDURE: 2, Level.PROCEDURE: 3}
"""Levels at which a hold may end; other groups stand for what is in them."""


@dataclass(slots=True, eq=False)
class Element:
    """One procedural element of a running batch.

    ``work`` is the task of a phase's running(), ``transient`` that of its holding, restarting, stopping or aborting.
    ``accepted`` says that the procedure goes on although this element was stopped. ``skipped`` is one that is not run:
    a branch that was not chosen, or a step that a handler or a jump left out. A choice is ``decided`` when it has
    chosen, a loop when it has had its ``passes``. ``left`` is one that a handler stopped so that the procedure goes on.
    ``strays`` are tasks that did not end when they were told to; they have no right to command.
    ``began`` is when it was started (process time, UTC ns; 0 when not by this engine).
    """

    bound: BoundStep
    parent: Element | None
    children: list[Element] = field(default_factory=list)
    state: State = State.IDLE
    reason: str = ""
    since: int = 0
    when: Condition | None = None
    waiting: str = ""
    accepted: bool = False
    skipped: bool = False
    condition: Condition | None = None
    passes: int = 1
    decided: bool = False
    left: bool = False
    began: int = 0
    phase: Phase | None = None
    context: PhaseContext | None = None
    work: asyncio.Task[None] | None = None
    transient: asyncio.Task[str] | None = None
    strays: list[asyncio.Task[Any]] = field(default_factory=list)
    resumed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def path(self) -> str:
        """Its place in the procedure; empty for the procedure itself."""
        return self.bound.step.path

    @property
    def level(self) -> Level:
        """What kind of element it is."""
        return self.bound.step.level

    @property
    def is_phase(self) -> bool:
        """Whether it is a phase."""
        return self.level is Level.PHASE

    @property
    def active(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in ACTIVE

    @property
    def begun(self) -> bool:
        """Whether it, or a decision about something in it, belongs to what was already done."""
        return self.state is not State.IDLE or self.passes > 1 or any(one.skipped for one in self.walk())

    def rebind(self, bound: BoundStep) -> None:
        """Go on as the same element with other values; what has not begun looks at its conditions anew."""
        self.bound = bound
        if self.context is not None:
            self.context.arguments = bound.arguments
        if self.state is State.IDLE and bound.when is not None:
            self.when = bound.when.fresh()
        if bound.condition is not None and (self.condition is None or self.condition.names != bound.condition.names):
            self.condition = bound.condition.fresh()

    def held_with(self, level: Level) -> Element:
        """The element that is held when this one must be, in a batch where holds go as far as ``level``."""
        above = self.parent
        enough = _REACH.get(self.level, 0) >= _REACH[level]
        return self if above is None or enough else above.held_with(level)

    def walk(self) -> Iterator[Element]:
        """This element and all below it, from the top."""
        below = [self]
        while below:
            element = below.pop()
            yield element
            below.extend(reversed(element.children))

    def startable(self) -> list[Element]:
        """The children whose turn it is."""
        idle = [child for child in self.children if child.state is State.IDLE and not child.skipped]
        if self.level is Level.CHOICE and not self.decided:
            return []
        if self.level is Level.PARALLEL or not idle:
            return idle
        before = self.children[: self.children.index(idle[0])]
        return idle[:1] if all(child.over for child in before) else []

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to be done."""
        return self.state in FINAL or self.skipped

    @property
    def finished(self) -> bool:
        """Whether all that is in it is over, as far as a choice or loop has decided."""
        decided = self.decided or self.level not in (Level.CHOICE, Level.LOOP)
        return decided and all(child.over for child in self.children)

    def next_state(self) -> State | None:
        """The state that a group's children bring it to; None when it stays where it is."""
        below = {child.state for child in self.children if child.active}
        reached = {
            State.RUNNING: self.finished,
            State.HOLDING: below <= {State.HELD},
            State.RESTARTING: State.RESTARTING not in below,
            State.PAUSING: below <= {State.PAUSED, State.HELD},
            State.STOPPING: not below,
            State.ABORTING: not below,
        }
        return ON_DONE[self.state] if reached.get(self.state, False) else None


def tree(bound: BoundStep, parent: Element | None = None) -> Element:
    """The elements of a control recipe, all Idle."""
    element = Element(
        bound,
        parent,
        when=bound.when.fresh() if bound.when is not None else None,
        condition=bound.condition.fresh() if bound.condition is not None else None,
    )
    element.children = [tree(step, element) for step in bound.steps]
    return element
