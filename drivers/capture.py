"""Recording what goes over a line to an instrument, and reading such a recording.

A recording is a text file with one JSON object a line: ``t`` (real s since the line was opened), ``event`` (``open``,
``sent``, ``received``, ``lost``, ``close``) and, for bytes, ``hex``; each piece is as it came from the line. It is only
ever appended to: each opening of the line is a session of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import structlog

from drivers.connection import os_error_words

MOST_WAITING: Final = 10_000
"""Pieces that wait for a slow disk; what comes beyond is not recorded, and the recording says how much."""

_log = structlog.get_logger(__name__)


class Event(StrEnum):
    """What a line of a recording tells."""

    OPEN = "open"
    SENT = "sent"
    RECEIVED = "received"
    LOST = "lost"
    CLOSE = "close"
    GAP = "gap"
    """So many pieces were not recorded, because the disk was too slow."""


class CaptureError(Exception):
    """A file that is no recording; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of a session, with its bytes, or the reason of a loss."""

    t: float
    event: Event
    data: bytes = b""
    words: str = ""


class Capture:
    """Appends a session to a file (see :class:`drivers.line.Tap`), from a thread of its own: the line never waits.

    A file that cannot be written is told in the log, once, and the line goes on without it.
    """

    def __init__(self, path: Path, port: str, now: Callable[[], float]) -> None:
        """``now`` tells the time (s) and is called from any thread."""
        self._path = path
        self._now = now
        self._began = now()
        self._gap = 0
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(MOST_WAITING)
        self._port = port
        self._thread = threading.Thread(target=self._write, name=f"capture {path.name}", daemon=True)
        self._started = False

    @classmethod
    def beside(cls, path: str | None, port: str) -> Capture | None:
        """A recording of a line that is about to be opened; none without a path."""
        return None if path is None else cls(Path(path), port, asyncio.get_running_loop().time)

    def sent(self, data: bytes) -> None:
        """These went out."""
        self._put(Event.SENT, hex=data.hex())

    def received(self, data: bytes) -> None:
        """These came in, in one piece."""
        self._put(Event.RECEIVED, hex=data.hex())

    def lost(self, reason: str) -> None:
        """The line is gone."""
        self._put(Event.LOST, reason=reason)

    def close(self) -> None:
        """The line is closed; what waits is still written."""
        if not self._started:
            return
        self._put(Event.CLOSE)
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            # The thread ends with the process: the disk has not taken anything for long.
            _log.warning("capture_not_written", file=str(self._path), reason="the disk is too slow")

    def written(self, within_s: float) -> bool:
        """After :meth:`close`: wait until all is in the file, so long (real s) at the most, and say whether it is."""
        if self._started:
            self._thread.join(within_s)
        return not self._thread.is_alive()

    def _put(self, event: Event, **fields: Any) -> None:
        if not self._started:
            # Only now: a line that could not be opened is no session.
            self._started = True
            self._thread.start()
            self._put(Event.OPEN, port=self._port)
        entry = {"t": round(self._now() - self._began, 6), "event": event.value, **fields}
        if self._gap:
            entry["gap"] = self._gap
        try:
            self._waiting.put_nowait(entry)
        except queue.Full:
            self._gap += 1
        else:
            self._gap = 0

    def _write(self) -> None:
        """The thread."""
        try:
            with self._path.open("ab", buffering=0) as file:
                if file.tell() and not _ends_a_line(self._path):
                    file.write(b"\n")
                while (lines := self._next_lines()) is not None:
                    _write_all(file.fileno(), lines)
        except OSError as error:
            _log.warning("capture_not_written", file=str(self._path), reason=os_error_words(error))

    def _next_lines(self) -> bytes | None:
        """What waits, in one piece; None at the end."""
        entry = self._waiting.get()
        if entry is None:
            return None
        if gap := entry.pop("gap", 0):
            return _line({"t": entry["t"], "event": Event.GAP.value, "pieces": gap}) + _line(entry)
        return _line(entry)


def read_capture(path: Path) -> list[list[Piece]]:
    """The sessions of a recording, each with its pieces in order. CaptureError when it is none, OSError."""
    sessions: list[list[Piece]] = []
    for piece in _pieces(path):
        if piece.event is Event.OPEN:
            sessions.append([])
        elif not sessions:
            raise CaptureError(f"{path}: begins without the opening of a line")
        else:
            sessions[-1].append(piece)
    return sessions


def _pieces(path: Path) -> Iterator[Piece]:
    cut: int | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        piece = _piece(line)
        if cut is not None and (piece is None or piece.event is not Event.OPEN):
            raise CaptureError(f"{path}:{cut}: not a line of a recording")
        cut = number if piece is None else None  # the last line before a new session may have been cut off
        if piece is not None:
            if piece.event is Event.GAP:
                raise CaptureError(f"{path}:{number}: a piece is missing here, because the disk was too slow")
            yield piece


def _piece(line: str) -> Piece | None:
    try:
        entry = json.loads(line)
        return Piece(
            float(entry["t"]),
            Event(entry["event"]),
            bytes.fromhex(entry.get("hex", "")),
            str(entry.get("reason", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _write_all(file: int, data: bytes) -> None:
    """In one piece where the system allows, so that two writers of one file do not mix their lines."""
    while data:
        data = data[os.write(file, data) :]


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
