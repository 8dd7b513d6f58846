"""Who has which unit: exclusive allocation of units to batches, and arbitration when two want one (ISA-88.00.01, 6.3).

A batch has the units that it takes at its start for as long as it lasts. A unit that its recipe allocates when needed
it has from the first element on that unit to the last. Who asks first gets a unit first; a batch that does not ask any
more, since it is held or its condition is not true, loses its turn to those behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evcontrol.journal.events import ENGINE, Kind
from evcontrol.procedure.check import ControlRecipe
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.element import Element
from evcontrol.procedure.recipe import Level
from evcontrol.procedure.start import StartConditions, StartRefusedError

_FORGOTTEN_AFTER: Final = 3
"""Scans without asking after which a place in the queue does not hold others up."""


class Allocation:
    """The units of a plant and the batches that have them or wait for them; one for all batches."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._queues: dict[str, dict[str, _Place]] = {}
        self._scan = 0

    def owner(self, unit: str) -> str:
        """The batch that has a unit; empty when none has."""
        return self._owners.get(unit, "")

    def next(self, unit: str) -> str:
        """The batch that gets a unit next; empty when none waits for it."""
        return next(iter(self._queues.get(unit, {})), "")

    def take(self, batch: str, unit: str) -> None:
        """Give a unit to a batch, which was found to be free for it."""
        self._owners[unit] = batch
        self._queues.get(unit, {}).pop(batch, None)

    def release(self, batch: str, unit: str) -> None:
        """Take a unit from a batch, if it has it."""
        if self._owners.get(unit) == batch:
            del self._owners[unit]

    def on_scan(self) -> None:
        """Count scans, and forget who does not ask any more."""
        self._scan += 1
        for queue in self._queues.values():
            for batch in [b for b, place in queue.items() if self._scan - place.asked > _FORGOTTEN_AFTER]:
                del queue[batch]

    def ask(self, batch: str, unit: str, stands: bool) -> str:
        """Stand in the queue for a unit: why it is not this batch's turn, in words; empty when it is.

        ``stands`` says that nothing of the batch can go on without it.
        """
        queue = self._queues.setdefault(unit, {})
        queue[batch] = _Place(self._scan, stands)
        owner = self._owners.get(unit, "")
        before = self.next(unit)
        if owner and owner != batch:
            return f"waits for {unit}: it is used by {owner}" + (f", and {before} is next" if before != batch else "")
        return "" if before == batch else f"waits for {unit}: {before} is next"

    def leave(self, batch: str, unit: str) -> None:
        """Give up a place in the queue."""
        self._queues.get(unit, {}).pop(batch, None)

    def deadlock(self, batch: str, unit: str) -> str:
        """Who waits for whom in a circle, in words; empty while one of them can go on, and give up what it has."""
        return "; ".join(self._circle(batch, unit, batch, frozenset()))

    def _circle(self, waiting: str, unit: str, first: str, seen: frozenset[str]) -> list[str]:
        owner = self._owners.get(unit, "")
        place = self._queues.get(unit, {}).get(waiting)
        if not owner or place is None or not place.stands or owner in seen:
            return []
        said = f"{waiting} waits for {unit}, which {owner} has"
        if owner == first:
            return [said]
        for wanted, queue in self._queues.items():
            if owner in queue and (rest := self._circle(owner, wanted, first, seen | {owner})):
                return [said, *rest]
        return []


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a queue: when it was asked for last (scan), and whether the batch cannot go on without the unit."""

    asked: int
    stands: bool


class Allotment:
    """The units of one batch."""

    def __init__(
        self, rooms: Rooms, batch: str, control: ControlRecipe, allocation: Allocation, conditions: StartConditions
    ) -> None:
        self._rooms = rooms
        self._batch = batch
        self._all = list(control.units.values())
        self._late = control.when_needed
        self._has: set[str] = set()
        self._allocation = allocation
        self._conditions = conditions

    @property
    def units(self) -> list[str]:
        """The plant's units that it has."""
        return [unit for unit in self._all if unit not in self._late or unit in self._has]

    def restore(self, allocated: list[str]) -> None:
        """Have again what it had when the engine died."""
        self._has = set(allocated)
        for unit in self.units:
            self._allocation.take(self._batch, unit)

    def claim(self, unit: str, root: Element) -> str:
        """Get a unit that an element needs which is about to begin: why it has to wait for it; empty when it has it.

        Raises StartRefusedError when it is free but not ready, or when waiting for it would never end.
        """
        if unit not in self._late or unit in self._has:
            return ""
        stands = not any(element.is_phase and element.active for element in root.walk())
        waits = self._allocation.ask(self._batch, unit, stands)
        if waits:
            if circle := self._allocation.deadlock(self._batch, unit):
                self._allocation.leave(self._batch, unit)
                raise StartRefusedError(f"{self._batch} cannot get {unit}", [f"deadlock: {circle}"])
            return waits
        self._conditions.check(f"{self._batch} cannot begin on {unit}", [unit])
        self._conditions.settle([unit], ENGINE, f"{self._batch} begins on it")
        self._rooms.journal.append(Kind.UNIT_ALLOCATED, ENGINE, {"unit": unit}, batch=self._batch)
        self._has.add(unit)
        self._allocation.take(self._batch, unit)
        return ""

    def done(self, root: Element) -> list[str]:
        """Give up what nothing of the batch needs any more: units that are to be made safe and released."""
        released = [unit for unit in sorted(self._has) if not _needs(root, unit)]
        for unit in released:
            self._rooms.journal.append(Kind.UNIT_RELEASED, ENGINE, {"unit": unit}, batch=self._batch)
            self._has.discard(unit)
        return released


def _needs(element: Element, unit: str) -> bool:
    """Whether something of an element that is left to be done is on a unit; a loop may begin anew until it is over."""
    if element.over:
        return False
    if element.is_phase:
        return element.bound.unit == unit
    if element.level is Level.LOOP and not element.decided:
        return any(below.is_phase and below.bound.unit == unit for below in element.walk())
    return any(_needs(child, unit) for child in element.children)
