"""Messages about master recipes: handing in, deciding, and what is known of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from evcontrol.api.schema import Message, Name, Password, Reason


class RecipeSubmission(Message):
    """The text of a recipe is handed in for review."""

    recipe: Annotated[str, StringConstraints(min_length=1, max_length=400_000)]
    recipe_name: Name
    reason: Reason


class RecipeDecision(Message):
    """A version is approved, rejected or retired: a signature."""

    decision: Literal["approve", "reject", "retire"]
    reason: Reason
    password: Password


class Requalification(Message):
    """A product that is made with a changed recipe was qualified again: a signature."""

    product: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    reason: Reason
    password: Password


class RecipeChange(Message):
    """One change of a version's state; ``t`` in process time, UTC ns."""

    t: int
    old: str
    new: str
    by: str
    reason: str


class RecipeSummary(Message):
    """One version of a master recipe, by the SHA-256 of its text."""

    hash: str
    name: str
    version: str
    product: str
    file: str
    state: str
    submitted_by: str
    changes: list[RecipeChange]
    requalify: bool
    """Whether its product waits to be qualified again because of this version."""


class RecipeText(Message):
    """A version with its text."""

    summary: RecipeSummary
    text: str
