"""Messages about steering a batch: single-step mode, breakpoints, jumps and live parameters."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from evcontrol.api.schema import Message, Name, Password, Reason

Place = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class SteppingChange(Message):
    """Single-step mode (every phase waits for a step) and breakpoints (these elements do)."""

    single: bool
    breakpoints: Annotated[tuple[Place, ...], Field(max_length=1000)] = ()
    reason: Reason


class Step(Message):
    """Lets the element at ``path`` begin, which stands at a step or a breakpoint."""

    path: Place


class JumpRequest(Message):
    """A held batch is to go on with the element at ``path``: a signature."""

    path: Place
    reason: Reason
    password: Password


class RevisionText(Message):
    """The recipe that a running batch is to go on with in what has not begun."""

    recipe: Annotated[str, StringConstraints(min_length=1, max_length=400_000)]
    recipe_name: Name


class RevisionPlan(Message):
    """What going on with it would change, and what stands against it, one line each."""

    batch: str
    revision: int
    changes: list[str]
    obstacles: list[str]
    shown_hash: str


class RevisionRequest(RevisionText):
    """A batch is to go on with it, as it was shown: a signature."""

    shown_hash: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    reason: Reason
    password: Password


class ParameterChange(Message):
    """A live parameter gets another value, a quantity with its unit: a signature."""

    value: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
    reason: Reason
    password: Password
