"""The journal: append-only, hash-chained, on disk before what it tells counts as done.

One writer per directory (the engine holds the lock of the data directory); any number may read. To be used from the
thread of the event loop only.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
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
from evcontrol.journal.segments import FIRST, following, last_line, lines_of, segment_paths, set_aside, sync_directory
from evcontrol.journal.verify import Verdict, verify

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
        self._half_line = False
        self._unsynced: list[bytes] = []
        self._rewrite = False
        self._appended = 0
        self._flushed = 0
        self._commit: asyncio.Task[OSError | None] | None = None
        self._executor: ThreadPoolExecutor | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._reserve = Reserve(directory / RESERVE, reserve_bytes)
            self._path, self._head = _resume(directory, self._reserve)
            self._fd = _open(self._path)
            self._size = os.fstat(self._fd).st_size
            os.fsync(self._fd)
            sync_directory(directory)
        except OSError as error:
            raise JournalUnavailableError(f"journal {directory}: {_reason(error)}") from error
        self._synced = (self._path, self._size)
        self._closed = False
        self._build_reserve()

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
        return self._synced

    def append(self, kind: Kind, origin: Origin, body: Mapping[str, Any], *, batch: str = "", path: str = "") -> Event:
        """Write an event to the operating system; :meth:`flush` brings it to the disk.

        What a listener raises comes out of here when all have heard; the event stays. Raises TypeError for a body that
        JSON cannot hold, and JournalUnavailableError; then nothing was written.
        """
        event = self._event(kind, origin, normalised(body), batch, path)
        line = encode(event)
        self._check_open()
        try:
            self._settle()
            if not self._reserve.whole:
                self._reserve.build()  # what is left of it is for safety only
            if self._size >= self._segment_bytes:
                self._begin_segment()
            self._write(line)
        except OSError as error:
            raise self._unavailable(error) from error
        self._accept(line)
        self._tell(event)
        return event

    async def flush(self) -> None:
        """Bring everything appended so far to the disk; callers at the same time share one fdatasync.

        Raises JournalUnavailableError.
        """
        due = self._appended
        while self._flushed < due:
            if self._clock.kind is ClockKind.VIRTUAL:
                error = self._sync_here()
            else:
                if self._commit is None or self._commit.done():
                    self._check_open()
                    self._commit = asyncio.get_running_loop().create_task(self._sync_in_thread())
                error = await asyncio.shield(self._commit)
            if error is not None and self._flushed < due:
                raise JournalUnavailableError(self._trouble) from error

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
            event = self._event(kind, origin, _forced(body), batch, path)
            line = encode(event)
            self._check_open()
            self._settle()
            self._write_from_reserve(line)
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
            self._settle()
            self._reserve.build()
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
        if self._closed:
            return
        if self._executor is not None:
            self._executor.shutdown(wait=True)
        error = self._sync_here() if self._flushed < self._appended else None
        self._closed = True
        os.close(self._fd)
        if error is not None:
            raise JournalUnavailableError(self._trouble) from error

    # -- writing

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

    def _settle(self) -> None:
        """Take back the half line of a failed write; refuse when somebody else wrote or cut the file."""
        if self._half_line:
            os.ftruncate(self._fd, self._size)
            self._half_line = False
        found = os.fstat(self._fd).st_size
        if found != self._size:
            raise OSError(errno.EBUSY, f"{self._path.name} has {found} bytes, not {self._size}: changed by another")

    def _write(self, line: bytes) -> None:
        data = memoryview(line + b"\n")
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._fd, data[done:], self._size + done)
        except OSError:
            self._half_line = True
            self._try_to_settle()
            raise

    def _try_to_settle(self) -> None:
        try:
            self._settle()
        except OSError as error:
            _log.warning("half a line stays in %s until the next append: %s", self._path.name, error)

    def _write_from_reserve(self, line: bytes) -> None:
        while True:
            try:
                self._write(line)
            except OSError as error:
                if error.errno not in FULL or not self._reserve.give(len(line)):
                    raise
                self._settle()
            else:
                return

    def _accept(self, line: bytes) -> None:
        """The line is in the file: go on from it."""
        self._unsynced.append(line + b"\n")
        self._size += len(line) + 1
        self._appended += len(line) + 1
        self._head = (self._head[0] + 1, line_hash(line))
        if not self._rewrite:
            self._trouble = (
                "" if self._reserve.whole else f"the disk is full; {self._reserve.held} bytes of reserve left"
            )

    def _begin_segment(self) -> None:
        """Go on in a new file; the old one is on disk first, so that no crash leaves a gap between the two."""
        error = self._sync_here()
        if error is not None:
            raise error
        path = following(self._path)
        fd = _open(path)
        try:
            sync_directory(path.parent)
        except OSError:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self._path, self._size = fd, path, 0
        self._synced = (path, 0)

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

    # -- bringing to the disk

    def _sync_here(self) -> OSError | None:
        return self._synced_up_to(*self._mark(), _sync(self._fd, *self._again()))

    async def _sync_in_thread(self) -> OSError | None:
        """One fdatasync in the journal's own thread, on a file number of its own: the segment may change meanwhile."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="journal")
        mark, again = self._mark(), self._again()
        try:
            fd = os.dup(self._fd)
        except OSError as error:
            return self._synced_up_to(*mark, error)
        future = self._executor.submit(_sync_and_close, fd, *again)
        return self._synced_up_to(*mark, await asyncio.wrap_future(future))

    def _mark(self) -> tuple[Path, int, int, int]:
        return self._path, self._size, self._appended, len(self._unsynced)

    def _again(self) -> tuple[bytes, int]:
        """What must be written again, and where: after a failed fdatasync the system may have dropped its pages."""
        if not self._rewrite:
            return b"", 0
        return b"".join(self._unsynced), self._synced[1]

    def _synced_up_to(self, path: Path, size: int, appended: int, lines: int, error: OSError | None) -> OSError | None:
        if error is not None:
            self._rewrite = True
            self._unavailable(error)
        elif appended > self._flushed:
            del self._unsynced[:lines]
            self._flushed = appended
            self._synced = (path, size)
            if self._rewrite:
                self._rewrite = False
                self._trouble = ""
        return error

    # -- trouble

    def _check_open(self) -> None:
        if self._closed:
            raise JournalUnavailableError("the journal is closed")

    def _unavailable(self, error: OSError) -> JournalUnavailableError:
        self._trouble = f"journal {self._path.name}: {_reason(error)}"
        return JournalUnavailableError(self._trouble)

    def _build_reserve(self) -> None:
        if self._reserve.whole:
            return
        try:
            self._reserve.build()
        except OSError as error:
            self._trouble = f"no room for the journal's reserve: {_reason(error)}"


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
        raise JournalDamagedError(path, 0, "the segment does not end with a whole line")
    line = found[0]
    try:
        event = decode(line)
    except ValueError as error:
        raise JournalDamagedError(path, 0, f"last line: {error}") from error
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


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o640)


def _sync(fd: int, again: bytes, offset: int) -> OSError | None:
    try:
        done = 0
        while done < len(again):
            done += os.pwrite(fd, again[done:], offset + done)
        os.fdatasync(fd)
    except OSError as error:
        return error
    return None


def _sync_and_close(fd: int, again: bytes, offset: int) -> OSError | None:
    try:
        return _sync(fd, again, offset)
    finally:
        os.close(fd)


def _forced(body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return normalised(body)
    except TypeError:
        return {"unreadable": ascii(dict(body))}


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
