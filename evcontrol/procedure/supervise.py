"""The supervisor of a batch's elements: it decides, phases work; each change of a state is journalled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from evcontrol.expression import Resolve
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.store import JournalUnavailableError
from evcontrol.procedure.allocation import Allotment
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.element import Element
from evcontrol.procedure.handlers import COMMANDS, Handlers, target_of
from evcontrol.procedure.prompts import PromptBoard
from evcontrol.procedure.recipe import Level
from evcontrol.procedure.start import StartConditions, StartRefusedError
from evcontrol.procedure.states import FINAL, ON_DONE, Command, State, after, allowed_commands
from evcontrol.procedure.stepping import Stepping
from evcontrol.procedure.structure import Structure
from evcontrol.procedure.watchdog import SILENT_S, is_silent
from evcontrol.procedure.work import PhaseWork, trouble

_ENDED_EARLY: Final = frozenset({State.STOPPED, State.ABORTED})

_log = structlog.get_logger(__name__)


class Supervisor:
    """Brings the elements of one batch on. ``changed`` is called after every change of a state."""

    def __init__(
        self,
        rooms: Rooms,
        batch: str,
        root: Element,
        board: PromptBoard,
        hold_level: Level,
        conditions: StartConditions,
        allotment: Allotment,
        resolve: Resolve,
        changed: Callable[[], None],
    ) -> None:
        self.kick = asyncio.Event()
        """Set when there may be something to bring on."""
        self.work = PhaseWork(
            rooms, batch, board, self.kick, lambda phase: self.set(phase, State.PAUSED, ENGINE, None, phase.reason)
        )
        self.stepping = Stepping()
        self._rooms = rooms
        self._batch = batch
        self._root = root
        self._hold_level = hold_level
        self._conditions = conditions
        self._allotment = allotment
        self._resolve = resolve
        self._changed = changed
        self.structure = Structure(
            rooms,
            batch,
            resolve,
            lambda element, why: self.hold(why, at=[element]),
            lambda element, state, command: self.set(element, state, ENGINE, command, ""),
            self.work.forget,
        )
        self.handlers = Handlers(rooms, batch, root, board, resolve, self._act)

    async def run(self) -> None:
        """Until the procedure has ended."""
        while self._root.state not in FINAL:
            await self.kick.wait()
            self.kick.clear()
            try:
                self.handlers.evaluate(self.work.freeze.frozen)
                # What is idle is begun by what is above it, and what is over stays so.
                while any(element.active and self._advance(element) for element in reversed(list(self._root.walk()))):
                    pass
            except JournalUnavailableError as error:
                self.hold(f"the journal cannot be written: {error}")
            except Exception as error:  # noqa: BLE001  (whatever it is, the equipment goes to its safe state)
                _log.exception("the supervisor failed", batch=self._batch)
                self.hold(f"internal error ({type(error).__name__}: {error}); the details are in log/engine.log")

    def start(self, origin: Origin) -> None:
        """Begin the procedure."""
        self.set(self._root, State.RUNNING, origin, Command.START, "")

    def command(self, element: Element, command: Command, origin: Origin, reason: str) -> None:
        """Command an element and everything active below, where their states allow it."""
        self._command_tree(element, command, origin, reason)
        self.kick.set()

    def hold(self, reason: str, origin: Origin = ENGINE, at: Iterable[Element] = ()) -> None:
        """Hold because of something that was found: the whole batch, or ``at`` elements as far as the level says."""
        tops = {id(top): top for top in (element.held_with(self._hold_level) for element in at)} or {0: self._root}
        for top in tops.values():
            for element in top.walk():
                self._command_tree(element, Command.HOLD, origin, reason)
        self.kick.set()

    def hold_unit(self, unit: str, reason: str) -> None:
        """Hold what works on a unit or waits to; everything when holds go as far as the procedure."""
        on_unit = [element for element in self._root.walk() if element.active and element.bound.unit == unit]
        at = [e for e in on_unit if not any(child.active for child in e.children)]
        if at or self._hold_level is Level.PROCEDURE:
            self.hold(reason, at=at)

    def watch(self) -> None:
        """Look whether something is heard of every phase that runs; once a scan."""
        for element in self._root.walk():
            context, work = element.context, element.work
            if element.state is not State.RUNNING or context is None or work is None:
                continue
            if not self.work.freeze.frozen and is_silent(context, work):
                what = f"nothing was heard of the phase's work for {SILENT_S:g} s; the details are in log/engine.log"
                self.hold(f"{element.path}: {what}", at=[element])

    def set(self, element: Element, state: State, origin: Origin, command: Command | None, reason: str) -> None:
        """Change a state, and put it into the journal."""
        body = {"old": element.state, "new": state, "command": command or "", "reason": reason}
        journal = self._rooms.journal
        if state in (State.RUNNING, State.RESTARTING, State.COMPLETE):
            journal.append(Kind.STATE_CHANGED, origin, body, batch=self._batch, path=element.path)
        else:
            journal.append_safety(Kind.STATE_CHANGED, origin, body, batch=self._batch, path=element.path)
        element.state = state
        element.reason = reason
        element.since = self._rooms.clock.now()
        if element is self._root and state is not State.RUNNING:
            self.work.freeze.end()
        self._changed()

    def _command_tree(self, element: Element, command: Command, origin: Origin, reason: str) -> None:
        if command not in allowed_commands(element.state):
            return
        state = after(element.state, command)
        self.set(element, state, origin, command, reason)
        if element.is_phase:
            self.work.enter(element, state, reason)
        for child in element.children:
            child.accepted = child.accepted or (command is Command.RESTART and child.state in _ENDED_EARLY)
            if child.active:
                self._command_tree(child, command, origin, reason)

    def _act(self, element: Element, action: str, reason: str) -> None:
        """Do what a handler says."""
        if action in COMMANDS:
            self._command_tree(self._root, COMMANDS[action], ENGINE, reason)
        elif action == "hold":
            self.hold(reason, at=[element])
        else:
            if (target := target_of(action)) and element.parent is not None:
                siblings = [child.bound.step.name for child in element.parent.children]
                here, there = siblings.index(element.bound.step.name), siblings.index(target)
                self.structure.skip(element.parent, siblings[here + 1 : there])
            element.accepted = element.left = True
            self._command_tree(element, Command.STOP, ENGINE, reason)
        self.kick.set()

    def _advance(self, element: Element) -> bool:
        """Bring one element on; whether something changed."""
        if element.is_phase:
            return self._advance_phase(element)
        if element.state is State.RUNNING:
            held = [self._release_what_was_left(child) for child in element.children if child.left]
            if any(held):
                return True
            stopped = [c for c in element.children if c.state in _ENDED_EARLY and not c.accepted]
            if stopped:
                what = f"{stopped[0].path} was {stopped[0].state.lower()}: Restart goes on with what follows it"
                self.hold(what, at=[element])
                return True
            if self.structure.advance(element) or any(self._start_child(child) for child in element.startable()):
                return True
        state = element.next_state()
        if state is None:
            return False
        self.set(element, state, ENGINE, None, element.reason if state is not State.RUNNING else "")
        return True

    def _release_what_was_left(self, child: Element) -> bool:
        """The units of what a handler ended go on with what follows; whether they are held instead."""
        if child.state not in _ENDED_EARLY:
            return False
        child.left = False
        units = sorted({e.bound.unit for e in child.walk() if e.is_phase and e.bound.unit})
        try:
            self._conditions.check(f"{child.path} was ended, and what follows cannot begin", units)
            self._conditions.settle(units, ENGINE, f"{child.path} was ended: {child.reason}")
        except StartRefusedError as refused:
            self.hold(str(refused), at=[child])
            return True
        return False

    def _start_child(self, child: Element) -> bool:
        if child.when is not None:
            resolve = self._resolve
            # A start condition that is unknown is false.
            if not child.when.update(resolve, self._rooms.clock.now()):
                child.waiting = child.when.describe(resolve)
                return False
        if stands := "the batch is frozen" if self.work.freeze.frozen else self.stepping.stops(child):
            child.waiting = stands
            return False
        try:
            child.waiting = self._allotment.claim(child.bound.unit, self._root)
        except StartRefusedError as refused:
            self.hold(str(refused), at=[child.parent or child])
            return True
        if child.waiting:
            return False
        self.stepping.began(child.path)
        child.waiting = ""
        child.began = self._rooms.clock.now()
        self.set(child, State.RUNNING, ENGINE, Command.START, "")
        if child.is_phase:
            self.work.make(child)
            self.work.begin(child)
        return True

    def _advance_phase(self, element: Element) -> bool:
        if element.transient is not None and element.transient.done() and element.state in ON_DONE:
            self._finish_transient(element, element.transient)
            return True
        if element.work is None or not element.work.done():
            return False
        if element.state not in (State.RUNNING, State.PAUSING):
            return False
        self._finish_work(element, element.work)
        return True

    def _finish_transient(self, element: Element, transient: asyncio.Task[str]) -> None:
        element.transient = None
        told = trouble(transient)
        if told and element.state is State.RESTARTING:
            self.hold(f"{element.path}: {told}", at=[element])
            return
        state = ON_DONE[element.state]
        self.set(element, state, ENGINE, None, "; ".join(filter(None, (element.reason, told))))
        if state is State.RUNNING:
            self.work.begin(element)

    def _finish_work(self, element: Element, work: asyncio.Task[None]) -> None:
        element.work = None
        told = trouble(work)
        if told and self.handlers.failed(element, f"{element.path}: {told}"):
            return
        if told:
            self.hold(f"{element.path}: {told}", at=[element])
        elif element.state is State.PAUSING:
            element.work = work  # it is done, and completes once it is resumed
            self.set(element, State.PAUSED, ENGINE, None, element.reason)
        else:
            self.work.withdraw(element)
            self.set(element, State.COMPLETE, ENGINE, None, "")
