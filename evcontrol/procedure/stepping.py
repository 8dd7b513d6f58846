"""Single-step mode and breakpoints: where a batch stands before it begins an element, until a person lets it go on."""

from __future__ import annotations

from collections.abc import Iterable

from evcontrol.procedure.element import Element


class SteeringError(Exception):
    """A step, breakpoint, jump or change of a parameter that is not possible now; one line that says why."""


class Stepping:
    """What a batch stops at. In single-step mode that is every phase."""

    def __init__(self) -> None:
        self.single = False
        self.breakpoints: frozenset[str] = frozenset()
        self._let_go: set[str] = set()

    def set(self, single: bool, breakpoints: Iterable[str]) -> None:
        """Change the mode and the breakpoints; what was let go stays so."""
        self.single = single
        self.breakpoints = frozenset(breakpoints)

    def stops(self, element: Element) -> str:
        """Why an element whose turn it is does not begin, in words; empty when it may."""
        if element.path in self._let_go:
            return ""
        if element.path in self.breakpoints:
            return "breakpoint: a step goes on"
        return "single-step mode: a step goes on" if self.single and element.is_phase else ""

    def let_go(self, path: str) -> None:
        """Let an element begin, once."""
        self._let_go.add(path)

    def began(self, path: str) -> None:
        """An element has begun: in a loop it stops anew."""
        self._let_go.discard(path)
