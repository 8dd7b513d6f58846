"""PendoTECH PressureMAT: a simulated monitor behind a TCP serial server, and on a pseudo-terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drivers.conformance import RigTag
from drivers.pendotech import PendotechDriver
from simulators.devices.bus import Bus, cut_at_cr
from simulators.devices.pressure_monitor import PressureMonitor
from simulators.wire.bus_port import BusPort
from tests.drivers.rigs.process import Serve
from tests.drivers.rigs.proxied import ProcessRig

MBAR_PER_PSI = 68.94757293168361
NAMES = ("P1", "P2", "P3", "P4")
TAGS = (
    *(RigTag(name=name, point={"channel": name}, unit="psig", tolerance=0.2) for name in NAMES),
    RigTag(name="P1_MBAR", point={"channel": "P1"}, unit="mbar", tolerance=0.2 * MBAR_PER_PSI),
)


class PressedMonitor:
    """A monitor whose pressures change, and what the parent of its process may call."""

    def __init__(self) -> None:
        self.psi = [10.0, 8.0, -2.0, 0.0]
        self.bus = Bus([PressureMonitor([lambda i=i: self.psi[i] for i in range(4)])], cut_at_cr)  # type: ignore[misc]

    def truth(self) -> dict[str, float]:
        return dict(zip(NAMES, self.psi, strict=True)) | {"P1_MBAR": self.psi[0] * MBAR_PER_PSI}

    def change(self) -> None:
        self.psi = [(psi + 11.3) % 60.0 for psi in self.psi]

    def written(self) -> list[tuple[str, float]]:
        return []

    def obey(self, trouble: str) -> None:
        """It knows no troubles but those of its line."""


async def serve(port: int) -> tuple[int, PressedMonitor]:
    monitor = PressedMonitor()
    line = BusPort(monitor.bus)
    await line.start(port=port)
    return line.port, monitor


_: Serve = serve


class PendotechTcpRig(ProcessRig):
    """Behind a TCP serial server."""

    driver = PendotechDriver
    served = "tests.drivers.rigs.pendotech:serve"

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"port": self.line, "timeout_s": self.timeout_s}


class PendotechSerialRig(PendotechTcpRig):
    """On a pseudo-terminal."""

    serial = True
