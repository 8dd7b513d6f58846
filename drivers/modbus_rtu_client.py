"""Asking Modbus units on a serial line, or on one behind a TCP serial server (Modbus over Serial Line V1.02, 2.5.1).

Answers on a serial line have no number. That one is the answer to the latest request is told by its unit, function and
length; the late one to a request that was given up is passed over. A unit that may still answer to a request just like
the next one is first asked for something of another length: what it answers to that comes after all older answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pymodbus.framer.rtu import FramerRTU

from drivers.connection import UnreadableError, answer_within
from drivers.framing import Found
from drivers.modbus_client import ModbusClient
from drivers.modbus_options import ModbusRtuOptions
from drivers.modbus_points import BIT_TABLES
from drivers.modbus_telegram import Request
from drivers.transport import Line, open_line

LONGEST: Final = 256
"""Bytes of the longest frame."""
_CRC: Final = 2
_MOST_OWED: Final = 64
_FAST_BAUD: Final = 19200
_FAST_SILENCE_S: Final = 0.00175
_SILENT_CHARACTERS: Final = 3.5


def silence_s(options: ModbusRtuOptions) -> float:
    """Real seconds without a byte that end a frame: 3.5 characters, above 19200 baud 1.75 ms (2.5.1.1)."""
    if options.baudrate > _FAST_BAUD:
        return _FAST_SILENCE_S
    return _SILENT_CHARACTERS * options.seconds_for(b"\0")


class RtuModbusClient:
    """See :class:`drivers.modbus_client.ModbusClient`; ``longest_s`` is how long the longest frame takes."""

    def __init__(self, line: Line, longest_s: float) -> None:
        self.lost = line.lost
        self._line = line
        self._longest_s = longest_s
        self._quiet_at = 0.0
        self._owed: list[Request] = []

    async def ask(self, request: Request, within_s: float) -> bytes:
        """See :meth:`drivers.modbus_client.ModbusClient.ask`."""
        await asyncio.sleep(max(0.0, self._quiet_at - asyncio.get_running_loop().time()))
        return request.data_of(await answer_within(within_s, self._in_step(request)))

    async def close(self) -> None:
        """Close the line."""
        await self._line.close()

    async def _in_step(self, request: Request) -> bytes:
        owed = [each for each in self._owed if each.unit == request.unit]
        if not all(request.differs_from(late) for late in owed):
            await self._exchanged(unlike(request, owed))
        return await self._exchanged(request)

    async def _exchanged(self, request: Request) -> bytes:
        """The PDU that answers; a unit that has answered owes nothing older."""
        try:
            pdu = await self._line.request(
                frame_of(request), RtuAnswer(request, tuple(self._owed)), skip=_is_late, longest=2 * LONGEST
            )
        except UnreadableError:
            # What is left of a bad frame must be over before the next request.
            self._quiet_at = asyncio.get_running_loop().time() + self._longest_s
            self._owe(request)
            raise
        except asyncio.CancelledError:
            self._owe(request)
            raise
        self._owed = [each for each in self._owed if each.unit != request.unit]
        return pdu

    def _owe(self, request: Request) -> None:
        self._owed = [*self._owed, request][-_MOST_OWED:]


@dataclass(frozen=True, slots=True)
class RtuAnswer:
    """The frame that answers a request (a :class:`drivers.framing.Framing`); late ones of others become empty."""

    request: Request
    owed: tuple[Request, ...] = ()

    def find(self, received: bytes) -> Found | None:
        """The PDU of the first whole frame; ``UnreadableError`` when what comes is none that can be meant."""
        if len(received) < 2:
            return None
        fault = _fault(self.request, received)
        if not fault:
            return _whole(self.request, received, alone=True)
        for late in self.owed:
            if not _fault(late, received):
                found = _whole(late, received, alone=False)
                return None if found is None else Found(b"", found.used)
        raise UnreadableError(f"unreadable answer: {fault}")


def unlike(request: Request, owed: Sequence[Request]) -> Request:
    """A read at the same address, of which a good answer cannot be one to any of those that are owed."""
    step = 8 if request.table in BIT_TABLES else 1
    reads = (
        Request.reading(request.unit, request.table, request.address, step * (number + 1))
        for number in range(len(owed) + 1)
    )
    return next(read for read in reads if all(read.differs_from(late) for late in owed))


def frame_of(request: Request) -> bytes:
    """A request as it goes over the line."""
    return with_crc(bytes((request.unit,)) + request.pdu)


def with_crc(data: bytes) -> bytes:
    """A frame with its checksum (2.5.1.2)."""
    return data + FramerRTU.compute_CRC(data).to_bytes(_CRC, "big")


async def connect_rtu(options: ModbusRtuOptions) -> ModbusClient:
    """Open a line; raises as :func:`drivers.transport.open_line`."""
    line = await open_line(options, silence_s(options))
    return RtuModbusClient(line, options.seconds_for(bytes(LONGEST)))


def _is_late(telegram: bytes) -> bool:
    return not telegram


def _fault(request: Request, received: bytes) -> str:
    if received[0] != request.unit:
        return f"it comes from unit {received[0]}"
    return request.fault(received[1 : 1 + request.size_of(received[1])])


def _whole(request: Request, received: bytes, *, alone: bool) -> Found | None:
    end = 1 + request.size_of(received[1]) + _CRC
    if len(received) < end:
        return None
    if received[:end] != with_crc(received[: end - _CRC]):
        raise UnreadableError("unreadable answer: wrong checksum")
    if alone and len(received) > end:
        raise UnreadableError("unreadable answer: more than one answer")
    return Found(received[1 : end - _CRC], end)
