"""Which readings belong to a batch, a phase or a unit: a time and tags, as the journal tells. Nothing is copied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evcontrol.batch.entries import BatchRecord, ElementEntry
from evcontrol.batch.record import UnknownBatchError, read_record, readable_events
from evcontrol.journal.events import Kind

ENGINE = "SYS"


class UnknownSpanError(LookupError):
    """There is no such batch, phase or unit in the journal; one line that says what there is."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Span:
    """A time (process time, UTC ns, both ends included), the units that it is about, and what it is in words.

    While it goes on it is ``open``: ``end`` is then the last event of the batch, and there may be readings after it.
    """

    start: int
    end: int
    units: tuple[str, ...]
    words: str
    open: bool = False

    def tags_of(self, names: Iterable[str]) -> list[str]:
        """Those tags that belong to its units, and the engine's own."""
        return [name for name in names if name.partition(".")[0] in (*self.units, ENGINE)]


def find_span(data: Path, batch: str = "", phase: str = "", unit: str = "") -> Span:
    """The time of a batch (without its id of the latest one), of a phase of it, or of a unit's part in it.

    ``phase`` is a kind of phase, a name or a path; of several that match, the last one that ran counts. Raises
    UnknownSpanError.
    """
    try:
        record = read_record(data, batch or _latest(data))
    except UnknownBatchError as error:
        raise UnknownSpanError(str(error)) from None
    units = tuple(record.units.values())
    if unit and unit not in units:
        raise UnknownSpanError(f"{record.batch} does not use {unit}: it uses {', '.join(units)}")
    if phase:
        return _phase_span(record, phase, unit)
    if unit:
        return _unit_span(record, unit)
    return Span(record.created, record.end, units, f"batch {record.batch}", record.ended is None)


def _latest(data: Path) -> str:
    latest = ""
    for event, _ in readable_events(data / "journal"):
        if event.kind is Kind.BATCH_CREATED:
            latest = event.batch
    if not latest:
        raise UnknownSpanError(f"the journal in {data} tells of no batch")
    return latest


def _phase_span(record: BatchRecord, phase: str, unit: str) -> Span:
    ran = sorted((e for e in record.phases() if e.started is not None), key=lambda entry: entry.started or 0)
    matching = [e for e in ran if phase in (e.phase, e.name, e.path) and unit in ("", e.unit)]
    if not matching:
        known = ", ".join(e.path for e in ran) or "none yet"
        where = f" on {unit}" if unit else ""
        raise UnknownSpanError(f"no phase {phase!r} ran{where} in {record.batch}; these did: {known}")
    last = matching[-1]
    start, end = _times(record, last)
    goes_on = last.ended is None and record.ended is None
    return Span(start, end, (last.unit,), f"{last.path} of batch {record.batch}", goes_on)


def _unit_span(record: BatchRecord, unit: str) -> Span:
    times = [_times(record, e) for e in record.phases() if e.unit == unit and e.started is not None]
    if not times:
        raise UnknownSpanError(f"no phase ran on {unit} in {record.batch}")
    goes_on = record.ended is None
    return Span(min(t for t, _ in times), max(t for _, t in times), (unit,), f"{unit} in batch {record.batch}", goes_on)


def _times(record: BatchRecord, entry: ElementEntry) -> tuple[int, int]:
    return entry.started or record.created, record.end if entry.ended is None else entry.ended
