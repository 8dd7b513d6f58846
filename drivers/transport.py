"""Instruments that talk in lines: over a serial port, over a TCP serial server, or in this process for virtual time.

All are half-duplex: one request, one answer. What came before a request is thrown away when it is sent, so that no
answer is taken for another's.
"""

from __future__ import annotations

import asyncio
import errno
import queue
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import serial

from drivers.connection import LinkLostError, LinkRefusedError, UnreadableError, os_error_words

CRLF: Final = b"\r\n"
MAX_LINE: Final = 256
"""Bytes without an end of line after which the other end is not talking lines (to us)."""
POLL_S: Final = 0.02
"""How soon (real seconds) the worker of a serial port sees that nobody waits for the answer any more."""
CLOSE_S: Final = 1.0
"""How long (real seconds) a close waits for the worker of a serial port; it ends by itself later if the port hangs."""

Skip = Callable[[bytes], bool]


class LineTransport(Protocol):
    """One open line to an instrument (a session of :class:`drivers.connection.Connection`)."""

    lost: asyncio.Future[str]

    async def request(self, line: bytes, skip: Skip) -> bytes:
        """Send a line and return the next one for which ``skip`` is false, both without their ends.

        Waits until it is cancelled; one request at a time. Raises ``LinkLostError`` when the line is gone and
        ``UnreadableError`` when what comes is not lines.
        """

    async def close(self) -> None:
        """Close the line; the port can be opened again afterwards."""


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """A serial port: device path or any URL that pyserial knows, and how its bytes look."""

    port: str
    baudrate: int
    bytesize: int
    parity: str
    stopbits: float


async def open_line(settings: SerialSettings) -> LineTransport:
    """Open a line: ``socket://host:port`` is a TCP serial server, everything else is pyserial's.

    Raises OSError or ``LinkLostError`` when it cannot be opened, ``LinkRefusedError`` when there is no such kind of
    port.
    """
    if settings.port.startswith("socket://"):
        return await SocketLine.open(settings.port)
    return await SerialLine.open(settings)


def in_process(reply: Callable[[str], Sequence[str]]) -> Callable[[object], Awaitable[LineTransport]]:
    """A ``connect`` for drivers of line instruments that binds them to a simulator's ``reply(line) -> lines``."""

    async def connect(_options: object) -> LineTransport:
        return InProcessLine(reply)

    return connect


class InProcessLine:
    """An instrument in this process; no lines back is silence, an OSError a lost line."""

    def __init__(self, reply: Callable[[str], Sequence[str]]) -> None:
        self._reply = reply
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def request(self, line: bytes, skip: Skip) -> bytes:
        """Ask, and wait for ever when nothing comes back."""
        try:
            answers = [answer.encode("latin-1") for answer in self._reply(line.decode("ascii"))]
        except OSError as error:
            raise LinkLostError(os_error_words(error)) from error
        wanted = next((answer for answer in answers if not skip(answer)), None)
        if wanted is None:
            wanted = await asyncio.get_running_loop().create_future()
        return wanted

    async def close(self) -> None:
        """Nothing to close."""


class SocketLine(asyncio.Protocol):
    """An instrument behind a TCP serial server, or with a TCP port of its own."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._more = asyncio.Event()

    @classmethod
    async def open(cls, url: str) -> SocketLine:
        """Connect to ``socket://host:port``; OSError when that fails, ``LinkRefusedError`` for no such address."""
        parts = urlsplit(url)
        if not parts.hostname or not parts.port:
            raise LinkRefusedError(f"{url} is not socket://HOST:PORT")
        loop = asyncio.get_running_loop()
        try:
            _, protocol = await loop.create_connection(cls, parts.hostname, parts.port)
        except UnicodeError:
            raise LinkRefusedError(f"{parts.hostname!r} cannot be the name of a host") from None
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._received += data
        self._more.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        if not self.lost.done():
            words = os_error_words(error) if isinstance(error, OSError) else "the other end closed the connection"
            self.lost.set_result(words)
        self._more.set()

    async def request(self, line: bytes, skip: Skip) -> bytes:
        """Send a line, wait for the answer."""
        self._received.clear()
        if self._transport is not None and not self.lost.done():
            self._transport.write(line + CRLF)
        while True:
            answer = _take_line(self._received, skip)
            if answer is not None:
                return answer
            if self.lost.done():
                raise LinkLostError(self.lost.result())
            self._more.clear()
            await self._more.wait()

    async def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


class SerialLine:
    """An instrument on a serial port, with pyserial in a worker thread of its own that ends when the line is closed."""

    def __init__(self, settings: SerialSettings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"serial {settings.port}", daemon=True)

    @classmethod
    async def open(cls, settings: SerialSettings) -> SerialLine:
        """Open the port, alone; ``LinkLostError`` when that fails, ``LinkRefusedError`` for an unknown kind of port."""
        line = cls(settings)
        line._thread.start()
        try:
            await asyncio.shield(line._opened)
        except BaseException:
            await line.close()
            raise
        return line

    async def request(self, line: bytes, skip: Skip) -> bytes:
        """Send a line, wait for the answer."""
        if self.lost.done():
            raise LinkLostError(self.lost.result())
        job = _Job(line + CRLF, skip, self._loop.create_future())
        self._jobs.put(job)
        try:
            answer: bytes = await job.answer
        finally:
            job.over = True
        return answer

    async def close(self) -> None:
        """End the worker, which closes the port."""
        self._closing = True
        self._jobs.put(None)
        await asyncio.wait((self._ended,), timeout=CLOSE_S)

    def _work(self) -> None:
        """The worker thread."""
        try:
            port = self._open_port()
            if port is not None:
                with port:
                    self._serve(port)
        finally:
            self._settle(self._ended, None)

    def _open_port(self) -> serial.SerialBase | None:
        settings = self._settings
        try:
            port = serial.serial_for_url(
                settings.port,
                baudrate=settings.baudrate,
                bytesize=settings.bytesize,
                parity=settings.parity,
                stopbits=settings.stopbits,
                timeout=POLL_S,
                write_timeout=CLOSE_S,
                exclusive=True,
            )
        except OSError as error:
            self._settle(self._opened, LinkLostError(f"port {settings.port}: {_port_words(error)}"))
        except ValueError as error:
            self._settle(self._opened, LinkRefusedError(f"port {settings.port}: {error}"))
        except Exception as error:  # noqa: BLE001  (pyserial's handlers of URLs raise what they like)
            self._settle(self._opened, LinkRefusedError(f"port {settings.port}: {error!r}"))
        else:
            self._settle(self._opened, None)
            return port
        return None

    def _serve(self, port: serial.SerialBase) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._settle(job.answer, self._exchange(port, job))
            except UnreadableError as error:
                self._settle(job.answer, error)
            except Exception as error:  # noqa: BLE001  (whatever it is, whoever waits has to hear of it)
                words = f"port {self._settings.port}: {_port_words(error)}"
                self._settle(self.lost, words)
                self._settle(job.answer, LinkLostError(words))
                return

    def _exchange(self, port: serial.SerialBase, job: _Job) -> bytes | None:
        while port.in_waiting and not self._is_over(job):
            port.read(port.in_waiting)
        if self._is_over(job):
            return None
        port.write(job.data)
        received = bytearray()
        while not self._is_over(job):
            received += port.read(1)
            received += port.read(port.in_waiting)
            answer = _take_line(received, job.skip)
            if answer is not None:
                return answer
        return None

    def _is_over(self, job: _Job) -> bool:
        return job.over or self._closing

    def _settle(self, future: asyncio.Future[Any], outcome: object) -> None:
        """From the worker: give a future its result or exception, unless nobody waits for it any more."""
        try:
            self._loop.call_soon_threadsafe(_settle, future, outcome)
        except RuntimeError:
            return  # the event loop is closed: nobody waits at all


@dataclass(slots=True)
class _Job:
    data: bytes
    skip: Skip
    answer: asyncio.Future[Any]
    over: bool = False
    """Set by who asked, when the answer is no longer wanted."""


def _settle(future: asyncio.Future[Any], outcome: object) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
        future.exception()  # whoever waited may be gone
    else:
        future.set_result(outcome)


def _port_words(error: Exception) -> str:
    """What is wrong with a serial port; pyserial tells an unplugged one from an open one only by a long sentence."""
    if not isinstance(error, OSError):
        return repr(error)
    if error.errno in (errno.EAGAIN, errno.EBUSY):
        return "in use by another program"
    if isinstance(error, serial.SerialTimeoutException):
        return "the device takes no data"
    if isinstance(error, serial.SerialException) and error.errno is None:
        return "the device has gone"
    return os_error_words(error)


def _take_line(received: bytearray, skip: Skip) -> bytes | None:
    """The first whole line that is wanted, taken off the buffer with all before it."""
    while (end := received.find(CRLF)) >= 0:
        line = bytes(received[:end])
        del received[: end + len(CRLF)]
        if not skip(line):
            return line
    if len(received) > MAX_LINE:
        raise UnreadableError(f"more than {MAX_LINE} bytes without an end of line")
    return None
