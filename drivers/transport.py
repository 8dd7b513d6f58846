"""Instruments that talk in telegrams: over a serial port, a TCP serial server, or in this process for virtual time.

All are half-duplex: one request, one answer. What came before a request is thrown away when it is sent, so that no
answer is taken for another's. How the bytes are cut into telegrams is the protocol's (:mod:`drivers.framing`).
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from drivers.capture import Capture
from drivers.framing import Framing
from drivers.line import MAX_TELEGRAM, Skip, skip_none
from drivers.line_late import none_to_come
from drivers.line_process import InProcessLine, in_process, in_process_bytes
from drivers.line_serial import SerialLine
from drivers.line_socket import SocketLine
from drivers.serial_options import SerialOptions

__all__ = ["InProcessLine", "Line", "SerialOptions", "in_process", "in_process_bytes", "open_line", "skip_none"]


class Line(Protocol):
    """One open line to one or several instruments (a session of :class:`drivers.connection.Connection`)."""

    lost: asyncio.Future[str]
    unasked: int
    """How many bytes had come unasked, and were thrown away, when the latest telegram was sent."""

    async def request(
        self, data: bytes, framing: Framing, skip: Skip = skip_none, longest: int = MAX_TELEGRAM
    ) -> bytes:
        """Send these bytes and return the next telegram for which ``skip`` is false, without its marks.

        No bytes: only listen, from now on. Answers of another instrument on the line are for ``skip`` to tell. Waits
        until it is cancelled; one request at a time. Raises ``LinkLostError`` when the line is gone and
        ``UnreadableError`` when more than ``longest`` bytes come without a whole telegram.
        """

    async def send(self, data: bytes) -> None:
        """Send these bytes, to which no answer comes (a broadcast); ``LinkLostError`` when the line is gone."""

    async def close(self) -> None:
        """Close the line; the port can be opened again afterwards, and what has not gone out yet never will."""


async def open_line(options: SerialOptions, silence_s: float = 0.0) -> Line:
    """Open a line: ``socket://host:port`` is a TCP serial server, everything else is pyserial's.

    ``silence_s`` is the least time between the end of one telegram and the next one that we send, for instruments
    that need a pause. Raises OSError or ``LinkLostError`` when it cannot be opened, ``LinkRefusedError`` when there
    is no such kind of port. After a request that went unanswered the port stays closed until no late answer is expected
    any more (see :mod:`drivers.line_late`).
    """
    await none_to_come(options)
    kind = SocketLine if options.port.startswith("socket://") else SerialLine
    tap = Capture.beside(options.capture, options.port)
    try:
        return await kind.open(options, silence_s, tap)
    except BaseException:
        if tap is not None:
            tap.close()
        raise
