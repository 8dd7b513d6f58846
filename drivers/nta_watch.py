"""The folders of an NTA counter: worklists out, exports in, each exactly once. Blocking; runs in a worker thread.

Originals stay where they are. The archive holds a copy of what was taken (``taken/``, by SHA-256) and of what could not
be read (``quarantine/``, with the reason beside it), and the ledger of both. A mark in the folders tells the archive
that they are the ones from before: a network drive that is not mounted is an empty folder too.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from drivers.connection import LinkLostError, LinkRefusedError, os_error_words
from drivers.nta_export import MAX_BYTES, NtaExport, NtaFileError, parse_export
from drivers.nta_ledger import LEDGER, Entry, Fate, Ledger, Request, read_request, sample_number, write_whole

MARK: Final = ".evcontrol"
TAKEN: Final = "taken"
QUARANTINE: Final = "quarantine"
REJECTED: Final = "rejected"
"""Where a counter puts worklists that it cannot carry out, below the folder of the worklists."""


class State(IntEnum):
    """Where the last request is."""

    IDLE = 0
    REQUESTED = 1
    MEASURING = 2
    """The counter has taken the worklist."""
    DONE = 3
    FAILED = 4
    """The counter rejected the worklist, or the export for it could not be read; a good export still ends it well."""


class NotPlacedError(Exception):
    """A worklist that was not placed; the message says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """One export that was taken."""

    export: NtaExport
    file: str
    sha256: str
    request: int
    sample_no: int
    dilution_asked: float | None = None
    """That of the request; None when the request is not known any more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the folders look like: the last request, the last result, and what went wrong last, in words."""

    state: State
    request: Request | None
    result: Result | None
    quarantined: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Folders:
    """Where they are, and how they are watched (real seconds)."""

    worklists: Path
    exports: Path
    archive: Path
    instrument: str
    """The maker's name, as the exports have it."""
    pattern: str
    settle_s: float
    """How long a complete file must not have changed."""
    incomplete_after_s: float
    """How long an incomplete file must not have changed until it is given up."""
    budget_s: float
    """How long one look may take before it goes on in the next."""


_SAMPLE: Final = re.compile(r"(?:\d{8}_\d+_)?(S-\d{6,9})(?!\d)")
"""The sample in the name of an export: NanoSight begins with it, ZetaView has day and number before it."""
_Signature = tuple[int, int]
"""Size, and time of change in ns."""


@dataclass(slots=True)
class _Watched:
    signature: _Signature
    since: float
    incomplete: bool = False


@dataclass(slots=True)
class FolderWatch:
    """One counter's folders (a session's inside); ``monotonic`` gives real seconds. One call at a time.

    Every method raises LinkLostError when a folder is not there or does not work.
    """

    folders: Folders
    monotonic: Callable[[], float]
    _ledger: Ledger = field(init=False)
    _known: set[tuple[str, int, int]] = field(init=False, default_factory=set)
    _shas: set[str] = field(init=False, default_factory=set)
    _watched: dict[str, _Watched] = field(init=False, default_factory=dict)
    _result: Result | None = field(init=False, default=None)
    _trouble: str = field(init=False, default="")

    def open(self) -> str:
        """Find the folders and what is known of them, in words; LinkRefusedError for another archive's folders."""
        where = self.folders
        with _trouble_is_loss(where.archive):
            for folder in (where.worklists, where.exports):
                _need(folder)
                if (folder / MARK).exists() and not (where.archive / LEDGER).exists():
                    raise LinkLostError(
                        f"{where.archive}: there is no {LEDGER}, though {folder} was used before; "
                        f"is its drive mounted? (To begin anew remove {MARK} from the folders.)"
                    )
            for folder in (where.archive, where.archive / TAKEN, where.archive / QUARANTINE):
                folder.mkdir(exist_ok=True)
            self._ledger = Ledger.load(where.archive)
            self._mark()
            self._adopt()
            self._known = {(one.file, one.size, one.changed_ns) for one in self._ledger.entries}
            self._shas = {one.sha256 for one in self._ledger.entries if one.sha256}
            self._watched = {}
            self._trouble = ""
            self._result = self._last_result()
        words = f"{len(self._ledger.requests)} requests, {len(self._shas)} exports known"
        return f"{words}; {self._trouble}" if self._trouble else words

    def poll(self) -> Seen:
        """Look once, and take at most one export."""
        where = self.folders
        with _trouble_is_loss(where.exports):
            for name in self._ledger.marks:
                _need_mark(Path(name))
            for folder in (where.worklists, where.archive):
                if not os.access(folder, os.W_OK):
                    _need(folder)
                    raise LinkLostError(f"{folder}: nothing can be written there")
            self._look()
            return self._seen()

    def place(self, request: Request) -> None:
        """Place a worklist; again the same one changes nothing. NotPlacedError when it is not placed."""
        ledger, where = self._ledger, self.folders
        known = ledger.requests.get(request.request)
        last = ledger.last
        if known is not None and known == request and known is last:
            return
        if known is not None and known != request:
            raise NotPlacedError(f"request {request.request} was made already, for something else")
        if last is not None and request.request <= last.request:
            raise NotPlacedError(f"request {request.request} is not above the last one, {last.request}")
        path = where.worklists / request.file
        with _trouble_is_loss(where.worklists):
            _need(where.worklists)
            present = frozenset(name for name, signature in self._exports() if (name, *signature) not in self._known)
            if path.exists():
                raise NotPlacedError(f"{path} is there already, and is not ours")
            try:
                write_whole(path, request.text.encode())
            except OSError as error:
                if path.exists():
                    raise LinkLostError(f"{path}: {os_error_words(error)}") from error
                raise NotPlacedError(f"{path}: {os_error_words(error)}") from error
            ledger.add_request(request, present)

    # -- folders -----------------------------------------------------------------------------------------------------

    def _mark(self) -> None:
        """See that the folders are the archive's own; mark new ones."""
        ledger = self._ledger
        for folder in (self.folders.worklists, self.folders.exports):
            mark = folder / MARK
            if str(folder) in ledger.marks:
                _need_mark(folder)
            own = mark.read_text(encoding="utf-8", errors="replace").strip() if mark.exists() else ""
            if own and own != ledger.name:
                raise LinkRefusedError(
                    f"{folder} belongs to another archive than {self.folders.archive}: give that one, "
                    f"or remove {mark} to begin anew"
                )
            if not ledger.name:
                ledger.add_name(uuid.uuid4().hex)
            try:
                write_whole(mark, f"{ledger.name}\n".encode())
            except PermissionError:
                if folder == self.folders.worklists:
                    raise
                continue  # exports may be read only, and are then not known again
            if str(folder) not in ledger.marks:
                ledger.add_mark(str(folder))

    def _adopt(self) -> None:
        """Note worklists of ours that were placed, but not noted before a crash; the counter may have moved them on."""
        places = [self.folders.worklists, *(p for p in self.folders.worklists.iterdir() if p.is_dir())]
        for path in sorted(path for place in places for path in place.glob("worklist-*.csv")):
            request = read_request(path.name, path.read_text(encoding="utf-8", errors="replace"))
            if request is not None and request.request not in self._ledger.requests:
                self._ledger.add_request(request, frozenset())

    def _last_result(self) -> Result | None:
        entry = self._ledger.last_taken
        if entry is None:
            return None
        try:
            data = self._copy_of(entry).read_bytes()
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                raise NtaFileError(entry.file, 0, "its copy in the archive was changed", "restore it from a backup")
            export, asked = parse_export(data, entry.file), self._asked(entry.request)
            return Result(export, entry.file, entry.sha256, entry.request, entry.sample_no, asked)
        except FileNotFoundError:
            self._trouble = f"{entry.file}: its copy in the archive is gone; restore it from a backup"
        except NtaFileError as error:
            self._trouble = str(error)
        return None

    def _copy_of(self, entry: Entry) -> Path:
        return self.folders.archive / TAKEN / _copy_name(entry)

    def _asked(self, number: int) -> float | None:
        request = self._ledger.requests.get(number)
        return None if request is None else request.dilution

    # -- exports -----------------------------------------------------------------------------------------------------

    def _exports(self) -> Iterator[tuple[str, _Signature]]:
        """The files that may be exports, the one that changed longest ago first."""
        found = []
        with os.scandir(self.folders.exports) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not fnmatch(entry.name, self.folders.pattern):
                    continue
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue
                if entry.is_file():
                    found.append((status.st_mtime_ns, entry.name, status.st_size))
        return ((name, (size, changed_ns)) for changed_ns, name, size in sorted(found))

    def _look(self) -> None:
        """Look at every export that stands still and is not known; stop at the first that is taken."""
        began = self.monotonic()
        present = set()
        for name, signature in self._exports():
            present.add(name)
            if (name, *signature) in self._known:
                continue
            watched = self._watched.get(name)
            if watched is None or watched.signature != signature:
                self._watched[name] = watched = _Watched(signature, self.monotonic())
            still = self.monotonic() - watched.since
            if still < (self.folders.incomplete_after_s if watched.incomplete else self.folders.settle_s):
                continue
            if self._examine(name, watched, still) or self.monotonic() - began > self.folders.budget_s:
                return
        for name in self._watched.keys() - present:
            del self._watched[name]

    def _examine(self, name: str, watched: _Watched, still_s: float) -> bool:
        """Read one export and decide what becomes of it; whether it was taken."""
        size, changed_ns = watched.signature
        if size > MAX_BYTES:
            self._set_aside(Entry(Fate.QUARANTINED, name, size, changed_ns, "", reason=f"{name}: too large"), b"")
            return False
        data = self._read(name, watched.signature)
        if data is None:
            return False
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 in self._shas:
            self._known.add((name, size, changed_ns))
            return False
        export, reason, incomplete = _parsed(name, data, self.folders.instrument)
        watched.incomplete = incomplete
        if incomplete and still_s < self.folders.incomplete_after_s:
            return False
        if export is None:
            self._quarantine(Entry(Fate.QUARANTINED, name, size, changed_ns, sha256, reason=reason), data)
            return False
        return self._match(export, Entry(Fate.TAKEN, name, size, changed_ns, sha256), data)

    def _read(self, name: str, signature: _Signature) -> bytes | None:
        """What is in a file; None when it cannot be read now, or changed meanwhile."""
        path = self.folders.exports / name
        try:
            data = path.read_bytes()
            status = path.stat()
        except (FileNotFoundError, PermissionError) as error:
            self._trouble = f"{name}: {os_error_words(error)}"
            return None
        return data if (status.st_size, status.st_mtime_ns) == signature == (len(data), signature[1]) else None

    def _match(self, export: NtaExport, entry: Entry, data: bytes) -> bool:
        """Give a good export to the request for its sample; one that nobody asked for is only noted."""
        sample_no = sample_number(export.sample) or 0
        request = self._ledger.waiting_for(sample_no, entry.file) if sample_no else None
        if request is None:
            reason = f"{entry.file}: nobody waits for a count of sample {export.sample!r}"
            self._set_aside(replace(entry, fate=Fate.OTHER, sample_no=sample_no, reason=reason), b"")
            return False
        write_whole(self._copy_of(entry), data)
        self._note(replace(entry, request=request.request, sample_no=sample_no))
        self._result = Result(export, entry.file, entry.sha256, request.request, sample_no, request.dilution)
        self._trouble = ""
        return True

    def _quarantine(self, entry: Entry, data: bytes) -> None:
        """Keep a copy with the reason. It counts for the request whose sample its name has in its place."""
        named = _SAMPLE.match(entry.file)
        sample_no = sample_number(named[1]) if named else None
        request = self._ledger.waiting_for(sample_no, entry.file) if sample_no else None
        number = request.request if request is not None else 0
        self._set_aside(replace(entry, request=number, sample_no=sample_no or 0), data)

    def _set_aside(self, entry: Entry, data: bytes) -> None:
        if data:
            folder = self.folders.archive / QUARANTINE
            write_whole(folder / _copy_name(entry), data)
            write_whole(folder / f"{entry.sha256}.reason.txt", f"{entry.reason}\n".encode())
        self._note(entry)
        self._trouble = entry.reason

    def _note(self, entry: Entry) -> None:
        self._ledger.add(entry)
        self._known.add((entry.file, entry.size, entry.changed_ns))
        self._shas.add(entry.sha256)
        self._watched.pop(entry.file, None)

    # -- what it comes to --------------------------------------------------------------------------------------------

    def _seen(self) -> Seen:
        request = self._ledger.last
        state, trouble = State.IDLE, self._trouble
        if request is not None:
            state, trouble = self._state_of(request)
        quarantined = sum(entry.fate is Fate.QUARANTINED for entry in self._ledger.entries)
        return Seen(state, request, self._result, quarantined, trouble)

    def _state_of(self, request: Request) -> tuple[State, str]:
        fate = self._ledger.fate_of(request.request)
        rejected = self.folders.worklists / REJECTED / request.file
        if fate is Fate.TAKEN:
            state = State.DONE
        elif rejected.exists():
            told = rejected.with_suffix(".txt")
            why = told.read_text(encoding="utf-8", errors="replace")[:200] if told.exists() else "no reason given"
            return State.FAILED, f"{request.file} was rejected by the counter: {' '.join(why.split())}"
        elif fate is Fate.QUARANTINED:
            reasons = [entry.reason for entry in self._ledger.entries if entry.request == request.request]
            return State.FAILED, reasons[-1]
        else:
            placed = (self.folders.worklists / request.file).exists()
            state = State.REQUESTED if placed else State.MEASURING
        return state, self._trouble


def _copy_name(entry: Entry) -> str:
    """The name of a copy: by its content, with the end of the original's name."""
    return f"{entry.sha256}{Path(entry.file).suffix}"


def _parsed(name: str, data: bytes, instrument: str) -> tuple[NtaExport | None, str, bool]:
    """The export in a file, or None, why it is none that can be used, and whether its end is not there yet."""
    ended = data.endswith((b"\n", b"\r"))
    try:
        export = parse_export(data, name)
    except NtaFileError as error:
        return None, str(error), error.incomplete or not ended
    if not ended:
        return None, f"{name}: its last line has no end; export it again", True
    if export.instrument != instrument:
        return None, f"{name}: an export of {export.instrument}, but the counter is a {instrument}; take it away", False
    if export.contradictions:
        return None, f"{name}: it contradicts itself ({'; '.join(export.contradictions)}); export it again", False
    return export, "", False


def _need(folder: Path) -> None:
    if not folder.is_dir():
        raise LinkLostError(f"{folder}: there is no such folder")


def _need_mark(folder: Path) -> None:
    _need(folder)
    if not (folder / MARK).exists():
        raise LinkLostError(
            f"{folder}: not the folder that was used before ({MARK} is missing); is its network drive mounted?"
        )


@contextmanager
def _trouble_is_loss(folder: Path) -> Iterator[None]:
    """Whatever the operating system says is a lost link, with the place."""
    try:
        yield
    except OSError as error:
        raise LinkLostError(f"{error.filename or folder}: {os_error_words(error)}") from error
