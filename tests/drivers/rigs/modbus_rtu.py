"""Modbus RTU: the simulated skid and another unit on one line, a pseudo-terminal or a TCP serial server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drivers.conformance import RigTag, Trouble
from drivers.modbus_rtu import ModbusRtuDriver
from tests.drivers.build import Registers
from tests.drivers.rigs.modbus_tcp import MISFITS, TAGS, WRITES, CountedSkid
from tests.drivers.rigs.proxied import ProcessRig, ProxiedRig
from tests.drivers.rtu_rig import RtuLine, TcpBytes

OTHER = RigTag(name="OTHER", point={"unit_id": 2, "table": "input", "address": 5, "type": "uint16"})


class TwoUnits:
    """What the parent of the line's process may call."""

    def __init__(self) -> None:
        self.skid, self.other = CountedSkid(), Registers({5: 0})
        self.line = RtuLine({1: self.skid, 2: self.other})

    def truth(self) -> dict[str, float]:
        return self.skid.truth() | {"OTHER": float(self.other.registers[5])}

    def change(self) -> None:
        self.skid.change()
        self.other.registers[5] = (self.other.registers[5] + 1) % 65536

    def written(self) -> list[tuple[str, float]]:
        return self.skid.written

    def obey(self, trouble: str) -> None:
        self.skid.denying = trouble == Trouble.DENYING


async def serve(port: int) -> tuple[int, TwoUnits]:
    served = TwoUnits()
    instrument = TcpBytes(served.line.hear, port)
    await instrument.plug()
    return int(instrument.port.rpartition(":")[2]), served


class ModbusRtuSocketRig(ProcessRig):
    """Behind a TCP serial server."""

    driver = ModbusRtuDriver
    served = "tests.drivers.rigs.modbus_rtu:serve"
    troubles = ProxiedRig.troubles | {Trouble.DENYING}

    def tags(self) -> Sequence[RigTag]:
        return (*TAGS, OTHER)

    def options(self) -> Mapping[str, Any]:
        return {"port": self.line, "baudrate": 115200, "parity": "N", "timeout_s": self.timeout_s}

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES

    def misfits(self) -> Sequence[Mapping[str, float]]:
        return MISFITS


class ModbusRtuSerialRig(ModbusRtuSocketRig):
    """On a pseudo-terminal."""

    serial = True
