"""The procedural elements of a recipe as written (ISA-88.00.01, 5.3): steps, their exception handlers, parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from evcontrol.yaml_source import Path as Place


class Level(StrEnum):
    """Kinds of elements; ``parallel`` runs its steps at once, ``choice`` one of them, the others one after another."""

    PROCEDURE = "procedure"
    UNIT_PROCEDURE = "unit procedure"
    OPERATION = "operation"
    PARALLEL = "parallel"
    CHOICE = "choice"
    BRANCH = "branch"
    LOOP = "loop"
    TURN = "turn"
    """One turn of a loop; made of its steps, never written."""
    PHASE = "phase"


class Trigger(StrEnum):
    """What may go wrong in a step."""

    ALARM = "alarm"
    PHASE_FAILURE = "phase_failure"
    TIMEOUT = "timeout"
    BAD_QUALITY = "bad_quality"
    WHEN = "when"


class Action(StrEnum):
    """What is done then."""

    HOLD = "hold"
    STOP = "stop"
    ABORT = "abort"
    GO_TO = "go_to"
    ASK = "ask"


GO_ON = "go on"
"""The answer to an ``ask`` that changes nothing."""


@dataclass(frozen=True, slots=True)
class Handler:
    """An exception handler as written; ``text`` is what its trigger says, ``argument`` the target or question."""

    trigger: Trigger
    text: str
    action: Action
    argument: str
    choices: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A recipe parameter: its value and limits as written, such as ``4 psi``.

    The value grows in proportion to the parameter ``scale_by``, from ``per`` of which it is as written; ``live``: it
    may be changed while the batch runs.
    """

    name: str
    value: str
    low: str | None
    high: str | None
    description: str
    place: Place
    live: bool = False
    scale_by: str = ""
    per: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One element of the procedure.

    ``path`` is the names from the top joined by ``/``; ``unit`` the recipe's own name of a unit, inherited from above;
    ``when`` the condition that must hold before the element starts; ``arguments`` the values of a phase, or of an
    operation of the library, as written; ``use`` that operation's name. A loop has one ``turn`` for each of the most
    turns that it may make.
    """

    level: Level
    name: str
    path: str
    place: Place
    unit: str = ""
    phase: str = ""
    when: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    use: str = ""
    times: str = ""
    until: str = ""
    handlers: tuple[Handler, ...] = ()

    def walk(self) -> Iterator[Step]:
        """This element and all below it, in the order of the file."""
        yield self
        for step in self.steps:
            yield from step.walk()
