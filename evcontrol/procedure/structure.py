"""Choices and loops of a running batch: which branch is taken, and whether there is another pass.

What is decided is journalled before it is done, so that a batch that outlives its engine goes on as was decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from evcontrol.clock import NS
from evcontrol.expression import Resolve
from evcontrol.journal.events import ENGINE, Kind
from evcontrol.journal.replay import BRANCH_KEY, PASSES_KEY, SKIPPED_KEY
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.element import Element
from evcontrol.procedure.recipe import Level
from evcontrol.procedure.states import FINAL, Command, State

TOLERANCE_S: Final = 10.0
"""Process time for which a branch or the end of a loop may stay unknown before the batch is held."""
BOUND_KEY: Final = "loop:bound"
"""Progress key of a loop that has had all its passes and was held for it."""

Hold = Callable[[Element, str], None]
SetState = Callable[[Element, State, Command], None]
Forget = Callable[[Element], None]


class Structure:
    """Decides for one batch. ``resolve`` gives what conditions read.

    ``hold``, ``set_state`` and ``forget`` (the records of a phase) are the supervisor's.
    """

    def __init__(
        self, rooms: Rooms, batch: str, resolve: Resolve, hold: Hold, set_state: SetState, forget: Forget
    ) -> None:
        self._rooms = rooms
        self._resolve = resolve
        self._batch = batch
        self._hold = hold
        self._set_state = set_state
        self._forget = forget

    def advance(self, element: Element) -> bool:
        """Bring a running choice or loop on; whether something changed."""
        if element.decided:
            return False
        if element.level is Level.CHOICE:
            return self._choose(element)
        if element.level is Level.LOOP and all(child.over for child in element.children):
            return self._repeat(element)
        return False

    def skip(self, group: Element, names: list[str]) -> None:
        """Leave steps of a group out."""
        self._record(group, SKIPPED_KEY, names)
        for child in group.children:
            child.skipped = child.skipped or child.bound.step.name in names

    @staticmethod
    def restore(element: Element, progress: Mapping[str, Any]) -> None:
        """What was decided before the engine died."""
        element.passes = int(progress.get(PASSES_KEY, 1))
        skipped = set(progress.get(SKIPPED_KEY, ()))
        if BRANCH_KEY in progress:
            element.decided = True
            skipped = {c.bound.step.name for c in element.children} - {progress[BRANCH_KEY]}
        if progress.get(BOUND_KEY) == element.passes:
            element.decided = element.level is Level.LOOP
        for child in element.children:
            child.skipped = child.skipped or child.bound.step.name in skipped

    def _choose(self, element: Element) -> bool:
        resolve, now = self._resolve, self._rooms.clock.now()
        chosen = ""
        for child in element.children:
            if child.condition is None:
                chosen = child.bound.step.name
                break
            state = child.condition.update(resolve, now)
            if state is None:
                return self._unknown(element, child)
            if state:
                chosen = child.bound.step.name
                break
        element.waiting = ""
        self._record(element, BRANCH_KEY, chosen)
        for child in element.children:
            child.skipped = child.bound.step.name != chosen
        element.decided = True
        return True

    def _repeat(self, element: Element) -> bool:
        over = element.passes >= element.bound.at_most
        if element.condition is not None:
            state = element.condition.update(self._resolve, self._rooms.clock.now())
            if state is None:
                return self._unknown(element, element)
            if not state and over:
                self._record(element, BOUND_KEY, element.passes)
                element.decided = True
                what = f"{element.path}: not so after {element.passes} passes: {element.condition.text}"
                self._hold(element, f"{what}. Restart goes on with what follows it")
                return True
            over = bool(state)
        element.waiting = ""
        if over:
            element.decided = True
            return True
        element.passes += 1
        self._record(element, PASSES_KEY, element.passes)
        for below in element.walk():
            if below is not element:
                self._begin_anew(below)
        return True

    def _begin_anew(self, element: Element) -> None:
        if element.state in FINAL:
            self._set_state(element, State.IDLE, Command.RESET)
        element.skipped = element.accepted = element.decided = False
        element.passes, element.began = 1, 0
        element.when = None if element.when is None else element.when.fresh()
        element.condition = None if element.condition is None else element.condition.fresh()
        self._forget(element)

    def _unknown(self, element: Element, asked: Element) -> bool:
        """Wait while it is not known; hold when that does not pass."""
        condition = asked.condition
        if condition is None or condition.unknown_since is None:
            return False
        element.waiting = condition.describe(self._resolve)
        if self._rooms.clock.now() - condition.unknown_since < TOLERANCE_S * NS:
            return False
        self._hold(element, f"{asked.path}: unknown for {TOLERANCE_S:g} s: {element.waiting}")
        asked.condition = condition.fresh()
        return True

    def _record(self, element: Element, key: str, value: Any) -> None:
        body = {"key": key, "value": value}
        self._rooms.journal.append(Kind.PHASE_PROGRESS, ENGINE, body, batch=self._batch, path=element.path)
