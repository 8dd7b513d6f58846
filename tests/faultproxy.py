"""A TCP proxy on the loopback interface that fails in the ways in which networks and devices fail."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from enum import StrEnum
from types import TracebackType

_LINGER_0 = struct.pack("ii", 1, 0)


class Fault(StrEnum):
    """What is wrong between client and device."""

    NONE = "none"
    REFUSE = "refuse"
    """Nobody listens: connections are closed and new ones refused."""
    RESET = "reset"
    """Every connection is reset, new ones as soon as they say something."""
    HALF_OPEN = "half-open"
    """Requests arrive, answers do not: the device's side is gone, the client's looks alive."""
    BLACK_HOLE = "black hole"
    """Connections are accepted, and nothing passes either way."""
    SLOW = "slow"
    """Every answer comes ``delay_s`` late, also those asked for before the fault's end."""
    ONE_BYTE = "one byte at a time"
    """Answers come in pieces of one byte."""
    HALF = "half a frame"
    """The first half of each answer comes, and no more."""
    GARBAGE = "garbage"
    """Every byte of an answer is wrong."""
    WRONG_TRANSACTION = "wrong transaction"
    """The transaction id of a Modbus answer is another request's."""
    DOUBLED = "doubled"
    """Every answer comes twice."""


_CORRUPTIONS: dict[Fault, Callable[[bytes], bytes]] = {
    Fault.HALF: lambda data: data[: len(data) // 2],
    Fault.GARBAGE: lambda data: bytes(byte ^ 0xA5 for byte in data),
    Fault.WRONG_TRANSACTION: lambda data: bytes([data[0], data[1] ^ 0x01]) + data[2:],
    Fault.DOUBLED: lambda data: data + data,
}


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes everything on to ``target_port``, unless a fault is set."""

    def __init__(self, target_port: int, *, delay_s: float = 1.0) -> None:
        self._target_port = target_port
        self._delay_s = delay_s
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.fault = Fault.NONE
        self.port = 0
        self.accepted = 0
        """Connections taken since the start."""
        self.requests: list[bytes] = []
        """What clients sent since the start, also what was not passed on."""

    async def __aenter__(self) -> FaultProxy:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop_listening()
        self._break_connections()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def set(self, fault: Fault) -> None:
        """Change what is wrong; ``Fault.NONE`` ends it."""
        self.fault = fault
        if fault in (Fault.REFUSE, Fault.RESET):
            self._break_connections()
        if fault is Fault.REFUSE:
            await self._stop_listening()
        elif self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    def _break_connections(self) -> None:
        for writer in self._writers:
            if writer.transport.is_closing():
                continue
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            device_reader, device_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            self._connections.discard(task)
            return
        self._writers |= {writer, device_writer}
        passing = [
            asyncio.create_task(self._pass(reader, device_writer, self._request)),
            asyncio.create_task(self._pass(device_reader, writer, self._answer)),
        ]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in passing:
                end.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            for each in (writer, device_writer):
                self._writers.discard(each)
                each.transport.abort()
            self._connections.discard(task)

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        forward: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]],
    ) -> None:
        while data := await _received(reader):
            await forward(data, writer)

    async def _request(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests.append(data)
        if self.fault is Fault.RESET:
            self._break_connections()
        elif self.fault is not Fault.BLACK_HOLE:
            writer.write(data)

    async def _answer(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.fault in (Fault.HALF_OPEN, Fault.BLACK_HOLE):
            return
        if self.fault is Fault.SLOW:
            await asyncio.sleep(self._delay_s)
        if self.fault in _CORRUPTIONS:
            data = _CORRUPTIONS[self.fault](data)
        if self.fault is Fault.ONE_BYTE:
            for byte in data:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.001)
            return
        writer.write(data)


async def _received(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(4096)
    except ConnectionError:
        return b""
