"""One execution of a control recipe: a batch as the rest of the house sees it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.replay import ANSWER_KEY, BatchView
from evcontrol.procedure.allocation import Allocation, Allotment
from evcontrol.procedure.check import ControlRecipe
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.element import Element, tree
from evcontrol.procedure.freeze import LONGEST_S, check_freeze
from evcontrol.procedure.jump import Jump, plan_jump
from evcontrol.procedure.prompts import Answer, AnswerError, Prompt, PromptBoard
from evcontrol.procedure.results import BatchResults
from evcontrol.procedure.revision import grow, locked
from evcontrol.procedure.start import StartConditions, check_parent
from evcontrol.procedure.states import AFTER_CRASH, FINAL, Command, State, after, targets
from evcontrol.procedure.status import NOT_FOR_BATCHES, BatchInfo, ElementStatus, speed_limit, status
from evcontrol.procedure.stepping import SteeringError, Stepping
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
        allocation: Allocation,
    ) -> None:
        self.info = info
        self.control = control
        self.root = tree(control.procedure)
        self.on_change: Callable[[BatchRun], None] = lambda run: None
        """Called after every change of a state."""
        self.on_release: Callable[[BatchRun, str], None] = lambda run, unit: None
        """Called when it needs a unit no longer, which is to be made safe and released."""
        self._rooms = rooms
        self._conditions = StartConditions(info.id, blockers, settle)
        self._allotment = Allotment(rooms, info.id, control, allocation, self._conditions)
        latest = rooms.view.batches[info.id].latest
        self._results = BatchResults(control.recipe.procedure, rooms.image.reading, latest)
        self._board = PromptBoard()
        self._elements = {element.path: element for element in self.root.walk()}
        self._supervisor = Supervisor(
            rooms,
            info.id,
            self.root,
            self._board,
            control.recipe.hold_level,
            self._conditions,
            self._allotment,
            self._results.reading,
            lambda: self.on_change(self),
        )
        self._task: asyncio.Task[None] | None = None

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The batch's name."""
        return self.info.id

    @property
    def units(self) -> list[str]:
        """The plant's units that it has."""
        return self._allotment.units

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

    def bears_outage_h(self) -> dict[str, float]:
        """The longest outage that each phase bears that has begun, by path; those that bear any are left out."""
        bears = {e.path: e.bound.phase.bears_outage_h for e in self._phases() if e.active and e.bound.phase is not None}
        return {path: hours for path, hours in bears.items() if math.isfinite(hours)}

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
        if self.frozen:
            return 1.0, f"{self.id} is frozen"
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
            held, later = self._conditions.check_restart(element, self.units)
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

    # -- steering -------------------------------------------------------------------------------------------------

    @property
    def stepping(self) -> Stepping:
        """Single-step mode and breakpoints."""
        return self._supervisor.stepping

    def set_stepping(self, single: bool, breakpoints: Iterable[str], origin: Origin, reason: str) -> None:
        """Change single-step mode and breakpoints. Raises SteeringError for an unknown path or one that has begun."""
        wanted = sorted(set(breakpoints))
        for path in wanted:
            if path not in self._elements or not path:
                raise SteeringError(f"{self.id} has no element {path!r}")
            if self._elements[path].state is not State.IDLE and path not in self.stepping.breakpoints:
                raise SteeringError(f"{path} has begun: a breakpoint stands before what has not")
        self._still_runs()
        body = {"single": single, "breakpoints": wanted, "reason": reason}
        self._rooms.journal.append(Kind.STEPPING_CHANGED, origin, body, batch=self.id)
        self.stepping.set(single, wanted)
        self._supervisor.kick.set()

    @property
    def frozen(self) -> str:
        """Why it is frozen; empty when it is not."""
        return self._supervisor.work.freeze.reason

    def freeze(self, origin: Origin, reason: str) -> None:
        """Let everything stay as it is, pumps included, and no phase go on. Raises SteeringError."""
        if self.state is not State.RUNNING or self.frozen:
            raise SteeringError(f"{self.id} is {'frozen' if self.frozen else self.state}: what runs can be frozen")
        check_freeze(self.root.walk())
        self._rooms.journal.append(Kind.BATCH_FROZEN, origin, {"reason": reason}, batch=self.id)
        self._supervisor.work.freeze.begin(reason, self._rooms.clock.now())
        self.root.waiting = f"frozen: {reason}"

    def thaw(self, origin: Origin, reason: str) -> None:
        """Let a frozen batch go on. Raises SteeringError."""
        if not self.frozen:
            raise SteeringError(f"{self.id} is not frozen")
        self._rooms.journal.append(Kind.BATCH_THAWED, origin, {"reason": reason}, batch=self.id)
        self._supervisor.work.freeze.end()
        self.root.waiting = ""
        self._supervisor.kick.set()

    def step(self, path: str, origin: Origin) -> None:
        """Let an element begin that stands at a step or a breakpoint. Raises SteeringError, KeyError."""
        element = self._elements[path]
        if element.state is not State.IDLE or element.skipped or not self.stepping.stops(element):
            raise SteeringError(f"{path or self.id} does not stand at a step or a breakpoint")
        self._rooms.journal.append(Kind.STEP_TAKEN, origin, {"element": path}, batch=self.id, path=path)
        self.stepping.let_go(path)
        self._supervisor.kick.set()

    def plan_jump(self, path: str) -> Jump:
        """What a jump to an element passes over. Raises SteeringError, KeyError."""
        if self.reconciliation_due:
            raise SteeringError(f"{self.id} is to be reconciled and signed first")
        return plan_jump(self.root, self._elements[path], self.id)

    def jump(self, jump: Jump, origin: Origin, reason: str) -> None:
        """Pass over what was planned; a restart then goes on with the element that was jumped to."""
        body = {
            "to": jump.to.path, "skipped": [e.path for e in jump.skipped], "stopped": [e.path for e in jump.stopped],
            "reason": reason,
        }  # fmt: skip
        self._rooms.journal.append(Kind.BATCH_JUMPED, origin, body, batch=self.id)
        for element in jump.skipped:
            element.skipped = True
        for element in jump.stopped:
            element.accepted = True
            self._supervisor.command(element, Command.STOP, origin, f"jump to {jump.to.path}: {reason}")

    def change_parameter(self, control: ControlRecipe, name: str, origin: Origin, reason: str) -> None:
        """Go on with the same recipe bound anew, in which parameter ``name`` has another value."""
        old, new = self.control.parameters[name], control.parameters[name]
        body = {"name": name, "old": old, "new": new, "unit": "", "reason": reason}
        self._rooms.journal.append(Kind.PARAMETER_CHANGED, origin, body, batch=self.id)
        self.control = control
        for bound in control.procedure.walk():
            self._elements[bound.step.path].rebind(bound)
        self._supervisor.handlers.renew(self.root)

    def locked(self, control: ControlRecipe) -> list[str]:
        """What of ``control`` differs from what of this batch has begun, one line each; empty when it may go on so."""
        return list(locked(self.root, control.procedure))

    def revise(self, control: ControlRecipe, body: Mapping[str, Any], state: str, origin: Origin) -> None:
        """Go on with another recipe, in which all that has begun is as it was; ``body`` is what the journal keeps."""
        self._rooms.journal.append(Kind.BATCH_REVISED, origin, body, batch=self.id)
        self.control = control
        self.info = replace(
            self.info, recipe_name=control.recipe.name, recipe_state=state, revision=int(body["revision"])
        )
        grow(self.root, control.procedure)
        self._results.learn(control.recipe.procedure)
        self._elements = {element.path: element for element in self.root.walk()}
        self._set_stepping(self.stepping.single, self.stepping.breakpoints)
        self._supervisor.handlers.renew(self.root)
        self._supervisor.kick.set()

    def _set_stepping(self, single: bool, breakpoints: Iterable[str]) -> None:
        """A breakpoint that stood before what is not in the procedure any more is gone with it."""
        self.stepping.set(single, [path for path in breakpoints if path in self._elements])

    def _still_runs(self) -> None:
        if self.ended:
            raise SteeringError(f"{self.id} is {self.state}")

    def on_scan(self) -> None:
        """Look at transitions again; the engine calls it after each scan."""
        if self._supervisor.work.freeze.too_long(self._rooms.clock.now()):
            self.hold(f"frozen for {LONGEST_S / 60:g} min: {self.frozen}")
        if not self.ended:
            for unit in self._allotment.done(self.root):
                self.on_release(self, unit)
            self._supervisor.watch()
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

    def restore(self, view: BatchView) -> None:
        """Take up a batch that outlived its engine, as the journal tells of it: Held, or on with Stopping, Aborting."""
        supervisor, progress = self._supervisor, view.progress
        self._allotment.restore(view.allocated)
        states = {path: State(state) for path, state in view.states.items()}
        self._set_stepping(view.single_step, view.breakpoints)
        for path in view.let_go:
            supervisor.stepping.let_go(path)
        for path in view.skipped:
            self._elements[path].skipped = True
        supervisor.work.progress = {path: dict(entries) for path, entries in progress.items()}
        for element in self.root.walk():
            element.state = states.get(element.path, State.IDLE)
            supervisor.structure.restore(element, supervisor.work.progress.get(element.path, {}))
        for element in self.root.walk():
            above = element.parent.state if element.parent is not None else State.IDLE
            if above in (State.STOPPING, State.ABORTING) and above in targets(element.state):
                supervisor.set(element, above, ENGINE, None, AFTER_OUTAGE)
            if element.path in view.stopped and State.STOPPING in targets(element.state):
                supervisor.set(element, State.STOPPING, ENGINE, None, AFTER_OUTAGE)
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
