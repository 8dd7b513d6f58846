"""Choices and loops of a running batch: which branch is taken, and whether a loop makes another turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from evcontrol.clock import NS
from evcontrol.expression import Condition, Reading
from evcontrol.journal.events import ENGINE, Kind
from evcontrol.procedure import results
from evcontrol.procedure.context import TOLERANCE_S, Rooms
from evcontrol.procedure.element import Element
from evcontrol.procedure.states import FINAL, State
from evcontrol.procedure.step import Level

PASSED_OVER: Final = "passed over"
"""Progress key of a group: the names of its steps that do not run."""
OVERRUN: Final = "overrun"
"""Progress key of a loop: it has made its most turns, and a person was told."""


class Flow:
    """Decides for the choices and loops of one batch. ``hold`` holds an element and says why.

    What is decided is journalled before it is done, so that a batch that outlives its engine does not decide again.
    """

    def __init__(self, rooms: Rooms, batch: str, hold: Callable[[Element, str], None]) -> None:
        self._rooms = rooms
        self._batch = batch
        self._hold = hold

    def reading(self, name: str) -> Reading:
        """What a condition of the procedure reads: a tag, or a result of the batch."""
        if not name.startswith(results.PREFIX):
            return self._rooms.image.reading(name)
        view = self._rooms.view.batches.get(self._batch)
        return results.reading(name, view.results if view is not None else ())

    def decide(self, element: Element) -> bool:
        """Decide what is due in a running choice or loop; whether something changed."""
        match element.level:
            case Level.CHOICE if element.undecided:
                return self._choose(element)
            case Level.LOOP if element.until is not None:
                return self._look(element, element.until)
        return False

    def pass_over(self, group: Element, steps: Iterable[Element]) -> None:
        """Let steps of a group that have not begun be left out."""
        names = [step.bound.step.name for step in steps if step.state is State.IDLE]
        for step in group.children:
            step.passed_over = step.passed_over or step.bound.step.name in names
        self._record(group, PASSED_OVER, [s.bound.step.name for s in group.children if s.passed_over])

    def restore(self, elements: Iterable[Element], progress: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over what was decided before the engine ended."""
        for element in elements:
            entries = progress.get(element.path, {})
            element.overrun = bool(entries.get(OVERRUN))
            for child in element.children:
                child.passed_over = child.bound.step.name in entries.get(PASSED_OVER, ())
            if element.level is Level.CHOICE and any(child.passed_over for child in element.children):
                self._chosen(element)

    def _choose(self, choice: Element) -> bool:
        for branch in choice.children:
            if branch.when is not None:
                state = self._state(choice, branch.when)
                if state is None:
                    return False
                if not state:
                    continue
            self.pass_over(choice, [other for other in choice.children if other is not branch])
            self._chosen(choice)
            return True
        return False

    @staticmethod
    def _chosen(choice: Element) -> None:
        choice.undecided = False
        choice.waiting = ""
        for branch in choice.children:
            branch.when = None

    def _look(self, loop: Element, until: Condition) -> bool:
        """After each turn: whether that was the last one."""
        idle = [turn for turn in loop.children if turn.state is State.IDLE and not turn.passed_over]
        made = sum(turn.state in FINAL for turn in loop.children)
        between = made > 0 and not any(turn.active for turn in loop.children)
        if not between or (not idle and (loop.overrun or made < len(loop.children))):
            loop.undecided = False
            if made < len(loop.children):
                until.update(self.reading, self._rooms.clock.now())
            return False
        state = self._state(loop, until)
        loop.undecided = state is None
        if state is None:
            return False
        if state:
            if not idle:
                return False
            self.pass_over(loop, idle)
            return True
        if not idle:
            loop.overrun = True
            self._record(loop, OVERRUN, True)
            told = until.describe(self.reading)
            self._hold(loop, f"{loop.path} has made its {made} turns, and not so: {told}. Restart goes on behind it")
            return True
        return False

    def _state(self, element: Element, condition: Condition) -> bool | None:
        """How a condition stands; an element for which it stays unknown is held."""
        now = self._rooms.clock.now()
        state = condition.update(self.reading, now)
        element.waiting = condition.describe(self.reading) if state is None else ""
        since = condition.unknown_since
        if since is not None and now - since >= TOLERANCE_S * NS:
            condition.unknown_since = None
            self._hold(element, f"{element.path}: unknown for {TOLERANCE_S:g} s: {element.waiting}")
        return state

    def _record(self, element: Element, key: str, value: object) -> None:
        body = {"key": key, "value": value}
        self._rooms.journal.append(Kind.PHASE_PROGRESS, ENGINE, body, batch=self._batch, path=element.path)
