"""The writing end of the journal's files: whole lines or nothing, and known how far the disk has them."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from evcontrol.journal.segments import following, sync_directory

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A place up to which one sync reaches: in the segment, in all bytes appended, and in the unsynced lines."""

    path: Path
    size: int
    appended: int
    lines: int


class SegmentWriter:
    """Appends to a segment and goes on in the next one; everything in the segment so far is brought to the disk.

    ``appended`` and ``flushed`` count bytes since it was opened. ``doubtful`` after a failed sync, until one succeeds.
    Not for several threads. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = _open(path)
        self.size = os.fstat(self._fd).st_size
        os.fsync(self._fd)
        sync_directory(path.parent)
        self.synced = (path, self.size)
        self.appended = 0
        self.flushed = 0
        self.doubtful = False
        self.closed = False
        self._half_line = False
        self._unsynced: list[bytes] = []
        self._executor: ThreadPoolExecutor | None = None
        self._in_thread: tuple[Future[OSError | None], _Mark] | None = None

    def settle(self) -> None:
        """Take back the half line of a failed write. Raises OSError, also when somebody else changed the file."""
        if self._half_line:
            os.ftruncate(self._fd, self.size)
            self._half_line = False
        found = os.fstat(self._fd).st_size
        if found != self.size:
            raise OSError(errno.EBUSY, f"{found} bytes where {self.size} were written: the file was changed by another")

    def write(self, line: bytes) -> None:
        """Append a line, given with its end. Raises OSError; then nothing of it stays."""
        try:
            _write_at(self._fd, line, self.size)
        except OSError:
            self._half_line = True
            self._try_to_settle()
            raise
        self._unsynced.append(line)
        self.size += len(line)
        self.appended += len(line)

    def next_segment(self) -> None:
        """Go on in a new file. The old one is on disk first, so that no crash leaves a gap between them."""
        error = self.sync_here()
        if error is not None:
            raise error
        path = following(self.path)
        fd = _open(path)
        try:
            if os.fstat(fd).st_size:
                raise OSError(errno.EEXIST, f"{path.name} is there already")
            sync_directory(path.parent)
        except OSError:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self.path, self.size = fd, path, 0
        self.synced = (path, 0)

    def sync_here(self) -> OSError | None:
        """Bring everything appended to the disk, waiting for it in this thread; what the disk said."""
        self._conclude()
        return self._reached(self._mark(), _sync(self._fd, *self._again()))

    async def sync_in_thread(self) -> OSError | None:
        """The same in a thread of the writer's own, for what was appended until now."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="journal")
        mark = self._mark()
        try:
            fd = os.dup(self._fd)  # the segment may be closed meanwhile
        except OSError as error:
            self.doubtful = True
            return error
        begun = self._executor.submit(_sync_and_close, fd, *self._again()), mark
        self._in_thread = begun
        try:
            await asyncio.shield(asyncio.wrap_future(begun[0]))
        except asyncio.CancelledError:
            self._conclude()
            raise
        return self._conclude() if self._in_thread is begun else None

    def close(self) -> OSError | None:
        """Bring what is left to the disk and close; what the disk said."""
        error = self.sync_here() if self.flushed < self.appended else None
        if self._executor is not None:
            self._executor.shutdown(wait=True)
        self.closed = True
        os.close(self._fd)
        return error

    def _try_to_settle(self) -> None:
        try:
            self.settle()
        except OSError as error:
            _log.warning("half a line stays in %s until the next append: %s", self.path.name, error)

    def _mark(self) -> _Mark:
        return _Mark(self.path, self.size, self.appended, len(self._unsynced))

    def _again(self) -> tuple[bytes, int]:
        """What must be written again, and where: after a failed sync the system may have dropped its pages."""
        return (b"".join(self._unsynced), self.synced[1]) if self.doubtful else (b"", 0)

    def _conclude(self) -> OSError | None:
        """Take note of what the thread's sync came to, once, waiting for it if need be."""
        if self._in_thread is None:
            return None
        future, mark = self._in_thread
        self._in_thread = None
        return self._reached(mark, future.result())

    def _reached(self, mark: _Mark, error: OSError | None) -> OSError | None:
        if error is not None:
            self.doubtful = True
            return error
        del self._unsynced[: mark.lines]
        self.flushed = mark.appended
        self.synced = (mark.path, mark.size)
        self.doubtful = False
        return None


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o640)


def _write_at(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    done = 0
    while done < len(view):
        done += os.pwrite(fd, view[done:], offset + done)


def _sync(fd: int, again: bytes, offset: int) -> OSError | None:
    try:
        _write_at(fd, again, offset)
        os.fdatasync(fd)
    except OSError as error:
        return error
    return None


def _sync_and_close(fd: int, again: bytes, offset: int) -> OSError | None:
    try:
        return _sync(fd, again, offset)
    finally:
        os.close(fd)
