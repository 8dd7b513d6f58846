"""Every message that the engine and its clients exchange.

Imports nothing but pydantic and the standard library: a console needs no other module of the engine. Times are UTC
nanoseconds of process time unless a name says ``wall``; values are floats in the unit that stands beside them, or in
the one unit of their tag; a Bad value is ``null`` and never a number.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, SecretStr, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Comment = Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)]
Password = Annotated[SecretStr, Field(max_length=1024)]
Value = FiniteFloat | str | None
"""A value as it travels: a number, the text of a text tag, or null when it is Bad."""


class Message(BaseModel):
    """Base of all messages: unknown fields are mistakes, and a message does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(Message):
    """What went wrong, and what to do about it; the body of every answer with a status of 400 or more."""

    error: str
    remedy: str = ""


# ---------------------------------------------------------------------------------------------------- people, sessions


class SignOn(Message):
    """Opens a session for a person at a station."""

    user: Name
    password: Password
    station: Name


class Session(Message):
    """A signed-on person; ``token`` is given once, when the session is opened."""

    user: str
    full_name: str
    roles: list[str]
    permissions: list[str]
    station: str
    token: str = ""


class User(Message):
    """A person and the roles that say what they may do."""

    user: str
    full_name: str
    roles: list[str]
    disabled: bool


class NewUser(Message):
    """A person to be added."""

    user: Name
    full_name: Name
    roles: Annotated[list[Name], Field(min_length=1, max_length=20)]
    password: Password


class NewPassword(Message):
    """A new password; ``old`` is asked for when somebody changes their own."""

    password: Password
    old: Password | None = None


class WithReason(Message):
    """An action of which the journal keeps the reason."""

    reason: Reason


# ------------------------------------------------------------------------------------------------------------ the plant


class Writable(Message):
    """The range, in the tag's unit, in which a tag may be commanded."""

    low: float
    high: float


class TagView(Message):
    """One tag; its place in the snapshot's list is its index in every delta."""

    name: str
    unit: str
    kind: str
    low: float | None
    high: float | None
    decimals: int
    description: str
    labels: list[str]
    writable: Writable | None


class Delta(Message):
    """Readings that changed: process time, and tag indices, values and OPC UA status codes in lists of one length."""

    t: int
    i: list[int]
    v: list[Value]
    q: list[int]


class UnitView(Message):
    """A unit, its mode, its procedural state as a word, what it holds, and the batch that has it."""

    unit: str
    unit_class: str
    mode: str
    batch: str
    safe: bool
    """Whether a safe state is being held."""


class OwnerView(Message):
    """Who may command a writable tag now; both empty when nobody owns it."""

    tag: str
    owner: str
    holder: str


class LinkView(Message):
    """A device's connection: its state, why, since when, and how often it came back; the units of which it has tags."""

    device: str
    state: str
    reason: str
    since: int
    reconnects: int = 0
    units: list[str] = []


class LoopView(Message):
    """A control loop: ``auto`` or ``manual``, and its setpoint in the unit of ``pv``.

    ``state`` is what it does in more words, ``working`` the setpoint in force (of a ramp, a ratio or another loop), and
    ``saturated`` 1 or -1 while the upper or lower limit holds its output (``value``) back.
    """

    loop: str
    unit: str
    mode: str
    pv: str
    output: str
    setpoint: float | None
    setpoint_low: float
    setpoint_high: float
    note: str = ""
    state: str = ""
    working: float | None = None
    value: float | None = None
    limit_high: float | None = None
    saturated: int = 0


class InterlockView(Message):
    """An interlock that the plant has, and whether it is tripped.

    ``bypassed_until`` is 0 unless it is bypassed, ``passed`` what would have tripped it then, ``bypass_longest`` for
    how many seconds of process time it may be bypassed.
    """

    interlock: str
    unit: str
    tripped: bool
    latched: bool
    cause: str
    since: int
    description: str
    consequence: str
    corrective_action: str
    bypassed_until: int = 0
    bypassed_by: str = ""
    bypass_reason: str = ""
    passed: str = ""
    bypass_longest: float = 0.0


class AlarmView(Message):
    """How an alarm stands, and what it is for (ISA-18.2).

    ``until`` is when a shelved one comes back by itself, ``first_out`` whether it was the first of its ``group``,
    ``shelve_longest`` for how many seconds of process time it may be shelved and ``shelve_by`` by which roles (empty:
    all that may shelve). ``setpoint`` is in ``setpoint_unit``, and may be changed from ``setpoint_low`` to
    ``setpoint_high``; null where there is none.
    """

    alarm: str
    unit: str
    state: str
    priority: str
    acknowledged: bool
    since: int
    text: str
    corrective_action: str
    until: int = 0
    first_out: bool = False
    shelve_longest: float = 0.0
    shelve_by: list[str] = []
    cause: str = ""
    consequence: str = ""
    alarm_class: str = ""
    severity: str = ""
    respond_within: float = 0.0
    group: str = ""
    setpoint: float | None = None
    setpoint_unit: str = ""
    setpoint_low: float | None = None
    setpoint_high: float | None = None


class AlarmFigures(Message):
    """How good the alarms were between two process times (ISA-18.2, clause 16).

    ``per_interval`` and ``peak`` are alarms raised in ten minutes, ``flood_share`` and ``most_share`` parts of one;
    ``most`` are the ten that were raised most often, with how often.
    """

    start: int
    end: int
    raised: int
    per_interval: float
    peak: int
    flood_share: float
    by_priority: dict[str, int]
    most: list[tuple[str, int]]
    most_share: float
    chattering: list[str]
    stale: list[str]


class Status(Message):
    """The engine's own state: on which clock, at which speed, on what plant."""

    version: str
    plant: str
    plant_hash: str
    simulated: bool
    clock: str
    speed: float


class Snapshot(Message):
    """Everything that a console shows, at one moment; the stream carries the changes from there on."""

    status: Status
    tags: list[TagView]
    values: Delta
    units: list[UnitView]
    owners: list[OwnerView]
    links: list[LinkView]
    loops: list[LoopView]
    interlocks: list[InterlockView]
    alarms: list[AlarmView]
    batches: list[BatchSummary]
    prompts: list[PromptView]


class TagCommand(Message):
    """A manual command to a tag, in the tag's unit."""

    value: FiniteFloat
    reason: Reason


class ForceRequest(Message):
    """A value in place of what is read of a tag, in its unit, for so many seconds of process time."""

    value: FiniteFloat
    duration_s: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    reason: Reason


class CommandReply(Message):
    """How a command ended: ``confirmed``, ``rejected`` or ``unknown``; and what was read back."""

    tag: str
    outcome: str
    reason: str
    read_back: float | None


class LoopChange(Message):
    """Puts a loop in automatic with a setpoint, or in manual."""

    mode: Literal["auto", "manual"]
    setpoint: FiniteFloat | None = None
    reason: Reason


class ModeChange(Message):
    """A unit's mode (ISA-88): ``automatic``, ``semi-automatic`` or ``manual``."""

    mode: Name
    reason: Reason


class Acknowledgement(Message):
    """Somebody has seen an alarm."""

    comment: Comment = ""


class Acknowledgements(Message):
    """Somebody has seen several alarms; those that do not wait for it are left as they are."""

    alarms: Annotated[list[Name], Field(min_length=1, max_length=10_000)]
    comment: Comment = ""


class Shelving(Message):
    """An alarm is put aside for so many seconds of process time."""

    duration_s: Annotated[FiniteFloat, Field(gt=0)]
    reason: Reason


class SetpointChange(Message):
    """The setpoint of an alarm is changed, in the alarm's unit."""

    setpoint: FiniteFloat
    reason: Reason


class ServiceChange(Message):
    """An alarm is taken out of service, or put back: a signature."""

    reason: Reason
    password: Password


# -------------------------------------------------------------------------------------------------------------- batches


class StartBatch(Message):
    """A batch to be made from the text of a recipe; ``parameters`` as the recipe writes them, such as ``4 psi``."""

    recipe: Annotated[str, StringConstraints(min_length=1, max_length=400_000)]
    recipe_name: Name
    parameters: Annotated[dict[Name, Annotated[str, StringConstraints(max_length=200)]], Field(max_length=200)] = {}
    purpose: Reason
    product: Comment = ""
    kind: Literal["", "gmp", "training"] = ""
    """Without it, it is training on simulated equipment, and GMP on real one."""


class BatchSummary(Message):
    """One line about a batch; ``recipe_state`` as it was when the batch took the recipe.

    ``revision`` counts how often the part that had not begun was changed.
    """

    batch: str
    recipe: str
    product: str
    purpose: str
    state: str
    units: list[str]
    created: int
    running: list[str]
    waiting: list[str]
    reconciliation_due: bool
    kind: str = ""
    recipe_state: str = ""
    revision: int = 0


class ElementView(Message):
    """One procedural element: its place in the procedure, its state, what it waits for, and the commands valid now."""

    path: str
    kind: str
    state: str
    waiting: str
    commands: list[str]


class PromptView(Message):
    """A question to a person; ``low`` and ``high`` in ``unit``."""

    prompt: str
    batch: str
    path: str
    kind: str
    text: str
    unit: str
    low: float | None
    high: float | None
    choices: list[str]
    meaning: str
    opened: int


class BatchView(Message):
    """A batch as a tree in the order of its procedure; the element with the empty path is the procedure itself."""

    summary: BatchSummary
    elements: list[ElementView]
    prompts: list[PromptView]
    parameters: dict[str, str] = {}
    single_step: bool = False
    frozen: str = ""
    breakpoints: list[str] = []


NEEDS_REASON = frozenset({"restart", "reset"})
"""Commands that are refused without a reason; one towards safety never is."""


class BatchCommand(Message):
    """A command of ISA-88 to a batch, or to the element at ``path``."""

    command: Literal["start", "hold", "restart", "pause", "resume", "stop", "abort", "reset"]
    reason: Annotated[str, StringConstraints(max_length=500, strip_whitespace=True)] = ""
    path: Comment = ""


class Answer(Message):
    """An answer to a prompt: a number (in the prompt's unit), a choice, a text, or yes.

    ``password`` signs it, where the prompt has a meaning.
    """

    value: bool | FiniteFloat | Annotated[str, StringConstraints(max_length=2000)]
    comment: Comment = ""
    password: Password | None = None


class ReconciliationItem(Message):
    """Something compared after an outage: what was expected, what is read, and the verdict."""

    what: str
    expected: str
    read: str
    verdict: str


class Reconciliation(Message):
    """What a person must look at before a batch that outlived its engine may be restarted.

    ``shown_hash`` is the SHA-256 of what is shown here; the signature binds it.
    """

    batch: str
    items: list[ReconciliationItem]
    outage_s: float
    shown_hash: str
    signed_by: str = ""


class SignReconciliation(Message):
    """Signs a reconciliation as it was shown; the password proves anew who signs."""

    shown_hash: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    password: Password
    comment: Comment = ""


class RecordVerdict(Message):
    """Whether a batch record is intact, and every fault found."""

    batch: str
    intact: bool
    faults: list[str]


class ReportMade(Message):
    """Where a report lies, and the SHA-256 of the file."""

    batch: str
    file: str
    sha256: str


class Endpoint(Message):
    """Where a running engine listens; written to ``run/endpoint.json`` of its data directory."""

    url: str
    pid: int
    plant: str
    simulated: bool


# --------------------------------------------------------------------------------------------------------------- stream


class Topic(StrEnum):
    """What an event of the stream is about; an event always carries the whole of it, so that only the latest counts."""

    STATUS = "status"
    BATCH = "batch"
    PROMPTS = "prompts"
    ALARMS = "alarms"
    INTERLOCKS = "interlocks"
    LINKS = "links"
    OWNERS = "owners"
    UNITS = "units"
    LOOPS = "loops"


class Beat(Message):
    """A sign of life while there is nothing else to say; ``beat`` is process time, UTC ns."""

    beat: int


class StatusEvent(Message):
    """How the engine runs."""

    topic: Literal[Topic.STATUS]
    key: str
    body: Status


class BatchEvent(Message):
    """One batch; ``key`` names it."""

    topic: Literal[Topic.BATCH]
    key: str
    body: BatchView


class PromptsEvent(Message):
    """All open questions."""

    topic: Literal[Topic.PROMPTS]
    key: str
    body: list[PromptView]


class AlarmsEvent(Message):
    """All alarms that are not normal."""

    topic: Literal[Topic.ALARMS]
    key: str
    body: list[AlarmView]


class InterlocksEvent(Message):
    """All interlocks."""

    topic: Literal[Topic.INTERLOCKS]
    key: str
    body: list[InterlockView]


class LinksEvent(Message):
    """All connections."""

    topic: Literal[Topic.LINKS]
    key: str
    body: list[LinkView]


class OwnersEvent(Message):
    """The owners of all writable tags."""

    topic: Literal[Topic.OWNERS]
    key: str
    body: list[OwnerView]


class UnitsEvent(Message):
    """All units."""

    topic: Literal[Topic.UNITS]
    key: str
    body: list[UnitView]


class LoopsEvent(Message):
    """All loops."""

    topic: Literal[Topic.LOOPS]
    key: str
    body: list[LoopView]


StreamEvent = Annotated[
    StatusEvent
    | BatchEvent
    | PromptsEvent
    | AlarmsEvent
    | InterlocksEvent
    | LinksEvent
    | OwnersEvent
    | UnitsEvent
    | LoopsEvent,
    Field(discriminator="topic"),
]
"""One topic as it is now; ``key`` is empty but for batches."""
