"""The work of phases: their tasks, their right to command a unit, and the ways into and out of the safe state.

Holding, restarting, stopping and aborting run in tasks of their own; the way into the safe state is never a phase's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

from evcontrol.control.gate import SafeReport
from evcontrol.journal.store import JournalUnavailableError
from evcontrol.procedure.context import HoldRequiredError, PhaseContext, Rooms
from evcontrol.procedure.element import Element
from evcontrol.procedure.freeze import Freeze
from evcontrol.procedure.prompts import PromptBoard
from evcontrol.procedure.states import State
from evcontrol.procedure.takeover import TakeOver

LEAVE_S = 5.0
"""Process time that a phase has to end when it is told to; its right to command is gone before."""
STRAY: Final = "its work did not end when it was told to, and has no right to command any more"
LONGEST_TRANSIENT_S: Final = 120.0
"""Process time that a phase has for what it does itself when it is restarted or stopped."""
_TOWARDS_SAFETY: Final = frozenset({State.HOLDING, State.STOPPING, State.ABORTING})

_log = structlog.get_logger(__name__)


class PhaseWork:
    """Begins and ends the work of one batch's phases. ``paused`` is called when a phase has come to a pause."""

    def __init__(
        self, rooms: Rooms, batch: str, board: PromptBoard, kick: asyncio.Event, paused: Callable[[Element], None]
    ) -> None:
        self.progress: dict[str, dict[str, Any]] = {}
        """What phases have recorded, by path."""
        self.freeze = Freeze()
        self._rooms = rooms
        self._batch = batch
        self._board = board
        self._kick = kick
        self._paused = paused
        self._take_over = TakeOver(rooms)

    def make(self, element: Element) -> None:
        """A phase with its context, not yet begun."""
        if element.bound.phase is None:
            raise RuntimeError(f"{element.path} is no phase")
        element.context = PhaseContext(
            self._rooms,
            self._board,
            batch=self._batch,
            path=element.path,
            unit=element.bound.unit,
            arguments=element.bound.arguments,
            progress=self.progress.get(element.path, {}),
        )
        element.context.pause = lambda: self._pause_point(element)
        element.context.thawed = self.freeze.thawed
        element.phase = element.bound.phase(element.context)

    def forget(self, element: Element) -> None:
        """A phase begins anew: nothing that it recorded counts any more."""
        self.progress.pop(element.path, None)
        element.phase = element.context = element.work = element.transient = None

    def begin(self, element: Element) -> None:
        """Begin the work of a phase that was made."""
        element.work = asyncio.create_task(self._work(element), name=f"{self._batch} {element.path}")
        element.work.add_done_callback(lambda _: self._kick.set())

    def enter(self, element: Element, state: State, reason: str) -> None:
        """What a command begins in a phase."""
        if state in _TOWARDS_SAFETY:
            self.leave(element, state, reason)
        elif state is State.RESTARTING:
            if element.context is not None:  # whatever is left of the old run has no pass any more
                self.progress[element.path] = element.context.progress
            self.make(element)
            element.transient = self._spawn(self._rejoin(element, element.transient))
        elif state is State.RUNNING:
            element.resumed.set()

    def leave(self, element: Element, state: State, reason: str) -> None:
        """Bring a phase's unit into its safe state and its work to an end."""
        self.withdraw(element)
        element.transient = self._spawn(self._leave(element, element.transient, state, reason))

    def withdraw(self, element: Element) -> None:
        """Take a phase's right to command away."""
        context = element.context
        if context is not None and context.gate_pass is not None:
            self._rooms.gate.revoke(context.gate_pass)
            context.gate_pass = None

    async def _leave(self, element: Element, before: asyncio.Task[str] | None, state: State, reason: str) -> str:
        """Returns what could not be reached. What went before is ended and not waited for: safety comes first."""
        left = [task for task in (element.work, before) if task is not None]
        for task in left:
            task.cancel()
        told = ""
        if element.bound.unit:
            what = f"{element.path} {state.lower()}: {reason}" if reason else f"{element.path} {state.lower()}"
            told = not_reached(await self._rooms.gate.make_safe(element.bound.unit, what, batch=self._batch))
        if left:
            _, pending = await asyncio.wait(left, timeout=LEAVE_S)
            if pending:
                _log.error("phase ignores that it was told to end", batch=self._batch, path=element.path)
                element.strays += pending
                told = "; ".join(filter(None, (told, STRAY)))
        element.work = None
        if state is State.STOPPING and element.phase is not None:
            overdue = await _bounded(element.phase.stopping(), "what it does when it is stopped")
            told = "; ".join(filter(None, (told, overdue)))
        return told

    async def _rejoin(self, element: Element, before: asyncio.Task[str] | None) -> str:
        if before is not None:
            await asyncio.wait([before])
        if element.strays:
            _, pending = await asyncio.wait(element.strays, timeout=LEAVE_S)
            element.strays = list(pending)
            if pending:
                return f"{STRAY}, and it cannot be begun beside that: stop it, or start the engine anew"
        await self._ready(element)
        if element.phase is not None:
            return await _bounded(element.phase.restarting(), "what it does when it is restarted")
        return ""

    async def _work(self, element: Element) -> None:
        if element.phase is None:
            raise RuntimeError(f"{element.path} has no phase")
        await self._ready(element)
        await element.phase.running()

    async def _ready(self, element: Element) -> None:
        """Give a phase its right to command the unit, and take the unit over from its safe state."""
        context, unit = element.context, element.bound.unit
        if context is None or not unit:
            return
        if context.gate_pass is None or not context.gate_pass.valid:
            context.gate_pass = self._rooms.gate.admit(unit, f"{self._batch}/{element.path}", self._batch, element.path)
        if element.bound.phase is not None:
            await context.at_most(element.bound.phase.max_speed)
        with context.waiting_for_house():
            await self._take_over.take(context, unit)

    async def _pause_point(self, element: Element) -> None:
        if element.state is State.PAUSING:
            element.resumed.clear()
            self._paused(element)
            self._kick.set()
            await element.resumed.wait()

    def _spawn(self, work: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._kick.set())
        return task


async def _bounded(work: Coroutine[Any, Any, None], what: str) -> str:
    """Do it, and end it when it takes too long: returns that in words, empty when it was done in time."""
    try:
        async with asyncio.timeout(LONGEST_TRANSIENT_S) as bound:
            await work
    except TimeoutError:
        if not bound.expired():
            raise
        return f"{what} was not done in {LONGEST_TRANSIENT_S:.0f} s"
    return ""


def not_reached(report: SafeReport) -> str:
    """What a way into the safe state could not reach, in words; empty when it reached everything."""
    if not report.not_reached:
        return ""
    return "not in its safe state: " + ", ".join(f"{tag} ({why})" for tag, why in report.not_reached)


def trouble(task: asyncio.Task[Any]) -> str:
    """Why a task did not do what it should, in words; empty when it did. A holding task returns what it left undone."""
    if task.cancelled():
        return "it was cancelled from outside"
    error = task.exception()
    if error is None:
        return task.result() or ""
    if isinstance(error, (HoldRequiredError, JournalUnavailableError)):
        return str(error)
    _log.error("phase failed", exc_info=error)
    return f"internal error ({type(error).__name__}: {error}); the details are in log/engine.log"
