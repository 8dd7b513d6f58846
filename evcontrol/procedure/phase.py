"""What a phase is: its arguments, what it needs of a unit, and the code of its states."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import ClassVar, Final

from evcontrol.procedure.context import PhaseContext

FASTEST: Final = 1440.0
"""Highest multiple of real time at all: a day in a minute."""


class ArgumentKind(StrEnum):
    """What a recipe may write for an argument."""

    NUMBER = "number"
    """An expression over the recipe's parameters, in the argument's unit."""
    TEXT = "text"
    CHOICE = "choice"
    FLAG = "yes or no"
    CONDITION = "condition"
    """A condition over the unit's tags, under the recipe's name of the unit."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a phase. ``default`` as a recipe would write it; None: must be given; empty: may be left out."""

    name: str
    kind: ArgumentKind
    description: str
    unit: str = ""
    default: str | None = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """Something that a phase finds and that conditions of a recipe may read, as ``result.STEP.NAME``.

    ``key`` is how the record calls it, ``unit`` that of the number; a text is one of the ``labels``.
    """

    name: str
    key: str
    unit: str = ""
    labels: tuple[str, ...] = ()


class Phase:
    """Base of all phases.

    The class says what the phase needs; :meth:`running` is its work. It is written so that it can begin anew: after a
    hold, and after the engine was restarted, it runs again from its first line with the progress that it has recorded.
    The safe state of the equipment is the supervisor's: a phase needs no ``finally``. Its waiting is its context's: a
    phase of which nothing is heard for a minute is held.
    """

    arguments: ClassVar[tuple[Argument, ...]] = ()
    results: ClassVar[tuple[Result, ...]] = ()
    """What it finds each time that it is completed, and conditions may read."""
    unit_class: ClassVar[str] = ""
    """Class of the unit that it runs on; empty for manual work without a unit."""
    tags: ClassVar[tuple[str, ...]] = ()
    """Tags of the unit that it reads, without the unit's name."""
    actuators: ClassVar[tuple[str, ...]] = ()
    """Tags of the unit that it writes."""
    loops: ClassVar[tuple[str, ...]] = ()
    constants: ClassVar[tuple[str, ...]] = ()
    """Constants of the unit's equipment that the plant file must give."""
    hazardous: ClassVar[bool] = False
    """Moves something that must not run on when the engine falls silent."""
    max_speed: ClassVar[float] = FASTEST
    """Highest multiple of real time that it bears."""
    bears_outage_h: ClassVar[float] = math.inf
    """Longest outage of the engine (h of process time) after which it may go on; the reconciliation tells a longer one.

    An engineering default, for what it works on: cells in the care of local controllers, product at room temperature.
    """

    shut_to_freeze: ClassVar[tuple[str, ...]] = ()
    """Actuators that must stand at 0 or closed while it is frozen: the others may run on. A hazardous phase that names
    none cannot be frozen."""

    def __init__(self, context: PhaseContext) -> None:
        self.context = context

    @classmethod
    def misfit(cls, arguments: Mapping[str, object]) -> str:
        """Why these arguments do not fit each other, in words; empty when they do."""
        return ""

    @classmethod
    def results_of(cls, arguments: Mapping[str, str]) -> tuple[Result, ...]:
        """What it finds with these arguments, as the recipe writes them."""
        return cls.results

    async def running(self) -> None:
        """Do the phase's work; returning completes it."""
        raise NotImplementedError

    async def restarting(self) -> None:
        """What comes between Held and Running; the equipment is in its safe state and may be commanded again.

        It has 120 s of process time; the phase is held when it takes longer.
        """

    async def stopping(self) -> None:
        """What is left to do when the phase is stopped; the equipment is in its safe state and stays there.

        It has 120 s of process time, and is ended and told when it takes longer.
        """


class UnknownPhaseError(LookupError):
    """No installed package has a phase of that name."""


def phase_type(name: str) -> type[Phase]:
    """The phase of that name; UnknownPhaseError when none is installed."""
    point = _entry_points().get(name)
    if point is None:
        raise UnknownPhaseError(name)
    loaded = point.load()
    if not (isinstance(loaded, type) and issubclass(loaded, Phase)):
        raise TypeError(f"entry point {name} of evcontrol.phases is no Phase")
    return loaded


def phase_types() -> Mapping[str, type[Phase]]:
    """All installed phases by name."""
    return {name: phase_type(name) for name in sorted(_entry_points())}


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="evcontrol.phases")}
