"""OPC UA: the simulated bioreactor over its wire, by subscription and by reading, and in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.conformance import Rig, RigTag, Trouble
from drivers.driver import BoundPoint, Driver, Model
from drivers.opcua import OpcUaDriver
from drivers.opcua_session import in_process
from evcontrol.clock import Clock
from simulators.devices.bioreactor_nodes import NAMESPACE, Status
from simulators.devices.link import NodeInfo
from simulators.ev_plant import EvPlant
from simulators.wire.opcua import PATH, OpcUaServer
from tests.drivers.rigs.proxied import ProcessRig, ProxiedRig

WRITABLE = {"TT_SP": "degC", "PH_SP": "pH", "AGIT_SP": "rpm"}
TAGS = (
    *(
        RigTag(name=name, point={"node": f"BR101.{name}", "writable": True}, unit=unit)
        for name, unit in WRITABLE.items()
    ),
    RigTag(name="DO_SP", point={"path": "BR101/DO_SP"}, unit="%O2"),
    RigTag(name="STARTS", point={"node": "BR101.STARTS"}),
    RigTag(name="REMOTE", point={"node": "BR101.REMOTE"}),
)
WRITES = (
    {"TT_SP": 36.5, "PH_SP": 7.1, "AGIT_SP": 80.0},
    {"TT_SP": 35.25, "AGIT_SP": 90.0},
    {"TT_SP": 34.0, "PH_SP": 7.2, "AGIT_SP": 100.0},
)


class CountedBioreactor:
    """The bioreactor's line, and what was written over it."""

    def __init__(self) -> None:
        self.link = EvPlant().bioreactor_link
        self.written: list[tuple[str, float]] = []
        self.denying = False
        self.fault: OSError | None = None
        self.silent = False
        self._oxygen = 1.0

    def truth(self) -> dict[str, float]:
        values = {tag.name: self.link.read(f"BR101.{tag.name}")[0] for tag in TAGS}
        return {name: float(value) for name, value in values.items() if value is not None}

    def change(self) -> None:
        self._oxygen = self._oxygen % 20.0 + 0.01
        assert self.link.write("BR101.DO_SP", self._oxygen) == Status.GOOD

    def nodes(self) -> tuple[NodeInfo, ...]:
        self._reach()
        return self.link.nodes()

    def read(self, node_id: str) -> tuple[Any, int, float]:
        self._reach()
        return self.link.read(node_id)

    def write(self, node_id: str, value: Any) -> int:
        self._reach()
        if self.denying:
            return Status.BAD_INVALID_STATE
        name = node_id.removeprefix("BR101.")
        if name in WRITABLE:
            self.written.append((name, float(value)))
        return self.link.write(node_id, value)

    def _reach(self) -> None:
        if self.fault is not None:
            raise self.fault


class BioreactorServer:
    """What the parent of a bioreactor's process may call."""

    def __init__(self, swapped: bool) -> None:
        self._device = CountedBioreactor()
        self._server = (SwappedServer if swapped else OpcUaServer)(self._device)  # type: ignore[arg-type]

    async def start(self, port: int) -> int:
        await self._server.start(port=port)
        return self._server.port

    def truth(self) -> dict[str, float]:
        return self._device.truth()

    async def change(self) -> None:
        self._device.change()
        await self._server.publish()

    def obey(self, trouble: str) -> None:
        self._device.denying = trouble == Trouble.DENYING

    def written(self) -> list[tuple[str, float]]:
        return self._device.written


class SwappedServer(OpcUaServer):
    """Has another namespace before the device's."""

    async def _build(self, server: Any) -> None:
        await server.register_namespace("urn:another")
        await super()._build(server)


async def serve(port: int, *words: str) -> tuple[int, BioreactorServer]:
    server = BioreactorServer("swap" in words)
    return await server.start(port), server


class OpcUaReadingRig(ProcessRig):
    """Over TCP, asked at every scan."""

    driver = OpcUaDriver
    served = "tests.drivers.rigs.opc_ua:serve"
    swaps = True
    mode = "read"
    troubles = ProxiedRig.troubles | {Trouble.DENYING}

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {
            "url": f"opc.tcp://127.0.0.1:{self.proxy.port}{PATH}",
            "namespace": NAMESPACE,
            "timeout_s": self.timeout_s,
            "mode": self.mode,
            "publishing_s": 0.05,
            "sampling_s": 0,
        }

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES


class OpcUaRig(OpcUaReadingRig):
    """Over TCP, with a subscription."""

    mode = "subscribe"
    lag_s = 0.5


class OpcUaInProcessRig(Rig):
    """In this process and in virtual time."""

    driver = OpcUaDriver
    virtual = True
    troubles = frozenset({Trouble.GONE, Trouble.SILENT, Trouble.DENYING})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bioreactor = CountedBioreactor()

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    async def truth(self) -> Mapping[str, float]:
        return self.bioreactor.truth()

    async def change(self) -> None:
        self.bioreactor.change()

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES

    async def arrived(self) -> Sequence[tuple[str, float]]:
        return list(self.bioreactor.written)

    async def start(self) -> None:
        """It is there."""

    async def stop(self) -> None:
        """Nothing to end."""

    def options(self) -> Mapping[str, Any]:
        return {"url": "opc.tcp://bioreactor:4840", "namespace": NAMESPACE, "timeout_s": self.timeout_s}

    def make(self, name: str, options: Model, points: Sequence[BoundPoint], clock: Clock) -> Driver:
        return OpcUaDriver(name, options, points, clock, connect=in_process(self.bioreactor))

    async def trouble(self, trouble: Trouble) -> None:
        faults = {Trouble.GONE: ConnectionRefusedError(111, "refused"), Trouble.SILENT: TimeoutError()}
        self.bioreactor.fault = faults.get(trouble)
        self.bioreactor.denying = trouble is Trouble.DENYING
