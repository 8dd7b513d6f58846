"""Who may command an actuator now: owners by rank, modes of a unit (ISA-88.00.01, 6), and the table of owners."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Owner(StrEnum):
    """Kinds of owners, from the weakest to the strongest."""

    NONE = "none"
    LOOP = "loop"
    PHASE = "phase"
    OPERATOR = "operator"
    INTERLOCK = "interlock"

    @property
    def rank(self) -> int:
        """0 for NONE, rising with strength."""
        return list(Owner).index(self)


class Mode(StrEnum):
    """Modes of a unit: phases alone command, phases and people do, people alone do."""

    AUTOMATIC = "automatic"
    SEMI_AUTOMATIC = "semi-automatic"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Holder:
    """The owner of a tag and its name: a loop, a phase of a batch, a user, an interlock."""

    owner: Owner
    name: str

    def __str__(self) -> str:
        return f"{self.owner} {self.name}" if self.name else str(self.owner)


NOBODY: Final = Holder(Owner.NONE, "")


@dataclass(slots=True)
class Claims:
    """Everybody who claims one tag; a loop stands in for the phase that granted it."""

    operator: str = ""
    phase: str = ""
    loop: str = ""

    def holder(self) -> Holder:
        """The one who may command: the operator, else the loop, else the phase."""
        if self.operator:
            return Holder(Owner.OPERATOR, self.operator)
        if self.loop:
            return Holder(Owner.LOOP, self.loop)
        return Holder(Owner.PHASE, self.phase) if self.phase else NOBODY


@dataclass(slots=True)
class Owners:
    """The owners of all tags; ``on_change(tag, old, new, reason)`` is told of every change."""

    on_change: Callable[[str, Holder, Holder, str], None]
    _claims: dict[str, Claims] = field(default_factory=dict)

    def holder(self, tag: str) -> Holder:
        """Who owns a tag; interlocks not counted."""
        claims = self._claims.get(tag)
        return claims.holder() if claims else NOBODY

    def claims(self, tag: str) -> Claims:
        """All claims on a tag, to look at."""
        return self._claims.get(tag, Claims())

    def claim(
        self, tag: str, reason: str, *, operator: str | None = None, phase: str | None = None, loop: str | None = None
    ) -> None:
        """Set (a name) or give up (an empty text) claims on a tag; None leaves a claim as it is."""
        claims = self._claims.setdefault(tag, Claims())
        old = claims.holder()
        claims.operator = claims.operator if operator is None else operator
        claims.phase = claims.phase if phase is None else phase
        claims.loop = claims.loop if loop is None else loop
        new = claims.holder()
        if new != old:
            self.on_change(tag, old, new, reason)

    def give_up(self, reason: str, *, phase: str) -> None:
        """End all claims of a phase."""
        for tag in [tag for tag, claims in self._claims.items() if claims.phase == phase]:
            self.claim(tag, reason, phase="")

    def take_away(self, tag: str, reason: str) -> None:
        """End every claim on a tag."""
        if self.holder(tag) != NOBODY:
            self.claim(tag, reason, operator="", phase="", loop="")

    def release_loops(self, tags: Iterable[str], reason: str) -> None:
        """End the claims of loops on some tags."""
        for tag in tags:
            if self.claims(tag).loop:
                self.claim(tag, reason, loop="")

    def release_operators(self, tags: Iterable[str], reason: str) -> None:
        """End the claims of people on some tags."""
        for tag in tags:
            if self.claims(tag).operator:
                self.claim(tag, reason, operator="")
