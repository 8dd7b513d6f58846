"""From the journal's events to a batch record: one pass that keeps what concerns the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from evcontrol.batch.entries import (
    BatchRecord,
    CommandEntry,
    ElementEntry,
    EngineRun,
    Parameter,
    Person,
    QuestionEntry,
    Result,
    StateChange,
)
from evcontrol.history.layout import Gap
from evcontrol.journal.chain import START, Head
from evcontrol.journal.events import Event, Kind
from evcontrol.journal.replay import standing
from evcontrol.procedure.recipe import Recipe, parse_recipe
from evcontrol.procedure.states import FINAL
from evcontrol.yaml_source import SourceError


class Gathering:
    """One pass over the journal for one batch; ``others`` are the batches that were met on the way."""

    def __init__(self, batch: str) -> None:
        self.others: list[str] = []
        self._batch = batch
        self._record: BatchRecord | None = None
        self._names: dict[str, str] = {}
        self._engine: Event | None = None
        self._speed: Event | None = None
        self._standing: dict[str, Event] = {}
        self._commands: dict[str, CommandEntry] = {}
        self._unreadable: list[str] = []
        self._head = START

    def take(self, event: Event, head: Head) -> None:
        """Take in the next event of the journal, and where its chain stands after it."""
        self._head = head
        try:
            self._take(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._unreadable.append(f"event {event.seq} ({event.kind}) is not as it should be: {error}")

    def finish(self) -> BatchRecord | None:
        """The record without the gaps that only the history knows; None when no such batch was created."""
        record = self._record
        if record is not None:
            record.head = self._head
            record.unreadable = self._unreadable
            for user, person in record.people.items():
                person.full_name = self._names.get(user, person.full_name)
        return record

    def _take(self, event: Event) -> None:
        missing = [key for key in _NEEDED.get(event.kind, ()) if key not in event.body]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        if event.kind is Kind.BATCH_CREATED:
            self._create(event)
        elif event.kind is Kind.USER_ADDED:
            self._names[str(event.body.get("user"))] = str(event.body.get("full_name", ""))
        record = self._record
        if record is None:
            self._before(event)
        elif event.batch == record.batch:
            self._own(record, event)
        elif record.ended is None and not event.batch:
            self._meanwhile(record, event)

    def _create(self, event: Event) -> None:
        if event.batch != self._batch or self._record is not None:
            self.others.append(event.batch)
            return
        body = event.body
        recipe = _recipe_of(body)
        record = BatchRecord(
            batch=event.batch,
            created=event.t,
            creator=event.actor,
            recipe={name: str(value) for name, value in body["recipe"].items()},
            purpose=str(body["purpose"]),
            product=str(body["product"]),
            units=dict(body["units"]),
            parameters=_parameters(recipe, body["parameters"]),
            elements=_elements(recipe, body["units"]),
            head=START,
            kind=standing(body)[0],
        )
        self._record = record
        for before in (self._engine, self._speed):
            if before is not None:
                self._meanwhile(record, before)
        units = set(record.units.values())
        record.standing = [e for name, e in self._standing.items() if name.partition(".")[0] in units]

    def _before(self, event: Event) -> None:
        """Keep what holds on when the batch begins."""
        body = event.body
        match event.kind:
            case Kind.ENGINE_STARTED:
                self._engine, self._speed = event, None
                self._standing = {n: e for n, e in self._standing.items() if e.kind is not Kind.VALUE_FORCED}
            case Kind.CLOCK_SPEED:
                self._speed = event
            case Kind.ALARM_STATE:
                self._stand(body["alarm"], event, body["new"] not in _QUIET)
            case Kind.INTERLOCK_TRIPPED | Kind.INTERLOCK_RESET:
                self._stand(body["interlock"], event, event.kind is Kind.INTERLOCK_TRIPPED)
            case Kind.INTERLOCK_BYPASSED | Kind.INTERLOCK_BYPASS_ENDED:
                self._stand(f"{body['interlock']} bypass", event, event.kind is Kind.INTERLOCK_BYPASSED)

            case Kind.VALUE_FORCED | Kind.VALUE_FORCE_ENDED:
                self._stand(f"{body['tag']} forced", event, event.kind is Kind.VALUE_FORCED)

    def _stand(self, name: str, event: Event, stands: bool) -> None:
        self._standing.pop(name, None)
        if stands:
            self._standing[name] = event

    # -- the batch's own events ----------------------------------------------------------------------------------------

    def _own(self, record: BatchRecord, event: Event) -> None:
        record.own.append(event)
        record.last_t = max(record.last_t, event.t)
        self._note_person(record, event)
        element = record.elements.get(event.path)
        if element is None:
            element = record.elements[event.path] = ElementEntry(event.path, "", event.path.rpartition("/")[2])
        body = event.body
        match event.kind:
            case Kind.STATE_CHANGED:
                element.changes.append(_change(event))
                if event.path == "":
                    record.ended = event.t if body["new"] in FINAL else None
            case Kind.BATCH_REVISED:
                _revise(record, event)
            case Kind.PHASE_PROGRESS:
                element.progress[body["key"]] = (event.t, body["value"])
            case Kind.PHASE_RESULT:
                element.results.append(Result(event.t, body["name"], body["value"], body["unit"]))
            case Kind.PROMPT_OPENED | Kind.PROMPT_ANSWERED:
                _question(record, event)
            case Kind.COMMAND_INTENT | Kind.COMMAND_OUTCOME | Kind.COMMAND_REFUSED:
                self._command(record, event)
            case _:
                _file(record, event)

    # -- what else happened in its time --------------------------------------------------------------------------------

    def _meanwhile(self, record: BatchRecord, event: Event) -> None:
        """Take in what concerns the whole plant, and what concerns the batch's units."""
        if event.kind not in _OF_THE_PLANT and _unit_of(event) not in record.units.values():
            return
        record.meanwhile.append(event)
        self._note_person(record, event)
        body = event.body
        match event.kind:
            case Kind.ENGINE_STARTED:
                record.engines.append(_engine_run(event))
            case Kind.ENGINE_STOPPED:
                record.engine_ends.append(event)
            case Kind.CLOCK_SPEED:
                record.speeds.append((event.t, float(body["speed"]), str(body.get("reason", ""))))
            case Kind.HISTORY_GAP:
                record.gaps.append(Gap(body["from"], body["to"], str(body["reason"])))
            case Kind.LINK_STATE:
                record.links.append(event)
            case Kind.COMMAND_INTENT | Kind.COMMAND_OUTCOME | Kind.COMMAND_REFUSED:
                self._command(record, event)
            case _:
                _file(record, event)

    def _command(self, record: BatchRecord, event: Event) -> None:
        body = event.body
        if event.kind is Kind.COMMAND_OUTCOME:
            entry = self._commands.get(body["command"])
            if entry is not None:
                entry.outcome, entry.reason = str(body["outcome"]), str(body["reason"])
                entry.read_back, entry.ended = body["read_back"], event.t
            return
        entry = CommandEntry(
            str(body["command"]), event.t, event.path, event.actor, event.station, str(body["tag"]), body["value"],
            str(body["unit"]), body.get("previous"), str(body.get("why", "")),
        )  # fmt: skip
        if event.kind is Kind.COMMAND_REFUSED:
            entry.refused, entry.outcome, entry.reason = True, "refused", str(body["reason"])
        else:
            self._commands[entry.command] = entry
        record.commands.append(entry)

    def _note_person(self, record: BatchRecord, event: Event) -> None:
        scheme, _, user = event.actor.partition(":")
        if scheme != "user" or not user:
            return
        if record.actions and _follows(event, record.actions[-1]):
            return
        record.actions.append(event)
        person = record.people.setdefault(user, Person(user, ""))
        if event.kind is Kind.SIGNATURE:
            person.full_name = str(event.body.get("full_name", ""))
        deed = deed_of(event)
        person.deeds[deed] = person.deeds.get(deed, 0) + 1


# -- from events to entries --------------------------------------------------------------------------------------------

_LISTS: Final = {
    Kind.ALARM_STATE: "alarms",
    Kind.ALARM_SETPOINT: "setpoints",
    Kind.INTERLOCK_TRIPPED: "interlocks",
    Kind.INTERLOCK_RESET: "interlocks",
    Kind.INTERLOCK_BYPASSED: "interlocks",
    Kind.INTERLOCK_BYPASS_ENDED: "interlocks",
    Kind.INTERLOCK_PASSED: "interlocks",
    Kind.SAFE_STATE: "safe_states",
    Kind.LOOP_CHANGED: "loops",
    Kind.MODE_CHANGED: "takeovers",
    Kind.LOCAL_CHANGE: "takeovers",
    Kind.OWNER_CHANGED: "takeovers",
    Kind.DEVICE_RESTARTED: "takeovers",
    Kind.VALUE_FORCED: "takeovers",
    Kind.VALUE_FORCE_ENDED: "takeovers",
    Kind.SENSOR_CHECK: "takeovers",
    Kind.DENIED: "takeovers",
    Kind.MODULE_INSTALLED: "modules",
    Kind.MODULE_CHANGED: "modules",
    Kind.CONTAINER_REGISTERED: "containers",
    Kind.CONTAINER_CHANGED: "containers",
    Kind.MATERIAL_RECEIVED: "materials",
    Kind.SAMPLE_TAKEN: "samples",
    Kind.COUNT_TAKEN: "counts",
    Kind.CELLS_COUNTED: "cell_counts",
    Kind.SIGNATURE: "signatures",
    Kind.RECONCILIATION_SHOWN: "reconciliations",
}
_OF_THE_PLANT: Final = frozenset(
    {Kind.ENGINE_STARTED, Kind.ENGINE_STOPPED, Kind.CLOCK_SPEED, Kind.HISTORY_GAP, Kind.LINK_STATE}
)
_NEEDED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.ENGINE_STOPPED: ("reason",),
    Kind.LINK_STATE: ("device", "state", "reason"),
    Kind.ALARM_STATE: ("alarm", "old", "new", "priority", "text"),
    Kind.ALARM_SETPOINT: ("alarm", "old", "new", "unit", "reason"),
    Kind.INTERLOCK_TRIPPED: ("interlock", "cause"),
    Kind.INTERLOCK_RESET: ("interlock",),
    Kind.INTERLOCK_BYPASSED: ("interlock", "reason", "duration_s"),
    Kind.INTERLOCK_BYPASS_ENDED: ("interlock", "reason"),
    Kind.INTERLOCK_PASSED: ("interlock", "cause"),
    Kind.SAFE_STATE: ("unit", "why", "reached", "not_reached"),
    Kind.VALUE_FORCED: ("tag", "value", "reason"),
    Kind.VALUE_FORCE_ENDED: ("tag", "reason"),
    Kind.LOOP_CHANGED: ("loop", "mode", "setpoint", "unit", "reason"),
    Kind.STATE_CHANGED: ("old", "new", "command", "reason"),
    Kind.PARAMETER_CHANGED: ("name", "old", "new", "reason"),
    Kind.BATCH_REVISED: ("revision", "recipe", "parameters", "differences", "reason"),
    Kind.BATCH_JUMPED: ("to", "skipped", "stopped", "reason"),
    Kind.COUNT_TAKEN: ("sample", "kind", "dilution", "concentration_measured", "sha256"),
    Kind.CELLS_COUNTED: ("when", "viable", "method"),
    Kind.SIGNATURE: ("user", "full_name", "meaning", "subject", "shown_hash"),
    Kind.RECONCILIATION_SHOWN: ("items", "outage_s", "hash"),
}
"""Keys that the record shows as they stand; others are looked at when their event is taken in."""
_NAMED_BY: Final = ("unit", "alarm", "interlock", "loop", "tag", "check")
_DEEDS: Final = {
    Kind.BATCH_CREATED: "created the batch",
    Kind.PROMPT_ANSWERED: "answered a question",
    Kind.PARAMETER_CHANGED: "changed a parameter",
    Kind.STEPPING_CHANGED: "changed steps and breakpoints",
    Kind.STEP_TAKEN: "took a step",
    Kind.BATCH_JUMPED: "jumped",
    Kind.BATCH_REVISED: "changed what had not begun",
    Kind.BATCH_FROZEN: "froze the batch",
    Kind.BATCH_THAWED: "let a frozen batch go on",
    Kind.COMMAND_INTENT: "commanded an actuator",
    Kind.COMMAND_REFUSED: "gave a command that was refused",
    Kind.ALARM_SETPOINT: "changed the setpoint of an alarm",
    Kind.INTERLOCK_RESET: "reset an interlock",
    Kind.INTERLOCK_BYPASSED: "bypassed an interlock",
    Kind.INTERLOCK_BYPASS_ENDED: "ended the bypass of an interlock",
    Kind.LOOP_CHANGED: "changed a loop",
    Kind.MODE_CHANGED: "changed a mode",
    Kind.VALUE_FORCED: "forced a value",
    Kind.VALUE_FORCE_ENDED: "ended a forced value",
    Kind.SIGNATURE: "signed",
    Kind.DENIED: "was denied an action",
}


_QUIET: Final = frozenset({"normal", "suppressed"})
"""States of alarms between which nothing happened that concerns a batch."""


def _file(record: BatchRecord, event: Event) -> None:
    """Put an event into the list of its kind."""
    name = _LISTS.get(event.kind)
    if event.kind is Kind.ALARM_STATE and {event.body["old"], event.body["new"]} <= _QUIET:
        return
    if name is not None:
        getattr(record, name).append(event)


def _unit_of(event: Event) -> str:
    """The unit that an event is about: its own name, or the part before the dot of what it names."""
    named = next((str(event.body[key]) for key in _NAMED_BY if event.body.get(key)), "")
    if event.kind is Kind.LOOP_CHANGED:
        named = str(event.body.get("loop", ""))  # its "unit" is that of the setpoint
    if event.kind in (Kind.ALARM_STATE, Kind.ALARM_SETPOINT, Kind.COMMAND_INTENT, Kind.COMMAND_REFUSED):
        named = str(event.body.get("alarm") or event.body.get("tag", ""))
    return named.partition(".")[0]


def _follows(event: Event, before: Event) -> bool:
    """Whether a change of state is that of an element below, by the same command to the element above."""
    return (
        event.kind is Kind.STATE_CHANGED
        and before.kind is Kind.STATE_CHANGED
        and (event.t, event.actor, event.body.get("command")) == (before.t, before.actor, before.body.get("command"))
        and (not before.path or event.path.startswith(f"{before.path}/"))
    )


def deed_of(event: Event) -> str:
    """What a person did, in words."""
    if event.kind is Kind.STATE_CHANGED:
        command = str(event.body.get("command") or "changed")
        return f"{command}: {event.path}" if event.path else f"{command}: the batch"
    if event.kind is Kind.ALARM_STATE:
        return _alarm_deed(event.body.get("old"), event.body.get("new"))
    return _DEEDS.get(event.kind, event.kind.value)


def _change(event: Event) -> StateChange:
    body = event.body
    return StateChange(
        event.t, str(body["old"]), str(body["new"]), str(body["command"]), str(body["reason"]), event.actor
    )


def _question(record: BatchRecord, event: Event) -> None:
    body = event.body
    prompt = str(body["prompt"])
    if event.kind is Kind.PROMPT_OPENED:
        # Asked again after a hold: one entry, from when it was first asked.
        if any(question.prompt == prompt and question.answered is None for question in record.questions):
            return
        entry = QuestionEntry(prompt, event.path, str(body["text"]), str(body["unit"]), event.t, _limits(body))
        record.questions.append(entry)
        return
    found = next((q for q in reversed(record.questions) if q.prompt == prompt), None)
    if found is None:
        found = QuestionEntry(prompt, event.path, "", str(body["unit"]), event.t)
        record.questions.append(found)
    found.answered, found.value, found.comment = event.t, body["value"], str(body["comment"])
    found.actor, found.station = event.actor, event.station


def _limits(body: Any) -> str:
    if body.get("choices"):
        return ", ".join(str(choice) for choice in body["choices"])
    low, high = body.get("low"), body.get("high")
    if low is None and high is None:
        return ""
    return f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'} {body['unit']}".strip()


def _engine_run(event: Event) -> EngineRun:
    body = event.body
    return EngineRun(
        event.t,
        str(body["version"]),
        str(body["plant"]),
        str(body["plant_hash"]),
        str(body["clock"]),
        float(body["speed"]),
        bool(body["simulated"]),
        str(body["previous_end"]),
        body.get("constants") or {},
    )


# -- the recipe --------------------------------------------------------------------------------------------------------


def _recipe_of(body: Any) -> Recipe | None:
    """The recipe of a batch; None when this version cannot read it any more."""
    try:
        return parse_recipe(body["recipe"]["text"], body["recipe"].get("file", "recipe"))
    except SourceError:
        return None


def _parameters(recipe: Recipe | None, values: Any) -> list[Parameter]:
    known = recipe.parameters if recipe is not None else {}
    found = []
    for name, value in values.items():
        spec = known.get(name)
        if spec is None:
            found.append(Parameter(name, str(value), "", "", "", ""))
        else:
            found.append(Parameter(name, str(value), spec.value, spec.low or "", spec.high or "", spec.description))
    return found


def _revise(record: BatchRecord, event: Event) -> None:
    """What has happened stays as it was told; what had not begun is as the new recipe says."""
    recipe = _recipe_of(event.body)
    record.revisions.append(event)
    record.parameters = _parameters(recipe, event.body["parameters"])
    if recipe is not None:
        told = {path: one for path, one in record.elements.items() if one.changes or one.progress or not path}
        record.elements = {path: told.pop(path, one) for path, one in _elements(recipe, record.units).items()} | told


def _elements(recipe: Recipe | None, units: Any) -> dict[str, ElementEntry]:
    elements = {"": ElementEntry("", "procedure", "")}
    for step in recipe.procedure.walk() if recipe is not None else ():
        unit = str(units.get(step.unit, ""))
        elements[step.path] = ElementEntry(step.path, step.level.value, step.name, step.phase, unit, step.arguments)
    return elements


def _alarm_deed(old: object, new: object) -> str:
    for state, begun, ended in (
        ("shelved", "shelved an alarm", "unshelved an alarm"),
        ("out of service", "took an alarm out of service", "put an alarm back in service"),
    ):
        if new == state:
            return begun
        if old == state:
            return ended
    return "acknowledged an alarm"
