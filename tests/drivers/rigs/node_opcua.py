"""OPC UA: a server of the node-opcua project over its wire, by subscription and by reading."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from drivers.conformance import RigTag, Trouble
from drivers.opcua import OpcUaDriver
from tests.drivers.opcua_rig import URI
from tests.drivers.rigs.proxied import ProxiedRig
from tests.foreign.node_opcua import MODULES, NOT_HERE, THERE, NodeOpcUaServer

TAGS = (
    RigTag(name="SP", point={"node": "BR.SP", "writable": True}),
    RigTag(name="SINGLE", point={"node": "BR.SINGLE", "writable": True}),
    RigTag(name="MODE", point={"node": "BR.MODE", "writable": True}),
    RigTag(name="TT", point={"path": "BR/TT"}),
    RigTag(name="REMOTE", point={"node": "BR.REMOTE"}),
)
WRITES = (
    {"SP": 36.5, "SINGLE": 7.5, "MODE": 2.0},
    {"SP": 35.25, "MODE": 3.0},
    {"SP": 34.0, "SINGLE": 0.125, "MODE": 4.0},
)
_SHARED: list[NodeOpcUaServer] = []


def shared_server() -> NodeOpcUaServer:
    """One for all tests: it takes seconds to start."""
    if not THERE and not os.environ.get("CI"):
        pytest.skip(NOT_HERE)
    if not _SHARED:
        _SHARED.append(NodeOpcUaServer(MODULES.parent / "pki"))
        atexit.register(_SHARED[0].kill)
    return _SHARED[0]


class NodeOpcUaReadingRig(ProxiedRig):
    """Asked at every scan."""

    driver = OpcUaDriver
    timeout_s = 0.8
    mode = "read"
    troubles = ProxiedRig.troubles | {Trouble.DENYING}

    async def serve(self) -> int:
        self.server = shared_server()
        self._before = len(self.server.order(writes=1))
        self._changes = float(self.server.order(read=1)["TT"])
        return self.server.port

    async def end(self) -> None:
        self.server.order(deny=False)

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {
            "url": f"opc.tcp://127.0.0.1:{self.proxy.port}/plant",
            "namespace": URI,
            "timeout_s": self.timeout_s,
            "mode": self.mode,
            "publishing_s": 0.05,
            "sampling_s": 0,
        }

    async def truth(self) -> Mapping[str, float]:
        values = self.server.order(read=1)
        return {tag.name: float(values[tag.name]) for tag in TAGS}

    async def change(self) -> None:
        self._changes += 0.5
        self.server.order(set={"TT": self._changes})

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES

    async def arrived(self) -> Sequence[tuple[str, float]]:
        return [(name, float(value)) for name, value in self.server.order(writes=1)[self._before :]]

    async def trouble(self, trouble: Trouble) -> None:
        self.server.order(deny=trouble is Trouble.DENYING)
        await super().trouble(Trouble.NONE if trouble is Trouble.DENYING else trouble)


class NodeOpcUaRig(NodeOpcUaReadingRig):
    """With a subscription."""

    mode = "subscribe"
    lag_s = 0.5
