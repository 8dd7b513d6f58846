"""Modbus TCP: the simulated skid, over its wire and in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.conformance import Rig, RigTag, Trouble
from drivers.driver import BoundPoint, Driver, Model
from drivers.modbus import ModbusDriver
from drivers.modbus_client import in_process
from evcontrol.clock import Clock
from simulators.devices.registers import ModbusFault
from simulators.devices.skid_registers import Holding
from simulators.plant import TffPlant
from simulators.wire.modbus import ModbusServer
from tests.drivers.rigs.proxied import ProcessRig, ProxiedRig

HOLDING = {"table": "holding", "writable": True}
TAGS = (
    RigTag(name="P102", point=HOLDING | {"address": 3, "type": "uint16", "scale": 0.1}, unit="mL/min"),
    RigTag(name="PCV101", point=HOLDING | {"address": 4, "type": "uint16", "scale": 0.01}, unit="%open"),
    RigTag(name="FQ_STOP", point=HOLDING | {"address": 7, "type": "uint32", "scale": 0.01}, unit="mL"),
    RigTag(name="TRIP_LIMIT", point={"table": "holding", "address": 9, "type": "uint16", "scale": 0.01}, unit="psig"),
    RigTag(name="XV102", point={"table": "coil", "address": 0, "type": "bool", "writable": True}),
    RigTag(name="STARTS", point={"table": "input", "address": 17, "type": "uint16"}),
    RigTag(name="CT", point={"table": "input", "address": 6, "type": "float32", "word_order": "little"}, unit="mS/cm"),
)


class CountedSkid:
    """The skid's line, and what was written over it."""

    def __init__(self) -> None:
        self.plant = TffPlant()
        self.link = self.plant.skid_link
        self.link.write_holding(Holding.COMMAND, [1])
        self.written: list[tuple[str, float]] = []
        self.denying = False
        self.fault: OSError | None = None
        self._limit = 2000

    def truth(self) -> dict[str, float]:
        word = self.link.read_holding(0, 11)
        return {
            "P102": word[3] * 0.1,
            "PCV101": word[4] * 0.01,
            "FQ_STOP": (word[7] * 65536 + word[8]) * 0.01,
            "TRIP_LIMIT": word[9] * 0.01,
            "XV102": float(self.link.read_coils(0, 1)[0]),
            "STARTS": float(self.link.read_input(17, 1)[0]),
        }

    def change(self) -> None:
        self._limit = self._limit + 1 if self._limit < 4000 else 100
        self.link.write_holding(Holding.TRIP_LIMIT, [self._limit])

    def read_input(self, address: int, count: int) -> list[int]:
        return self._reached().read_input(address, count)

    def read_holding(self, address: int, count: int) -> list[int]:
        return self._reached().read_holding(address, count)

    def read_coils(self, address: int, count: int) -> list[bool]:
        return self._reached().read_coils(address, count)

    def read_discrete(self, address: int, count: int) -> list[bool]:
        return self._reached().read_discrete(address, count)

    def write_holding(self, address: int, values: Sequence[int]) -> None:
        link = self._reached()
        if self.denying:
            raise DeniedError
        link.write_holding(address, values)
        words = dict(enumerate(values, address))
        for name, at, scale in (("P102", 3, 0.1), ("PCV101", 4, 0.01)):
            if at in words:
                self.written.append((name, words[at] * scale))
        if 7 in words:
            self.written.append(("FQ_STOP", (words[7] * 65536 + words[8]) * 0.01))

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        link = self._reached()
        if self.denying:
            raise DeniedError
        link.write_coils(address, values)
        self.written.append(("XV102", float(values[0])))

    def _reached(self) -> Any:
        if self.fault is not None:
            raise self.fault
        return self.link


class DeniedError(ModbusFault):
    """Device failure, as in local mode."""

    def __init__(self) -> None:
        Exception.__init__(self, "exception 4")
        self.code = 4


class SkidServer:
    """What the parent of a skid's process may call."""

    def __init__(self) -> None:
        self.skid = CountedSkid()
        self.server = ModbusServer(self.skid)

    def truth(self) -> dict[str, float]:
        return self.skid.truth()

    def change(self) -> None:
        self.skid.change()

    def written(self) -> list[tuple[str, float]]:
        return self.skid.written

    def obey(self, trouble: str) -> None:
        self.skid.denying = trouble == Trouble.DENYING


async def serve(port: int) -> tuple[int, SkidServer]:
    served = SkidServer()
    await served.server.start(port=port)
    return served.server.port, served


WRITES = (
    {"PCV101": 25.5, "P102": 12.3, "FQ_STOP": 123456.78},
    {"PCV101": 30.0, "P102": 40.0, "FQ_STOP": 0.07},
    {"PCV101": 35.25, "P102": 0.0, "FQ_STOP": 700.0, "XV102": 1.0},
)
MISFITS = ({"P102": 1.0, "PCV101": -1.0}, {"P102": 7000.0}, {"FQ_STOP": 1e9, "XV102": 0.0}, {"XV102": 2.0})


class ModbusTcpRig(ProcessRig):
    """Over TCP."""

    driver = ModbusDriver
    served = "tests.drivers.rigs.modbus_tcp:serve"
    troubles = ProxiedRig.troubles | {Trouble.DENYING}

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"host": "127.0.0.1", "port": self.proxy.port, "timeout_s": self.timeout_s}

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES

    def misfits(self) -> Sequence[Mapping[str, float]]:
        return MISFITS


class ModbusInProcessRig(Rig):
    """In this process and in virtual time."""

    driver = ModbusDriver
    virtual = True
    troubles = frozenset({Trouble.GONE, Trouble.SILENT, Trouble.DENYING})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.skid = CountedSkid()

    async def start(self) -> None:
        """It is there."""

    async def stop(self) -> None:
        """Nothing to end."""

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"host": "skid", "timeout_s": self.timeout_s}

    def make(self, name: str, options: Model, points: Sequence[BoundPoint], clock: Clock) -> Driver:
        return ModbusDriver(name, options, points, clock, connect=in_process(self.skid))

    async def truth(self) -> Mapping[str, float]:
        return self.skid.truth()

    async def change(self) -> None:
        self.skid.change()

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES

    def misfits(self) -> Sequence[Mapping[str, float]]:
        return MISFITS

    async def arrived(self) -> Sequence[tuple[str, float]]:
        return list(self.skid.written)

    async def trouble(self, trouble: Trouble) -> None:
        faults = {Trouble.GONE: ConnectionRefusedError(111, "refused"), Trouble.SILENT: TimeoutError()}
        self.skid.fault = faults.get(trouble)
        self.skid.denying = trouble is Trouble.DENYING
