"""What a batch record holds, as plain entries. All times are process time in UTC ns, in the order of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evcontrol.history.layout import Gap
from evcontrol.journal.events import Event
from evcontrol.procedure.states import FINAL, State


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the batch as texts with units: what the recipe gives and what the batch ran with."""

    name: str
    value: str
    recipe_value: str
    low: str
    high: str
    description: str

    @property
    def changed(self) -> bool:
        """Whether the batch did not take the recipe's value."""
        return self.value != self.recipe_value


@dataclass(frozen=True, slots=True)
class StateChange:
    """One change of an element's state: by which command, why, and who gave it."""

    t: int
    old: str
    new: str
    command: str
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Result:
    """A value that a phase put into the record."""

    t: int
    name: str
    value: Any
    unit: str


@dataclass(slots=True)
class ElementEntry:
    """One element of the procedure: where it stands, the arguments as the recipe writes them, and what became of it.

    ``unit`` is the plant's. ``progress`` are the steps and targets that the phase put down, with their times.
    """

    path: str
    level: str
    name: str
    phase: str = ""
    unit: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    changes: list[StateChange] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    progress: dict[str, tuple[int, Any]] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The state that it is in, or ended in."""
        return self.changes[-1].new if self.changes else State.IDLE.value

    @property
    def started(self) -> int | None:
        """When it first ran."""
        return next((change.t for change in self.changes if change.new == State.RUNNING), None)

    @property
    def ended(self) -> int | None:
        """When it came to an end; None while it has not."""
        return self.changes[-1].t if self.changes and self.state in FINAL else None


@dataclass(slots=True)
class CommandEntry:
    """One command to an actuator; ``outcome`` is empty when the journal has none, and ``refused`` by the gate."""

    command: str
    t: int
    path: str
    actor: str
    station: str
    tag: str
    value: Any
    unit: str
    previous: Any = None
    why: str = ""
    outcome: str = ""
    reason: str = ""
    read_back: Any = None
    refused: bool = False
    ended: int | None = None


@dataclass(slots=True)
class QuestionEntry:
    """A question to a person; ``answered`` is None while nobody has answered it."""

    prompt: str
    path: str
    text: str
    unit: str
    opened: int
    limits: str = ""
    answered: int | None = None
    value: Any = None
    actor: str = ""
    station: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One life of the engine: version, plant and its hash, clock and speed at its start, and how the one before ended.

    ``constants`` are those of the plant's units, as texts with units; empty when the journal does not give them.
    """

    t: int
    version: str
    plant: str
    plant_hash: str
    clock: str
    speed: float
    simulated: bool
    previous_end: str
    constants: Mapping[str, Mapping[str, str]]


@dataclass(slots=True)
class Person:
    """Somebody who had a hand in the batch, and what they did, in words."""

    user: str
    full_name: str
    deeds: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class BatchRecord:
    """Everything that the journal and the history's list of gaps tell of one batch.

    ``own`` are the batch's events; the lists of events hold those of its units that fell into its time as well.
    ``standing`` are the alarms and trips that stood already when it began. ``elements`` has no phases when the text of
    the recipe cannot be read. ``head`` is where the journal's chain ended
    when this was read: the seq of the next event and the SHA-256 of the last line.
    """

    batch: str
    created: int
    creator: str
    recipe: Mapping[str, str]
    purpose: str
    product: str
    units: Mapping[str, str]
    parameters: list[Parameter]
    elements: dict[str, ElementEntry]
    head: tuple[int, str]
    kind: str = ""
    ended: int | None = None
    last_t: int = 0
    own: list[Event] = field(default_factory=list)
    meanwhile: list[Event] = field(default_factory=list)
    """Events of the plant that belong to no batch and are part of this record."""
    unreadable: list[str] = field(default_factory=list)
    """Events whose bodies do not hold what they should, in words; they are left out."""
    engines: list[EngineRun] = field(default_factory=list)
    engine_ends: list[Event] = field(default_factory=list)
    speeds: list[tuple[int, float, str]] = field(default_factory=list)
    commands: list[CommandEntry] = field(default_factory=list)
    questions: list[QuestionEntry] = field(default_factory=list)
    standing: list[Event] = field(default_factory=list)
    alarms: list[Event] = field(default_factory=list)
    setpoints: list[Event] = field(default_factory=list)
    """Setpoints of alarms that were changed."""
    interlocks: list[Event] = field(default_factory=list)
    safe_states: list[Event] = field(default_factory=list)
    loops: list[Event] = field(default_factory=list)
    takeovers: list[Event] = field(default_factory=list)
    """Changes of mode, changes made at the device, changes of owner, and actions that were denied."""
    links: list[Event] = field(default_factory=list)
    modules: list[Event] = field(default_factory=list)
    containers: list[Event] = field(default_factory=list)
    materials: list[Event] = field(default_factory=list)
    samples: list[Event] = field(default_factory=list)
    counts: list[Event] = field(default_factory=list)
    """Particles counted in samples."""
    cell_counts: list[Event] = field(default_factory=list)
    """Viable cells counted or estimated."""
    signatures: list[Event] = field(default_factory=list)
    reconciliations: list[Event] = field(default_factory=list)
    revisions: list[Event] = field(default_factory=list)
    """Changes of what had not begun; ``recipe`` is the one that the batch was started with."""
    gaps: list[Gap] = field(default_factory=list)
    actions: list[Event] = field(default_factory=list)
    """What people did, in order."""
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The state of the procedure."""
        return self.elements[""].state

    @property
    def end(self) -> int:
        """When it ended, or the last that is known of it."""
        return self.last_t if self.ended is None else self.ended

    @property
    def simulated(self) -> bool:
        """Whether any of it ran on simulated equipment; true as well when the journal does not say."""
        return not self.engines or any(run.simulated for run in self.engines)

    def phases(self) -> list[ElementEntry]:
        """The phases in the order of the recipe."""
        return [element for element in self.elements.values() if element.phase]
