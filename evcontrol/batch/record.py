"""The batch record: everything that the data directory tells of one batch, gathered without asking an engine.

Reading only: safe beside a running engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from evcontrol.batch.entries import BatchRecord
from evcontrol.batch.gather import Gathering
from evcontrol.clock import NS, SPEED_NOTICE_NS, iso
from evcontrol.history.layout import Gap
from evcontrol.history.reader import HistoryError, HistoryReader
from evcontrol.journal.chain import Head, decode, line_hash
from evcontrol.journal.events import Event
from evcontrol.journal.segments import lines_of, segment_paths
from evcontrol.journal.verify import verify

LONGEST_SILENCE_S: Final = 10.0
NOTICE_MARGIN: Final = 1.5
"""By how much longer than its notice a change of speed may take to be seen."""
"""Real time without a reading beyond which the history must have noted a gap."""
_UNFINISHED: Final = "the line is not finished"


class UnknownBatchError(LookupError):
    """The journal tells of no such batch; one line."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a record is whole: ``faults`` in words, the ``gaps`` that were noted (no fault of the record), events."""

    intact: bool
    faults: list[str]
    gaps: list[Gap]
    events: int
    head: Head


def read_record(data: Path, batch: str) -> BatchRecord:
    """Gather one batch from ``data/journal`` and the gaps of ``data/history``.

    Lines of the journal that cannot be read are passed over: :func:`verify_record` names them. Raises
    UnknownBatchError.
    """
    gathering = Gathering(batch)
    for event, head in readable_events(data / "journal"):
        gathering.take(event, head)
    record = gathering.finish()
    if record is None:
        known = f" (it has {', '.join(gathering.others[-5:])})" if gathering.others else ""
        raise UnknownBatchError(f"the journal in {data} has no batch {batch}{known}")
    record.gaps = _merged(record.gaps, HistoryReader(data / "history"), record)
    return record


def verify_record(data: Path, batch: str) -> Verdict:
    """Check the journal's chain over the whole plant, and that no readings of the batch are missing without a note.

    A gap that was noted (an outage of the engine, a full disk) is told and is no fault. Raises UnknownBatchError.
    """
    return check_record(data, read_record(data, batch))


def check_record(data: Path, record: BatchRecord) -> Verdict:
    """:func:`verify_record` for a record that was read already: the chain must still pass through its head."""
    found = verify(data / "journal", record.head)
    faults = [f"journal {fault}" for fault in found.faults]
    if faults and faults[-1].endswith(_UNFINISHED):
        # At the very end it is no event: an engine is writing it, or died before anything could rely on it.
        faults.pop()
    faults += [f"journal {what}" for what in record.unreadable]
    if hashlib.sha256(record.recipe.get("text", "").encode()).hexdigest() != record.recipe.get("hash"):
        faults.append("the text of the recipe is not the one whose hash the batch was created with")
    faults += [f"history {fault}" for fault in _history_faults(HistoryReader(data / "history"), record)]
    return Verdict(not faults, faults, record.gaps, found.events, found.head)


def readable_events(directory: Path) -> Iterator[tuple[Event, Head]]:
    """Every event of a journal that can be read, and where the chain stands after it; none without a journal."""
    try:
        paths = segment_paths(directory)
    except FileNotFoundError:
        return
    for path in paths:
        for line, finished in lines_of(path):
            if not finished:
                continue
            try:
                event = decode(line)
            except ValueError:
                continue
            yield event, (event.seq + 1, line_hash(line))


def _merged(told: Iterable[Gap], reader: HistoryReader, record: BatchRecord) -> list[Gap]:
    """The gaps of the batch's time: those in the history, and those that the journal tells of; each once."""
    try:
        noted = reader.gaps(record.created, record.end)
    except HistoryError:
        noted = []
    found: dict[int, Gap] = {}
    for gap in [*told, *noted]:
        known = found.get(gap.start)
        if gap.end >= record.created and gap.start <= record.end and (known is None or gap.end > known.end):
            found[gap.start] = gap
    return sorted(found.values(), key=lambda gap: (gap.start, gap.end))


def _history_faults(reader: HistoryReader, record: BatchRecord) -> Iterator[str]:
    """Times of the batch in which there is neither a reading nor a noted gap."""
    try:
        scans = reader.scans(record.created, record.end)
    except HistoryError as error:
        yield str(error)
        return
    edges = np.concatenate([[record.created], scans, [record.end]])
    for i in np.flatnonzero(np.diff(edges) > LONGEST_SILENCE_S * NS).tolist():
        start, end = int(edges[i]), int(edges[i + 1])
        longest = LONGEST_SILENCE_S * NS * max(1.0, _speed_in(record, start, end))
        noted = any(gap.start <= start + longest and gap.end >= end - longest for gap in record.gaps)
        if end - start > longest and not noted:
            yield f"no readings from {iso(start)} to {iso(end)}, and no gap was noted"


def _speed_in(record: BatchRecord, start: int, end: int) -> float:
    """The highest speed in force between two times.

    A change is told as soon as it is published, and until it holds time goes on at the old speed.
    """
    told = sorted([(run.t, run.speed) for run in record.engines] + [(t, speed) for t, speed, _ in record.speeds])
    ends = [
        t + round(SPEED_NOTICE_NS * NOTICE_MARGIN * speed) for (t, _), (_, speed) in zip(told[1:], told, strict=False)
    ]
    spans = zip(told, [*ends, end], strict=True)
    return max([speed for (t, speed), until in spans if t <= end and until >= start], default=1.0)
