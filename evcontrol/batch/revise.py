"""Changing what has not begun of a running batch: a revision of its control recipe, signed, with what it changes.

A training batch may go on with any recipe, a GMP batch with one that is approved, as at its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evcontrol.access.people import People
from evcontrol.access.session import Session
from evcontrol.access.sign import hash_of, sign
from evcontrol.batch.approval import obstacle, recipe_body
from evcontrol.batch.aside import aside
from evcontrol.batch.batches import Batches
from evcontrol.journal.events import Kind, Origin
from evcontrol.procedure.check import ControlRecipe, bind
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.difference import differences
from evcontrol.procedure.recipe import canonical_text, parse_recipe
from evcontrol.procedure.revision import locked_head, parameters_for
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import State
from evcontrol.procedure.stepping import SteeringError

MEANING = "I have the batch go on with this recipe in what has not begun"


@dataclass(frozen=True, slots=True)
class Plan:
    """A revision as it would be: what it changes, one line each, and what stands against it."""

    batch: str
    revision: int
    before: ControlRecipe
    """What it was planned against."""
    control: ControlRecipe
    changes: tuple[str, ...]
    obstacles: tuple[str, ...]

    @property
    def shown_hash(self) -> str:
        """The hash of what a person signs."""
        shown = {"batch": self.batch, "revision": self.revision, "recipe": self.control.recipe.hash}
        return hash_of(shown | {"parameters": dict(self.control.parameters), "changes": list(self.changes)})


class BatchRevising:
    """Plans revisions of a plant's batches, and makes them."""

    def __init__(self, batches: Batches, people: People, rooms: Rooms) -> None:
        self._batches = batches
        self._people = people
        self._rooms = rooms

    async def plan(self, batch: str, text: str, file: str) -> Plan:
        """What going on with the recipe in ``text`` would change. Raises KeyError, SourceError for a wrong recipe."""
        run, text = self._batches.runs[batch], canonical_text(text)
        old = run.control

        def work() -> tuple[ControlRecipe, tuple[str, ...]]:
            recipe = parse_recipe(text, file)
            given = parameters_for(old, recipe)
            # A unit that the recipe names anew is looked for like at a start; that it is new is an obstacle.
            control = bind(recipe, self._rooms.plant, given, units=old.units)
            return control, tuple(differences(old.recipe, recipe))

        control, changes = await aside(self._rooms, work)
        return Plan(batch, run.info.revision + 1, old, control, changes, tuple(self._obstacles(run, control)))

    async def revise(
        self, batch: str, text: str, file: str, shown_hash: str, session: Session, password: str, reason: str
    ) -> None:
        """Go on with another recipe, as it was shown: a signature.

        Raises KeyError, SourceError, SteeringError with everything that stands against it, AccessError,
        JournalUnavailableError.
        """
        plan, run = await self.plan(batch, text, file), self._batches.runs[batch]
        self._check(plan, shown_hash, plan.obstacles)
        subject = f"revision {plan.revision} of {batch}"
        body = await sign(self._people, self._rooms.clock, session, password, MEANING, subject, plan.shown_hash)
        # It may have gone on, or been changed, while the password was checked.
        self._check(plan, shown_hash, self._obstacles(run, plan.control))
        if run.control is not plan.before:
            raise SteeringError(f"{batch} was changed meanwhile: look at it again")
        origin, recipe = Origin.user(session.user, session.station), plan.control.recipe
        state = self._rooms.view.recipes.state_of(recipe.hash)
        self._rooms.journal.append(Kind.SIGNATURE, origin, body | {"comment": reason}, batch=batch)
        revised = {
            "revision": plan.revision, "recipe": recipe_body(recipe, state),
            "parameters": dict(plan.control.parameters), "differences": list(plan.changes), "reason": reason,
        }  # fmt: skip
        run.revise(plan.control, revised, state, origin)
        await self._rooms.journal.flush()

    @staticmethod
    def _check(plan: Plan, shown_hash: str, obstacles: Sequence[str]) -> None:
        if obstacles:
            raise SteeringError(f"{plan.batch} cannot go on with this recipe: {'; '.join(obstacles)}")
        if plan.shown_hash != shown_hash:
            raise SteeringError(f"this is not what {plan.batch} would go on with now: look at it again")

    def _obstacles(self, run: BatchRun, control: ControlRecipe) -> list[str]:
        """Everything that stands against going on with a recipe now."""
        if run.ended or run.state in (State.STOPPING, State.ABORTING):
            return [f"it is {run.state}"]
        if run.reconciliation_due:
            return ["it is to be reconciled and signed first"]
        recipe = control.recipe
        if recipe.hash == run.control.recipe.hash:
            return ["it runs with this very text"]
        found = [*locked_head(run.control, recipe), *run.locked(control)]
        unapproved = obstacle(run.info.kind, recipe, self._rooms.view.recipes.state_of(recipe.hash))
        return [*found, unapproved] if unapproved else found
