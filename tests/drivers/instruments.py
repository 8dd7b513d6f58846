"""Line instruments for tests, on a real pseudo-terminal or a real TCP port: what they answer is a function."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Answer = Callable[[bytes], bytes]
"""What to send, ends of line included, for one line (without its end)."""


class Instrument(Protocol):
    """Something at the other end of a line."""

    answer: Answer
    asked: list[bytes]

    @property
    def port(self) -> str: ...

    async def plug(self) -> None: ...

    async def unplug(self) -> None: ...

    def send(self, data: bytes) -> None: ...

    async def was_asked(self, times: int) -> None: ...


class _Lines:
    """Lines taken out of what is received, and the answers to them."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self._received = bytearray()
        self._heard = asyncio.Event()

    async def was_asked(self, times: int) -> None:
        """Wait until so many lines have come; TimeoutError when they do not."""
        async with asyncio.timeout(5):
            while len(self.asked) < times:
                self._heard.clear()
                await self._heard.wait()

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def _take(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n")) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 2]
            self.asked.append(line)
            self._heard.set()
            if reply := self.answer(line):
                self.send(reply)


class PtyInstrument(_Lines):
    """Behind a symbolic link to a pseudo-terminal; the link stays the same when it is unplugged and plugged again."""

    def __init__(self, path: Path, answer: Answer = lambda _: b"") -> None:
        super().__init__(answer)
        self.port = str(path)
        self._path = path
        self._master = self._slave = -1

    async def plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._received.clear()
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self._path.symlink_to(os.ttyname(self._slave))

    async def unplug(self) -> None:
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self._path.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def _read(self) -> None:
        self._take(os.read(self._master, 4096))


class TcpInstrument(_Lines):
    """Behind a TCP port of this machine, as on a serial server."""

    def __init__(self, answer: Answer = lambda _: b"", port: int = 0) -> None:
        super().__init__(answer)
        self._server: asyncio.Server | None = None
        self._port = port
        self._clients: set[asyncio.Transport] = set()

    @property
    def port(self) -> str:
        return f"socket://127.0.0.1:{self._port}"

    async def plug(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self._clients, self._take), "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for client in list(self._clients):
            client.abort()
        await server.wait_closed()

    def send(self, data: bytes) -> None:
        for client in self._clients:
            client.write(data)


class _Client(asyncio.Protocol):
    def __init__(self, clients: set[asyncio.Transport], take: Callable[[bytes], None]) -> None:
        self._clients = clients
        self._take = take
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._clients.add(transport)

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._clients.discard(self._transport)
