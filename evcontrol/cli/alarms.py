"""``evcontrol alarms``: how the alarms stand, their setpoints, every change of one, and how good they were."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from evcontrol.alarms.figures import Change, changes_of, figures
from evcontrol.api.client import Client
from evcontrol.api.schema import AlarmView, WithReason
from evcontrol.batch.spans import Span, UnknownSpanError, find_span
from evcontrol.cli.connect import DEFAULT_DATA, AsUser, Data, reading, signed_on, signing
from evcontrol.cli.fault import WRONG_USE, CliError
from evcontrol.cli.history import From, To, parse_time
from evcontrol.cli.message import message
from evcontrol.cli.output import AsJson, print_json, print_table, say
from evcontrol.cli.secret import PasswordStdin
from evcontrol.clock import iso
from evcontrol.journal.events import Event, Kind
from evcontrol.journal.store import JournalDamagedError, read_events
from evcontrol.plant.alarm_specs import Priority
from evcontrol.units import UnitError, parse_quantity
from evcontrol.yaml_source import nearest

app = typer.Typer(no_args_is_help=True, help="The alarms that stand, and those that were.")

RANKS = [priority.value for priority in reversed(Priority)]
"""Priorities, the most urgent first."""
CHANGES = (Kind.ALARM_STATE, Kind.ALARM_SETPOINT)
COLUMNS = ("time", "alarm", "priority", "old", "new", "who", "station", "why", "value", "unit", "first_out")

Alarm = Annotated[list[str] | None, typer.Option("--alarm", "-a", help="An alarm or a unit; again for more.")]
Which = Annotated[str, typer.Argument(metavar="ALARM", help="The alarm.")]
Setpoint = Annotated[str, typer.Argument(metavar="SETPOINT", help="With its unit, such as '7.5 psi'.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; the journal keeps it.")]
Every = Annotated[bool, typer.Option("--all", help="Also those that are normal or suppressed by design.")]
Batch = Annotated[str, typer.Option("--batch", "-b", help="The time and the units of this batch.")]


@app.command("list")
def list_alarms(every: Every = False, data: Data = DEFAULT_DATA, json: AsJson = False) -> None:
    """Show the alarms that stand, the most urgent first: what they are, what follows, and what to do."""
    found = reading(data, lambda client: client.alarms(every=every))
    found.sort(key=lambda one: (one.acknowledged, RANKS.index(one.priority), -one.since))
    if json:
        print_json(found)
    for one in found if not json else ():
        _tell(one)
    if not found and not json:
        say("no alarm stands")


@app.command("set")
def set_setpoint(
    alarm: Which,
    setpoint: Setpoint,
    reason: Reason,
    data: Data = DEFAULT_DATA,
    user: AsUser = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Change the setpoint of an alarm, within the range that the plant file gives."""
    said = message(WithReason, reason=reason).reason

    async def work(client: Client) -> AlarmView:
        known = {one.alarm: one for one in await client.alarms(every=True)}
        if alarm not in known:
            raise CliError(f"the plant has no alarm {alarm!r}{nearest(alarm, known)}")
        return await client.change_alarm_setpoint(alarm, _in_unit(setpoint, known[alarm]), said)

    view = signed_on(data, user, password_stdin, work)
    say(f"{alarm}: the setpoint is {view.setpoint:g} {view.setpoint_unit}".rstrip())


@app.command()
def remove(
    alarm: Which, reason: Reason, data: Data = DEFAULT_DATA, user: AsUser = "", password_stdin: PasswordStdin = False
) -> None:
    """Take an alarm out of service, for as long as nobody puts it back: a signature."""
    said = message(WithReason, reason=reason).reason
    signing(data, user, password_stdin, lambda client, secret: client.remove_alarm(alarm, said, secret))
    say(f"{alarm} is out of service")


@app.command("return")
def put_back(
    alarm: Which, reason: Reason, data: Data = DEFAULT_DATA, user: AsUser = "", password_stdin: PasswordStdin = False
) -> None:
    """Put an alarm back in service: a signature."""
    said = message(WithReason, reason=reason).reason
    signing(data, user, password_stdin, lambda client, secret: client.return_alarm(alarm, said, secret))
    say(f"{alarm} is back in service")


@app.command()
def journal(
    alarm: Alarm = None,
    start: From = "",
    end: To = "",
    batch: Batch = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    data: Data = DEFAULT_DATA,
    json: AsJson = False,
) -> None:
    """Show every change of an alarm's state or setpoint in its order: when, which, from what to what, who and why."""
    if as_csv and json:
        raise CliError("choose one of --csv and --json", status=WRONG_USE)
    entries = [_entry(event) for event in _chosen(data, alarm or [], start, end, batch)]
    if json:
        print_json(entries)
    elif as_csv:
        rows = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(entries)
    else:
        shown = ("time", "alarm", "priority", "new", "who", "why")
        print_table(("Time (UTC)", *(name.capitalize() for name in shown[1:])), _cells(entries, shown), whole=1)


@app.command("figures")
def show_figures(start: From = "", end: To = "", data: Data = DEFAULT_DATA, json: AsJson = False) -> None:
    """Show the figures of ISA-18.2: how many alarms there were, floods, chattering and stale ones, the most frequent.

    Without times they are over everything from the first event of the journal to the last.
    """
    first, last, changes = None, 0, []
    for event in _events(data):
        first, last = event.t if first is None else min(first, event.t), max(last, event.t)
        changes += changes_of([event])
    if first is None:
        raise CliError(f"there are no events in {data / 'journal'}")
    begin, finish = parse_time(start) if start else first, parse_time(end) if end else last + 1
    if finish <= begin:
        raise CliError(f"the time ends ({iso(finish)}) before it begins ({iso(begin)})", status=WRONG_USE)
    _print_figures(changes, begin, finish, json)


def _tell(one: AlarmView) -> None:
    since = f" since {iso(one.since)}" if one.since else ""
    until = f" until {iso(one.until)}" if one.until else ""
    say(f"{one.alarm}  {one.priority}  {one.state}{since}{until}{', first out' if one.first_out else ''}")
    say(f"    {one.text}")
    say(f"    cause: {one.cause}")
    say(f"    if nobody acts: {one.consequence}")
    say(f"    what to do: {one.corrective_action}")


def _in_unit(text: str, alarm: AlarmView) -> float:
    try:
        return parse_quantity(text, like=alarm.setpoint_unit).to(alarm.setpoint_unit)
    except UnitError as error:
        raise CliError(f"setpoint of {alarm.alarm}: {error}", status=WRONG_USE) from None


def _print_figures(changes: list[Change], begin: int, finish: int, json: bool) -> None:
    found = figures(changes, begin, finish)
    if json:
        print_json(asdict(found) | {"start": iso(begin), "end": iso(finish)})
        return
    say(f"{found.raised} alarms from {iso(begin)} to {iso(finish)}")
    say(f"{found.per_interval:.1f} in ten minutes, {found.peak} at most; {found.flood_share:.1%} of the time in floods")
    say(f"by priority: {', '.join(f'{name} {n}' for name, n in sorted(found.by_priority.items())) or 'none'}")
    say(f"chattering: {', '.join(found.chattering) or 'none'}")
    say(f"stale: {', '.join(found.stale) or 'none'}")
    if found.most:
        print_table(("Most frequent", "Raised"), [(name, str(count)) for name, count in found.most], whole=2)


def _chosen(data: Path, names: list[str], start: str, end: str, batch: str) -> Iterator[Event]:
    """The changes of alarms that were asked for."""
    span = _span(data, batch) if batch else None
    first = parse_time(start) if start else span.start if span else 0
    last = parse_time(end) if end else span.end if span and not span.open else None
    if last is not None and last < first:
        raise CliError(f"the time ends ({iso(last)}) before it begins ({iso(first)})", status=WRONG_USE)
    for event in _events(data):
        if (
            event.kind not in (Kind.ALARM_STATE, Kind.ALARM_SETPOINT)
            or event.t < first
            or (last is not None and event.t > last)
        ):
            continue
        alarm = event.body["alarm"]
        if names and alarm not in names and alarm.partition(".")[0] not in names:
            continue
        if span is None or span.tags_of([alarm]):
            yield event


def _span(data: Path, batch: str) -> Span:
    try:
        return find_span(data, batch, "", "")
    except UnknownSpanError as error:
        raise CliError(str(error)) from error


def _events(data: Path) -> Iterator[Event]:
    if not (data / "journal").is_dir():
        raise CliError(f"there is no journal in {data}")
    try:
        yield from read_events(data / "journal")
    except JournalDamagedError as error:
        raise CliError(str(error)) from error


def _entry(event: Event) -> dict[str, Any]:
    body = event.body
    common = {"time": iso(event.t), "alarm": body["alarm"], "who": event.actor, "station": event.station}
    if event.kind is Kind.ALARM_SETPOINT:
        told: dict[str, Any] = {
            "priority": "", "old": f"setpoint {body['old']:g}", "new": f"setpoint {body['new']:g}",
            "why": body["reason"], "value": None, "unit": body["unit"], "first_out": False,
        }  # fmt: skip
    else:
        told = {
            "priority": body["priority"], "old": body["old"], "new": body["new"], "why": body["text"],
            "value": body["value"], "unit": body["unit"], "first_out": body.get("first_out", False),
        }  # fmt: skip
    both = common | told
    return {column: both[column] for column in COLUMNS}


def _cells(entries: list[dict[str, Any]], names: tuple[str, ...]) -> list[list[str]]:
    return [[str(entry[name]) for name in names] for entry in entries]
