"""One execution of a control recipe: a batch as the rest of the house sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.replay import ANSWER_KEY
from evcontrol.procedure.check import ControlRecipe
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.element import Element, tree
from evcontrol.procedure.prompts import Answer, AnswerError, Prompt, PromptBoard
from evcontrol.procedure.start import StartConditions, check_parent
from evcontrol.procedure.states import AFTER_CRASH, FINAL, Command, State, after, targets
from evcontrol.procedure.status import NOT_FOR_BATCHES, BatchInfo, ElementStatus, speed_limit, status
from evcontrol.procedure.supervise import Supervisor

AFTER_OUTAGE = "the engine was restarted"


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
        self.on_change: Callable[[BatchRun], None] = lambda run: None
        """Called after every change of a state."""
        self._rooms = rooms
        self._conditions = StartConditions(info.id, blockers, settle)
        self._board = PromptBoard()
        self._elements = {element.path: element for element in self.root.walk()}
        self._supervisor = Supervisor(
            rooms, info.id, self.root, self._board, control.recipe.hold_level, lambda: self.on_change(self)
        )
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

    @property
    def reconciliation_due(self) -> bool:
        """Whether a person has still to sign what was read after an outage."""
        return self._conditions.reconciliation_due

    @reconciliation_due.setter
    def reconciliation_due(self, due: bool) -> None:
        self._conditions.reconciliation_due = due

    def busy_units(self) -> list[str]:
        """Those of them on which a phase has begun and not ended."""
        return sorted({element.bound.unit for element in self._phases() if element.active and element.bound.unit})

    @property
    def state(self) -> State:
        """The state of the procedure."""
        return self.root.state

    def state_on(self, unit: str) -> State:
        """The state of what works on one unit; of the procedure when nothing does."""
        states = {e.state for e in self._phases() if e.active and e.bound.unit == unit}
        return self.root.state if len(states) != 1 else states.pop()

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
        return [status(element) for element in self.root.walk()]

    def prompts(self) -> list[Prompt]:
        """The questions that wait for an answer."""
        return list(self._board)

    def max_speed(self) -> tuple[float, str]:
        """The highest multiple of real time that the batch bears now, and why."""
        if self.ended:
            return 1.0, f"{self.id} has ended"
        if len(self._board):
            return 1.0, f"{self.id} waits for a person"
        return speed_limit(self.id, self.root)

    # -- commands ---------------------------------------------------------------------------------------------------

    def start(self, origin: Origin) -> None:
        """Start the procedure. Raises StartRefusedError."""
        self._conditions.check(f"{self.id} cannot start", self.units)
        self._conditions.settle(self.units, origin, "started")
        self._supervisor.start(origin)
        self._begin()

    def command(self, command: Command, origin: Origin, reason: str, path: str = "") -> None:
        """Command the element at ``path`` and, with it, everything active below.

        Raises KeyError for an unknown path, IllegalCommandError, StartRefusedError when a restart is not possible now.
        """
        element = self._elements[path]
        after(element.state, command, f"{self.id} {path}".strip(), NOT_FOR_BATCHES)
        if command in (Command.RESTART, Command.RESUME):
            check_parent(element, command)
        if command is Command.RESTART:
            held, later = self._conditions.check_restart(element)
            self._conditions.settle(held + later, origin, reason)
        self._supervisor.command(element, command, origin, reason)

    def hold(self, reason: str, origin: Origin = ENGINE) -> None:
        """Hold whatever of the batch can be held, because of something that was found."""
        self._supervisor.hold(reason, origin)

    def hold_unit(self, unit: str, reason: str) -> None:
        """Hold what of the batch works on one of its units, as far as the recipe's hold level says."""
        self._supervisor.hold_unit(unit, reason)

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
            self._supervisor.kick.set()

    async def close(self) -> None:
        """End all tasks, without a change of state: the engine stops, and the journal says where the batch is."""
        tasks = [self._task, *(e.work for e in self._phases()), *(e.transient for e in self._phases())]
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._supervisor.handlers.close()

    # -- after a crash ----------------------------------------------------------------------------------------------

    def restore(self, states: Mapping[str, State], progress: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up a batch that outlived its engine: Held, or on with Stopping and Aborting.

        ``states`` and ``progress`` by path, as the journal's replay gives them.
        """
        supervisor = self._supervisor
        supervisor.work.progress = {path: dict(entries) for path, entries in progress.items()}
        for element in self.root.walk():
            element.state = states.get(element.path, State.IDLE)
        supervisor.flow.restore(self.root.walk(), progress)
        for element in self.root.walk():
            above = element.parent.state if element.parent is not None else State.IDLE
            if above in (State.STOPPING, State.ABORTING) and above in targets(element.state):
                supervisor.set(element, above, ENGINE, None, AFTER_OUTAGE)
            back = AFTER_CRASH[element.state]
            if element.is_phase and element.state is not State.IDLE and element.state not in FINAL:
                supervisor.work.make(element)
            if back is not element.state:
                supervisor.set(element, back, ENGINE, None, AFTER_OUTAGE)
        if self.ended:
            return
        self.reconciliation_due = True
        for element in self._phases():
            if element.state in (State.STOPPING, State.ABORTING):
                supervisor.work.leave(element, element.state, AFTER_OUTAGE)
        self._begin()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._supervisor.run(), name=f"batch {self.id}")
        self._supervisor.kick.set()

    def _phases(self) -> list[Element]:
        return [element for element in self.root.walk() if element.is_phase]
