"""MT-SICS: a simulated balance behind a TCP serial server, and in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.conformance import Rig, RigTag, Trouble
from drivers.driver import BoundPoint, Driver, Model
from drivers.mtsics import MtSicsDriver
from drivers.transport import in_process
from evcontrol.clock import Clock
from simulators.devices.balance import Balance, BalanceParameters
from tests.drivers.instruments import TcpInstrument
from tests.drivers.rigs.proxied import ProxiedRig

TAGS = (
    RigTag(name="WEIGHT", point={"field": "weight"}, unit="g", tolerance=0.02),
    RigTag(name="STABLE", point={"field": "stable"}),
)


class BalanceRig(Rig):
    """A balance whose load changes."""

    driver = MtSicsDriver

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.grams = 100.0
        self.balance = Balance(
            lambda: self.grams, BalanceParameters(capacity_g=6000.0, model="SIMBAL 6", serial="SIM1"), "rig"
        )
        self._settle()

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    async def truth(self) -> Mapping[str, float]:
        return {"WEIGHT": self.grams, "STABLE": 1.0}

    async def change(self) -> None:
        self.grams += 12.5
        self._settle()

    def _settle(self) -> None:
        for _ in range(60):
            self.balance.step(0.05)


class MtSicsTcpRig(BalanceRig, ProxiedRig):
    """Over TCP."""

    troubles = ProxiedRig.troubles | {Trouble.REFUSING}

    async def serve(self) -> int:
        self.instrument = TcpInstrument(_answers(self.balance.reply))
        await self.instrument.plug()
        return int(self.instrument.port.rpartition(":")[2])

    async def end(self) -> None:
        await self.instrument.unplug()

    def options(self) -> Mapping[str, Any]:
        port = f"socket://127.0.0.1:{self.proxy.port}"
        return {"port": port, "timeout_s": self.timeout_s, "serial_number": "SIM1"}

    async def trouble(self, trouble: Trouble) -> None:
        reply = (lambda _: ['I4 A "OTHER"']) if trouble is Trouble.REFUSING else self.balance.reply
        self.instrument.answer = _answers(reply)
        await super().trouble(Trouble.GONE if trouble is Trouble.REFUSING else trouble)
        if trouble is Trouble.REFUSING:
            await super().trouble(Trouble.NONE)


class MtSicsInProcessRig(BalanceRig):
    """In this process and in virtual time."""

    virtual = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.trouble_now = Trouble.NONE

    async def start(self) -> None:
        """It is there."""

    async def stop(self) -> None:
        """Nothing to end."""

    def options(self) -> Mapping[str, Any]:
        return {"port": "balance", "timeout_s": self.timeout_s}

    def make(self, name: str, options: Model, points: Sequence[BoundPoint], clock: Clock) -> Driver:
        return MtSicsDriver(name, options, points, clock, connect=in_process(self._reply))

    async def trouble(self, trouble: Trouble) -> None:
        self.trouble_now = trouble

    def _reply(self, line: str) -> list[str]:
        if self.trouble_now is Trouble.GONE:
            raise OSError("unplugged")
        return [] if self.trouble_now is Trouble.SILENT else self.balance.reply(line)


def _answers(reply: Callable[[str], list[str]]) -> Callable[[bytes], bytes]:
    return lambda line: b"".join(each.encode() + b"\r\n" for each in reply(line.decode("latin-1")))
