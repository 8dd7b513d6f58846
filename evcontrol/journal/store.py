"""The journal: append-only, hash-chained, on disk before what it tells counts as done.

One writer per directory (the engine holds the lock of the data directory); any number may read. To be used from the
thread of the event loop only.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from evcontrol.clock import Clock, ClockKind
from evcontrol.journal.chain import (
    START,
    Head,
    JournalDamagedError,
    decode,
    encode,
    follow,
    line_hash,
    normalised,
    read_events,
)
from evcontrol.journal.events import Event, Kind, Origin
from evcontrol.journal.reserve import Reserve
from evcontrol.journal.segments import FIRST, last_line, line_count, lines_of, segment_paths, set_aside, sync_directory
from evcontrol.journal.verify import Verdict, verify
from evcontrol.journal.writer import SegmentWriter

__all__ = ["Journal", "JournalDamagedError", "JournalUnavailableError", "Verdict", "read_events", "verify"]

RESERVE: Final = "reserve"
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_log = logging.getLogger(__name__)


class JournalUnavailableError(Exception):
    """The disk refuses; the message says why in one line."""


class Journal:
    """The journal in ``directory``, opened for appending, or begun there.

    ``segment_bytes`` after which a new file is begun; ``reserve_bytes`` held back for safety. The last segment's chain
    is checked, and an unfinished last line is moved into a file beside it. Raises JournalDamagedError,
    JournalUnavailableError.
    """

    def __init__(
        self, directory: Path, clock: Clock, *, segment_bytes: int = 16 << 20, reserve_bytes: int = 1 << 20
    ) -> None:
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._listeners: list[Callable[[Event], None]] = []
        self._unheard: deque[Event] = deque()
        self._telling = False
        self._trouble = ""
        self._commit: asyncio.Task[OSError | None] | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            sync_directory(directory.parent)
            self._reserve = Reserve(directory / RESERVE, reserve_bytes)
            path, self._head = _resume(directory, self._reserve)
            self._writer = SegmentWriter(path)
        except OSError as error:
            raise JournalUnavailableError(f"journal {directory}: {_reason(error)}") from error
        try:
            self._reserve.build()
        except OSError as error:
            self._trouble = f"no room for the journal's reserve: {_reason(error)}"

    @property
    def head(self) -> Head:
        """The seq of the next event and the hash of the last line."""
        return self._head

    @property
    def available(self) -> bool:
        """Whether the last thing asked of the disk was done."""
        return not self._trouble

    @property
    def trouble(self) -> str:
        """Why it is not available; empty when it is."""
        return self._trouble

    @property
    def synced(self) -> tuple[Path, int]:
        """The segment, and the byte in it, up to which everything is sure to outlive a loss of power."""
        return self._writer.synced

    def append(self, kind: Kind, origin: Origin, body: Mapping[str, Any], *, batch: str = "", path: str = "") -> Event:
        """Write an event to the operating system; :meth:`flush` brings it to the disk.

        What a listener raises comes out of here when all have heard; the event stays. Raises TypeError for a body that
        JSON cannot hold, and JournalUnavailableError; then nothing was written.
        """
        self._check_open()
        event = self._event(kind, origin, normalised(body), batch, path)
        line = encode(event)
        try:
            self._writer.settle()
            if not self._reserve.whole:
                self._reserve.build()  # what is left of it is for safety only
            if self._writer.size >= self._segment_bytes:
                self._writer.next_segment()
            self._writer.write(line + b"\n")
        except OSError as error:
            raise self._unavailable(error) from error
        self._accept(line)
        self._tell(event)
        return event

    async def flush(self) -> None:
        """Bring everything appended so far to the disk; callers at the same time share one fdatasync.

        Raises JournalUnavailableError.
        """
        due = self._writer.appended
        while self._writer.flushed < due:
            self._check_open()
            error = self._sync_here() if self._clock.kind is ClockKind.VIRTUAL else await self._shared_sync()
            if error is not None and self._writer.flushed < due:
                raise self._unavailable(error) from error

    async def record(
        self, kind: Kind, origin: Origin, body: Mapping[str, Any], *, batch: str = "", path: str = ""
    ) -> Event:
        """Append an event and bring it to the disk. Raises what :meth:`append` and :meth:`flush` raise."""
        event = self.append(kind, origin, body, batch=batch, path=path)
        await self.flush()
        return event

    def append_safety(
        self, kind: Kind, origin: Origin, body: Mapping[str, Any], *, batch: str = "", path: str = ""
    ) -> Event | None:
        """Append an event of safety, on a full disk into the reserve. Never raises; None when not even that helps."""
        try:
            self._check_open()
            event = self._event(kind, origin, _forced(body), batch, path)
            line = encode(event)
            self._writer.settle()
            self._write_from_reserve(line + b"\n")
        except OSError as error:
            self._unavailable(error)
            return None
        except (JournalUnavailableError, TypeError):
            _log.exception("an event of safety was not journalled: %s", kind)
            return None
        self._accept(line)
        try:
            self._tell(event)
        except Exception:  # noqa: BLE001  logged: a command towards safety does not fail by who looks on
            _log.exception("a listener of the journal failed at event %d", event.seq)
        return event

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with every event appended from now on, in the order of their seq."""
        self._listeners.append(listener)

    async def retry(self) -> bool:
        """Ask the disk again after a trouble, without an event; whether the journal is available now."""
        try:
            self._check_open()
            self._writer.settle()
            self._reserve.build()
            self._reserve.probe()
            await self.flush()
        except OSError as error:
            self._unavailable(error)
        except JournalUnavailableError as error:
            self._trouble = str(error)
        else:
            self._trouble = ""
        return self.available

    def close(self) -> None:
        """Bring what is left to the disk and close the file. Raises JournalUnavailableError; it is closed then too."""
        if self._writer.closed:
            return
        error = self._writer.close()
        if error is not None:
            raise self._unavailable(error) from error

    def _event(self, kind: Kind, origin: Origin, body: dict[str, Any], batch: str, path: str) -> Event:
        seq, prev = self._head
        return Event(
            seq=seq,
            t=self._clock.now(),
            wall=self._clock.wall(),
            kind=kind,
            actor=str(origin.actor),
            station=origin.station,
            batch=batch,
            path=path,
            body=body,
            prev=prev,
        )

    def _write_from_reserve(self, line: bytes) -> None:
        while True:
            try:
                self._writer.write(line)
            except OSError as error:
                if error.errno not in FULL or not self._reserve.give(len(line)):
                    raise
                self._writer.settle()
            else:
                return

    def _accept(self, line: bytes) -> None:
        """The line is in the file: go on from it."""
        self._head = (self._head[0] + 1, line_hash(line))
        if not self._reserve.whole:
            self._trouble = f"the disk is full; {self._reserve.held} bytes of the journal's reserve are left"
        elif not self._writer.doubtful:
            self._trouble = ""

    def _tell(self, event: Event) -> None:
        """Tell the listeners; an event that one of them appends is told after this one."""
        self._unheard.append(event)
        if self._telling:
            return
        self._telling = True
        errors: list[Exception] = []
        try:
            while self._unheard:
                heard = self._unheard.popleft()
                for listener in tuple(self._listeners):
                    try:
                        listener(heard)
                    except Exception as error:  # noqa: BLE001  raised below, when all have heard
                        errors.append(error)
        finally:
            self._telling = False
        if errors:
            raise errors[0]

    async def _shared_sync(self) -> OSError | None:
        """The sync that is under way, or a new one; not cancelled with whoever waits for it."""
        if self._commit is None or self._commit.done():
            self._commit = asyncio.get_running_loop().create_task(self._sync_in_thread())
        return await asyncio.shield(self._commit)

    async def _sync_in_thread(self) -> OSError | None:
        doubtful = self._writer.doubtful
        return self._noted(doubtful, await self._writer.sync_in_thread())

    def _sync_here(self) -> OSError | None:
        doubtful = self._writer.doubtful
        return self._noted(doubtful, self._writer.sync_here())

    def _noted(self, doubtful: bool, error: OSError | None) -> OSError | None:
        if error is not None:
            self._unavailable(error)
        elif doubtful and self._reserve.whole:
            self._trouble = ""
        return error

    def _check_open(self) -> None:
        if self._writer.closed:
            raise JournalUnavailableError("the journal is closed")

    def _unavailable(self, error: OSError) -> JournalUnavailableError:
        self._trouble = f"journal {self._writer.path.name}: {_reason(error)}"
        return JournalUnavailableError(self._trouble)


def _resume(directory: Path, reserve: Reserve) -> tuple[Path, Head]:
    """The segment to go on with, and the head of the chain."""
    paths = segment_paths(directory)
    if not paths:
        return directory / FIRST, START
    path = paths[-1]
    head = _head_after(paths[-2]) if len(paths) > 1 else START
    size = 0
    for number, (line, finished) in enumerate(lines_of(path), start=1):
        if not finished:
            _set_aside(path, size, reserve)
            break
        _, head = follow(head, line, path, number)
        size += len(line) + 1
    return path, head


def _head_after(path: Path) -> Head:
    """The head after the last line of a segment that is not the last."""
    found = last_line(path)
    if found is None or not found[1]:
        raise JournalDamagedError(path, line_count(path), "the segment does not end with a whole line")
    line = found[0]
    try:
        event = decode(line)
    except ValueError as error:
        raise JournalDamagedError(path, line_count(path), str(error)) from error
    return event.seq + 1, line_hash(line)


def _set_aside(path: Path, size: int, reserve: Reserve) -> None:
    while True:
        try:
            kept = set_aside(path, size)
        except OSError as error:
            if error.errno not in FULL or not reserve.give(0):
                raise
        else:
            _log.warning("the unfinished last line of %s was moved to %s", path.name, kept.name)
            return


def _forced(body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return normalised(body)
    except TypeError:
        return {"unreadable": ascii(dict(body))}


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
