"""Alicat: two simulated controllers behind a TCP serial server, and on a pseudo-terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.alicat import AlicatDriver
from drivers.conformance import RigTag, Trouble
from simulators.devices.alicat import ControllerParameters, MassFlowController
from simulators.devices.bus import Bus, cut_at_cr
from simulators.wire.bus_port import BusPort
from tests.drivers.rigs.on_bus import OnBusRig
from tests.drivers.rigs.process import Serve
from tests.drivers.rigs.proxied import ProcessRig, ProxiedRig

TAGS = (
    RigTag(name="SP", point={"address": "A", "field": "setpoint", "writable": True}, unit="L/min", tolerance=0.0005),
    RigTag(name="FT", point={"address": "B", "field": "mass_flow"}, unit="mL/min", tolerance=0.005),
    RigTag(name="LOCKED", point={"address": "B", "field": "locked"}),
)
PARAMETERS = {
    "A": ControllerParameters(serial="SIM00000A"),
    "B": ControllerParameters(serial="SIM00000B", gas=8, full_scale=500.0, label="SCCM", totaliser=True),
}


class Controllers:
    """Two controllers, and what the parent of their process may call."""

    def __init__(self) -> None:
        self.all = {letter: MassFlowController(letter, parameters) for letter, parameters in PARAMETERS.items()}
        self.bus = Bus(list(self.all.values()), cut_at_cr)

    def truth(self) -> dict[str, float]:
        return {"SP": self.all["A"].setpoint, "FT": self.all["B"].flow, "LOCKED": float(self.all["B"].locked)}

    def change(self) -> None:
        self.all["B"].flow = round(self.all["B"].flow % 400.0 + 0.25, 2)

    def written(self) -> list[tuple[str, float]]:
        return [("SP", float(command[3:])) for command in self.bus.heard if command[:3] == b"AS "]

    def reset(self) -> None:
        """As at the start of a test."""
        self.all["A"].setpoint = 0.5

    def obey(self, trouble: str) -> None:
        for letter, one in self.all.items():
            wrong = Trouble(trouble) is Trouble.REFUSING
            one.parameters = replace(PARAMETERS[letter], serial="OTHER") if wrong else PARAMETERS[letter]
            one.refuses = Trouble(trouble) is Trouble.DENYING


async def serve(port: int) -> tuple[int, Controllers]:
    controllers = Controllers()
    line = BusPort(controllers.bus)
    await line.start(port=port)
    return line.port, controllers


_: Serve = serve


CONTROLLERS = {
    "A": {"gas": "Air", "full_scale": 20, "unit": "SLPM", "serial_number": "SIM00000A"},
    "B": {"gas": "N2", "full_scale": 500, "unit": "SCCM", "serial_number": "SIM00000B", "totaliser": True},
}
WRITES = ({"SP": 1.5}, {"SP": 2.25}, {"SP": 3.125})
MISFITS = ({"SP": 20.01}, {"SP": -0.01})


class AlicatTcpRig(ProcessRig):
    """Behind a TCP serial server."""

    driver = AlicatDriver
    served = "tests.drivers.rigs.alicat:serve"
    timeout_s = 1.0
    troubles = ProxiedRig.troubles | {Trouble.REFUSING, Trouble.DENYING}

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"port": self.line, "timeout_s": self.timeout_s, "answer_s": 0.4, "controllers": CONTROLLERS}

    async def serve(self) -> int:
        self.device.call("reset")
        return await super().serve()

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES

    def misfits(self) -> Sequence[Mapping[str, float]]:
        return MISFITS


class AlicatSerialRig(AlicatTcpRig):
    """On a pseudo-terminal."""

    serial = True


class AlicatInProcessRig(OnBusRig):
    """In virtual time."""

    driver = AlicatDriver

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Controllers())

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"port": "x", "timeout_s": self.timeout_s, "answer_s": 0.1, "controllers": CONTROLLERS}

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES

    def misfits(self) -> Sequence[Mapping[str, float]]:
        return MISFITS
