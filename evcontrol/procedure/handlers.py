"""The exception handlers of a running batch: what each watches for, and what is done when it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from evcontrol.clock import NS
from evcontrol.expression import Condition
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.element import Element
from evcontrol.procedure.flow import Flow
from evcontrol.procedure.handling import BoundHandler
from evcontrol.procedure.prompts import Answer, Prompt, PromptBoard, PromptKind
from evcontrol.procedure.states import Command, State
from evcontrol.procedure.step import GO_ON, Action, Trigger
from evcontrol.procedure.structure import NOT_IN_TURN


class _Acts(Protocol):
    """What a handler has the supervisor do."""

    kick: asyncio.Event

    def hold(self, reason: str, origin: Origin = ENGINE, at: Iterable[Element] = ...) -> None: ...

    def command(self, element: Element, command: Command, origin: Origin, reason: str) -> None: ...


@dataclass(slots=True, eq=False)
class _Watch:
    """One handler at work; ``fired``: what it watches for came and has not gone since."""

    element: Element
    number: int
    bound: BoundHandler
    condition: Condition | None
    fired: bool = False
    running_ns: int = 0
    last_ns: int | None = None
    question: asyncio.Task[Answer] | None = field(default=None)

    @property
    def told(self) -> str:
        """What it watches for, in words."""
        handler = self.bound.handler
        return f"{handler.trigger.value.replace('_', ' ')} {handler.text}".strip()


class Handlers:
    """Watches for the running elements of one batch; a handler acts once each time that its trigger comes."""

    def __init__(self, rooms: Rooms, batch: str, root: Element, board: PromptBoard, acts: _Acts, flow: Flow) -> None:
        self._rooms = rooms
        self._batch = batch
        self._board = board
        self._acts = acts
        self._flow = flow
        self._watches = [
            _Watch(element, number, bound, bound.condition.fresh() if bound.condition is not None else None)
            for element in root.walk()
            for number, bound in enumerate(element.bound.handlers, start=1)
        ]

    def look(self) -> None:
        """Look at every trigger, and at the answers that were given; to be called at each scan."""
        now = self._rooms.clock.now()
        for watch in self._watches:
            if not watch.element.active:
                self._forget(watch)
                continue
            self._take_answer(watch)
            if watch.element.state is not State.RUNNING:
                watch.last_ns = None
                continue
            due = self._is_due(watch, now)
            if due and not watch.fired:
                watch.fired = True
                self._act(watch, watch.told)
            else:
                watch.fired = due

    def failed(self, element: Element, told: str) -> bool:
        """Whether a handler, of the phase itself or above, takes a phase's failure upon itself."""
        above: Element | None = element
        while above is not None:
            for watch in self._watches:
                if watch.element is above and watch.bound.handler.trigger is Trigger.PHASE_FAILURE:
                    if watch.bound.handler.action is Action.ASK:
                        self._acts.hold(f"{element.path}: {told}", at=[element])
                    self._act(watch, f"{element.path}: {told}")
                    return True
            above = above.parent
        return False

    async def close(self) -> None:
        """Withdraw the open questions."""
        open_ones = [watch.question for watch in self._watches if watch.question is not None]
        for question in open_ones:
            question.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)

    def _is_due(self, watch: _Watch, now: int) -> bool:
        match watch.bound.handler.trigger:
            case Trigger.ALARM:
                return self._rooms.alarm_active(watch.bound.alarm)
            case Trigger.TIMEOUT:
                watch.running_ns += now - watch.last_ns if watch.last_ns is not None else 0
                watch.last_ns = now
                return watch.running_ns >= watch.bound.timeout_s * NS
            case Trigger.BAD_QUALITY | Trigger.WHEN if watch.condition is not None:
                return watch.condition.update(self._flow.reading, now) is True
        return False

    def _act(self, watch: _Watch, why: str) -> None:
        handler = watch.bound.handler
        if handler.action is Action.ASK:
            self._ask(watch, why)
        else:
            self._do(watch.element, handler.argument if handler.action is Action.GO_TO else handler.action.value, why)

    def _do(self, element: Element, what: str, why: str) -> None:
        """``what`` is hold, stop, abort, go on, or the name of a later step."""
        match what:
            case "hold":
                self._acts.hold(f"{element.path}: {why}", at=[element])
            case "stop" | "abort":
                self._acts.command(element, Command(what), ENGINE, why)
            case _ if what != GO_ON:
                self._go_to(element, what, why)

    def _go_to(self, element: Element, target: str, why: str) -> None:
        """Stop what stands before the target in its group, and pass over what lies between."""
        leaving = element
        while (group := leaving.parent) is not None:
            later = group.children[group.children.index(leaving) + 1 :] if group.level not in NOT_IN_TURN else []
            names = [step.bound.step.name for step in later]
            if target in names:
                self._flow.pass_over(group, later[: names.index(target)])
                leaving.accepted = True
                self._acts.command(leaving, Command.STOP, ENGINE, f"{why}: go to {target}")
                return
            leaving = group

    def _ask(self, watch: _Watch, why: str) -> None:
        if watch.question is not None:
            return
        handler, path = watch.bound.handler, watch.element.path
        key = f"handler {watch.number}"
        text = f"{handler.argument} ({why})"
        prompt = Prompt(
            f"{path}:{key}", path, PromptKind.CHOICE, text, choices=handler.choices, opened=self._rooms.clock.now()
        )
        body = {
            "prompt": prompt.id, "kind": prompt.kind, "text": text, "unit": "",
            "low": None, "high": None, "choices": list(prompt.choices), "meaning": "",
        }  # fmt: skip
        self._rooms.journal.append(Kind.PROMPT_OPENED, ENGINE, body, batch=self._batch, path=path)
        watch.question = asyncio.create_task(self._board.ask(prompt))
        watch.question.add_done_callback(lambda _: self._acts.kick.set())

    def _take_answer(self, watch: _Watch) -> None:
        question = watch.question
        if question is not None and question.done():
            watch.question = None
            self._do(watch.element, str(question.result()), f"the answer to {watch.bound.handler.argument!r}")

    @staticmethod
    def _forget(watch: _Watch) -> None:
        """Begin anew; a question that nobody answered in time is withdrawn."""
        if watch.question is not None:
            watch.question.cancel()
        watch.question, watch.fired, watch.running_ns, watch.last_ns = None, False, 0, None
        if watch.condition is not None:
            watch.condition = watch.condition.fresh()
