"""A line to an instrument on a serial port, with pyserial in a worker thread of its own."""

from __future__ import annotations

import asyncio
import errno
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import serial

from drivers.connection import LinkLostError, LinkRefusedError, os_error_words
from drivers.framing import Framing
from drivers.line import MAX_TELEGRAM, NoTap, Silence, Skip, Tap, Wanted, skip_none
from drivers.line_late import answered
from drivers.serial_options import SerialOptions

POLL_S: Final = 0.02
"""How soon (real seconds) the worker of a serial port sees that nobody waits for the answer any more."""
CLOSE_S: Final = 1.0
"""How long (real seconds) a close waits for the worker of a serial port; it ends by itself later if the port hangs."""
_CLOSED: Final = "the line was closed"


class SerialLine:
    """See :class:`drivers.transport.Line`; the worker thread ends when the line is closed."""

    def __init__(self, options: SerialOptions, silence_s: float = 0.0, tap: Tap | None = None) -> None:
        self.unasked = 0
        self._options = options
        self._silence = Silence(silence_s)
        self._tap = tap or NoTap()
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"serial {options.port}", daemon=True)

    @classmethod
    async def open(cls, options: SerialOptions, silence_s: float = 0.0, tap: Tap | None = None) -> SerialLine:
        """Open the port, alone; ``LinkLostError`` when that fails, ``LinkRefusedError`` for an unknown kind of port."""
        line = cls(options, silence_s, tap)
        line._thread.start()
        try:
            await asyncio.shield(line._opened)
        except BaseException:
            await line.close()
            raise
        return line

    async def request(
        self, data: bytes, framing: Framing, skip: Skip = skip_none, longest: int = MAX_TELEGRAM
    ) -> bytes:
        """See :meth:`drivers.transport.Line.request`."""
        answer: bytes = await self._done(data, Wanted(framing, skip, longest))
        return answer

    async def send(self, data: bytes) -> None:
        """See :meth:`drivers.transport.Line.send`."""
        await self._done(data, None)

    async def close(self) -> None:
        """End the worker, which closes the port."""
        self._closing = True
        self._jobs.put(None)
        await asyncio.wait((self._ended,), timeout=CLOSE_S)

    async def _done(self, data: bytes, wanted: Wanted | None) -> Any:
        await self._silence.kept()
        if self.lost.done() or self._closing:
            raise LinkLostError(self.lost.result() if self.lost.done() else _CLOSED)
        job = _Job(data, wanted, self._loop.create_future())
        self._jobs.put(job)
        try:
            with answered(self._options):
                return await job.answer
        finally:
            job.over = True
            # An answer comes after what was sent; without one the bytes are still on their way.
            self._silence.begins(0.0 if job.answered else self._options.seconds_for(data))

    def _work(self) -> None:
        """The worker thread."""
        try:
            port = self._open_port()
            if port is not None:
                with port:
                    self._serve(port)
                    # What the device has not taken yet must not reach it any more; a port that has gone has nothing.
                    with suppress(Exception):
                        port.reset_output_buffer()
        finally:
            self._tap.close()
            self._end_jobs()
            self._settle(self._ended, None)

    def _end_jobs(self) -> None:
        """What waits is not done any more, and whoever waits for it has to hear of that."""
        with suppress(queue.Empty):
            while True:
                if (job := self._jobs.get_nowait()) is not None:
                    self._settle(job.answer, LinkLostError(_CLOSED))

    def _open_port(self) -> serial.SerialBase | None:
        options = self._options
        try:
            port = serial.serial_for_url(
                options.port,
                baudrate=options.baudrate,
                bytesize=options.bytesize,
                parity=options.parity,
                stopbits=options.stopbits,
                timeout=POLL_S,
                write_timeout=CLOSE_S,
                exclusive=True,
            )
        except OSError as error:
            self._settle(self._opened, LinkLostError(f"port {options.port}: {_port_words(error)}"))
        except ValueError as error:
            self._settle(self._opened, LinkRefusedError(f"port {options.port}: {error}"))
        except Exception as error:  # noqa: BLE001  (pyserial's handlers of URLs raise what they like)
            self._settle(self._opened, LinkRefusedError(f"port {options.port}: {error!r}"))
        else:
            self._settle(self._opened, None)
            return port
        return None

    def _serve(self, port: serial.SerialBase) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._settle(job.answer, self._exchange(port, job))
            except LinkLostError as error:
                self._settle(job.answer, error)
            except Exception as error:  # noqa: BLE001  (whatever it is, whoever waits has to hear of it)
                words = f"port {self._options.port}: {_port_words(error)}"
                self._tap.lost(words)
                self._settle(self.lost, words)
                self._settle(job.answer, LinkLostError(words))
                return

    def _exchange(self, port: serial.SerialBase, job: _Job) -> bytes | None:
        """The answer, or None when none comes to this; LinkLostError when the line is closed before it is there."""
        unasked = 0
        while port.in_waiting and not self._is_over(job):
            unasked += len(self._read(port, port.in_waiting))
        if self._is_over(job):
            raise LinkLostError(_CLOSED)
        self.unasked = unasked
        self._tap.sent(job.data)
        if job.data:
            port.write(job.data)
        received = bytearray()
        while job.wanted is not None and not self._is_over(job):
            received += self._read(port, max(1, port.in_waiting))
            answer = job.wanted.take(received)
            if answer is not None:
                job.answered = True
                return answer
        if job.wanted is not None:
            raise LinkLostError(_CLOSED)
        return None

    def _read(self, port: serial.SerialBase, most: int) -> bytes:
        data: bytes = port.read(most)
        if data:
            self._tap.received(data)
        return data

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
    wanted: Wanted | None
    """None: no answer comes."""
    answer: asyncio.Future[Any]
    answered: bool = False
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
