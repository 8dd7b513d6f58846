"""Modbus TCP: a server that others wrote, libmodbus. It is changed and looked at behind the driver's back."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.conformance import RigTag, Trouble
from drivers.modbus import ModbusDriver
from tests.drivers import libmodbus
from tests.drivers.rigs.proxied import ProxiedRig

WORD = {"table": "holding", "type": "uint16", "writable": True}
TAGS = (
    RigTag(name="A", point=WORD | {"address": 1}),
    RigTag(name="B", point=WORD | {"address": 2, "scale": 0.1}),
    RigTag(name="C", point={"table": "holding", "type": "int32", "address": 11, "writable": True}),
    RigTag(name="X", point={"table": "coil", "type": "bool", "address": 4, "writable": True}),
    RigTag(name="GOES_ON", point=WORD | {"address": 100, "writable": False}),
)


class LibmodbusRig(ProxiedRig):
    """Over TCP; it cannot refuse writes."""

    driver = ModbusDriver
    troubles = ProxiedRig.troubles - {Trouble.DENYING}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._program = libmodbus.built()
        self._server: libmodbus.Served

    async def serve(self) -> int:
        self._server = libmodbus.Served(self._program, "tcp")
        self._direct = socket.create_connection(("127.0.0.1", self._server.port), timeout=10)
        return self._server.port

    async def end(self) -> None:
        self._direct.close()
        self._server.end()

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"host": "127.0.0.1", "port": self.proxy.port, "timeout_s": self.timeout_s}

    async def truth(self) -> Mapping[str, float]:
        words = struct.unpack(">101H", self._asked(3, 0, 101)[1:])
        coil = self._asked(1, 4, 1)[1]
        return {
            "A": words[1],
            "B": words[2] * 0.1,
            "C": struct.unpack(">i", struct.pack(">HH", words[11], words[12]))[0],
            "X": float(coil & 1),
            "GOES_ON": words[100],
        }

    async def change(self) -> None:
        now = int((await self.truth())["GOES_ON"])
        self._asked(6, 100, (now + 1) % 65536)  # only functions 15 and 16 are noted as writes

    def writes(self) -> Sequence[Mapping[str, float]]:
        return {"A": 5.0, "B": 12.3, "C": -70000.0}, {"A": 6.0, "B": 0.0, "C": 7.0}, {"A": 8.0, "X": 1.0, "C": 100000.0}

    def misfits(self) -> Sequence[Mapping[str, float]]:
        return {"A": 1.0, "B": -1.0}, {"C": 1e10}, {"A": 1.0, "X": 2.0}

    async def arrived(self) -> Sequence[tuple[str, float]]:
        self._asked(3, 0, 1)  # whatever came before is noted when this is answered
        return [each for line in self._server.heard() for each in _values(line)]

    def _asked(self, function: int, address: int, value: int) -> bytes:
        self._direct.sendall(struct.pack(">HHHBBHH", 1, 0, 6, 1, function, address, value))
        head = self._exactly(7)
        return self._exactly(struct.unpack_from(">H", head, 4)[0] - 1)[1:]

    def _exactly(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            piece = self._direct.recv(count - len(received))
            assert piece, "libmodbus has gone"
            received += piece
        return received


def _values(line: str) -> list[tuple[str, float]]:
    """The tags' values of one write; ``line`` is function, address and values as the server notes them."""
    function, address, *values = (int(word) for word in line.split())
    if function == 15:
        return [("X", float(values[4 - address]))]
    words = dict(enumerate(values, address))
    found = [("A", float(words[1]))] if 1 in words else []
    found += [("B", words[2] * 0.1)] if 2 in words else []
    if 11 in words:
        found.append(("C", float(struct.unpack(">i", struct.pack(">HH", words[11], words[12]))[0])))
    return found
