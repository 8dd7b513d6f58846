"""Exception handlers of a recipe: what a running batch does by itself when something happens.

A handler acts when what it is for begins, and again only after that was over. It belongs to an element and looks while
that runs; the innermost handler of a failure acts for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from evcontrol.clock import NS
from evcontrol.expression import Condition, Resolve
from evcontrol.journal.events import ENGINE, Kind
from evcontrol.procedure.check import BoundHandler
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.element import Element
from evcontrol.procedure.prompts import Prompt, PromptBoard, PromptKind
from evcontrol.procedure.recipe import GO_TO
from evcontrol.procedure.states import Command, State

CONTINUE: Final = "continue"
Act = Callable[[Element, str, str], None]
"""Does an action (``hold``, ``stop``, ``abort``, ``end``, ``go to NAME``) for an element, with the reason."""


@dataclass(slots=True, eq=False)
class _Watch:
    """One handler of one element, with its memory."""

    element: Element
    number: int
    handler: BoundHandler
    condition: Condition | None
    fired: bool = False
    began: int = 0
    ran: int = 0
    seen: int = 0
    """Of a time-out: which run of the element it is (its ``began``), how long that ran, and when it was last seen."""
    asking: asyncio.Task[None] | None = field(default=None)


class Handlers:
    """The handlers of one batch; ``act`` is the supervisor's."""

    def __init__(self, rooms: Rooms, batch: str, root: Element, board: PromptBoard, resolve: Resolve, act: Act) -> None:
        self._rooms = rooms
        self._resolve = resolve
        self._batch = batch
        self._board = board
        self._act = act
        self._watches: list[_Watch] = []
        self.renew(root)

    def renew(self, root: Element) -> None:
        """Watch what the elements' handlers say now; what is under way for those that stay goes on."""
        known = {(id(watch.element), watch.number): watch for watch in self._watches}
        self._watches = []
        for element in root.walk():
            for number, handler in enumerate(element.bound.handlers):
                watch = known.pop((id(element), number), None) or _Watch(element, number, handler, None)
                if watch.condition is None or handler.when is None or watch.condition.names != handler.when.names:
                    watch.condition = None if handler.when is None else handler.when.fresh()
                watch.handler = handler
                self._watches.append(watch)

    def evaluate(self, frozen: bool) -> None:
        """Look at everything that is watched; a stage of the supervisor, each scan."""
        for watch in self._watches:
            if watch.element.state is not State.RUNNING:
                self._rest(watch)
                continue
            if watch.handler.failure:
                continue
            now = self._holds(watch, frozen)
            if now and not watch.fired:
                watch.fired = True
                self._fire(watch, f"{watch.element.path or 'the procedure'}: {watch.handler.text}")
            elif not now:
                watch.fired = False

    def failed(self, element: Element, why: str) -> bool:
        """A phase failed; whether a handler of it or of what it stands in takes that over."""
        at: Element | None = element
        while at is not None:
            for watch in self._watches:
                if watch.element is at and watch.handler.failure:
                    if watch.handler.ask:
                        self._act(at, "hold", why)
                    self._fire(watch, why)
                    return True
            at = at.parent
        return False

    async def close(self) -> None:
        """Withdraw the questions."""
        tasks = [watch.asking for watch in self._watches if watch.asking is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _holds(self, watch: _Watch, frozen: bool) -> bool:
        handler, now = watch.handler, self._rooms.clock.now()
        if watch.condition is not None:
            # What is not known is not so: a handler for that asks for bad_quality.
            return bool(watch.condition.update(self._resolve, now))
        if handler.alarm:
            return self._rooms.alarm_active(handler.alarm)
        return self._ran(watch, now, frozen) >= handler.timeout_s * NS

    @staticmethod
    def _ran(watch: _Watch, now: int, frozen: bool) -> int:
        """Process time (ns) for which an element ran since it was started; held and frozen it does not run."""
        if watch.began != watch.element.began:
            watch.began, watch.ran, watch.seen = watch.element.began, 0, now
        if watch.seen:
            watch.ran += now - watch.seen
        watch.seen = 0 if frozen else now
        return watch.ran

    def _rest(self, watch: _Watch) -> None:
        """Of what does not run nothing is watched; a question about it is withdrawn, but not one about a failure."""
        watch.seen = 0
        if watch.element.state is State.IDLE:
            watch.fired = False
        if watch.condition is not None and watch.handler.when is not None and not watch.element.active:
            watch.condition = watch.handler.when.fresh()
        if watch.asking is not None and not watch.handler.failure:
            watch.asking.cancel()
            watch.asking, watch.fired = None, False

    def _fire(self, watch: _Watch, reason: str) -> None:
        handler, path = watch.handler, watch.element.path or "the procedure"
        if not handler.ask:
            self._act(watch.element, handler.action, reason)
        elif watch.asking is None or watch.asking.done():
            watch.asking = asyncio.create_task(self._ask(watch, reason), name=f"{self._batch} {path} asks")

    async def _ask(self, watch: _Watch, reason: str) -> None:
        element, handler = watch.element, watch.handler
        prompt = Prompt(
            f"{element.path}:handler {watch.number + 1}", element.path, PromptKind.CHOICE,
            f"{handler.ask} ({reason})", choices=tuple(handler.choices), opened=self._rooms.clock.now(),
        )  # fmt: skip
        body: dict[str, Any] = {
            "prompt": prompt.id, "kind": prompt.kind, "text": prompt.text, "unit": "", "low": None, "high": None,
            "choices": list(prompt.choices), "meaning": "",
        }  # fmt: skip
        self._rooms.journal.append(Kind.PROMPT_OPENED, ENGINE, body, batch=self._batch, path=element.path)
        answer = str(await self._board.ask(prompt))
        action = handler.choices[answer]
        if action != CONTINUE:
            self._act(element, action, f"{reason}; answered: {answer}")


def target_of(action: str) -> str:
    """The step that an action goes on with; empty for any other."""
    return action.removeprefix(GO_TO) if action.startswith(GO_TO) else ""


COMMANDS: Final = {"stop": Command.STOP, "abort": Command.ABORT}
"""Actions that end the whole batch."""
