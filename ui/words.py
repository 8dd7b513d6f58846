"""What the console says: states, priorities and qualities in words, with a symbol where a colour goes along."""

from __future__ import annotations

from collections.abc import Sequence

from evcontrol.api.schema import AlarmView, ElementView, InterlockView, OwnerView
from ui.theme import Tone

PRIORITIES = ("critical", "high", "medium", "low")
"""From the most to the least urgent."""
_SYMBOLS = {"critical": "◆ 1", "high": "▲ 2", "medium": "● 3", "low": "■ 4"}
_TONES = {"critical": Tone.CRITICAL, "high": Tone.HIGH, "medium": Tone.MEDIUM, "low": Tone.LOW}
_PUT_ASIDE = frozenset({"shelved", "out of service"})
_ALARM_STATES = {
    "unacknowledged": "active, unacknowledged",
    "acknowledged": "active, acknowledged",
    "returned": "returned to normal, unacknowledged",
    "shelved": "shelved",
    "out of service": "out of service",
}
_STATES = {
    "Running": "▶ Running",
    "Complete": "✓ Complete",
    "Idle": "Idle",
    "Holding": "❚❚ Holding",
    "Held": "❚❚ Held",
    "Pausing": "❚❚ Pausing",
    "Paused": "❚❚ Paused",
    "Restarting": "▶ Restarting",
    "Stopping": "■ Stopping",
    "Stopped": "■ Stopped",
    "Aborting": "✕ Aborting",
    "Aborted": "✕ Aborted",
}
ENDED = frozenset({"Complete", "Stopped", "Aborted"})
ABNORMAL_STATES = frozenset({"Holding", "Held", "Stopping", "Aborting", "Aborted"})


def priority(name: str) -> str:
    """A priority with its symbol and number."""
    return f"{_SYMBOLS.get(name, '?')} {name}"


def priority_tone(name: str) -> Tone:
    """The tone of a priority."""
    return _TONES.get(name, Tone.STRONG)


def rank(name: str) -> int:
    """The place of a priority among all; 0 is the most urgent."""
    return PRIORITIES.index(name) if name in PRIORITIES else len(PRIORITIES)


def alarm_state(alarm: AlarmView) -> str:
    """The state of an alarm (ISA-18.2)."""
    return _ALARM_STATES.get(alarm.state, alarm.state)


def about_alarm(alarm: AlarmView) -> str:
    """What may be behind an alarm, what follows if nobody acts, in how long, and what to do."""
    told = (
        ("Cause", alarm.cause),
        ("If nobody acts", alarm.consequence),
        ("Time to act", f"{alarm.respond_within / 60:g} min" if alarm.respond_within else ""),
        ("What to do", alarm.corrective_action),
    )
    return "\n".join(f"{what}: {text}" for what, text in told if text)


def why_no_shelver(alarm: AlarmView, roles: Sequence[str]) -> str:
    """Why somebody with these roles may not shelve the alarm; empty when they may."""
    if not alarm.shelve_by or set(alarm.shelve_by) & set(roles):
        return ""
    return f"Only {' or '.join(alarm.shelve_by)} may shelve this alarm"


def is_put_aside(alarm: AlarmView) -> bool:
    """Whether a person has silenced the alarm."""
    return alarm.state in _PUT_ASIDE


def quiet_alarms(alarms: list[AlarmView]) -> str:
    """How many alarms there are of which none waits for anybody."""
    aside = sum(is_put_aside(alarm) for alarm in alarms)
    parts = [f"{count(len(alarms) - aside, 'alarm')}, acknowledged"] if len(alarms) > aside else []
    parts += [f"{count(aside, 'alarm')} put aside"] if aside else []
    return "; ".join(parts) or "No alarms"


def sorted_alarms(alarms: list[AlarmView]) -> list[AlarmView]:
    """Those that wait for somebody first, those put aside last, then by priority, then the newest."""
    return sorted(
        alarms, key=lambda alarm: (is_put_aside(alarm), alarm.acknowledged, rank(alarm.priority), -alarm.since)
    )


def interlock_state(interlock: InterlockView) -> str:
    """Whether an interlock is tripped, and whether a person must reset it; whether it is bypassed."""
    if interlock.bypassed_until:
        return f"⚠ BYPASSED{', tripped' if interlock.tripped else ', would trip' if interlock.passed else ''}"
    if not interlock.tripped:
        return "clear"
    return "✕ tripped, reset by hand" if interlock.latched else "✕ tripped"


def state(name: str) -> str:
    """An ISA-88 state with its symbol."""
    return _STATES.get(name, name)


def owner(view: OwnerView | None) -> str:
    """Who owns an actuator."""
    if view is None or not view.owner:
        return "nobody"
    return f"{view.owner} {view.holder.removeprefix('user:')}".strip()


def brief(owner: str) -> str:
    """An owner with the last part of its name: ``phase load`` rather than where that stands in the procedure."""
    kind, _, holder = owner.partition(" ")
    return f"{kind} {holder.rpartition('/')[2].rpartition('.')[2]}".rstrip()


def quality_tone(text: str) -> Tone:
    """The tone of a quality in words."""
    if text.startswith("Bad"):
        return Tone.BAD
    return Tone.DOUBT if text.startswith("Uncertain") else Tone.DIM


def short(tag: str) -> str:
    """A tag without its unit's name."""
    return tag.partition(".")[2] or tag


def active_steps(elements: list[ElementView]) -> list[ElementView]:
    """The lowest elements of a procedure that have begun and not ended."""
    inner = {element.path.rpartition("/")[0] for element in elements if element.path}
    leaves = [element for element in elements if element.path and element.path not in inner]
    return [one for one in leaves if one.state not in ENDED and one.state != "Idle"]


def step_name(path: str) -> str:
    """The last part of an element's place."""
    return path.rpartition("/")[2] or "whole batch"


def first_line(text: str) -> str:
    """A message as one line; of several mistakes the first, and how many more there are."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[0] if len(lines) == 1 else f"{lines[0]} (and {len(lines) - 1} more)"


def count(number: int, what: str) -> str:
    """A number with its noun in the plural where it needs one."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
