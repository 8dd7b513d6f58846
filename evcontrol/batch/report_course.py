"""Parts of the batch report: what was done and what happened, in order of time."""

from __future__ import annotations

from typing import Any, Final

from evcontrol.batch.compare import other_results, set_against_actual
from evcontrol.batch.entries import BatchRecord, CommandEntry, ElementEntry
from evcontrol.batch.markup import Markup, element, join, section, table
from evcontrol.batch.wording import Labels, about, duration, moment, quantity, value_of, who
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.events import Event, Kind
from evcontrol.procedure.states import State

_UNUSUAL: Final = frozenset(
    {State.HOLDING, State.HELD, State.STOPPING, State.STOPPED, State.ABORTING, State.ABORTED, State.RESTARTING}
)
_OPERATOR: Final = "operator"
_ENDED_BADLY: Final = frozenset({State.STOPPED, State.ABORTED})


def timeline(record: BatchRecord) -> Markup:
    """Every element with its times, and every change of state."""
    entries = list(record.elements.values())
    css = ["bad" if entry.state in _ENDED_BADLY else "" for entry in entries]
    head = ("Element", "Kind", "Began", "Ended", "Duration", "State")
    changes = [event for event in record.own if event.kind is Kind.STATE_CHANGED]
    return section(
        "Timeline",
        table(head, [_element_row(entry) for entry in entries], css),
        element("h3", "Changes of state"),
        table(
            ("Time", "Element", "State", "Command", "Reason", "Who"),
            [_change_row(record, event) for event in changes],
            ["warn" if event.body["new"] in _UNUSUAL else "" for event in changes],
        ),
    )


def comparisons(record: BatchRecord, reader: HistoryReader) -> Markup:
    """Set against actual, and the other results, for each phase."""
    return section("Set against actual", *(_phase(record, phase, reader) for phase in record.phases()))


def questions(record: BatchRecord) -> Markup:
    """What people were asked and what they entered."""
    rows = [
        (
            moment(q.opened),
            q.path,
            q.text,
            q.limits,
            quantity(q.value, q.unit) if q.answered is not None else "not answered",
            moment(q.answered),
            ", ".join(filter(None, (who(record, q.actor), q.station))),
            q.comment,
        )
        for q in record.questions
    ]
    head = ("Asked", "Element", "Question", "Accepted", "Answer", "Answered", "Who", "Comment")
    css = ["" if q.answered is not None else "warn" for q in record.questions]
    return section("Questions, entries and answers", table(head, rows, css, "Nothing was asked."))


def alarms(record: BatchRecord) -> Markup:
    """Alarms, interlocks and ways into the safe state, of the batch's units in its time."""
    raised = [
        (moment(e.t), e.body["alarm"], e.body["priority"], f"{e.body['old']} → {e.body['new']}", e.body["text"],
         who(record, e.actor))
        for e in record.alarms
    ]  # fmt: skip
    trips = [
        (moment(e.t), e.body["interlock"], _happened(e), _cause(e), who(record, e.actor)) for e in record.interlocks
    ]
    setpoints = [
        (moment(e.t), e.body["alarm"], e.body["old"], e.body["new"], e.body["unit"], e.body["reason"],
         who(record, e.actor))
        for e in record.setpoints
    ]  # fmt: skip
    safe = [(moment(e.t), e.body["unit"], e.body["why"], _reached(e)) for e in record.safe_states]
    safe_css = ["bad" if e.body["not_reached"] else "" for e in record.safe_states]
    standing = [(moment(e.t), _named(e), _happened(e), _cause(e)) for e in record.standing]
    return section(
        "Alarms and interlocks",
        element("h3", "Standing when the batch began"),
        table(("Since", "Alarm or interlock", "State", "What"), standing),
        element("h3", "Alarms"),
        table(("Time", "Alarm", "Priority", "State", "What", "Who"), raised, none="No alarms."),
        element("h3", "Setpoints of alarms that were changed"),
        table(("Time", "Alarm", "Old", "New", "Unit", "Reason", "Who"), setpoints, none="None."),
        element("h3", "Interlocks"),
        table(("Time", "Interlock", "What", "Cause or reason", "Who"), trips, none="No interlock tripped."),
        element("h3", "Ways into the safe state"),
        table(("Time", "Unit", "Why", "Reached"), safe, safe_css),
    )


def machinery(record: BatchRecord, labels: Labels) -> Markup:
    """The engine's lives, links, gaps in the readings, loops, modes, and what was done at the devices."""
    lives = [
        (moment(r.t), r.version, r.plant, r.clock, r.speed, "simulated" if r.simulated else "real", r.previous_end)
        for r in record.engines
    ]
    ends = [(moment(e.t), e.body["reason"]) for e in record.engine_ends]
    speeds = [(moment(t), speed, reason) for t, speed, reason in record.speeds]
    links = [(moment(e.t), e.body["device"], e.body["state"], e.body["reason"]) for e in record.links]
    gaps = [(moment(g.start), moment(g.end), duration(g.end - g.start), g.reason) for g in record.gaps]
    loops = [_loop_row(record, event) for event in record.loops]
    hands = [
        (moment(e.t), e.kind.value, about(e, labels), who(record, e.actor)) for e in record.takeovers if _by_hand(e)
    ]
    return section(
        "Engine, links, loops and readings",
        element("h3", "Engine"),
        table(("Started", "Version", "Plant", "Clock", "Speed", "Equipment", "The one before ended"), lives),
        table(("Stopped", "Reason"), ends, none="It was not stopped."),
        table(("Time", "Speed", "Reason"), speeds, none="The speed was not changed."),
        element("h3", "Links"),
        table(("Time", "Device", "State", "Reason"), links, none="No link changed."),
        element("h3", "Gaps in the readings"),
        table(("From", "To", "Duration", "Reason"), gaps, ["warn"] * len(gaps), "No gaps."),
        element("h3", "Loops"),
        table(("Time", "Loop", "Mode", "Setpoint", "Reason", "Who"), loops),
        element("h3", "Modes, actuators taken by hand, changes at the devices, doubted sensors"),
        table(("Time", "Kind", "What", "Who"), hands),
    )


def commands(record: BatchRecord, labels: Labels) -> Markup:
    """Every command to an actuator with its outcome."""
    rows = [
        (
            moment(c.t),
            c.path,
            who(record, c.actor),
            c.tag,
            value_of(c.tag, c.value, c.unit, labels),
            c.why,
            f"{c.outcome or 'no outcome'}: {c.reason}" if c.reason else c.outcome or "no outcome",
        )
        for c in record.commands
    ]
    head = ("Time", "Element", "Who", "Actuator", "Value", "Why", "Outcome")
    return section("Commands", table(head, rows, [_command_css(c) for c in record.commands], "No commands."))


def _element_row(entry: ElementEntry) -> tuple[Any, ...]:
    took = "" if entry.started is None or entry.ended is None else duration(entry.ended - entry.started)
    kind = f"{entry.level} {entry.phase}".strip()
    return entry.path or "procedure", kind, moment(entry.started), moment(entry.ended), took, entry.state


def _change_row(record: BatchRecord, event: Event) -> tuple[Any, ...]:
    body = event.body
    states = f"{body['old']} → {body['new']}"
    return (
        moment(event.t), event.path or "procedure", states, body["command"], body["reason"], who(record, event.actor)
    )  # fmt: skip


def _phase(record: BatchRecord, phase: ElementEntry, reader: HistoryReader) -> Markup:
    parts = [element("h3", f"{phase.path} ({phase.phase}): {phase.state}")]
    rows = [
        (row.name, row.asked, row.actual, "" if row.deviation is None else f"{row.deviation:+.1f} %", row.how)
        for row in set_against_actual(record, phase, reader)
    ]
    if rows:
        parts.append(table(("Argument", "Set", "Actual", "Deviation", "Found as"), rows))
    results = [(r.name, r.value, r.unit, moment(r.t)) for r in other_results(phase)]
    if results:
        parts.append(table(("Result", "Value", "Unit", "Time"), results))
    return join(parts)


def _named(event: Event) -> str:
    return str(event.body.get("alarm") or event.body.get("interlock"))


def _cause(event: Event) -> str:
    body = event.body
    return str(body.get("text") or body.get("cause") or body.get("reason") or "")


def _happened(event: Event) -> str:
    if event.kind is Kind.ALARM_STATE:
        return str(event.body["new"])
    if event.kind is Kind.INTERLOCK_BYPASSED:
        return f"BYPASSED for {event.body['duration_s']:g} s"
    if event.kind in _INTERLOCK_WORDS:
        return _INTERLOCK_WORDS[event.kind]
    return "tripped, first out" if event.body.get("first_out") else "tripped"


_INTERLOCK_WORDS = {
    Kind.INTERLOCK_RESET: "reset",
    Kind.INTERLOCK_BYPASS_ENDED: "bypass ended",
    Kind.INTERLOCK_PASSED: "would have tripped, bypassed",
}


def _reached(event: Event) -> str:
    missing = [f"{entry.get('tag')} ({entry.get('reason')})" for entry in event.body["not_reached"]]
    return f"NOT reached: {', '.join(missing)}" if missing else f"all {len(event.body['reached'])} actuators"


def _loop_row(record: BatchRecord, event: Event) -> tuple[Any, ...]:
    body = event.body
    setpoint = "" if body["setpoint"] is None else quantity(body["setpoint"], body["unit"])
    return moment(event.t), body["loop"], body["mode"], setpoint, body["reason"], who(record, event.actor)


def _by_hand(event: Event) -> bool:
    """Whether a person took something or gave it back; what passes between phases and loops is no news."""
    if event.kind is not Kind.OWNER_CHANGED:
        return True
    return any(str(event.body.get(key, "")).startswith(_OPERATOR) for key in ("old", "new"))


def _command_css(command: CommandEntry) -> str:
    return "" if command.outcome == "confirmed" else "warn"
