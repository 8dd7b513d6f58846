"""One execution of a control recipe: the supervisor of its elements.

The supervisor decides, phases work. Each state change is journalled; holding, restarting, stopping and aborting run in
tasks of their own; the way into the safe state is the supervisor's and never a phase's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from evcontrol.control.gate import SafeReport
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.replay import ANSWER_KEY
from evcontrol.journal.store import JournalUnavailableError
from evcontrol.procedure.check import ControlRecipe
from evcontrol.procedure.context import HoldRequiredError, PhaseContext, Rooms
from evcontrol.procedure.element import Element, tree
from evcontrol.procedure.phase import FASTEST
from evcontrol.procedure.prompts import Answer, AnswerError, Prompt, PromptBoard
from evcontrol.procedure.states import (
    AFTER_CRASH,
    FINAL,
    ON_DONE,
    Command,
    State,
    after,
    allowed_commands,
)
from evcontrol.procedure.takeover import TakeOver

LEAVE_S = 5.0
"""Process time that a phase has to end when it is told to; its right to command is gone before."""
_TOWARDS_SAFETY: Final = frozenset({State.HOLDING, State.STOPPING, State.ABORTING})
_NOT_FOR_BATCHES: Final = frozenset({Command.START, Command.RESET})

_log = structlog.get_logger(__name__)


class StartRefusedError(Exception):
    """A start or restart that the plant does not allow now; every reason in one line."""

    def __init__(self, what: str, reasons: Iterable[str]) -> None:
        super().__init__(f"{what}: {'; '.join(reasons)}")


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """What a batch is; ``created`` in process time, UTC ns."""

    id: str
    recipe_name: str
    product: str
    purpose: str
    created: int


@dataclass(frozen=True, slots=True)
class ElementStatus:
    """One element as it is shown: its place, kind, state, what it waits for, and the commands valid now."""

    path: str
    kind: str
    state: str
    waiting: str
    commands: list[str]


class BatchRun:
    """One batch. ``blockers`` tells in words why a unit cannot start now; ``settle`` resets what a start resets."""

    def __init__(
        self,
        rooms: Rooms,
        info: BatchInfo,
        control: ControlRecipe,
        blockers: Callable[[str], list[str]],
        settle: Callable[[str, Origin, str], None],
    ) -> None:
        self.info = info
        self.control = control
        self.root = tree(control.procedure)
        self.reconciliation_due = False
        self.on_change: Callable[[BatchRun], None] = lambda run: None
        """Called after every change of a state."""
        self._rooms = rooms
        self._blockers = blockers
        self._settle = settle
        self._board = PromptBoard()
        self._progress: dict[str, dict[str, Any]] = {}
        self._kick = asyncio.Event()
        self._elements = {element.path: element for element in self.root.walk()}
        self._take_over = TakeOver(rooms)
        self._task: asyncio.Task[None] | None = None

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The batch's name."""
        return self.info.id

    @property
    def units(self) -> list[str]:
        """The plant's units that it works on."""
        return list(self.control.units.values())

    def busy_units(self) -> list[str]:
        """Those of them on which a phase has begun and not ended."""
        return sorted({element.bound.unit for element in self._phases() if element.active and element.bound.unit})

    @property
    def state(self) -> State:
        """The state of the procedure."""
        return self.root.state

    @property
    def ended(self) -> bool:
        """Whether the procedure is Complete, Stopped or Aborted."""
        return self.root.state in FINAL

    @property
    def at_rest(self) -> bool:
        """Whether no phase does anything: each is idle, held or has ended."""
        return all(e.state is State.HELD or not e.active for e in self._phases())

    @property
    def reason(self) -> str:
        """Why the procedure is in its state."""
        return self.root.reason

    def running(self, unit: str = "") -> list[str]:
        """Paths of the phases that have begun and not ended, on one unit or on any."""
        return [e.path for e in self._phases() if e.active and (not unit or e.bound.unit == unit)]

    def elements(self) -> list[ElementStatus]:
        """All elements in the order of the procedure."""
        return [self._status(element) for element in self.root.walk()]

    def prompts(self) -> list[Prompt]:
        """The questions that wait for an answer."""
        return list(self._board)

    def max_speed(self) -> tuple[float, str]:
        """The highest multiple of real time that the batch bears now, and why."""
        if self.ended:
            return 1.0, f"{self.id} has ended"
        if len(self._board):
            return 1.0, f"{self.id} waits for a person"
        if any(element.active and element.state is not State.RUNNING for element in self.root.walk()):
            return 1.0, f"{self.id} is {self.state}"
        limits = [
            (min(e.bound.phase.max_speed, e.context.speed_limit), e.path)
            for e in self._phases()
            if e.active and e.bound.phase is not None and e.context is not None
        ]
        return min(limits, default=(FASTEST, self.id))

    # -- commands ---------------------------------------------------------------------------------------------------

    def start(self, origin: Origin) -> None:
        """Start the procedure. Raises StartRefusedError."""
        self._check_start(f"{self.id} cannot start", self.units)
        self._prepare(self.units, origin, "started")
        self._set(self.root, State.RUNNING, origin, Command.START, "")
        self._task = asyncio.create_task(self._supervise(), name=f"batch {self.id}")

    def command(self, command: Command, origin: Origin, reason: str, path: str = "") -> None:
        """Command the element at ``path`` and, with it, everything active below.

        Raises KeyError for an unknown path, IllegalCommandError, StartRefusedError when a restart is not possible now.
        """
        element = self._elements[path]
        after(element.state, command, f"{self.id} {path}".strip(), _NOT_FOR_BATCHES)
        if command in (Command.RESTART, Command.RESUME) and element.parent is not None:
            self._check_parent(element, element.parent, command)
        if command is Command.RESTART:
            self._prepare(self._check_restart(element), origin, reason)
        self._command_tree(element, command, origin, reason)
        self._kick.set()

    def hold(self, reason: str, origin: Origin = ENGINE) -> None:
        """Hold whatever of the batch can be held, because of something that was found."""
        for element in self.root.walk():
            self._command_tree(element, Command.HOLD, origin, reason)
        self._kick.set()

    def question(self, prompt: str) -> Prompt:
        """An open question; AnswerError when it is not open (any more)."""
        return self._board.find(prompt)

    async def answer(
        self,
        prompt: str,
        value: Answer,
        origin: Origin,
        comment: str,
        signature: Mapping[str, Any] | None = None,
    ) -> None:
        """Answer a question; with the body of a ``signature`` where it asks for one.

        Raises AnswerError, JournalUnavailableError.
        """
        asked = self._board.find(prompt)
        accepted = asked.accept(value)
        if asked.meaning and signature is None:
            raise AnswerError(f"{asked.text}: this answer is a signature, and needs the signer's password")
        key = prompt.removeprefix(f"{asked.path}:")
        body = {"prompt": prompt, "key": key, "value": accepted, "unit": asked.unit, "comment": comment}
        # Put down and given in one step: no other station and no hold comes between. Whatever the phase does with it
        # waits for the disk by itself, since its own record or command does.
        if signature is not None:
            self._rooms.journal.append(Kind.SIGNATURE, origin, signature, batch=self.id, path=asked.path)
        self._rooms.journal.append(Kind.PROMPT_ANSWERED, origin, body, batch=self.id, path=asked.path)
        if (context := self._elements[asked.path].context) is not None:
            context.progress[ANSWER_KEY + key] = accepted  # kept even when a hold cancels the asker now
        self._board.answer(prompt, accepted)
        await self._rooms.journal.flush()

    def on_scan(self) -> None:
        """Look at transitions again; the engine calls it after each scan."""
        if not self.ended:
            self._kick.set()

    async def close(self) -> None:
        """End all tasks, without a change of state: the engine stops, and the journal says where the batch is."""
        tasks = [self._task, *(e.work for e in self._phases()), *(e.transient for e in self._phases())]
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    # -- after a crash ----------------------------------------------------------------------------------------------

    def restore(self, states: Mapping[str, State], progress: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up a batch that outlived its engine: Held, or on with Stopping and Aborting.

        ``states`` and ``progress`` by path, as the journal's replay gives them.
        """
        self._progress = {path: dict(entries) for path, entries in progress.items()}
        for element in self.root.walk():
            element.state = states.get(element.path, State.IDLE)
        for element in self.root.walk():
            above = element.parent.state if element.parent is not None else State.IDLE
            if element.active and above in (State.STOPPING, State.ABORTING) and element.state is not above:
                self._set(element, above, ENGINE, None, "the engine was restarted")
            back = AFTER_CRASH[element.state]
            if element.is_phase and element.state is not State.IDLE and element.state not in FINAL:
                self._make_phase(element)
            if back is not element.state:
                self._set(element, back, ENGINE, None, "the engine was restarted")
        if self.ended:
            return
        self.reconciliation_due = True
        for element in self._phases():
            if element.state in (State.STOPPING, State.ABORTING):
                element.transient = self._spawn(self._leave(element, None, element.state, "the engine was restarted"))
        self._task = asyncio.create_task(self._supervise(), name=f"batch {self.id}")
        self._kick.set()

    # -- the supervisor -----------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        while not self.ended:
            await self._kick.wait()
            self._kick.clear()
            try:
                while any(self._advance(element) for element in reversed(list(self.root.walk()))):
                    pass
            except JournalUnavailableError as error:
                self.hold(f"the journal cannot be written: {error}")
            except Exception as error:  # noqa: BLE001  (whatever it is, the equipment goes to its safe state)
                _log.exception("the supervisor failed", batch=self.id)
                self.hold(f"internal error ({type(error).__name__}: {error}); the details are in log/engine.log")

    def _advance(self, element: Element) -> bool:
        """Bring one element on; whether something changed."""
        if element.is_phase:
            return self._advance_phase(element)
        if element.state is State.RUNNING:
            stopped = [c for c in element.children if c.state in (State.STOPPED, State.ABORTED) and not c.accepted]
            if stopped:
                for child in stopped:
                    child.accepted = True
                self.hold(f"{stopped[0].path} was {stopped[0].state.lower()}: Restart goes on with what follows it")
                return True
            if any(self._start_child(child) for child in element.startable()):
                return True
        state = element.next_state()
        if state is None:
            return False
        self._set(element, state, ENGINE, None, element.reason if state is not State.RUNNING else "")
        return True

    def _start_child(self, child: Element) -> bool:
        if child.when is not None:
            resolve = self._rooms.image.reading
            # A start condition that is unknown is false.
            if not child.when.update(resolve, self._rooms.clock.now()):
                child.waiting = child.when.describe(resolve)
                return False
        child.waiting = ""
        self._set(child, State.RUNNING, ENGINE, Command.START, "")
        if child.is_phase:
            self._make_phase(child)
            self._begin_work(child)
        return True

    def _advance_phase(self, element: Element) -> bool:
        work, transient = element.work, element.transient
        if transient is not None and transient.done() and element.state in ON_DONE:
            element.transient = None
            trouble = _trouble(transient)
            if trouble and element.state is State.RESTARTING:
                self.hold(f"{element.path}: {trouble}")
                return True
            state = ON_DONE[element.state]
            self._set(element, state, ENGINE, None, "; ".join(filter(None, (element.reason, trouble))))
            if state is State.RUNNING:
                self._begin_work(element)
            return True
        if work is None or not work.done():
            return False
        return self._finish_work(element, work) if element.state in (State.RUNNING, State.PAUSING) else False

    def _finish_work(self, element: Element, work: asyncio.Task[None]) -> bool:
        element.work = None
        trouble = _trouble(work)
        if trouble:
            self.hold(f"{element.path}: {trouble}")
        elif element.state is State.PAUSING:
            element.work = work  # it is done, and completes once it is resumed
            self._set(element, State.PAUSED, ENGINE, None, element.reason)
        else:
            self._withdraw(element)
            self._set(element, State.COMPLETE, ENGINE, None, "")
        return True

    # -- states -------------------------------------------------------------------------------------------------------

    def _command_tree(self, element: Element, command: Command, origin: Origin, reason: str) -> None:
        if command not in allowed_commands(element.state):
            return
        state = after(element.state, command)
        self._set(element, state, origin, command, reason)
        if element.is_phase:
            self._enter(element, state, reason)
        for child in element.children:
            if child.active:
                self._command_tree(child, command, origin, reason)

    def _enter(self, element: Element, state: State, reason: str) -> None:
        """What a command begins in a phase."""
        if state in _TOWARDS_SAFETY:
            self._withdraw(element)
            element.transient = self._spawn(self._leave(element, element.transient, state, reason))
        elif state is State.RESTARTING:
            if element.context is not None:  # whatever is left of the old run has no pass any more
                self._progress[element.path] = element.context.progress
            self._make_phase(element)
            element.transient = self._spawn(self._rejoin(element, element.transient))
        elif state is State.RUNNING:
            element.resumed.set()

    async def _leave(self, element: Element, before: asyncio.Task[str] | None, state: State, reason: str) -> str:
        """Bring a phase's unit into its safe state and its work to an end; returns what could not be reached."""
        work = element.work
        if work is not None:
            work.cancel()
        if before is not None:
            await asyncio.wait([before])
        told = ""
        if element.bound.unit:
            what = f"{element.path} {state.lower()}: {reason}" if reason else f"{element.path} {state.lower()}"
            told = not_reached(await self._rooms.gate.make_safe(element.bound.unit, what, batch=self.id))
        if work is not None:
            _, pending = await asyncio.wait([work], timeout=LEAVE_S)
            if pending:
                _log.error("phase ignores that it was told to end", batch=self.id, path=element.path)
        element.work = None
        if state is State.STOPPING and element.phase is not None:
            await element.phase.stopping()
        return told

    async def _rejoin(self, element: Element, before: asyncio.Task[str] | None) -> str:
        if before is not None:
            await asyncio.wait([before])
        await self._ready(element)
        if element.phase is not None:
            await element.phase.restarting()
        return ""

    def _begin_work(self, element: Element) -> None:
        element.work = asyncio.create_task(self._work(element), name=f"{self.id} {element.path}")
        element.work.add_done_callback(lambda _: self._kick.set())

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
            context.gate_pass = self._rooms.gate.admit(unit, f"{self.id}/{element.path}", self.id, element.path)
        if element.bound.phase is not None:
            await context.at_most(element.bound.phase.max_speed)
        await self._take_over.take(context, unit)

    def _withdraw(self, element: Element) -> None:
        context = element.context
        if context is not None and context.gate_pass is not None:
            self._rooms.gate.revoke(context.gate_pass)
            context.gate_pass = None

    def _make_phase(self, element: Element) -> None:
        if element.bound.phase is None:
            raise RuntimeError(f"{element.path} is no phase")
        element.context = PhaseContext(
            self._rooms,
            self._board,
            batch=self.id,
            path=element.path,
            unit=element.bound.unit,
            arguments=element.bound.arguments,
            progress=self._progress.get(element.path, {}),
        )
        element.context.pause = lambda: self._pause_point(element)
        element.phase = element.bound.phase(element.context)

    async def _pause_point(self, element: Element) -> None:
        if element.state is State.PAUSING:
            element.resumed.clear()
            self._set(element, State.PAUSED, ENGINE, None, element.reason)
            self._kick.set()
            await element.resumed.wait()

    def _set(self, element: Element, state: State, origin: Origin, command: Command | None, reason: str) -> None:
        body = {"old": element.state, "new": state, "command": command or "", "reason": reason}
        journal = self._rooms.journal
        if state in (State.RUNNING, State.RESTARTING, State.COMPLETE):
            journal.append(Kind.STATE_CHANGED, origin, body, batch=self.id, path=element.path)
        else:
            journal.append_safety(Kind.STATE_CHANGED, origin, body, batch=self.id, path=element.path)
        element.state = state
        element.reason = reason
        element.since = self._rooms.clock.now()
        self.on_change(self)

    # -- conditions of a start ----------------------------------------------------------------------------------------

    def _check_parent(self, element: Element, parent: Element, command: Command) -> None:
        if parent.state is not State.RUNNING:
            name = parent.path or "the batch"
            raise StartRefusedError(f"{element.path} cannot {command}", [f"{name} is {parent.state}: {command} that"])

    def _check_restart(self, element: Element) -> list[str]:
        """The units that a restart takes up again."""
        what = f"{self.id} cannot restart"
        if self.reconciliation_due:
            sign = f"sign it first: evcontrol batch sign-reconciliation {self.id}"
            raise StartRefusedError(what, [f"the engine was away, and its reconciliation is not signed ({sign})"])
        units = {e.bound.unit for e in element.walk() if e.is_phase and e.state is State.HELD and e.bound.unit}
        self._check_start(what, sorted(units))
        return sorted(units)

    def _check_start(self, what: str, units: Iterable[str]) -> None:
        reasons = [reason for unit in units for reason in self._blockers(unit)]
        if reasons:
            raise StartRefusedError(what, reasons)

    def _prepare(self, units: Iterable[str], origin: Origin, reason: str) -> None:
        for unit in units:
            self._settle(unit, origin, reason)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _phases(self) -> list[Element]:
        return [element for element in self.root.walk() if element.is_phase]

    def _spawn(self, work: Any) -> asyncio.Task[str]:
        task: asyncio.Task[str] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._kick.set())
        return task

    def _status(self, element: Element) -> ElementStatus:
        commands = sorted(c for c in allowed_commands(element.state) if c not in _NOT_FOR_BATCHES)
        waiting = element.waiting
        if element.context is not None and element.active:
            works = element.state in (State.RUNNING, State.PAUSING)
            waiting = element.context.waiting if works else element.reason
        elif element is self.root and element.state is not State.RUNNING:
            waiting = element.reason
        return ElementStatus(element.path, element.level.value, element.state.value, waiting, list(commands))


def not_reached(report: SafeReport) -> str:
    """What a way into the safe state could not reach, in words; empty when it reached everything."""
    if not report.not_reached:
        return ""
    return "not in its safe state: " + ", ".join(f"{tag} ({why})" for tag, why in report.not_reached)


def _trouble(task: asyncio.Task[Any]) -> str:
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
