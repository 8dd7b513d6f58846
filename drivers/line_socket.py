"""A line to an instrument behind a TCP serial server, or with a TCP port of its own."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final
from urllib.parse import urlsplit

from drivers.connection import LinkLostError, LinkRefusedError, os_error_words
from drivers.framing import Framing
from drivers.line import MAX_TELEGRAM, NoTap, Silence, Skip, Tap, Wanted, skip_none
from drivers.line_late import answered
from drivers.serial_options import SerialOptions

_LINGER_0: Final = struct.pack("ii", 1, 0)
"""Closing throws away what has not arrived yet, instead of delivering it when the network comes back."""


class SocketLine(asyncio.Protocol):
    """See :class:`drivers.transport.Line`."""

    def __init__(self, options: SerialOptions, silence_s: float = 0.0, tap: Tap | None = None) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.unasked = 0
        self._options = options
        self._silence = Silence(silence_s)
        self._tap = tap or NoTap()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._more = asyncio.Event()

    @classmethod
    async def open(cls, options: SerialOptions, silence_s: float = 0.0, tap: Tap | None = None) -> SocketLine:
        """Connect to ``socket://host:port``; OSError when that fails, ``LinkRefusedError`` for no such address."""
        parts = urlsplit(options.port)
        if not parts.hostname or not parts.port:
            raise LinkRefusedError(f"{options.port} is not socket://HOST:PORT")
        loop = asyncio.get_running_loop()
        try:
            _, protocol = await loop.create_connection(lambda: cls(options, silence_s, tap), parts.hostname, parts.port)
        except UnicodeError:
            raise LinkRefusedError(f"{parts.hostname!r} cannot be the name of a host") from None
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._tap.received(data)
        self._received += data
        self._more.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        if not self.lost.done():
            words = os_error_words(error) if isinstance(error, OSError) else "the other end closed the connection"
            self.lost.set_result(words)
            self._tap.lost(words)
        self._more.set()

    async def request(
        self, data: bytes, framing: Framing, skip: Skip = skip_none, longest: int = MAX_TELEGRAM
    ) -> bytes:
        """See :meth:`drivers.transport.Line.request`."""
        wanted = Wanted(framing, skip, longest)
        await self._put(data)
        try:
            with answered(self._options):
                while (answer := wanted.take(self._received)) is None:
                    if self.lost.done():
                        raise LinkLostError(self.lost.result())
                    self._more.clear()
                    await self._more.wait()
                return answer
        finally:
            self._silence.begins()

    async def send(self, data: bytes) -> None:
        """See :meth:`drivers.transport.Line.send`."""
        await self._put(data)
        if self.lost.done():
            raise LinkLostError(self.lost.result())

    async def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            peer = self._transport.get_extra_info("socket")
            if peer is not None and not self._transport.is_closing():
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            self._transport.abort()
        self._tap.close()

    async def _put(self, data: bytes) -> None:
        await self._silence.kept()
        await asyncio.sleep(0)  # lets the loop fetch what has come already, so that it is thrown away too
        self.unasked = len(self._received)
        self._received.clear()
        self._tap.sent(data)
        if self._transport is not None and not self.lost.done() and data:
            self._transport.write(data)
        self._silence.begins(self._options.seconds_for(data))
