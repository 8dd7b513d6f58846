"""Checking a whole journal against its chain, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evcontrol.journal.chain import START, Head, decode, encode, line_hash, link_faults
from evcontrol.journal.segments import lines_of, segment_number, segment_paths


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: ``faults`` name file and line; ``head`` is where the chain ends."""

    intact: bool
    faults: list[str]
    events: int
    head: Head


def verify(directory: Path, expected_head: Head | None = None) -> Verdict:
    """Check every line of a journal, and that the chain passes through ``expected_head``.

    The chain alone cannot tell that lines at its end were cut off or that the last one was changed; a head noted
    elsewhere (in a report, on paper), of then or of now, does. Raises FileNotFoundError.
    """
    walk = _Walk(expected_head)
    paths = segment_paths(directory)
    walk.faults.extend(_numbering_faults(paths))
    for path in paths:
        for number, (line, finished) in enumerate(lines_of(path), start=1):
            walk.take(f"{path.name} line {number}", line, finished)
    if expected_head is not None and not walk.met:
        walk.faults.append(
            f"the chain ends before event {walk.head[0]} and does not pass through the head noted "
            f"before event {expected_head[0]}"
        )
    return Verdict(not walk.faults, walk.faults, walk.events, walk.head)


@dataclass(slots=True)
class _Walk:
    """One pass over the lines; after a fault it goes on from the line as found, so that each fault is named once."""

    expected: Head | None
    head: Head = START
    events: int = 0
    faults: list[str] = field(default_factory=list)
    met: bool = False

    def __post_init__(self) -> None:
        self.met = self.head == self.expected

    def take(self, where: str, line: bytes, finished: bool) -> None:
        if not finished:
            self.faults.append(f"{where}: the line is not finished")
            return
        try:
            event = decode(line)
        except ValueError as error:
            self.faults.append(f"{where}: {error}")
            self.head = (self.head[0] + 1, line_hash(line))
            return
        self.events += 1
        self.faults.extend(f"{where}: {fault}" for fault in link_faults(self.head, event))
        if encode(event) != line:
            self.faults.append(f"{where}: not in the form in which it is written")
        self.head = (event.seq + 1, line_hash(line))
        self.met = self.met or self.head == self.expected


def _numbering_faults(paths: list[Path]) -> Iterator[str]:
    for due, path in enumerate(paths, start=1):
        if segment_number(path) != due:
            yield f"{path.name}: stands where segment {due:06d} was due"
            return
