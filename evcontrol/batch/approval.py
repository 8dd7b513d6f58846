"""Decisions about master recipes: who hands one in, who approves it, and which batches may be started with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from evcontrol.access.people import People
from evcontrol.access.session import Session
from evcontrol.access.sign import hash_of, sign
from evcontrol.batch.aside import aside
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.recipes import APPROVED, RETIRED, RecipeView
from evcontrol.procedure.check import mistakes_of
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.life_cycle import MEANINGS, REQUALIFIED, Decision, LifeCycleError, after_decision
from evcontrol.procedure.recipe import Recipe, canonical_text, parse_recipe
from evcontrol.yaml_source import SourceError

GMP: Final = "gmp"
TRAINING: Final = "training"
"""Kinds of batches. A training batch may run any recipe, and says so wherever it is shown."""
SHORTEST: Final = 8
"""Digits of a hash by which a version is named at least."""
_USER: Final = "user:"


class RecipeApproval:
    """Hands recipes in and decides about them; the register itself is the journal's."""

    def __init__(self, people: People, rooms: Rooms) -> None:
        self._people = people
        self._rooms = rooms

    def find(self, wanted: str) -> RecipeView:
        """The version whose hash begins with ``wanted``. KeyError when there is not exactly one, or it is too short."""
        found = [view for view in self._rooms.view.recipes if view.hash.startswith(wanted)]
        if len(wanted) < SHORTEST or len(found) != 1:
            raise KeyError(wanted)
        return found[0]

    async def submit(self, text: str, file: str, reason: str, origin: Origin) -> RecipeView:
        """Hand a recipe in for review. Raises SourceError for a wrong one, LifeCycleError, JournalUnavailableError."""
        text = canonical_text(text)
        if mistakes := await aside(self._rooms, lambda: mistakes_of(text, file, self._rooms.plant)):
            raise SourceError(mistakes)
        recipe, register = parse_recipe(text, file), self._rooms.view.recipes
        after_decision(register.state_of(recipe.hash), Decision.SUBMIT, in_words(recipe))
        same = [one for one in register if (one.name, one.version) == (recipe.name, recipe.version)]
        if any(one.was_approved and one.hash != recipe.hash for one in same):
            raise LifeCycleError(f"another text was approved as {in_words(recipe)}: give this one another version")
        body = {
            "hash": recipe.hash, "name": recipe.name, "version": recipe.version, "product": recipe.product,
            "file": file, "text": text, "reason": reason,
        }  # fmt: skip
        await self._rooms.journal.record(Kind.RECIPE_SUBMITTED, origin, body)
        return self.find(recipe.hash)

    async def decide(self, wanted: str, decision: Decision, session: Session, password: str, reason: str) -> RecipeView:
        """Approve, reject or retire a version: a signature; who handed it in cannot approve it.

        What is approved takes the place of the version that was approved before. Raises KeyError, LifeCycleError,
        AccessError, JournalUnavailableError.
        """
        view = self.find(wanted)
        what, old = f"{view.name} {view.version}", view.state
        new = after_decision(old, decision, what)
        author = view.submitted_by.removeprefix(_USER) if decision is Decision.APPROVE else ""
        shown = {"recipe": view.hash, "old": old, "new": new, "reason": reason}
        await self._sign(session, password, MEANINGS[decision], f"recipe {what}", shown, author)
        # Nobody comes between what is looked at now and what is put down.
        after_decision(view.state, decision, what)
        origin = Origin.user(session.user, session.station)
        before = [one for one in self._rooms.view.recipes if one.state == APPROVED and one.name == view.name]
        self._change(view, new, reason, origin)
        for one in before if new == APPROVED else ():
            self._change(one, RETIRED, f"version {view.version} takes its place", origin)
        await self._rooms.journal.flush()
        return view

    async def requalified(self, product: str, session: Session, password: str, reason: str) -> None:
        """A product that is made with a changed recipe was qualified again: a signature.

        Raises LifeCycleError when it does not wait for that, AccessError, JournalUnavailableError.
        """
        waiting = self._rooms.view.recipes.to_requalify
        if product not in waiting:
            raise LifeCycleError(f"{product!r} does not wait for a requalification")
        recipe_hash = waiting[product]
        shown = {"product": product, "recipe": recipe_hash, "reason": reason}
        await self._sign(session, password, REQUALIFIED, f"requalification of {product}", shown, "")
        if waiting.get(product) != recipe_hash:
            raise LifeCycleError(f"the recipe of {product!r} was changed meanwhile: look at it again")
        body = {"product": product, "hash": recipe_hash, "reason": reason}
        origin = Origin.user(session.user, session.station)
        await self._rooms.journal.record(Kind.PRODUCT_REQUALIFIED, origin, body)

    def _change(self, view: RecipeView, new: str, reason: str, origin: Origin) -> None:
        body = {"hash": view.hash, "old": view.state, "new": new, "reason": reason}
        self._rooms.journal.append(Kind.RECIPE_STATE, origin, body)

    async def _sign(
        self, session: Session, password: str, meaning: str, subject: str, shown: Mapping[str, Any], author: str
    ) -> None:
        shown_hash = hash_of(shown)
        people, clock = self._people, self._rooms.clock
        body = await sign(people, clock, session, password, meaning, subject, shown_hash, author)
        origin = Origin.user(session.user, session.station)
        self._rooms.journal.append(Kind.SIGNATURE, origin, body | {"comment": shown["reason"]})


def in_words(recipe: Recipe) -> str:
    """A recipe's name and version."""
    return f"{recipe.name} {recipe.version}"


def recipe_body(recipe: Recipe, state: str) -> dict[str, str]:
    """What the journal keeps of the recipe of a batch; ``state`` is that in the register."""
    return {
        "name": recipe.name, "version": recipe.version, "hash": recipe.hash, "text": recipe.text,
        "file": recipe.document.file, "state": state,
    }  # fmt: skip


def obstacle(kind: str, recipe: Recipe, state: str) -> str:
    """Why a batch of this kind cannot be made with a recipe in this state; empty when it can."""
    if kind != GMP or state == APPROVED:
        return ""
    which = f"{in_words(recipe)} ({recipe.hash[:SHORTEST]})"
    return f"{which} is not approved but {state}, and a GMP batch needs an approved recipe (or start a training batch)"
