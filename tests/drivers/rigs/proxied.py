"""Rigs with a fault proxy in front of the device: one that lives in the test, or a process of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from drivers.conformance import Rig, Trouble
from tests.drivers.rigs.process import DeviceProcess, shared_process
from tests.faultproxy import Fault, FaultProxy, SerialFaultProxy

FAULTS = {
    Trouble.NONE: Fault.NONE,
    Trouble.GONE: Fault.REFUSE,
    Trouble.SILENT: Fault.BLACK_HOLE,
    Trouble.MUTE: Fault.HALF_OPEN,
    Trouble.LATE: Fault.SLOW,
    Trouble.GARBAGE: Fault.GARBAGE,
}


class ProxiedRig(Rig):
    """The driver connects to ``proxy.port`` or, with ``serial``, to the pseudo-terminal ``proxy.path``."""

    troubles = frozenset(FAULTS) - {Trouble.NONE}
    serial: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.proxy: FaultProxy

    @abstractmethod
    async def serve(self) -> int:
        """Start the device; the TCP port on which it listens."""

    @abstractmethod
    async def end(self) -> None:
        """End the device."""

    @property
    def line(self) -> str:
        """The port of a line instrument: the pseudo-terminal, or the proxy as a TCP serial server."""
        if isinstance(self.proxy, SerialFaultProxy):
            return str(self.proxy.path)
        return f"socket://127.0.0.1:{self.proxy.port}"

    async def start(self) -> None:
        port, delay_s = await self.serve(), 2 * self.timeout_s
        if self.serial:
            self.proxy = SerialFaultProxy(port, self.folder / "line", delay_s=delay_s)
        else:
            self.proxy = FaultProxy(port, delay_s=delay_s)
        await self.proxy.__aenter__()

    async def stop(self) -> None:
        await self.proxy.__aexit__(None, None, None)
        await self.end()

    async def trouble(self, trouble: Trouble) -> None:
        await self.proxy.set(FAULTS[trouble])


class ProcessRig(ProxiedRig):
    """The device is a process; ``served`` names the function that it runs (see ``process.py``).

    What that gives has the methods ``truth()``, ``change()``, ``written()`` and ``obey(trouble)``; the last one begins
    the troubles that the proxy does not know, and ends them with ``none``.
    """

    served: ClassVar[str]
    swaps: ClassVar[bool] = False
    """Whether the function takes the word ``swap`` for a start with other namespaces."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.process: DeviceProcess | None = None
        """Another one than all tests share, for those that do it harm; set it before the start."""

    @property
    def device(self) -> DeviceProcess:
        return self.process or shared_process(self.served)

    def forget(self) -> None:
        """Count what arrives from the start of the process on; it was started anew."""
        self._before = 0

    async def serve(self) -> int:
        self._before = len(self.device.call("written"))
        return self.device.port

    async def end(self) -> None:
        self.device.call("obey", Trouble.NONE)

    async def truth(self) -> Mapping[str, float]:
        truth: dict[str, float] = self.device.call("truth")
        return truth

    async def change(self) -> None:
        self.device.call("change")

    async def arrived(self) -> Sequence[tuple[str, float]]:
        return [(name, value) for name, value in self.device.call("written")[self._before :]]

    async def trouble(self, trouble: Trouble) -> None:
        at_device = trouble not in FAULTS
        self.device.call("obey", trouble if at_device else Trouble.NONE)
        if at_device and trouble is Trouble.REFUSING:  # seen at the next connect
            await self.proxy.set(Fault.REFUSE)
        await self.proxy.set(Fault.NONE if at_device else FAULTS[trouble])
