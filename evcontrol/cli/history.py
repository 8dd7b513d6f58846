"""``evcontrol history``: readings from the data directory, with or without a running engine."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from evcontrol import quality
from evcontrol.batch.spans import Span, UnknownSpanError, find_span
from evcontrol.cli.connect import DEFAULT_DATA, Data
from evcontrol.cli.fault import WRONG_USE, CliError
from evcontrol.cli.output import AsJson, print_json, print_table, say
from evcontrol.clock import NS, iso
from evcontrol.history.export import iso_ns, to_csv
from evcontrol.history.layout import Gap
from evcontrol.history.parquet import to_parquet
from evcontrol.history.reader import Column, HistoryError, HistoryReader, UnknownTagError
from evcontrol.history.trend import Trend
from evcontrol.signals import FloatArray, Tag, TagKind

app = typer.Typer(no_args_is_help=True, help="Look at the readings that were kept, and export them.")

DEFAULT_PARTS = 20

Tags = Annotated[list[str] | None, typer.Option("--tag", "-t", help="A tag; give it again for more.")]
From = Annotated[str, typer.Option("--from", help="First process time, ISO 8601; without a zone it is UTC.")]
Batch = Annotated[str, typer.Option("--batch", "-b", help="The time of this batch, or where --phase is looked for.")]
Phase = Annotated[
    str,
    typer.Option("--phase", "-p", help="The time of the last such phase: its kind, name or path; of the latest batch."),
]
Unit = Annotated[str, typer.Option("--unit", "-u", help="The time of this unit in the batch.")]
To = Annotated[str, typer.Option("--to", help="Last process time, ISO 8601; without a zone it is UTC.")]


@app.command()
def query(
    tag: Tags = None,
    start: From = "",
    end: To = "",
    batch: Batch = "",
    phase: Phase = "",
    unit: Unit = "",
    parts: Annotated[
        int | None, typer.Option("--parts", min=1, help="Show means over so many equal parts of the time.")
    ] = None,
    data: Data = DEFAULT_DATA,
    json: AsJson = False,
) -> None:
    """Show readings as means over parts of the time; without a tag, list what was recorded.

    The means are over Good readings; the worst quality in a part stands behind its mean unless it is Good. Parts of a
    minute or more begin and end with whole minutes (or 10 minutes), so there may be a few more or fewer.

    With --json and without --parts every single reading is given.
    """
    with _history(data) as reader:
        first, last, _ = _range(reader, data, start, end, _Asked(batch, phase, unit))
        if not tag:
            _list_tags(reader.tags(), first, last, json)
            return
        gaps = reader.gaps(first, last)
        if json and parts is None:
            print_json(_document([_readings(name, c) for name, c in reader.raw(tag, first, last).items()], gaps))
            return
        means = reader.trend(tag, first, last + 1, parts or DEFAULT_PARTS)
        if json:
            print_json(_document([_means(name, a) for name, a in means.items()], gaps))
        else:
            _print_means(means, reader.definitions(tag, first, last), gaps)


@app.command()
def export(
    tag: Tags = None,
    start: From = "",
    end: To = "",
    batch: Batch = "",
    phase: Phase = "",
    unit: Unit = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write.", show_default="stdout")] = None,
    data: Data = DEFAULT_DATA,
    json: AsJson = False,
) -> None:
    """Write every reading as CSV (with --json as JSON), with units, qualities and gaps.

    Without a tag, of all tags; with --batch, --phase or --unit, of those of its units. To a FILE.parquet as Parquet.
    """
    with _history(data) as reader:
        first, last, span = _range(reader, data, start, end, _Asked(batch, phase, unit))
        names = tag or [one.name for one in reader.tags()]
        names = names if tag or span is None else span.tags_of(names)
        if json:
            if out is not None:
                raise CliError("--json writes to standard output: leave out --out", status=WRONG_USE)
            columns = reader.raw(names, first, last)
            print_json(_document([_readings(name, c) for name, c in columns.items()], reader.gaps(first, last)))
        elif out is None:
            to_csv(reader, names, first, last, sys.stdout)
        else:
            if out.suffix == ".parquet":
                to_parquet(reader, names, first, last, out)
            else:
                with out.open("w", encoding="utf-8", newline="") as file:
                    to_csv(reader, names, first, last, file)
            say(f"{len(names)} tags from {iso(first)} to {iso(last)} are in {out}")


def parse_time(text: str) -> int:
    """An ISO 8601 time as UTC ns, to the nanosecond; without a zone it is UTC. CliError when it is none."""
    fraction = re.search(r"[.,](\d{1,9})\d*", text)
    try:
        moment = datetime.fromisoformat(text.replace(fraction[0], "") if fraction else text)
    except ValueError:
        raise CliError(f"{text!r} is no ISO 8601 time, such as 2026-03-01T12:00:00Z", status=WRONG_USE) from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(moment.timestamp()) * NS + (int(fraction[1].ljust(9, "0")) if fraction else 0)


@contextmanager
def _history(data: Path) -> Iterator[HistoryReader]:
    try:
        yield HistoryReader(data / "history")
    except UnknownTagError as error:
        raise CliError(f"{error} (`evcontrol history query` lists the tags that were)") from error
    except HistoryError as error:
        raise CliError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the journal is asked for; empty for nothing."""

    batch: str
    phase: str
    unit: str


def _range(reader: HistoryReader, data: Path, start: str, end: str, asked: _Asked) -> tuple[int, int, Span | None]:
    """First and last time, and what of the batch it is."""
    everything = reader.span()
    if everything is None:
        raise CliError(f"there are no readings in {data / 'history'}")
    span = None
    if asked.batch or asked.phase or asked.unit:
        try:
            span = find_span(data, asked.batch, asked.phase, asked.unit)
        except UnknownSpanError as error:
            raise CliError(str(error)) from error
    first = parse_time(start) if start else everything[0] if span is None else span.start
    last = parse_time(end) if end else everything[1] if span is None or span.open else span.end
    if last < first:
        raise CliError(f"the time ends ({iso(last)}) before it begins ({iso(first)})", status=WRONG_USE)
    return first, last, span


def _list_tags(tags: Sequence[Tag], first: int, last: int, json: bool) -> None:
    if json:
        listed = [{"tag": t.name, "unit": t.unit, "kind": t.kind.value, "description": t.description} for t in tags]
        print_json({"from": iso(first), "to": iso(last), "tags": listed})
        return
    say(f"readings from {iso(first)} to {iso(last)}")
    print_table(["Tag", "Unit", "Kind", "What it is"], [[t.name, t.unit, t.kind.value, t.description] for t in tags])


def _print_means(means: dict[str, Trend], tags: dict[str, Tag], gaps: Sequence[Gap]) -> None:
    head = ["From (UTC)", *(f"{name} ({one.unit})" if one.unit else name for name, one in means.items())]
    rows = []
    times = [f"{time[:10]} {time[11:19]}" for time in iso_ns(next(iter(means.values())).t)]
    for i, time in enumerate(times):
        rows.append([time, *(_mean(one, i, tags[name]) for name, one in means.items())])
    print_table(head, rows, whole=1)
    for gap in gaps:
        say(f"no readings from {iso(gap.start)} to {iso(gap.end)}: {gap.reason}")


def _mean(one: Trend, part: int, tag: Tag) -> str:
    """The mean of one part of the time, of states the first and last in their order; the worst quality unless Good."""
    code = int(one.q[part])
    doubt = "" if code == quality.GOOD else f" ({quality.text(code)})"
    low, high = one.low[part], one.high[part]
    if tag.kind is TagKind.TEXT and one.good[part]:
        return f"text{doubt}"
    if np.isnan(one.mean[part]):
        return quality.text(code)
    if tag.labels and 0 <= low <= high < len(tag.labels):
        seen = tag.labels[int(low) : int(high) + 1]
        return (seen[0] if len(seen) == 1 else f"{seen[0]} ... {seen[-1]}") + doubt
    return f"{one.mean[part]:z.{tag.decimals}f}{doubt}"


def _document(series: list[dict[str, Any]], gaps: Sequence[Gap]) -> dict[str, Any]:
    listed = [{"from": iso(gap.start), "to": iso(gap.end), "reason": gap.reason} for gap in gaps]
    return {"series": series, "gaps": listed}


def _readings(name: str, column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"tag": name, "unit": column.unit, "t": iso_ns(column.t), "v": _numbers(column.v)}
    if column.labels:
        found["text"] = [column.text(i) for i in range(len(column))]
    return {**found, "quality": _words(column.q.tolist())}


def _means(name: str, one: Trend) -> dict[str, Any]:
    return {
        "tag": name,
        "unit": one.unit,
        "t": iso_ns(one.t),
        "mean": _numbers(one.mean),
        "low": _numbers(one.low),
        "high": _numbers(one.high),
        "first": _numbers(one.first),
        "last": _numbers(one.last),
        "good": one.good.tolist(),
        "bad": one.bad.tolist(),
        "quality": _words(one.q.tolist()),
    }


def _numbers(values: FloatArray) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _words(codes: list[int]) -> list[str]:
    known = {code: quality.text(code) for code in set(codes)}
    return [known[code] for code in codes]
