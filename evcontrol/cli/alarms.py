"""``evcontrol alarms``: every change of an alarm, and how good the alarms were, from the data directory."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from evcontrol.alarms.figures import Change, changes_of, figures
from evcontrol.batch.spans import Span, UnknownSpanError, find_span
from evcontrol.cli.connect import DEFAULT_DATA, Data
from evcontrol.cli.fault import WRONG_USE, CliError
from evcontrol.cli.history import From, To, parse_time
from evcontrol.cli.output import AsJson, print_json, print_table, say
from evcontrol.clock import iso
from evcontrol.journal.events import Event, Kind
from evcontrol.journal.store import JournalDamagedError, read_events

app = typer.Typer(no_args_is_help=True, help="Look at the alarms that were; no engine is needed.")

COLUMNS = ("time", "alarm", "priority", "old", "new", "who", "station", "why", "value", "unit", "first_out")

Alarm = Annotated[list[str] | None, typer.Option("--alarm", "-a", help="An alarm or a unit; again for more.")]
Batch = Annotated[str, typer.Option("--batch", "-b", help="The time and the units of this batch.")]


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
    """Show every change of an alarm's state in its order: when, which, from what to what, who and why."""
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
        if event.kind is not Kind.ALARM_STATE or event.t < first or (last is not None and event.t > last):
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
    return {
        "time": iso(event.t), "alarm": body["alarm"], "priority": body["priority"], "old": body["old"],
        "new": body["new"], "who": event.actor, "station": event.station, "why": body["text"],
        "value": body["value"], "unit": body["unit"], "first_out": body.get("first_out", False),
    }  # fmt: skip


def _cells(entries: list[dict[str, Any]], names: tuple[str, ...]) -> list[list[str]]:
    return [[str(entry[name]) for name in names] for entry in entries]
