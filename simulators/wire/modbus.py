"""A Modbus TCP server for simulated devices (MODBUS Messaging on TCP/IP V1.0b, Application Protocol V1.1b3).

It is not built on pymodbus's server (3.16.1): that one keeps registers itself and offers one ``action`` per request,
which for coils and discrete inputs is told a count of 16-bit words. A device could not refuse the coil after its last
one, nor stay silent, and the values in its memory would be a second copy of the device's own.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Final, Protocol

from simulators.devices.registers import ModbusFault

_HEADER: Final = struct.Struct(">HHHB")
"""Transaction id, protocol id, length of what follows, unit id."""
_MOST_LENGTH: Final = 254
_ERROR: Final = 0x80
_ON: Final = 0xFF00

MAX_BITS_READ: Final = 2000
MAX_BITS_WRITTEN: Final = 1968
MAX_WORDS_READ: Final = 125
MAX_WORDS_WRITTEN: Final = 123


class Function(IntEnum):
    """What the server can do."""

    READ_COILS = 1
    READ_DISCRETE = 2
    READ_HOLDING = 3
    READ_INPUT = 4
    WRITE_COIL = 5
    WRITE_REGISTER = 6
    WRITE_COILS = 15
    WRITE_REGISTERS = 16


class RequestError(IntEnum):
    """Exception codes that the server itself answers."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_VALUE = 3
    GATEWAY_PATH_UNAVAILABLE = 10


class Device(Protocol):
    """What is served. ModbusFault is answered as its exception; TimeoutError is answered with silence."""

    def read_input(self, address: int, count: int) -> list[int]:
        """Input registers."""

    def read_holding(self, address: int, count: int) -> list[int]:
        """Holding registers."""

    def read_coils(self, address: int, count: int) -> list[bool]:
        """Coils."""

    def read_discrete(self, address: int, count: int) -> list[bool]:
        """Discrete inputs."""

    def write_holding(self, address: int, values: Sequence[int]) -> None:
        """Write holding registers."""

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        """Write coils."""


class ModbusServer:
    """Serves devices to any number of clients; each client's requests are answered in their order.

    One device answers for every unit id; several, by their unit ids, are those behind a gateway, which answers itself
    for units that it does not have.
    """

    def __init__(self, device: Device | Mapping[int, Device]) -> None:
        self.port = 0
        self._device = device
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; ``port`` 0 takes a free one, and :attr:`port` says which. OSError when that fails."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self._device, self._clients), host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is None:
            return
        self._server.close()
        for client in list(self._clients):
            client.close()
        await self._server.wait_closed()
        self._server = None


def answer_of_unit(devices: Device | Mapping[int, Device], unit: int, pdu: bytes) -> bytes | None:
    """The answer to one request to a unit, both without header; None is silence."""
    device = devices.get(unit) if isinstance(devices, Mapping) else devices
    return _refusal(pdu[0], RequestError.GATEWAY_PATH_UNAVAILABLE) if device is None else answer(device, pdu)


def answer(device: Device, pdu: bytes) -> bytes | None:
    """The answer to one request, both without header; None is silence."""
    function = pdu[0]
    handler = _HANDLERS.get(function)
    if handler is None:
        return _refusal(function, RequestError.ILLEGAL_FUNCTION)
    try:
        return pdu[:1] + handler(device, pdu[1:])
    except ModbusFault as fault:
        return _refusal(function, fault.code)
    except _MalformedError:
        return _refusal(function, RequestError.ILLEGAL_VALUE)
    except TimeoutError:
        return None


class _MalformedError(Exception):
    """A request whose length or counts are wrong."""


class _Client(asyncio.Protocol):
    """One connection. What cannot be the start of a request closes it, since its end could not be found."""

    def __init__(self, device: Device | Mapping[int, Device], clients: set[_Client]) -> None:
        self._device = device
        self._clients = clients
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.discard(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._transport is not None and len(self._received) >= _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(self._received)
            if protocol != 0 or not 2 <= length <= _MOST_LENGTH:
                self.close()
                return
            end = _HEADER.size - 1 + length
            if len(self._received) < end:
                return
            reply = answer_of_unit(self._device, unit, bytes(self._received[_HEADER.size : end]))
            del self._received[:end]
            if reply is not None:
                self._transport.write(_HEADER.pack(transaction, 0, len(reply) + 1, unit) + reply)

    def pause_writing(self) -> None:
        """A client that does not take its answers gets no more of its questions read."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None


def _refusal(function: int, code: int) -> bytes:
    return bytes([function | _ERROR, code])


def _span(body: bytes, most: int) -> tuple[int, int]:
    """Address and count of a read."""
    if len(body) != 4:
        raise _MalformedError
    address, count = struct.unpack(">HH", body)
    if not 1 <= count <= most:
        raise _MalformedError
    return address, count


def _bits(values: Sequence[bool]) -> bytes:
    packed = bytearray((len(values) + 7) // 8)
    for index, value in enumerate(values):
        packed[index // 8] |= value << index % 8
    return bytes([len(packed), *packed])


def _words(values: Sequence[int]) -> bytes:
    return bytes([2 * len(values)]) + struct.pack(f">{len(values)}H", *values)


def _read_coils(device: Device, body: bytes) -> bytes:
    return _bits(device.read_coils(*_span(body, MAX_BITS_READ)))


def _read_discrete(device: Device, body: bytes) -> bytes:
    return _bits(device.read_discrete(*_span(body, MAX_BITS_READ)))


def _read_holding(device: Device, body: bytes) -> bytes:
    return _words(device.read_holding(*_span(body, MAX_WORDS_READ)))


def _read_input(device: Device, body: bytes) -> bytes:
    return _words(device.read_input(*_span(body, MAX_WORDS_READ)))


def _write_coil(device: Device, body: bytes) -> bytes:
    if len(body) != 4:
        raise _MalformedError
    address, value = struct.unpack(">HH", body)
    if value not in (0, _ON):
        raise _MalformedError
    device.write_coils(address, [value == _ON])
    return body


def _write_register(device: Device, body: bytes) -> bytes:
    if len(body) != 4:
        raise _MalformedError
    address, value = struct.unpack(">HH", body)
    device.write_holding(address, [value])
    return body


def _written(body: bytes, most: int, size: Callable[[int], int]) -> tuple[int, int, bytes]:
    """Address, count and data of a write of several; ``size`` is how many bytes a count takes."""
    if len(body) < 6:
        raise _MalformedError
    address, count, length = struct.unpack_from(">HHB", body)
    if not 1 <= count <= most or length != size(count) or len(body) != 5 + length:
        raise _MalformedError
    return address, count, body[5:]


def _write_coils(device: Device, body: bytes) -> bytes:
    address, count, data = _written(body, MAX_BITS_WRITTEN, lambda count: (count + 7) // 8)
    device.write_coils(address, [bool(data[index // 8] >> index % 8 & 1) for index in range(count)])
    return body[:4]


def _write_registers(device: Device, body: bytes) -> bytes:
    address, count, data = _written(body, MAX_WORDS_WRITTEN, lambda count: 2 * count)
    device.write_holding(address, list(struct.unpack(f">{count}H", data)))
    return body[:4]


_HANDLERS: Final[dict[int, Callable[[Device, bytes], bytes]]] = {
    Function.READ_COILS: _read_coils,
    Function.READ_DISCRETE: _read_discrete,
    Function.READ_HOLDING: _read_holding,
    Function.READ_INPUT: _read_input,
    Function.WRITE_COIL: _write_coil,
    Function.WRITE_REGISTER: _write_register,
    Function.WRITE_COILS: _write_coils,
    Function.WRITE_REGISTERS: _write_registers,
}
