"""Asking Modbus devices over TCP, or in this process for virtual time.

The telegrams are pymodbus's, the transactions are not: pymodbus has one time-out for all units of a connection, which
ends in ``asyncio.wait_for`` and can swallow a cancellation, it cannot tell the late answer of one unit from that of the
next, and it takes longer over a request than the network.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from drivers.connection import (
    LinkLostError,
    LinkRefusedError,
    SilentError,
    UnreadableError,
    os_error_words,
    silence_words,
)
from drivers.modbus_points import BIT_TABLES, Table
from drivers.modbus_telegram import ModbusRefusedError, Request

_MBAP: Final = struct.Struct(">HHHB")
"""Transaction id, protocol id, length of what follows, unit id (Modbus Messaging on TCP/IP V1.0b, 3.1.3)."""
_BEFORE_UNIT: Final = 6
_LINGER_0: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
_MOST_OWED: Final = 256
"""Requests without an answer that are remembered; a still later answer makes the connection anew."""


class ModbusClient(Protocol):
    """One open connection to one or several units (a session of :class:`drivers.connection.Connection`)."""

    lost: asyncio.Future[str]

    async def ask(self, request: Request, within_s: float) -> bytes:
        """Send one request, and the data of its answer (empty for a write); one at a time.

        Raises :class:`drivers.modbus_telegram.ModbusRefusedError` for an exception response, ``SilentError`` when none
        came within so many real seconds, ``UnreadableError`` for what is no answer to it, and ``LinkLostError`` when
        the connection goes. A later answer is told from those to later requests and thrown away.
        """

    async def close(self) -> None:
        """Close at once; a request without an answer must not reach the device any more."""


class ModbusDevice(Protocol):
    """A device in this process; its refusals are exceptions with the Modbus exception code in ``code``."""

    def read_input(self, address: int, count: int) -> Sequence[int]:
        """Input registers."""

    def read_holding(self, address: int, count: int) -> Sequence[int]:
        """Holding registers."""

    def read_coils(self, address: int, count: int) -> Sequence[int]:
        """Coils."""

    def read_discrete(self, address: int, count: int) -> Sequence[int]:
        """Discrete inputs."""

    def write_holding(self, address: int, values: Sequence[int]) -> object:
        """Holding registers."""

    def write_coils(self, address: int, values: Sequence[bool]) -> object:
        """Coils."""


def in_process(device: ModbusDevice | Mapping[int, ModbusDevice]) -> Callable[[object], Awaitable[ModbusClient]]:
    """A ``connect`` for ``ModbusDriver`` that binds it to a device in this process, or to one for each unit id."""

    async def connect(_options: object) -> ModbusClient:
        return InProcessModbusClient(device)

    return connect


class InProcessModbusClient:
    """Asks devices in this process; an OSError that one raises is a lost link, a TimeoutError a silent unit."""

    def __init__(self, device: ModbusDevice | Mapping[int, ModbusDevice]) -> None:
        self._devices = device
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask(self, request: Request, within_s: float) -> bytes:
        """Ask, and wait for nothing."""
        device = self._devices.get(request.unit) if isinstance(self._devices, Mapping) else self._devices
        if device is None:
            raise SilentError(silence_words(within_s))
        try:
            return _asked(device, request)
        except TimeoutError:
            raise SilentError(silence_words(within_s)) from None
        except OSError as error:
            raise LinkLostError(os_error_words(error)) from error
        except Exception as error:
            code: Any = getattr(error, "code", None)
            if not isinstance(code, int):
                raise
            raise ModbusRefusedError(code) from error

    async def close(self) -> None:
        """Nothing to close."""


def _asked(device: ModbusDevice, request: Request) -> bytes:
    address, count, values = request.address, request.count, request.values
    if values is not None:
        if request.table is Table.COIL:
            device.write_coils(address, [bool(each) for each in values])
        else:
            device.write_holding(address, values)
        return b""
    read = {
        Table.COIL: device.read_coils,
        Table.DISCRETE: device.read_discrete,
        Table.HOLDING: device.read_holding,
        Table.INPUT: device.read_input,
    }[request.table]
    answer = read(address, count)
    if request.table not in BIT_TABLES:
        return struct.pack(f">{count}H", *answer)
    packed = sum(bool(bit) << place for place, bit in enumerate(answer))
    return packed.to_bytes((count + 7) // 8, "little")


class TcpModbusClient(asyncio.Protocol):
    """Asks devices over Modbus TCP."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._transaction = 0
        self._asked: _Asked | None = None
        self._owed: dict[int, Request] = {}

    @classmethod
    async def open(cls, host: str, port: int) -> TcpModbusClient:
        """Connect; OSError when that fails, ``LinkRefusedError`` for what cannot be the name of a host."""
        try:
            _, client = await asyncio.get_running_loop().create_connection(cls, host, port)
        except UnicodeError:
            raise LinkRefusedError(f"{host!r} cannot be the name of a host") from None
        return client

    async def ask(self, request: Request, within_s: float) -> bytes:
        """See :meth:`ModbusClient.ask`."""
        if self.lost.done() or self._transport is None:
            raise LinkLostError(self.lost.result() if self.lost.done() else "the connection is closed")
        self._transaction = transaction = (self._transaction + 1) % 65536
        self._owed.pop(transaction, None)
        asked = self._asked = _Asked(transaction, request, self._loop.create_future())
        header = _MBAP.pack(transaction, 0, len(request.pdu) + 1, request.unit)
        self._transport.write(header + request.pdu)
        # A timer of its own costs a third of asyncio.timeout.
        timer = self._loop.call_later(within_s, _give_up, asked.answer, within_s)
        try:
            return request.data_of(await asked.answer)
        except (asyncio.CancelledError, SilentError):
            self._owe(transaction, request)
            raise
        finally:
            timer.cancel()
            if self._asked is asked:
                self._asked = None

    async def close(self) -> None:
        """Close at once; with an answer still owed the connection is reset, so that nothing is delivered later."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if (self._asked is not None or self._owed) and not transport.is_closing():
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        words = os_error_words(error) if isinstance(error, OSError) else "the device closed the connection"
        self._fail(LinkLostError(words))

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self.lost.done():
            return
        received = self._received + data if self._received else data
        while received:
            fault, used = self._take(received)
            if fault:
                self._fail(UnreadableError(f"unreadable answer: {fault}"))
                return
            if not used:
                break
            received = received[used:]
        self._received = received

    def _take(self, received: bytes) -> tuple[str, int]:
        """What is wrong with what was received, and how much of it is a whole answer that is dealt with."""
        if self._asked is None and not self._owed:
            return "an answer that nobody asked for", 0
        if len(received) <= _MBAP.size:
            return "", 0
        transaction, protocol, length, unit = _MBAP.unpack_from(received)
        end = _BEFORE_UNIT + length
        late = self._owed.get(transaction)
        asked = self._asked if self._asked is not None and self._asked.transaction == transaction else None
        request = late or (asked.request if asked is not None else None)
        fault = _fault(request, protocol, length, unit, received[_MBAP.size : end])
        if fault or len(received) < end:
            return fault, 0
        if late is not None:
            del self._owed[transaction]
        elif len(received) > end and not self._owed:
            return "more than one answer", 0
        elif asked is not None:
            self._asked = None
            if not asked.answer.done():
                asked.answer.set_result(received[_MBAP.size : end])
        return "", end

    def _owe(self, transaction: int, request: Request) -> None:
        self._owed[transaction] = request
        if len(self._owed) > _MOST_OWED:
            del self._owed[next(iter(self._owed))]

    def _fail(self, error: LinkLostError) -> None:
        if not self.lost.done():
            self.lost.set_result(str(error))
        asked, self._asked = self._asked, None
        if asked is not None and not asked.answer.done():
            asked.answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Asked:
    transaction: int
    request: Request
    answer: asyncio.Future[bytes]


def _give_up(answer: asyncio.Future[bytes], within_s: float) -> None:
    if not answer.done():
        answer.set_exception(SilentError(silence_words(within_s)))


def _fault(request: Request | None, protocol: int, length: int, unit: int, pdu: bytes) -> str:
    if protocol != 0:
        return f"protocol id {protocol}"
    if request is None:
        return "it belongs to another request"
    if unit != request.unit:
        return f"it comes from unit {unit}"
    fits = bool(pdu) and length == 1 + request.size_of(pdu[0])
    return request.fault(pdu) or ("" if fits else f"length {length}")


async def connect_tcp(host: str, port: int) -> ModbusClient:
    """Connect to a device; OSError when that fails, ``LinkRefusedError`` for what cannot be the name of a host."""
    return await TcpModbusClient.open(host, port)
