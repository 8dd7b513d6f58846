"""Sartorius SBI: a simulated balance behind a TCP serial server, and on a pseudo-terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from drivers.conformance import RigTag, Trouble
from drivers.sbi import SbiDriver
from simulators.devices.balance import Balance, BalanceParameters
from simulators.devices.bus import Bus
from simulators.devices.sbi_balance import SbiBalance, cut_sbi
from simulators.wire.bus_port import BusPort
from tests.drivers.rigs.process import Serve
from tests.drivers.rigs.proxied import ProcessRig, ProxiedRig

TAGS = (
    RigTag(name="WEIGHT", point={"field": "weight"}, unit="g", tolerance=0.02),
    RigTag(name="STABLE", point={"field": "stable"}),
)
PARAMETERS = BalanceParameters(capacity_g=6000.0, model="SIMSBI", serial="SIM00001")


class LoadedSartorius:
    """A balance whose load changes, and what the parent of its process may call."""

    def __init__(self) -> None:
        self.grams = 100.0
        self.cell = Balance(lambda: self.grams, PARAMETERS, "rig")
        self.bus = Bus([SbiBalance(self.cell)], cut_sbi)
        self._settle()

    def truth(self) -> dict[str, float]:
        return {"WEIGHT": self.grams, "STABLE": 1.0}

    def change(self) -> None:
        self.grams = self.grams % 5000.0 + 1.25
        self._settle()

    def written(self) -> list[tuple[str, float]]:
        return []

    def obey(self, trouble: str) -> None:
        other = Trouble(trouble) is Trouble.REFUSING
        self.cell.parameters = replace(PARAMETERS, serial="OTHER001") if other else PARAMETERS

    def _settle(self) -> None:
        for _ in range(60):
            self.cell.step(0.05)


async def serve(port: int) -> tuple[int, LoadedSartorius]:
    loaded = LoadedSartorius()
    line = BusPort(loaded.bus)
    await line.start(port=port)
    return line.port, loaded


_: Serve = serve


class SbiTcpRig(ProcessRig):
    """Behind a TCP serial server."""

    driver = SbiDriver
    served = "tests.drivers.rigs.sbi:serve"
    troubles = ProxiedRig.troubles | {Trouble.REFUSING}

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"port": self.line, "timeout_s": self.timeout_s, "serial_number": "SIM00001", "unit": "g"}


class SbiSerialRig(SbiTcpRig):
    """On a pseudo-terminal."""

    serial = True
