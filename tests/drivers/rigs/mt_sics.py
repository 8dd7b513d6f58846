"""MT-SICS: a simulated balance behind a TCP serial server, and in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.conformance import Rig, RigTag, Trouble
from drivers.driver import BoundPoint, Driver, Model
from drivers.mtsics import MtSicsDriver
from drivers.transport import in_process
from evcontrol.clock import Clock
from simulators.devices.balance import Balance, BalanceParameters
from tests.drivers.instruments import TcpInstrument
from tests.drivers.rigs.proxied import ProcessRig, ProxiedRig

TAGS = (
    RigTag(name="WEIGHT", point={"field": "weight"}, unit="g", tolerance=0.02),
    RigTag(name="STABLE", point={"field": "stable"}),
)


class LoadedBalance:
    """A balance whose load changes, and what the parent of its process may call."""

    def __init__(self) -> None:
        self.grams = 100.0
        self.balance = Balance(
            lambda: self.grams, BalanceParameters(capacity_g=6000.0, model="SIMBAL 6", serial="SIM1"), "rig"
        )
        self.trouble = Trouble.NONE
        self._settle()

    def truth(self) -> dict[str, float]:
        return {"WEIGHT": self.grams, "STABLE": 1.0}

    def change(self) -> None:
        self.grams = self.grams % 5000.0 + 1.25
        self._settle()

    def written(self) -> list[tuple[str, float]]:
        return []

    def obey(self, trouble: str) -> None:
        self.trouble = Trouble(trouble)

    def reply(self, line: str) -> list[str]:
        if self.trouble is Trouble.GONE:
            raise OSError("unplugged")
        if self.trouble is Trouble.SILENT:
            return []
        if self.trouble is Trouble.REFUSING and line == "I4":
            return ['I4 A "OTHER"']
        return self.balance.reply(line)

    def _settle(self) -> None:
        for _ in range(60):
            self.balance.step(0.05)


async def serve(port: int) -> tuple[int, LoadedBalance]:
    loaded = LoadedBalance()

    def answer(line: bytes) -> bytes:
        return b"".join(each.encode() + b"\r\n" for each in loaded.reply(line.decode("latin-1")))

    instrument = TcpInstrument(answer, port)
    await instrument.plug()
    return int(instrument.port.rpartition(":")[2]), loaded


class MtSicsTcpRig(ProcessRig):
    """Behind a TCP serial server."""

    driver = MtSicsDriver
    served = "tests.drivers.rigs.mt_sics:serve"
    troubles = ProxiedRig.troubles | {Trouble.REFUSING}

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"port": self.line, "timeout_s": self.timeout_s, "serial_number": "SIM1"}


class MtSicsSerialRig(MtSicsTcpRig):
    """On a pseudo-terminal."""

    serial = True


class MtSicsInProcessRig(Rig):
    """In this process and in virtual time."""

    driver = MtSicsDriver
    virtual = True
    troubles = frozenset({Trouble.GONE, Trouble.SILENT})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.loaded = LoadedBalance()

    async def start(self) -> None:
        """It is there."""

    async def stop(self) -> None:
        """Nothing to end."""

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"port": "balance", "timeout_s": self.timeout_s}

    def make(self, name: str, options: Model, points: Sequence[BoundPoint], clock: Clock) -> Driver:
        return MtSicsDriver(name, options, points, clock, connect=in_process(self.loaded.reply))

    async def truth(self) -> Mapping[str, float]:
        return self.loaded.truth()

    async def change(self) -> None:
        self.loaded.change()

    async def trouble(self, trouble: Trouble) -> None:
        self.loaded.obey(trouble)
