"""The form of the journal's lines, and the hash chain that ties each to the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from evcontrol.journal.events import GENESIS, Event, Kind
from evcontrol.journal.segments import lines_of, segment_paths

Head = tuple[int, str]
"""Where a chain stands: the seq of the next event, and the hash of the last line."""

START: Final[Head] = (0, GENESIS)

_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY
_KEYS: Final = frozenset({"seq", "t", "wall", "kind", "actor", "station", "batch", "path", "body", "prev"})
_NUMBERS: Final = ("seq", "t", "wall")
_TEXTS: Final = ("kind", "actor", "station", "batch", "path", "prev")


class JournalDamagedError(Exception):
    """A journal does not say what was written into it: which ``file``, which ``line`` (from 1), ``what`` is wrong."""

    def __init__(self, file: Path, line: int, what: str) -> None:
        super().__init__(f"{file.name} line {line}: {what}")
        self.file = file
        self.line = line
        self.what = what


def read_events(directory: Path, *, batch: str | None = None) -> Iterator[Event]:
    """The events of a journal in order, of all or of one batch; the chain is checked on the way.

    An unfinished line at the very end is no event and is passed over. Raises JournalDamagedError, FileNotFoundError.
    """
    head = START
    paths = segment_paths(directory)
    for path in paths:
        for number, (line, finished) in enumerate(lines_of(path), start=1):
            if not finished and path == paths[-1]:
                return
            event, head = follow(head, line, path, number)
            if not finished:
                raise JournalDamagedError(path, number, "the line is not finished")
            if batch is None or event.batch == batch:
                yield event


def follow(head: Head, line: bytes, file: Path, number: int) -> tuple[Event, Head]:
    """The event of a line and the head after it. Raises JournalDamagedError when the line does not follow ``head``."""
    try:
        event = decode(line)
    except ValueError as error:
        raise JournalDamagedError(file, number, str(error)) from error
    for fault in link_faults(head, event):
        raise JournalDamagedError(file, number, fault)
    return event, (event.seq + 1, line_hash(line))


def link_faults(head: Head, event: Event) -> Iterator[str]:
    """What is wrong between an event and the line before it."""
    if event.seq != head[0]:
        yield f"event {event.seq} where {head[0]} was due: lines are missing or out of order"
    if event.prev != head[1]:
        yield "the line before this one is not the one that was written"


def normalised(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body as reading it back gives it (NaN becomes null, an enumeration its value).

    Raises TypeError for what JSON cannot hold, such as keys that are no text or integers beyond 64 bits.
    """
    plain: dict[str, Any] = orjson.loads(orjson.dumps(dict(body), option=_OPTIONS))
    return plain


def encode(event: Event) -> bytes:
    """An event as its line, without the line's end. Raises TypeError."""
    return orjson.dumps(
        {
            "seq": event.seq,
            "t": event.t,
            "wall": event.wall,
            "kind": event.kind,
            "actor": event.actor,
            "station": event.station,
            "batch": event.batch,
            "path": event.path,
            "body": event.body,
            "prev": event.prev,
        },
        option=_OPTIONS,
    )


def decode(line: bytes) -> Event:
    """The event that a line holds. Raises ValueError with one line of reason."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(entry, dict) or entry.keys() != _KEYS:
        raise ValueError("not an event: its keys are others")
    for key in _NUMBERS:
        if type(entry[key]) is not int:
            raise ValueError(f"{key} is not an integer")
    for key in _TEXTS:
        if not isinstance(entry[key], str):
            raise ValueError(f"{key} is not text")
    if not isinstance(entry["body"], dict):
        raise ValueError("body is not an object")
    try:
        kind = Kind(entry.pop("kind"))
    except ValueError as error:
        raise ValueError(f"unknown kind of event: {error}") from error
    return Event(kind=kind, **entry)


def line_hash(line: bytes) -> str:
    """SHA-256 of a line without its end, hexadecimal."""
    return hashlib.sha256(line).hexdigest()
