"""One Modbus device as the driver asks it: over TCP with pymodbus, or in this process for virtual time.

pymodbus carries the connection and knows the telegrams. What it would do by itself is switched off: it neither
reconnects nor repeats, and every answer is checked against its request before pymodbus decodes it, because it takes
answers with transaction id 0, other function codes and wrong lengths for good.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.exceptionresponse import ExceptionResponse

from drivers.connection import LinkLostError, LinkRefusedError, UnreadableError, os_error_words

T = TypeVar("T")

_MBAP: Final = struct.Struct(">HHHBB")
"""Transaction id, protocol id, length, unit id (Modbus Messaging on TCP/IP V1.0b, 3.1.3), and the function code."""
_EXCEPTION: Final = 0x80
_LINGER_0: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)

# What pymodbus would log (every time-out, every refused connection) the link's state and reason say already.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class ModbusRefusedError(Exception):
    """The device answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class ModbusClient(Protocol):
    """One open connection to one device (a session of :class:`drivers.connection.Connection`).

    Every request raises :class:`ModbusRefusedError` for an exception response and ``LinkLostError`` when the
    connection goes. None has a time-out of its own.
    """

    lost: asyncio.Future[str]

    async def read_input(self, address: int, count: int) -> Sequence[int]:
        """Input registers (function 4)."""

    async def read_holding(self, address: int, count: int) -> Sequence[int]:
        """Holding registers (function 3)."""

    async def read_coils(self, address: int, count: int) -> Sequence[int]:
        """Coils (function 1)."""

    async def read_discrete(self, address: int, count: int) -> Sequence[int]:
        """Discrete inputs (function 2)."""

    async def write_registers(self, address: int, values: Sequence[int]) -> None:
        """Holding registers (function 16)."""

    async def write_coils(self, address: int, values: Sequence[int]) -> None:
        """Coils (function 15)."""

    async def close(self) -> None:
        """Close at once."""


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


def in_process(device: ModbusDevice) -> Callable[[object], Awaitable[ModbusClient]]:
    """A ``connect`` for ``ModbusDriver`` that binds it to a device in this process."""

    async def connect(_options: object) -> ModbusClient:
        return InProcessModbusClient(device)

    return connect


class InProcessModbusClient:
    """Asks a device in this process; an OSError that the device raises is a lost link, a TimeoutError a silent one."""

    def __init__(self, device: ModbusDevice) -> None:
        self._device = device
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def read_input(self, address: int, count: int) -> Sequence[int]:
        """Input registers."""
        return _asked(lambda: self._device.read_input(address, count))

    async def read_holding(self, address: int, count: int) -> Sequence[int]:
        """Holding registers."""
        return _asked(lambda: self._device.read_holding(address, count))

    async def read_coils(self, address: int, count: int) -> Sequence[int]:
        """Coils."""
        return _asked(lambda: self._device.read_coils(address, count))

    async def read_discrete(self, address: int, count: int) -> Sequence[int]:
        """Discrete inputs."""
        return _asked(lambda: self._device.read_discrete(address, count))

    async def write_registers(self, address: int, values: Sequence[int]) -> None:
        """Holding registers."""
        _asked(lambda: self._device.write_holding(address, values))

    async def write_coils(self, address: int, values: Sequence[int]) -> None:
        """Coils."""
        _asked(lambda: self._device.write_coils(address, [bool(v) for v in values]))

    async def close(self) -> None:
        """Nothing to close."""


class TcpModbusClient:
    """Asks a device over Modbus TCP."""

    def __init__(self, host: str, port: int, unit_id: int) -> None:
        self._unit_id = unit_id
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._request: _Request | None = None
        self._client = AsyncModbusTcpClient(
            host, port=port, retries=0, reconnect_delay=0, trace_packet=self._packet, trace_connect=self._connected
        )
        # Without a time-out of its own pymodbus does not use asyncio.wait_for, which can swallow a cancellation.
        self._client.ctx.comm_params.timeout_connect = None  # type: ignore[assignment]

    @classmethod
    async def open(cls, host: str, port: int, unit_id: int) -> TcpModbusClient:
        """Connect; OSError when that fails, ``LinkRefusedError`` for what cannot be the name of a host."""
        client = cls(host, port, unit_id)
        # Not pymodbus's connect(), which hides why it could not.
        try:
            await client._client.ctx.call_create()
        except UnicodeError:
            raise LinkRefusedError(f"{host!r} cannot be the name of a host") from None
        return client

    async def read_input(self, address: int, count: int) -> Sequence[int]:
        """Input registers."""
        return await self._registers(self._client.read_input_registers, address, count)

    async def read_holding(self, address: int, count: int) -> Sequence[int]:
        """Holding registers."""
        return await self._registers(self._client.read_holding_registers, address, count)

    async def read_coils(self, address: int, count: int) -> Sequence[int]:
        """Coils."""
        return await self._bits(self._client.read_coils, address, count)

    async def read_discrete(self, address: int, count: int) -> Sequence[int]:
        """Discrete inputs."""
        return await self._bits(self._client.read_discrete_inputs, address, count)

    async def write_registers(self, address: int, values: Sequence[int]) -> None:
        """Holding registers."""
        await self._answer(self._client.write_registers(address, list(values), device_id=self._unit_id))

    async def write_coils(self, address: int, values: Sequence[int]) -> None:
        """Coils."""
        await self._answer(self._client.write_coils(address, [bool(v) for v in values], device_id=self._unit_id))

    async def close(self) -> None:
        """Close at once; with a request under way the connection is reset, so that it cannot be delivered later."""
        transport = self._client.ctx.transport
        if isinstance(transport, asyncio.Transport):
            if self._request is not None:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            transport.abort()
        self._client.close()

    async def _registers(self, read: Callable[..., Awaitable[ModbusPDU]], address: int, count: int) -> Sequence[int]:
        return (await self._answer(read(address, count=count, device_id=self._unit_id))).registers

    async def _bits(self, read: Callable[..., Awaitable[ModbusPDU]], address: int, count: int) -> Sequence[int]:
        return (await self._answer(read(address, count=count, device_id=self._unit_id))).bits[:count]

    async def _answer(self, call: Awaitable[ModbusPDU]) -> ModbusPDU:
        try:
            answer = await call
        except ModbusException as error:
            raise LinkLostError(self.lost.result() if self.lost.done() else str(error)) from error
        if isinstance(answer, ExceptionResponse):
            raise ModbusRefusedError(answer.exception_code)
        return answer

    def _packet(self, sending: bool, data: bytes) -> bytes:
        """Called by pymodbus for what it sends and for all it has received since; hands back what it may decode."""
        if sending:
            self._request = _Request.of(data)
            return data
        fault = "an answer that nobody asked for" if self._request is None else self._request.fault(data)
        if fault:
            self._fail(UnreadableError(f"unreadable answer: {fault}"))
            return b""
        if self._request is not None and self._request.complete(data):
            self._request = None
        return data

    def _connected(self, connected: bool) -> None:
        """Called by pymodbus."""
        if not connected:
            self._fail(LinkLostError("the device closed the connection"))

    def _fail(self, error: LinkLostError) -> None:
        if not self.lost.done():
            self.lost.set_result(str(error))
        waiting = self._client.ctx.response_future
        if self._request is not None and not waiting.done():
            waiting.set_exception(error)


async def connect_tcp(host: str, port: int, unit_id: int) -> ModbusClient:
    """Connect to a device; OSError when that fails, ``LinkRefusedError`` for what cannot be the name of a host."""
    return await TcpModbusClient.open(host, port, unit_id)


@dataclass(frozen=True, slots=True)
class _Request:
    """What the answer to the request under way has to look like."""

    transaction: int
    unit: int
    function: int
    length: int
    echo: bytes
    """What the body of a good answer begins with."""

    @classmethod
    def of(cls, packet: bytes) -> _Request:
        transaction, _, _, unit, function = _MBAP.unpack_from(packet)
        count = int.from_bytes(packet[10:12], "big")
        if function in (1, 2):
            size = (count + 7) // 8
        elif function in (3, 4):
            size = 2 * count
        else:
            return cls(transaction, unit, function, 6, packet[8:12])
        return cls(transaction, unit, function, 3 + size, bytes([size]))

    def fault(self, data: bytes) -> str:
        """Why ``data`` cannot be the answer or its beginning; empty when it can."""
        if len(data) < _MBAP.size:
            return ""
        transaction, protocol, length, unit, function = _MBAP.unpack_from(data)
        refused = function == self.function | _EXCEPTION
        body = data[_MBAP.size :]
        checks = (
            (protocol == 0, f"protocol id {protocol}"),
            (transaction == self.transaction, "it belongs to another request"),
            (unit == self.unit, f"it comes from unit {unit}"),
            (refused or function == self.function, f"function {function} instead of {self.function}"),
            (length == (3 if refused else self.length), f"length {length}"),
            (refused or body.startswith(self.echo[: len(body)]), "it does not fit the request"),
            (len(data) <= 6 + length, "more than one answer"),
        )
        return next((words for good, words in checks if not good), "")

    def complete(self, data: bytes) -> bool:
        """Whether the whole answer has come."""
        return len(data) >= _MBAP.size and len(data) >= 6 + int.from_bytes(data[4:6], "big")


def _asked(call: Callable[[], T]) -> T:
    try:
        return call()
    except TimeoutError:
        raise
    except OSError as error:
        raise LinkLostError(os_error_words(error)) from error
    except Exception as error:
        code: Any = getattr(error, "code", None)
        if not isinstance(code, int):
            raise
        raise ModbusRefusedError(code) from error
