"""A line to an instrument in this process, for virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from drivers.connection import LinkLostError, os_error_words
from drivers.framing import CRLF, Framing
from drivers.line import MAX_TELEGRAM, Skip, Wanted, skip_none


def in_process(reply: Callable[[str], Sequence[str]]) -> Callable[[object], Awaitable[InProcessLine]]:
    """A ``connect`` for drivers of instruments that talk in lines ended by CRLF: ``reply(line) -> lines``."""

    def answer(data: bytes) -> bytes:
        lines = reply(data.removesuffix(CRLF).decode("ascii"))
        return b"".join(line.encode("latin-1") + CRLF for line in lines)

    return in_process_bytes(answer)


def in_process_bytes(reply: Callable[[bytes], bytes]) -> Callable[[object], Awaitable[InProcessLine]]:
    """A ``connect`` for drivers of serial instruments: ``reply`` takes what is sent and returns what comes back."""

    async def connect(_options: object) -> InProcessLine:
        return InProcessLine(reply)

    return connect


class InProcessLine:
    """An instrument in this process; no bytes back is silence, an OSError a lost line.

    See :class:`drivers.transport.Line`.
    """

    def __init__(self, reply: Callable[[bytes], bytes]) -> None:
        self._reply = reply
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.unasked = 0

    async def request(
        self, data: bytes, framing: Framing, skip: Skip = skip_none, longest: int = MAX_TELEGRAM
    ) -> bytes:
        """Ask, and wait for ever when nothing comes back."""
        wanted = Wanted(framing, skip, longest).take(bytearray(self._ask(data)))
        if wanted is None:
            wanted = await asyncio.get_running_loop().create_future()
        return wanted

    async def send(self, data: bytes) -> None:
        """Send; what comes back is thrown away."""
        self._ask(data)

    async def close(self) -> None:
        """Nothing to close."""

    def _ask(self, data: bytes) -> bytes:
        try:
            return self._reply(data)
        except OSError as error:
            raise LinkLostError(os_error_words(error)) from error
