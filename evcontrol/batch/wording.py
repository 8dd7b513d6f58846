"""How times, people and values are worded in records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evcontrol.batch.entries import BatchRecord
from evcontrol.clock import NS, iso
from evcontrol.journal.events import Event, Kind

Labels = Mapping[str, Sequence[str]]
"""The words behind the codes of a tag, by the tag's name."""

_ABOUT = ("tag", "alarm", "interlock", "loop", "prompt", "meaning", "what", "check", "device")


def moment(t: int | None) -> str:
    """A time (UTC ns) to the second; empty when there is none."""
    return "" if t is None else iso(t)[:19].replace("T", " ")


def duration(ns: int) -> str:
    """A span of time as h:mm:ss."""
    seconds = round(ns / NS)
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def who(record: BatchRecord, actor: str) -> str:
    """An actor: a person with the full name where it is known."""
    scheme, _, user = actor.partition(":")
    if scheme != "user":
        return actor
    person = record.people.get(user)
    return f"{person.full_name} ({user})" if person is not None and person.full_name else user


def value_of(tag: str, value: Any, unit: str, labels: Labels) -> str:
    """A value of a tag: its word where it has one, else the number with its unit."""
    if value is None:
        return ""
    words = labels.get(tag, ())
    if words and isinstance(value, (int, float)) and value == int(value) and 0 <= value < len(words):
        return words[int(value)]
    return quantity(value, unit)


def quantity(value: Any, unit: str) -> str:
    """A number or text with its unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.10g} {unit}".strip() if isinstance(value, (int, float)) else str(value)


def about(event: Event, labels: Labels) -> str:
    """What an event is about, in one line."""
    body = event.body
    named = [str(body[key]) for key in _ABOUT if body.get(key)]
    value = body.get("value", body.get("setpoint", body.get("new")))
    unit = str(body.get("unit", "")) if event.kind is not Kind.MODE_CHANGED else ""
    if event.kind is Kind.MODE_CHANGED:
        named.append(str(body.get("unit", "")))
    if event.kind is Kind.LOCAL_CHANGE:
        value = f"commanded {body.get('expected')}, reads {body.get('read')}"
    if event.kind is Kind.SENSOR_CHECK:
        value = body.get("text")
    if event.kind is Kind.PARAMETER_CHANGED:
        value = f"{body.get('name')} from {body.get('old')} to {body.get('new')}"
    if event.kind is Kind.BATCH_JUMPED:
        value = f"to {body.get('to')}; skipped: {_listed(body, 'skipped')}; stopped: {_listed(body, 'stopped')}"
    if event.kind is Kind.BATCH_REVISED:
        value = f"revision {body.get('revision')}: {'; '.join(body.get('differences', ())) or 'the text alone'}"
    if event.kind is Kind.DEVICE_RESTARTED:
        value = f"start counter {body.get('before')} to {body.get('after')}"
    words = " ".join(named)
    if value is not None:
        shown = value_of(str(body.get("tag", "")), value, unit, labels)
        words = f"{words}: {shown}" if words else shown
    reason = body.get("reason") or body.get("why") or body.get("comment")
    return f"{words} ({reason})" if reason else words


def _listed(body: Mapping[str, Any], key: str) -> str:
    return ", ".join(str(path) for path in body.get(key, ())) or "nothing"


def listed(body: Mapping[str, Any]) -> str:
    """All that the body of an event holds, in one line."""
    return ", ".join(f"{key}: {quantity(value, '')}" for key, value in body.items() if value not in (None, ""))
