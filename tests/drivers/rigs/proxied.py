"""A rig whose device listens on a TCP port of this machine, with a fault proxy in front of it."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from drivers.conformance import Rig, Trouble
from tests.faultproxy import Fault, FaultProxy

FAULTS = {
    Trouble.NONE: Fault.NONE,
    Trouble.GONE: Fault.REFUSE,
    Trouble.SILENT: Fault.BLACK_HOLE,
    Trouble.MUTE: Fault.HALF_OPEN,
    Trouble.LATE: Fault.SLOW,
    Trouble.GARBAGE: Fault.GARBAGE,
}


class ProxiedRig(Rig):
    """The driver connects to ``proxy.port``."""

    troubles = frozenset(FAULTS) - {Trouble.NONE}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.proxy: FaultProxy

    @abstractmethod
    async def serve(self) -> int:
        """Start the device; the port on which it listens."""

    @abstractmethod
    async def end(self) -> None:
        """End the device."""

    async def start(self) -> None:
        self.proxy = FaultProxy(await self.serve(), delay_s=2 * self.timeout_s)
        await self.proxy.__aenter__()

    async def stop(self) -> None:
        await self.proxy.__aexit__(None, None, None)
        await self.end()

    async def trouble(self, trouble: Trouble) -> None:
        await self.proxy.set(FAULTS[trouble])
