"""What phases of a batch have found, as conditions of its recipe read it: ``result.STEP.NAME``.

The value is the one that the phase recorded last in this batch; in a loop that of an earlier pass until there is a new
one. Before there is any it is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from evcontrol.expression import Reading, Resolve, Symbol
from evcontrol.procedure.phase import Phase, Result, UnknownPhaseError, phase_type
from evcontrol.procedure.recipe import Level, Step
from evcontrol.quality import BAD_WAITING_FOR_INITIAL, GOOD

PREFIX: Final = "result."
_OF: Final = "result of "


class ResultScope:
    """The results of a recipe's phases by the names that a condition of one of its elements may use.

    Of phases with one name the nearest counts, which stands in most of what the element stands in.
    """

    def __init__(self, procedure: Step) -> None:
        self._where: dict[str, tuple[tuple[Step, int], ...]] = {}
        self._phases: list[Step] = []
        self._look(procedure, ())

    def symbols(self, step: Step, inside: bool) -> dict[str, Symbol]:
        """The symbols for a condition of ``step``; ``inside``: one that is looked at once what is in it has run."""
        nearest: dict[str, list[tuple[int, Step]]] = {}
        for phase in self._phases:
            common = self._common(phase, step, inside)
            if common is not None:
                nearest.setdefault(phase.name, []).append((common, phase))
        found = {}
        for name, candidates in nearest.items():
            most = max(common for common, _ in candidates)
            closest = [phase for common, phase in candidates if common == most]
            for result in results_of(closest[0]) if len(closest) == 1 else ():
                symbol = Symbol(_name(closest[0].path, result.key), result.unit, result.labels)
                found[f"{PREFIX}{name}.{result.name}"] = symbol
        return found

    def _look(self, step: Step, where: tuple[tuple[Step, int], ...]) -> None:
        self._where[step.path] = where
        if results_of(step):
            self._phases.append(step)
        for number, below in enumerate(step.steps):
            self._look(below, (*where, (step, number)))

    def _common(self, phase: Step, step: Step, inside: bool) -> int | None:
        """In how many elements both stand; None when the phase cannot have run when the condition is looked at."""
        one, other = self._where[phase.path], self._where[step.path]
        for depth, ((above, number), (_, own)) in enumerate(zip(one, other, strict=False)):
            if number != own:
                before = above.level is Level.PARALLEL or (above.level is not Level.CHOICE and number < own)
                return depth if before else None
        return len(other) if inside and len(one) >= len(other) else None


class BatchResults:
    """The results of one batch; ``latest`` are the values by path and key."""

    def __init__(self, procedure: Step, image: Resolve, latest: Mapping[tuple[str, str], Any]) -> None:
        self._image = image
        self._latest = latest
        self._known: dict[str, tuple[tuple[str, str], tuple[str, ...]]] = {}
        self.learn(procedure)

    def learn(self, procedure: Step) -> None:
        """Know the results of the phases of a procedure."""
        for step in procedure.walk():
            for result in results_of(step):
                self._known[_name(step.path, result.key)] = ((step.path, result.key), result.labels)

    def reading(self, name: str) -> Reading:
        """A result, or whatever else the process image has."""
        if not name.startswith(_OF):
            return self._image(name)
        place, labels = self._known[name]
        value = self._latest.get(place)
        if labels:
            value = labels.index(value) if value in labels else None
        return Reading(math.nan, BAD_WAITING_FOR_INITIAL) if value is None else Reading(float(value), GOOD)


def results_of(step: Step) -> tuple[Result, ...]:
    """What the phase of a step finds; nothing for other elements."""
    phase = _phase(step.phase)
    return () if phase is None else phase.results_of(step.arguments)


def _phase(name: str) -> type[Phase] | None:
    try:
        return phase_type(name) if name else None
    except UnknownPhaseError:
        return None


def _name(path: str, key: str) -> str:
    return f"{_OF}{path}: {key}"
