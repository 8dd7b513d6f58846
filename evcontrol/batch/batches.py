"""All batches of an engine: making them, commanding them, and taking them up again after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evcontrol.access.people import People
from evcontrol.access.session import Session
from evcontrol.access.sign import hash_of, sign
from evcontrol.batch.approval import GMP, TRAINING, obstacle, recipe_body
from evcontrol.batch.aside import aside
from evcontrol.batch.reconcile import UNREADABLE, Reconciliation, last_readings, outage_seconds, reconcile
from evcontrol.clock import NS
from evcontrol.control.gate import CommandRefusedError
from evcontrol.control.interlocks import Interlocks
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.replay import BatchView, standing
from evcontrol.procedure.allocation import Allocation
from evcontrol.procedure.check import ControlRecipe, bind
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.prompts import Answer
from evcontrol.procedure.recipe import canonical_text, parse_recipe
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import FINAL, Command, State
from evcontrol.procedure.status import BatchInfo

LOOK_BACK_S = 3600
"""Process time before the outage in which the last reading is looked for."""
SUBJECT = "reconciliation of {batch}"
MEANING = "I have compared what was expected with what is read; the batch may go on"


class Batches:
    """The batches that run, and those that have ended since the engine was started.

    ``blockers`` tells in words what stands against starting a unit now.
    """

    def __init__(
        self, rooms: Rooms, interlocks: Interlocks, blockers: Callable[[str], list[str]], history: Path
    ) -> None:
        self.runs: dict[str, BatchRun] = {}
        self.reconciliations: dict[str, Reconciliation] = {}
        self.on_change: Callable[[BatchRun], None] = lambda run: None
        self.on_release: Callable[[BatchRun, str], None] = lambda run, unit: None
        self.allocation = Allocation()
        self._starting = asyncio.Lock()
        self._outages: dict[str, _Outage] = {}
        self._rooms = rooms
        self._interlocks = interlocks
        self._blockers = blockers
        self._history = history

    def active(self, unit: str = "") -> list[BatchRun]:
        """The batches that have not ended, on one unit or on any."""
        return [run for run in self.runs.values() if not run.ended and (not unit or unit in run.units)]

    async def start(
        self,
        recipe: str,
        recipe_name: str,
        parameters: Mapping[str, str],
        purpose: str,
        product: str,
        origin: Origin,
        kind: str = "",
    ) -> BatchRun:
        """Make a batch from the text of a recipe and start it.

        ``kind`` is ``gmp`` or ``training``; without it, it is training on simulated equipment and GMP on real one.
        Raises SourceError for a wrong recipe, StartRefusedError when equipment is not free or not ready.
        """
        recipe = canonical_text(recipe)
        busy = {unit for run in self.active() for unit in run.units}
        control = await aside(
            self._rooms,
            lambda: bind(parse_recipe(recipe, recipe_name), self._rooms.plant, parameters, busy=busy),
        )
        async with self._starting:  # two at once must not both find a unit free
            return await self._start(control, purpose, product, origin, kind)

    async def command(self, batch: str, command: Command, origin: Origin, reason: str, path: str = "") -> None:
        """Command a batch or the element at ``path``; on disk when this returns, unless it leads towards safety.

        Raises KeyError, IllegalCommandError, StartRefusedError.
        """
        self.runs[batch].command(command, origin, reason, path)
        if command in (Command.RESTART, Command.RESUME, Command.PAUSE):
            await self._rooms.journal.flush()

    async def answer(self, batch: str, prompt: str, value: Answer, origin: Origin, comment: str) -> None:
        """Answer a question of a batch. Raises KeyError, AnswerError."""
        await self.runs[batch].answer(prompt, value, origin, comment)

    async def sign_answer(
        self,
        batch: str,
        prompt: str,
        value: Answer,
        session: Session,
        password: str,
        comment: str,
        people: People,
    ) -> None:
        """Answer a question whose answer is a signature. Raises KeyError, AnswerError, AccessError."""
        run = self.runs[batch]
        asked = run.question(prompt)
        shown = {
            "prompt": prompt, "text": asked.text, "unit": asked.unit, "value": asked.accept(value),
            "comment": comment, "meaning": asked.meaning,
        }  # fmt: skip
        shown_hash = hash_of(shown)
        subject = f"answer to {prompt} of {batch}"
        body = await sign(people, self._rooms.clock, session, password, asked.meaning, subject, shown_hash)
        origin = Origin.user(session.user, session.station)
        await run.answer(prompt, value, origin, comment, body | {"comment": comment})

    async def restore(self, before: int) -> None:
        """Take up every batch that had not ended when the engine did (process time ``before``, UTC ns)."""
        unfinished = [view for view in self._rooms.view.batches.values() if State(view.state) not in FINAL]
        for view in unfinished:
            if State(view.state) is State.IDLE:
                self._abandon(view.batch, "the engine died before it began")
        waiting = [view for view in unfinished if State(view.state) is not State.ABORTED]
        for view in waiting:
            recipe = parse_recipe(view.recipe["text"], view.recipe["file"])
            control = bind(recipe, self._rooms.plant, view.parameters, units=view.body["units"])
            run = self._make(view.batch, view.body, view.created, control)
            run.info = replace(
                run.info, recipe_name=recipe.name, recipe_state=view.recipe.get("state", ""), revision=view.revision
            )
            run.restore(view)
        for view in waiting:
            run = self.runs[view.batch]
            if not run.ended:
                for unit in run.units:
                    await self._rooms.gate.make_safe(unit, "the engine was restarted", batch=run.id)
                self._outages[run.id] = self._outage(run, view, before)
                await self._show(self._compare(run))

    async def sign(
        self, batch: str, shown_hash: str, session: Session, password: str, comment: str, people: People
    ) -> None:
        """Sign a reconciliation as it was shown, so that the batch may be restarted. Raises AccessError, KeyError."""
        shown = self.reconciliations[batch]
        fresh = self._compare(self.runs[batch])
        pairs = zip(fresh.items, shown.items, strict=False)
        if len(fresh.items) != len(shown.items) or not all(now.says_the_same(then) for now, then in pairs):
            await self._show(fresh)
            raise StartRefusedError("not signed", ["it has changed since it was shown: look at it again"])
        if shown.shown_hash != shown_hash:
            raise StartRefusedError("not signed", ["this is not what is shown now: look at it again"])
        unread = [item.what for item in shown.items if item.verdict == UNREADABLE]
        if unread:
            raise StartRefusedError("not signed", [f"{what} cannot be read" for what in unread])
        subject = SUBJECT.format(batch=batch)
        body = await sign(people, self._rooms.clock, session, password, MEANING, subject, shown_hash)
        origin = Origin.user(session.user, session.station)
        await self._rooms.journal.record(Kind.SIGNATURE, origin, body | {"comment": comment}, batch=batch)
        self.runs[batch].reconciliation_due = False

    async def hold_all(self, reason: str) -> None:
        """Hold every batch and wait until each is held or ended."""
        for run in self.active():
            run.hold(reason)
        while any(not run.at_rest or run.state not in FINAL | {State.HELD} for run in self.runs.values()):
            await self._rooms.next_scan()

    async def close(self) -> None:
        """End all tasks."""
        await asyncio.gather(*(run.close() for run in self.runs.values()))

    async def _start(
        self,
        control: ControlRecipe,
        purpose: str,
        product: str,
        origin: Origin,
        kind: str,
    ) -> BatchRun:
        kind = kind or (TRAINING if self._rooms.plant.simulated else GMP)
        state = self._rooms.view.recipes.state_of(control.recipe.hash)
        if unapproved := obstacle(kind, control.recipe, state):
            raise StartRefusedError("the batch cannot start", [unapproved])
        units = [unit for unit in control.units.values() if unit not in control.when_needed]
        reasons = [f"{unit} is used by {run.id}" for unit in units for run in self.active(unit)]
        reasons += [f"{unit}: {waits} waits for it" for unit in units if (waits := self.allocation.next(unit))]
        reasons += [reason for unit in units for reason in self._blockers(unit)]
        if reasons:
            raise StartRefusedError("the batch cannot start", reasons)
        batch = f"B-{len(self._rooms.view.batches) + 1:04d}"
        body = {
            "recipe": recipe_body(control.recipe, state),
            "kind": kind,
            "purpose": purpose,
            "product": product or control.recipe.product,
            "units": dict(control.units),
            "parameters": dict(control.parameters),
        }
        for unit in units:  # before anything is waited for, since a batch that runs may want one of them now
            self.allocation.take(batch, unit)
        started = False
        try:
            event = await self._rooms.journal.record(Kind.BATCH_CREATED, origin, body, batch=batch)
            run = self._make(batch, body, event.t, control)
            self._begin(run, origin)
            started = True
        finally:
            for unit in units if not started else ():
                self.allocation.release(batch, unit)
        return run

    def _begin(self, run: BatchRun, origin: Origin) -> None:
        try:
            run.start(origin)
        except StartRefusedError as refused:
            del self.runs[run.id]
            self._abandon(run.id, str(refused))
            raise

    def _abandon(self, batch: str, reason: str) -> None:
        """Put down that a batch never began."""
        body = {"old": State.IDLE, "new": State.ABORTED, "command": "", "reason": reason}
        self._rooms.journal.append_safety(Kind.STATE_CHANGED, ENGINE, body, batch=batch)

    def _make(self, batch: str, body: Mapping[str, Any], created: int, control: ControlRecipe) -> BatchRun:
        info = BatchInfo(batch, body["recipe"]["name"], body["product"], body["purpose"], created, *standing(body))
        run = BatchRun(self._rooms, info, control, self._blockers, self._settle, self.allocation)
        run.on_change, run.on_release = self.on_change, self.on_release
        self.runs[batch] = run
        return run

    def _settle(self, unit: str, origin: Origin, reason: str) -> None:
        """What a start or restart by a person resets: interlocks whose causes are gone, and the safe state."""
        obstacles = self._interlocks.reset_unit(unit, origin, reason)
        if obstacles:
            raise StartRefusedError(f"{unit} cannot start", obstacles)
        try:
            self._rooms.gate.release_safe(unit)
        except CommandRefusedError as refused:
            raise StartRefusedError(f"{unit} cannot start", [str(refused)]) from None

    def _outage(self, run: BatchRun, view: BatchView, before: int) -> _Outage:
        """When the engine was last heard of, and what was read then; what was never signed stays as it was shown."""
        tags = [spec.tag for unit in run.units for spec in self._rooms.plant.units[unit].reconcile]
        expected = last_readings(HistoryReader(self._history), tags, before - LOOK_BACK_S * NS, before + 1)
        since = min(before, view.unsigned_since) if view.unsigned_since else before
        return _Outage(since, self._rooms.clock.now(), expected | view.unsigned)

    def _compare(self, run: BatchRun) -> Reconciliation:
        outage = self._outages[run.id]
        seconds = outage_seconds(outage.since, outage.until)
        return reconcile(
            self._rooms.plant, self._rooms.image, run.id, run.units, outage.expected, seconds, run.bears_outage_h()
        )

    async def _show(self, shown: Reconciliation) -> None:
        """Put what is to be signed into the journal."""
        outage = self._outages[shown.batch]
        body = shown.body() | {"hash": shown.shown_hash, "tags": outage.expected, "since": outage.since}
        self.reconciliations[shown.batch] = shown
        await self._rooms.journal.record(Kind.RECONCILIATION_SHOWN, ENGINE, body, batch=shown.batch)


@dataclass(frozen=True, slots=True)
class _Outage:
    """From when to when no engine ran (process time, UTC ns), and what was read last before it."""

    since: int
    until: int
    expected: dict[str, float]
