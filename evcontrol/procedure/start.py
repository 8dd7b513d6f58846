"""What must be so before a batch starts or restarts, and what a start resets."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from evcontrol.journal.events import Origin
from evcontrol.procedure.element import Element
from evcontrol.procedure.states import Command, State


class StartRefusedError(Exception):
    """A start or restart that the plant does not allow now; every reason in one line."""

    def __init__(self, what: str, reasons: Iterable[str]) -> None:
        super().__init__(f"{what}: {'; '.join(reasons)}")


class StartConditions:
    """``blockers`` tells in words why a unit cannot start now; ``settle`` resets what a start resets."""

    def __init__(
        self, batch: str, blockers: Callable[[str], list[str]], settle: Callable[[str, Origin, str], None]
    ) -> None:
        self.reconciliation_due = False
        self._batch = batch
        self._blockers = blockers
        self._settle = settle

    def check(self, what: str, units: Iterable[str]) -> None:
        """Raises StartRefusedError with everything that stands against these units."""
        reasons = [reason for unit in units for reason in self._blockers(unit)]
        if reasons:
            raise StartRefusedError(what, reasons)

    def check_restart(self, element: Element, has: Container[str]) -> tuple[list[str], list[str]]:
        """The units that a restart of ``element`` takes up again at once, and those of what it ``has`` for later.

        Of the later ones those that are not ready are left out: the phase that uses them is held when its turn comes.
        Raises StartRefusedError.
        """
        what = f"{self._batch} cannot restart"
        if self.reconciliation_due:
            sign = f"sign it first: evcontrol batch sign-reconciliation {self._batch}"
            raise StartRefusedError(what, [f"the engine was away, and its reconciliation is not signed ({sign})"])
        phases = [e for e in element.walk() if e.is_phase and e.bound.unit]
        held = {e.bound.unit for e in phases if e.state is State.HELD}
        self.check(what, sorted(held))
        later = {e.bound.unit for e in phases if e.state is State.IDLE} - held
        return sorted(held), [unit for unit in sorted(later) if unit in has and not self._blockers(unit)]

    def settle(self, units: Iterable[str], origin: Origin, reason: str) -> None:
        """Reset what a start resets. Raises StartRefusedError."""
        for unit in units:
            self._settle(unit, origin, reason)


def check_parent(element: Element, command: Command) -> None:
    """An element goes on only inside one that runs. Raises StartRefusedError."""
    parent = element.parent
    if parent is not None and parent.state is not State.RUNNING:
        name = parent.path or "the batch"
        raise StartRefusedError(f"{element.path} cannot {command}", [f"{name} is {parent.state}: {command} that"])
