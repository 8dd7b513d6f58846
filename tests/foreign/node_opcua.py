"""A server of the node-opcua project, installed by ``scripts/node-opcua``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.drivers.opcua_rig import ServerProcess

MODULES = Path(__file__).parents[2] / "build" / "node-opcua" / "node_modules"
NODE = shutil.which("node") or shutil.which("nodejs")
THERE = NODE is not None and (MODULES / "node-opcua-server").is_dir()

NOT_HERE = "node-opcua is missing: scripts/node-opcua installs it"

needs_node_opcua = pytest.mark.skipif(not THERE and not os.environ.get("CI"), reason=NOT_HERE)
"""Not skipped in continuous integration: there its absence is a failure."""


class NodeOpcUaServer(ServerProcess):
    """As the other one; see ``opcua_server.js`` for its options. ``pki`` is where it may keep its own files."""

    command = (NODE or "node", str(Path(__file__).with_name("opcua_server.js")))
    environment = os.environ | {"NODE_PATH": str(MODULES)}

    def __init__(self, pki: Path, *options: str) -> None:
        self._pki = pki
        super().__init__(*options)

    def start(self, *options: str) -> None:
        """Start it; returns when it listens."""
        super().start(f"pki={self._pki}", *options)
