"""Master recipes as the journal tells of them: versions by the hash of their text, and products to requalify."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from evcontrol.journal.events import Event, Kind

DRAFT: Final = "draft"
IN_REVIEW: Final = "in review"
APPROVED: Final = "approved"
RETIRED: Final = "retired"


@dataclass(slots=True)
class RecipeView:
    """One version of a master recipe. ``changes`` are (process time in UTC ns, old, new, who, why), oldest first."""

    hash: str
    name: str
    version: str
    product: str
    file: str
    text: str
    state: str
    submitted_by: str
    changes: list[tuple[int, str, str, str, str]] = field(default_factory=list)

    @property
    def was_approved(self) -> bool:
        """Whether it is approved now or was once."""
        return any(new == APPROVED for _, _, new, _, _ in self.changes)


class RecipeRegister:
    """All versions that were ever submitted, in the order of their first submission."""

    def __init__(self) -> None:
        self._versions: dict[str, RecipeView] = {}
        self.to_requalify: dict[str, str] = {}
        """Products whose recipe was changed, and the hash of the version that was approved last."""

    def __iter__(self) -> Iterator[RecipeView]:
        return iter(self._versions.values())

    def state_of(self, recipe_hash: str) -> str:
        """The state of a version; what nobody ever submitted is a draft."""
        view = self._versions.get(recipe_hash)
        return DRAFT if view is None else view.state

    def apply(self, event: Event) -> None:
        """Take one event in."""
        body = event.body
        match event.kind:
            case Kind.RECIPE_SUBMITTED:
                before = self._versions.get(body["hash"])
                new = RecipeView(
                    body["hash"], body["name"], body["version"], body["product"], body["file"], body["text"],
                    IN_REVIEW, event.actor, [] if before is None else before.changes,
                )  # fmt: skip
                new.changes.append((event.t, DRAFT, IN_REVIEW, event.actor, body["reason"]))
                self._versions[new.hash] = new
            case Kind.RECIPE_STATE:
                self._change(event)
            case Kind.PRODUCT_REQUALIFIED:
                self.to_requalify.pop(body["product"], None)

    def _change(self, event: Event) -> None:
        body = event.body
        view = self._versions[body["hash"]]
        others = any(one.was_approved for one in self if one.product == view.product and one.hash != view.hash)
        if body["new"] == APPROVED and others:
            self.to_requalify[view.product] = view.hash
        view.state = body["new"]
        view.changes.append((event.t, body["old"], body["new"], event.actor, body["reason"]))
