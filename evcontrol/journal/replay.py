"""What replaying the journal gives: the units' own tags, modules, and batches with states and progress."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from evcontrol.journal.events import Event, Kind
from evcontrol.journal.recipes import RecipeRegister

TAG_KEY: Final = "tag:"
"""Prefix of the progress key of a unit's own tag, which outlives the phase that set it."""
ANSWER_KEY: Final = "answer:"
"""Prefix of the progress key of an answer that a person gave."""

PASSES_KEY: Final = "loop:pass"
"""Progress key of a loop: the pass that begins, and with it everything in the loop begins anew."""
BRANCH_KEY: Final = "choice:branch"
"""Progress key of a choice: the name of the branch that was chosen."""
SKIPPED_KEY: Final = "skipped"
"""Progress key of a group: the names of the steps in it that are left out."""

_PEOPLE: Final = frozenset({"user", "session", "denied"})


@dataclass(slots=True)
class ModuleView:
    """A membrane module: its type, state (``new``, ``in use``, ``clean``, ``rejected``), uses, and permeabilities.

    ``nwp_new`` is the first normalised water permeability that was measured, ``nwp`` the latest (LMH/bar).
    """

    module: str
    type: str
    state: str = "new"
    uses: int = 0
    nwp_new: float | None = None
    nwp: float | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """An interlock that tripped: why, since when (process time, UTC ns), and whether it was the first of its unit."""

    cause: str
    since: int
    first_out: bool


@dataclass(frozen=True, slots=True)
class StandingBypass:
    """A bypass of an interlock: until when (process time, UTC ns), by whom and why."""

    until: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class StandingAlarm:
    """State of an alarm, since when, until when a shelved one is so (process time, UTC ns), and whether it was first.

    First of its group, that is.
    """

    state: str
    since: int
    until: int = 0
    first_out: bool = False


@dataclass(frozen=True, slots=True)
class ChangedSetpoint:
    """The setpoint of an alarm as it was changed, and the one that the plant file had then, in the alarm's unit."""

    value: float
    configured: float


@dataclass(slots=True)
class BatchView:
    """A batch as its events tell it. ``states`` and ``progress`` by path; ``results`` as (path, name, value, unit)."""

    batch: str
    created: int
    body: Mapping[str, Any]
    states: dict[str, str] = field(default_factory=dict)
    progress: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: list[tuple[str, str, Any, str]] = field(default_factory=list)
    latest: dict[tuple[str, str], Any] = field(default_factory=dict)
    """The last value of each result, by path and name."""
    last_t: int = 0
    single_step: bool = False
    breakpoints: list[str] = field(default_factory=list)
    let_go: list[str] = field(default_factory=list)
    """Elements that a person let begin, and that may not have begun yet."""
    skipped: list[str] = field(default_factory=list)
    """Elements that a jump passed over."""
    stopped: list[str] = field(default_factory=list)
    """Elements that a jump was to stop."""
    parameters: dict[str, str] = field(default_factory=dict)
    """Parameters as they are now, with their units."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """The recipe as it is now: name, version, hash, text, file, and its state when it was taken."""
    allocated: list[str] = field(default_factory=list)
    """Units that it took when it needed them, and has not given up."""
    revision: int = 0
    """How often the part that had not begun was changed."""
    unsigned: dict[str, float] = field(default_factory=dict)
    """Expected readings of a reconciliation that was shown and not signed."""
    unsigned_since: int = 0
    """When the outage that it is about began (process time, UTC ns)."""

    @property
    def state(self) -> str:
        """The state of the procedure."""
        return self.states.get("", "Idle")


class PlantView:
    """Everything that lasts, folded from the events in their order; subscribe :meth:`apply` to keep it up to date."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.tags: dict[str, Any] = {}
        self.modules: dict[str, ModuleView] = {}
        self.containers: dict[str, dict[str, Any]] = {}
        self.samples: set[str] = set()
        """Labels of all samples that were ever taken."""
        self.batches: dict[str, BatchView] = {}
        self.trips: dict[str, Trip] = {}
        """Interlocks that stand tripped."""
        self.bypasses: dict[str, StandingBypass] = {}
        """Interlocks that are bypassed."""
        self.tag_times: dict[str, int] = {}
        """When each of ``tags`` was set (process time, UTC ns)."""
        self.alarms: dict[str, StandingAlarm] = {}
        """Each alarm that ever changed."""
        self.setpoints: dict[str, ChangedSetpoint] = {}
        """Each alarm whose setpoint was ever changed."""
        self.recipes = RecipeRegister()
        self.last_t = 0
        """Process time of the last event of an engine, UTC ns; people can be added while none runs."""
        self.stopped_orderly = True
        """Whether the last engine said that it stops."""
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Take one event in."""
        if event.kind.partition(".")[0] not in _PEOPLE:
            self.last_t = max(self.last_t, event.t)
        self._batch(event)
        self._steer(event)
        self._interlock(event)
        self.recipes.apply(event)
        body = event.body
        match event.kind:
            case Kind.ENGINE_STARTED:
                self.stopped_orderly = False
            case Kind.ENGINE_STOPPED:
                self.stopped_orderly = True
            case Kind.PHASE_PROGRESS if body["key"].startswith(TAG_KEY):
                self.tags[body["key"].removeprefix(TAG_KEY)] = body["value"]
                self.tag_times[body["key"].removeprefix(TAG_KEY)] = event.t
            case Kind.ALARM_STATE:
                self.alarms[body["alarm"]] = StandingAlarm(
                    body["new"], event.t, body.get("until", 0), body.get("first_out", False)
                )
            case Kind.ALARM_SETPOINT:
                self.setpoints[body["alarm"]] = ChangedSetpoint(body["new"], body["configured"])
            case Kind.MODULE_INSTALLED:
                self.modules[body["module"]] = ModuleView(
                    body["module"], body["type"], body["state"], body["uses"],
                    *self._permeabilities(body["module"]),
                )  # fmt: skip
            case Kind.MODULE_CHANGED:
                self._change_module(body)
            case Kind.SAMPLE_TAKEN:
                self.samples.add(body["sample"])
            case Kind.CONTAINER_REGISTERED | Kind.CONTAINER_CHANGED:
                self.containers.setdefault(body["container"], {}).update(body)

    def _interlock(self, event: Event) -> None:
        body = event.body
        match event.kind:
            case Kind.INTERLOCK_TRIPPED:
                self.trips[body["interlock"]] = Trip(body["cause"], event.t, body["first_out"])
            case Kind.INTERLOCK_RESET:
                self.trips.pop(body["interlock"], None)
            case Kind.INTERLOCK_BYPASSED:
                self.bypasses[body["interlock"]] = StandingBypass(body["until"], event.actor, body["reason"])
            case Kind.INTERLOCK_BYPASS_ENDED:
                self.bypasses.pop(body["interlock"], None)

    def _permeabilities(self, module: str) -> tuple[float | None, float | None]:
        known = self.modules.get(module)
        return (known.nwp_new, known.nwp) if known is not None else (None, None)

    def _change_module(self, body: Mapping[str, Any]) -> None:
        module = self.modules[body["module"]]
        module.state = body["state"]
        module.uses = body.get("uses", module.uses)
        nwp = body.get("nwp")
        if nwp is not None:
            module.nwp = nwp
            module.nwp_new = module.nwp_new if module.nwp_new is not None else nwp

    def _steer(self, event: Event) -> None:
        view, body = self.batches.get(event.batch), event.body
        if view is None:
            return
        match event.kind:
            case Kind.STEPPING_CHANGED:
                view.single_step, view.breakpoints = body["single"], list(body["breakpoints"])
            case Kind.STEP_TAKEN:
                view.let_go.append(event.path)
            case Kind.BATCH_JUMPED:
                view.skipped += body["skipped"]
                view.stopped += body["stopped"]
            case Kind.PARAMETER_CHANGED:
                view.parameters[body["name"]] = body["new"]
            case Kind.UNIT_ALLOCATED:
                view.allocated.append(body["unit"])
            case Kind.UNIT_RELEASED:
                view.allocated.remove(body["unit"])
            case Kind.BATCH_REVISED:
                view.recipe, view.revision = body["recipe"], body["revision"]
                view.parameters = dict(body["parameters"])

    def _batch(self, event: Event) -> None:
        if event.kind is Kind.BATCH_CREATED:
            body = event.body
            self.batches[event.batch] = BatchView(
                event.batch, event.t, body, parameters=dict(body.get("parameters", {})), recipe=body.get("recipe", {})
            )
        view = self.batches.get(event.batch)
        if view is None:
            return
        view.last_t = event.t
        body = event.body
        progress = view.progress.setdefault(event.path, {})
        match event.kind:
            case Kind.STATE_CHANGED:
                view.states[event.path] = body["new"]
                if event.path in view.let_go:
                    view.let_go.remove(event.path)
            case Kind.PHASE_PROGRESS:
                progress[body["key"]] = body["value"]
                if body["key"] == PASSES_KEY:
                    _begin_anew(view, event.path)
            case Kind.PROMPT_ANSWERED:
                progress[ANSWER_KEY + body["key"]] = body["value"]
            case Kind.PHASE_RESULT:
                view.results.append((event.path, body["name"], body["value"], body["unit"]))
                view.latest[event.path, body["name"]] = body["value"]
            case Kind.RECONCILIATION_SHOWN:
                view.unsigned, view.unsigned_since = dict(body["tags"]), body.get("since", 0)
            case Kind.SIGNATURE if not event.path and "reconciliation" in body["subject"]:
                view.unsigned, view.unsigned_since = {}, 0


def standing(body: Mapping[str, Any]) -> tuple[str, str]:
    """Of the body of a created batch: its kind, and the state of its recipe then; empty in older journals."""
    return body.get("kind", ""), body["recipe"].get("state", "")


def _begin_anew(view: BatchView, loop: str) -> None:
    """What is in a loop is as it was before its first pass; what units' own tags are, stays."""
    for path in [one for one in view.states if one.startswith(f"{loop}/")]:
        view.states[path] = "Idle"
    for path in [one for one in view.progress if one.startswith(f"{loop}/")]:
        view.progress[path] = {}
