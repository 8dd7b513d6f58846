"""The life of a master recipe: draft, in review, approved, retired; and which steps lead from one to the other."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from evcontrol.journal.recipes import APPROVED, DRAFT, IN_REVIEW, RETIRED


class Decision(StrEnum):
    """What is decided of a version of a recipe."""

    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    RETIRE = "retire"


NEXT: Final[Mapping[tuple[str, Decision], str]] = MappingProxyType(
    {
        (DRAFT, Decision.SUBMIT): IN_REVIEW,
        (IN_REVIEW, Decision.APPROVE): APPROVED,
        (IN_REVIEW, Decision.REJECT): DRAFT,
        (APPROVED, Decision.RETIRE): RETIRED,
        (RETIRED, Decision.SUBMIT): IN_REVIEW,
    }
)
"""What each decision leads to; what is not here is refused. A version that was retired needs a new review."""
MEANINGS: Final[Mapping[Decision, str]] = MappingProxyType(
    {
        Decision.APPROVE: "I have reviewed this recipe and approve it for GMP batches",
        Decision.REJECT: "I have reviewed this recipe and send it back to its author",
        Decision.RETIRE: "No more GMP batches are to be started with this recipe",
    }
)
"""What is signed with each decision that is signed."""
REQUALIFIED: Final = "The product made with the changed recipe has been qualified again"


class LifeCycleError(Exception):
    """A decision that cannot be taken; one line."""


def after_decision(state: str, decision: Decision, what: str) -> str:
    """The state that a decision leads to; LifeCycleError when it is none for a recipe in this state."""
    try:
        return NEXT[state, decision]
    except KeyError:
        possible = [one.value for (known, one) in NEXT if known == state]
        raise LifeCycleError(
            f"{what} is {state}: {decision} is not possible, but {', '.join(possible) or 'nothing'}"
        ) from None
