"""What was asked of an NTA counter and what became of its exports, in a file that only grows.

``exports.jsonl`` in the archive has a JSON object in each line: ``archive`` (its name), ``marked`` (a folder with it),
``requested`` (a worklist was placed), ``taken``, ``quarantined`` and ``other`` (a good export that nobody asked for),
each export by the SHA-256 of its content. A line that a crash cut off is passed over.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

LEDGER: Final = "exports.jsonl"
KINDS: Final = ("none", "beads", "diluent", "medium", "pool", "clarified", "concentrate", "permeate", "product")
"""Kinds of sample by their code."""
_HEAD: Final = "Request,Sample,Kind,Dilution,Videos"
_WORKLIST: Final = re.compile(r"worklist-(\d{1,9})\.csv")
_SAMPLE: Final = re.compile(r"S-(\d{6,9})")


@dataclass(frozen=True, slots=True)
class Request:
    """A count that was asked for: number of the request and of the sample, code of its kind, dilution, videos."""

    request: int
    sample_no: int
    kind: int
    dilution: float
    videos: int

    @property
    def file(self) -> str:
        """The name of its worklist."""
        return f"worklist-{self.request}.csv"

    @property
    def text(self) -> str:
        """Its worklist."""
        dilution = f"{self.dilution:.0f}" if self.dilution == int(self.dilution) else repr(self.dilution)
        values = (self.request, sample_name(self.sample_no), KINDS[self.kind], dilution, self.videos)
        return f"{_HEAD}\r\n{','.join(map(str, values))}\r\n"


def sample_name(number: int) -> str:
    """The name of a sample in worklists and exports."""
    return f"S-{number:06d}"


def sample_number(name: str) -> int | None:
    """The number of a sample by its name; None when it is not one of ours."""
    found = _SAMPLE.fullmatch(name.strip())
    return int(found[1]) if found and sample_name(int(found[1])) == name.strip() else None


def read_request(name: str, text: str) -> Request | None:
    """The request of a worklist file; None when it is not one of ours."""
    named, lines = _WORKLIST.fullmatch(name), text.split()
    if named is None or len(lines) != 2 or lines[0] != _HEAD:
        return None
    try:
        request, sample, kind, dilution, videos = lines[1].split(",")
        found = Request(int(request), sample_number(sample) or 0, KINDS.index(kind), float(dilution), int(videos))
    except ValueError:
        return None
    return found if found.file == name and found.sample_no and found.text.split() == lines else None


class Fate(StrEnum):
    """What became of an export."""

    TAKEN = "taken"
    QUARANTINED = "quarantined"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """One export: its name, size and time of change (ns) then, its content's SHA-256, and why it had that fate."""

    fate: Fate
    file: str
    size: int
    changed_ns: int
    sha256: str
    request: int = 0
    """The request that it belongs to; 0 for none."""
    sample_no: int = 0
    reason: str = ""


@dataclass(slots=True)
class Ledger:
    """The file and what it says. All methods may raise OSError."""

    folder: Path
    name: str = ""
    """By which its folders are marked."""
    marks: set[str] = field(default_factory=set)
    """The folders that are marked."""
    requests: dict[int, Request] = field(default_factory=dict)
    present: dict[int, frozenset[str]] = field(default_factory=dict)
    """Exports that were there, and not looked at yet, when a request was made: they cannot be its result."""
    entries: list[Entry] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> Ledger:
        """Read it; an empty one when there is no file."""
        ledger = cls(folder)
        try:
            text = (folder / LEDGER).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ledger
        for line in _objects(text):
            try:
                ledger._apply(line)
            except (KeyError, TypeError, ValueError):
                continue
        return ledger

    @property
    def last(self) -> Request | None:
        """The request with the highest number."""
        return self.requests[max(self.requests)] if self.requests else None

    @property
    def last_taken(self) -> Entry | None:
        """The export that was taken last."""
        return next((entry for entry in reversed(self.entries) if entry.fate is Fate.TAKEN), None)

    def fate_of(self, request: int) -> Fate | None:
        """TAKEN when it has its result, QUARANTINED when all that came for it could not be read."""
        fates = {entry.fate for entry in self.entries if entry.request == request}
        return next((fate for fate in (Fate.TAKEN, Fate.QUARANTINED) if fate in fates), None)

    def waiting_for(self, sample_no: int, file: str) -> Request | None:
        """The oldest request without a result for a sample, of which the file can be the export."""
        for number, request in sorted(self.requests.items()):
            possible = request.sample_no == sample_no and file not in self.present.get(number, frozenset())
            if possible and self.fate_of(number) is not Fate.TAKEN:
                return request
        return None

    def add_name(self, name: str) -> None:
        """Give the archive its name."""
        self._append({"what": "archive", "name": name})
        self.name = name

    def add_mark(self, folder: str) -> None:
        """Note that a folder is marked with the archive's name."""
        self._append({"what": "marked", "folder": folder})
        self.marks.add(folder)

    def add_request(self, request: Request, present: frozenset[str]) -> None:
        """Note that a worklist was placed."""
        self._append({"what": "requested", **asdict(request), "present": sorted(present)})
        self.requests[request.request], self.present[request.request] = request, present

    def add(self, entry: Entry) -> None:
        """Note what became of an export."""
        self._append({"what": entry.fate.value, **{k: v for k, v in asdict(entry).items() if k != "fate"}})
        self.entries.append(entry)

    def _apply(self, line: dict[str, Any]) -> None:
        what = line.pop("what")
        if what == "archive":
            self.name = str(line["name"])
        elif what == "marked":
            self.marks.add(str(line["folder"]))
        elif what == "requested":
            present = frozenset(map(str, line.pop("present")))
            request = Request(**line)
            self.requests[request.request], self.present[request.request] = request, present
        else:
            self.entries.append(Entry(Fate(what), **line))

    def _append(self, line: dict[str, Any]) -> None:
        """One line, forced to the disk; one that a crash left unfinished is ended first."""
        path = self.folder / LEDGER
        with path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _objects(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def write_whole(path: Path, data: bytes) -> None:
    """Write a file such that it is there whole or not at all, also after a loss of power; OSError."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
