"""What a person signs to steer a batch: a jump over what has not begun, and a live change of a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evcontrol.access.people import People
from evcontrol.access.session import Session
from evcontrol.access.sign import hash_of, sign
from evcontrol.batch.aside import aside
from evcontrol.batch.batches import Batches
from evcontrol.journal.events import Kind, Origin
from evcontrol.procedure.check import ControlRecipe, bind
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.stepping import SteeringError

JUMP = "I have the batch go on there, and what is passed over is not done"
CHANGE = "I change this parameter of the running batch"


class BatchSteering:
    """Jumps and parameters of a plant's batches."""

    def __init__(self, batches: Batches, people: People, rooms: Rooms) -> None:
        self._batches = batches
        self._people = people
        self._rooms = rooms

    async def jump(self, batch: str, path: str, session: Session, password: str, reason: str) -> None:
        """Have a held batch go on with the element at ``path``, once it is restarted.

        Raises KeyError, SteeringError, AccessError when the person may not sign, JournalUnavailableError.
        """
        run = self._batches.runs[batch]
        plan = run.plan_jump(path)
        shown = {"to": path, "skipped": [e.path for e in plan.skipped], "stopped": [e.path for e in plan.stopped]}
        await self._sign(run, session, password, JUMP, shown | {"reason": reason}, reason)
        # It may have changed while the password was checked.
        run.jump(run.plan_jump(path), Origin.user(session.user, session.station), reason)
        await self._rooms.journal.flush()

    async def change_parameter(
        self, batch: str, name: str, value: str, session: Session, password: str, reason: str
    ) -> None:
        """Change a parameter that the recipe calls live, within its limits; phases read it from now on.

        Raises KeyError for an unknown batch, SteeringError, SourceError for a value that does not fit, AccessError,
        JournalUnavailableError.
        """
        run = self._batches.runs[batch]
        self._may_change(run, name)
        before = run.control
        shown = {"parameter": name, "old": run.control.parameters[name], "new": value}
        control = await self._bound(run, name, value)
        await self._sign(run, session, password, CHANGE, shown | {"reason": reason}, reason)
        if run.control is not before:
            raise SteeringError(f"{batch} was changed meanwhile: look at it again")
        self._may_change(run, name)
        run.change_parameter(control, name, Origin.user(session.user, session.station), reason)
        await self._rooms.journal.flush()

    async def _bound(self, run: BatchRun, name: str, value: str) -> ControlRecipe:
        given = {**run.control.parameters, name: value}
        return await aside(
            self._rooms, lambda: bind(run.control.recipe, self._rooms.plant, given, units=run.control.units)
        )

    @staticmethod
    def _may_change(run: BatchRun, name: str) -> None:
        parameters = run.control.recipe.parameters
        if run.ended:
            raise SteeringError(f"{run.id} is {run.state}")
        if name not in parameters:
            raise SteeringError(f"the recipe of {run.id} has no parameter {name!r}")
        if not parameters[name].live:
            raise SteeringError(f"{name} is not live in the recipe of {run.id}: it holds for the whole batch")

    async def _sign(
        self, run: BatchRun, session: Session, password: str, meaning: str, shown: Mapping[str, Any], reason: str
    ) -> None:
        whole = {"batch": run.id, "meaning": meaning, **shown}
        shown_hash = hash_of(whole)
        subject = f"{shown.get('parameter') or 'jump to ' + str(shown['to'])} of {run.id}"
        body = await sign(self._people, self._rooms.clock, session, password, meaning, subject, shown_hash)
        origin = Origin.user(session.user, session.station)
        self._rooms.journal.append(Kind.SIGNATURE, origin, body | {"comment": reason}, batch=run.id)
