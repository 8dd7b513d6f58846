"""Modbus RTU units on one serial line (MODBUS over Serial Line V1.02): frames in, frames out.

A :class:`simulators.devices.bus.Bus` of these, cut by :func:`cut_request`, stands behind a
:class:`simulators.wire.bus_line.BusLine`. A real unit ends a frame at 3.5 characters of silence; on a pseudo-terminal
there is none, so the length of a request is told by its function.
"""

from __future__ import annotations

from typing import Final

from simulators.wire.modbus import Device, Function, answer

CRC_SIZE: Final = 2
_SHORT: Final = 8
"""Bytes of every request but those that write several."""
_BEFORE_DATA: Final = 7
"""Bytes of a request to write several before its data; the last one is their number."""
_LONG: Final = frozenset({Function.WRITE_COILS, Function.WRITE_REGISTERS})


class RtuUnit:
    """One unit at its address; an instrument of :class:`simulators.devices.bus.Bus`."""

    def __init__(self, address: int, device: Device) -> None:
        self.address = address
        self.device = device
        self.silent = False

    def hear(self, command: bytes) -> bytes:
        """The answer to one frame; nothing to one for another unit, or with a wrong checksum."""
        if len(command) < 2 + CRC_SIZE or command[0] != self.address or not is_whole(command):
            return b""
        pdu = answer(self.device, command[1:-CRC_SIZE])
        return b"" if pdu is None else framed(self.address, pdu)

    def step(self, dt_s: float) -> None:
        """Nothing happens by itself."""


def framed(address: int, pdu: bytes) -> bytes:
    """A frame with its checksum."""
    data = bytes([address]) + pdu
    return data + crc(data).to_bytes(CRC_SIZE, "little")


def is_whole(frame: bytes) -> bool:
    """Whether the checksum fits."""
    return crc(frame[:-CRC_SIZE]) == int.from_bytes(frame[-CRC_SIZE:], "little")


def crc(data: bytes) -> int:
    """CRC-16 with the polynomial 0xA001, begun at 0xFFFF (2.5.1.2 and appendix B)."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


def cut_request(received: bytes) -> tuple[bytes, bytes] | None:
    """The first whole request and the rest; what cannot be one ends where it does now, as after a silence."""
    if len(received) < _BEFORE_DATA:
        return None
    size = _SHORT
    if received[1] in _LONG:
        size = _BEFORE_DATA + received[_BEFORE_DATA - 1] + CRC_SIZE
    if len(received) < size:
        return None
    return (received[:size], received[size:]) if is_whole(received[:size]) else (received, b"")
