"""A proxy that fails in the ways in which networks, lines and devices fail: before a TCP port, or as a serial line."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import tty
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

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
    CUT = "cut"
    """The first half of each answer comes, and then the connection ends."""
    GARBAGE = "garbage"
    """Every byte of an answer is wrong."""
    CORRUPT = "corrupt"
    """The top bit of every fifth byte of an answer is wrong, from the first one on."""
    REORDER = "reorder"
    """The second half of each answer comes before the first."""
    WRONG_TRANSACTION = "wrong transaction"
    """The transaction id of a Modbus answer is another request's."""
    DOUBLED = "doubled"
    """Every answer comes twice."""


_CORRUPTIONS: dict[Fault, Callable[[bytes], bytes]] = {
    Fault.HALF: lambda data: data[: len(data) // 2],
    Fault.CUT: lambda data: data[: len(data) // 2],
    Fault.CORRUPT: lambda data: bytes(byte ^ (0 if i % 5 else 0x80) for i, byte in enumerate(data)),
    Fault.REORDER: lambda data: data[len(data) // 2 :] + data[: len(data) // 2],
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

    async def __aenter__(self) -> Self:
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
        elif not self._listening:
            await self._listen()

    @property
    def _listening(self) -> bool:
        return self._server is not None

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
            asyncio.create_task(self._pass(reader, device_writer.write, self._request)),
            asyncio.create_task(self._pass(device_reader, writer.write, self._answer)),
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
        write: Callable[[bytes], None],
        forward: Callable[[bytes, Callable[[bytes], None]], Awaitable[None]],
    ) -> None:
        while data := await _received(reader):
            await forward(data, write)

    async def _request(self, data: bytes, write: Callable[[bytes], None]) -> None:
        self.requests.append(data)
        if self.fault is Fault.RESET:
            self._break_connections()
        elif self.fault is not Fault.BLACK_HOLE:
            write(data)

    async def _answer(self, data: bytes, write: Callable[[bytes], None]) -> None:
        fault = self.fault
        if fault in (Fault.HALF_OPEN, Fault.BLACK_HOLE):
            return
        if fault is Fault.SLOW:
            await asyncio.sleep(self._delay_s)
        if fault in _CORRUPTIONS:
            data = _CORRUPTIONS[fault](data)
        if fault is Fault.ONE_BYTE:
            for byte in data:
                write(bytes([byte]))
                await asyncio.sleep(0)
            return
        write(data)
        if fault is Fault.CUT:
            await asyncio.sleep(0)
            self._cut_connections()

    def _cut_connections(self) -> None:
        """End them after what was sent, where :meth:`_break_connections` throws it away."""
        for writer in self._writers:
            writer.close()


class SerialFaultProxy(FaultProxy):
    """The same as a pseudo-terminal, behind a symbolic link at ``path``; the instrument listens at ``target_port``.

    A line has no connections: a reset, a cut and a refusal are a cable that is pulled, the first two for a moment.
    """

    def __init__(self, target_port: int, path: Path, *, delay_s: float = 1.0) -> None:
        super().__init__(target_port, delay_s=delay_s)
        self.path = path
        self._master = self._slave = -1
        self._wanted = False
        self._wire: asyncio.Task[None] | None = None
        self._asked: asyncio.Queue[bytes] = asyncio.Queue()

    @property
    def _listening(self) -> bool:
        return self._master >= 0

    async def _listen(self) -> None:
        self._wanted = True
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._asked = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self._wire = asyncio.create_task(self._pass_on())
        self.path.symlink_to(os.ttyname(self._slave))
        self.accepted += 1

    async def _stop_listening(self) -> None:
        self._wanted = False
        self._unplug()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.cancel()
            await asyncio.gather(wire, return_exceptions=True)

    def _break_connections(self) -> None:
        if self._listening:
            self._unplug()
            asyncio.get_running_loop().call_soon(self._plug_again)

    _cut_connections = _break_connections

    def _plug_again(self) -> None:
        if self._wanted and not self._listening:
            self._again = asyncio.ensure_future(self._listen())

    def _unplug(self) -> None:
        if not self._listening:
            return
        if self._wire is not None:
            self._wire.cancel()
        asyncio.get_running_loop().remove_reader(self._master)
        self.path.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def _read(self) -> None:
        self._asked.put_nowait(os.read(self._master, 4096))

    def _write(self, data: bytes) -> None:
        if not self._listening:
            return
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return  # nobody reads: a line without flow control loses it

    async def _pass_on(self) -> None:
        """Between the line and the instrument, also while that is away."""
        asked = self._asked
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            asking = asyncio.create_task(self._ask(asked, writer))
            try:
                await self._pass(reader, self._write, self._answer)
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                writer.transport.abort()

    async def _ask(self, asked: asyncio.Queue[bytes], writer: asyncio.StreamWriter) -> None:
        while True:
            await self._request(await asked.get(), writer.write)


async def _received(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(4096)
    except ConnectionError:
        return b""
