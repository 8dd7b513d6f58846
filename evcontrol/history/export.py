"""Readings as CSV: one row for each time, each tag with its value and its quality."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import TextIO

import numpy as np

from evcontrol import quality
from evcontrol.clock import NS
from evcontrol.history.layout import Gap
from evcontrol.history.reader import Column, HistoryReader
from evcontrol.signals import Tag, TagKind, TimeArray

HOUR_NS = 3600 * NS
MOST_HOURS, TAG_HOURS = 24, 200
"""So many hours of process time are held in memory at once, or fewer when there are many tags."""


def to_csv(reader: HistoryReader, tags: Sequence[str], start: int, end: int, out: TextIO) -> None:
    """Write the readings of a range (process time, UTC ns, both ends included) as CSV.

    The head names each tag with its unit. Times are ISO 8601 UTC to the nanosecond, numbers are written so that they
    read back as they were, words stand for codes, and a Bad value is empty. A gap is a row of its own, in the last
    column. Errors as in :class:`HistoryReader`.
    """
    tags = list(dict.fromkeys(tags))
    meant = reader.definitions(tags, start, end)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_head([meant[name] for name in tags]))
    gaps = reader.gaps(start, end)
    for begin, last in slices(reader, start, end, gaps, len(tags)):
        columns = reader.raw(tags, begin, last)
        here = [gap for gap in gaps if begin <= max(gap.start, start) <= last]
        writer.writerows(_rows([columns[name] for name in tags], [meant[name] for name in tags], here, start))


def iso_ns(t: TimeArray) -> list[str]:
    """Times in UTC ns as ISO 8601 with nanoseconds."""
    texts: list[str] = np.datetime_as_string(t.astype("datetime64[ns]"), unit="ns").tolist()
    return [f"{text}Z" for text in texts]


def _head(tags: Sequence[Tag]) -> list[str]:
    head = ["time"]
    for tag in tags:
        head += [f"{tag.name} [{tag.unit}]" if tag.unit else tag.name, f"{tag.name} quality"]
    return [*head, "gap"]


def slices(reader: HistoryReader, start: int, end: int, gaps: Sequence[Gap], tags: int) -> Iterator[tuple[int, int]]:
    """The parts of a range, short enough for so many tags, in which there is anything; both ends included."""
    longest = HOUR_NS * max(1, min(MOST_HOURS, TAG_HOURS // max(1, tags)))
    starts = [max(gap.start, start) for gap in gaps]
    begin = start
    while True:
        upcoming = [reader.following(begin), *(t for t in starts if t >= begin)]
        known = [t for t in upcoming if t is not None and t <= end]
        if not known:
            return
        begin = min(known)
        yield begin, min(begin + longest - 1, end)
        begin += longest


def _rows(columns: Sequence[Column], tags: Sequence[Tag], gaps: Sequence[Gap], start: int) -> Iterator[list[str]]:
    gap_times = np.array([max(gap.start, start) for gap in gaps], dtype=np.int64)
    times = np.unique(np.concatenate([gap_times, *(column.t for column in columns)]))
    cells = [_cells(column, tag, times) for column, tag in zip(columns, tags, strict=True)]
    notes: dict[int, list[str]] = {}
    for t, gap in zip(gap_times.tolist(), gaps, strict=True):
        notes.setdefault(t, []).append(gap_note(gap))
    for i, (t, text) in enumerate(zip(times.tolist(), iso_ns(times), strict=True)):
        yield [text, *(cell for column in cells for cell in column[i]), "; ".join(notes.get(t, []))]


def _cells(column: Column, tag: Tag, times: TimeArray) -> list[tuple[str, str]]:
    """Value and quality for every time; both empty where the tag has no reading, the last one where it has two."""
    cells = [("", "")] * len(times)
    texts: dict[int, str] = {}
    for i, (place, code) in enumerate(zip(np.searchsorted(times, column.t).tolist(), column.q.tolist(), strict=True)):
        text = texts.get(code)
        if text is None:
            text = texts[code] = quality.text(code)
        cells[place] = (_value(column, i, tag), text)
    return cells


def _value(column: Column, i: int, tag: Tag) -> str:
    value = float(column.v[i])
    if quality.is_bad(int(column.q[i])) or np.isnan(value):
        return ""
    if column.labels:
        return column.text(i) or repr(value)
    if tag.kind is not TagKind.ANALOG and value.is_integer():
        return str(int(value))
    return repr(value)


def gap_note(gap: Gap) -> str:
    """A gap in words."""
    first, last = iso_ns(np.array([gap.start, gap.end], dtype=np.int64))
    return f"no readings from {first} to {last}: {gap.reason}"
