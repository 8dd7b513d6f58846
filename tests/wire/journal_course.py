"""What the journal tells of a batch, in an order that two runs of it have in common, and how two of them differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby, zip_longest
from typing import Any, Final, NamedTuple

from evcontrol.journal.events import Event, Kind

NOT_COMPARED: Final[Mapping[Kind, str]] = {
    Kind.ENGINE_STARTED: "which clock it is",
    Kind.ENGINE_STOPPED: "why it is",
    Kind.LINK_STATE: "how long a wire takes to connect",
    Kind.CLOCK_SPEED: "at which scan it was seen that time may run faster",
    Kind.SAFE_STATE: "whether something was still on its way",
    Kind.USER_ADDED: "people sign on over the API only",
    Kind.SESSION_OPENED: "people sign on over the API only",
    Kind.SESSION_CLOSED: "people sign on over the API only",
    Kind.REPORT_MADE: "made by whoever asks for it",
    Kind.ALARM_STATE: "compared by itself: each alarm that was announced",
}
"""Kinds of events that may differ, and in what."""
ONLY_ON_WIRES: Final = ("TFF201.TRIP_RESET",)
"""Where no engine feeds the skid before it is connected, its watchdog has tripped, which a rehearsal begins without."""
FACTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.STATE_CHANGED: ("old", "new", "command", "reason"),
    Kind.PHASE_PROGRESS: ("key",),
    Kind.PHASE_RESULT: ("name", "unit"),
    Kind.PROMPT_OPENED: ("prompt", "kind", "text", "unit", "choices"),
    Kind.PROMPT_ANSWERED: ("prompt", "unit"),
    Kind.COMMAND_INTENT: ("tag", "class", "unit"),
    Kind.COMMAND_OUTCOME: ("tag", "outcome"),
    Kind.OWNER_CHANGED: ("tag", "old", "new"),
    Kind.LOOP_CHANGED: ("loop", "mode", "unit"),
    Kind.SIGNATURE: ("meaning", "subject"),
    Kind.CONTAINER_CHANGED: ("container", "content", "state"),
    Kind.CONTAINER_REGISTERED: ("container", "content", "state", "type"),
    Kind.SAMPLE_TAKEN: ("sample", "label", "container"),
    Kind.MATERIAL_RECEIVED: ("material", "lot", "unit"),
    Kind.MODULE_INSTALLED: ("module", "type", "unit", "uses"),
    Kind.MODULE_CHANGED: ("module", "state", "uses"),
}
"""What of each kind must be the same; of the others, that it happened."""
NUMBERS: Final[Mapping[Kind, str]] = {
    Kind.PHASE_RESULT: "value",
    Kind.COMMAND_INTENT: "value",
    Kind.LOOP_CHANGED: "setpoint",
}
TOLERANCES: Final[Mapping[str, tuple[float, float]]] = {
    "g": (0.0, 3.0),
    "mL": (0.0, 3.0),
    "cell": (0.1, 0.0),
    "particle/mL": (0.3, 0.0),
    "nm": (0.02, 0.0),
    "mM": (0.05, 0.05),
}
"""How far numbers of a unit may differ, relative and absolute: accuracy of balances, counts, and glucose."""
USUAL: Final = (0.02, 0.02)
SCATTER: Final = "cv"
"""A result whose name ends so tells how much counts scatter, which two runs have not in common."""


class Step(NamedTuple):
    """One event: what must be the same, and a number with its unit that must be near."""

    facts: tuple[str, ...]
    number: float | None = None
    unit: str = ""


def course(events: Iterable[Event]) -> dict[str, list[Step]]:
    """What happened at each place in the procedure, in order.

    Commands of one write have their outcomes as the device gives them: those that follow each other are sorted.
    """
    places: defaultdict[str, list[Step]] = defaultdict(list)
    for event in events:
        kind = Kind(event.kind)
        if kind not in NOT_COMPARED and event.body.get("tag") not in ONLY_ON_WIRES:
            places[event.path].append(_step(kind, event.body))
    return {place: _sorted_outcomes(steps) for place, steps in places.items()}


def announced(events: Iterable[Event]) -> list[str]:
    """The alarms that became unacknowledged."""
    told = (event.body for event in events if event.kind == Kind.ALARM_STATE)
    return sorted({str(body["alarm"]) for body in told if body["new"] == "unacknowledged"})


def differences(one: Mapping[str, list[Step]], other: Mapping[str, list[Step]]) -> list[str]:
    """Where two courses differ, in words; the first difference of each place."""
    found = []
    for place in dict.fromkeys([*one, *other]):
        for number, (a, b) in enumerate(zip_longest(one.get(place, []), other.get(place, []))):
            if a is None or b is None or a.facts != b.facts or not _near(a, b):
                found.append(f"{place or 'the batch'}, event {number}: {a} and {b}")
                break
    return found


def _step(kind: Kind, body: Mapping[str, Any]) -> Step:
    facts = (kind.value, *(str(body[name]) for name in FACTS.get(kind, ())))
    number = body.get(NUMBERS[kind]) if kind in NUMBERS else None
    if not isinstance(number, int | float) or str(body.get("name", "")).endswith(SCATTER):
        return Step(facts)
    return Step(facts, float(number), str(body.get("unit", "")))


def _sorted_outcomes(steps: list[Step]) -> list[Step]:
    grouped = groupby(steps, key=lambda step: step.facts[0] == Kind.COMMAND_OUTCOME)
    return [step for outcomes, group in grouped for step in (sorted(group) if outcomes else group)]


def _near(a: Step, b: Step) -> bool:
    if a.number is None or b.number is None:
        return a.number is b.number
    relative, absolute = TOLERANCES.get(a.unit, USUAL)
    return abs(a.number - b.number) <= absolute + relative * max(abs(a.number), abs(b.number))
