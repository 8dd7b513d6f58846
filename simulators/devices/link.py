"""How the devices are reached: through a line that may be silent or unplugged.

A wire server asks through these, and so may a program in the same process that binds its drivers without any wire.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import NamedTuple

from simulators.devices.balance import Balance
from simulators.devices.bioreactor import Bioreactor
from simulators.devices.bioreactor_nodes import BY_ID, Scalar
from simulators.devices.skid import Skid
from simulators.devices.station import Station


class ModbusLink:
    """A controller's reads and writes; while ``silent`` each raises TimeoutError, and nothing reaches it."""

    def __init__(self, device: Skid | Station) -> None:
        self.silent = False
        self._device = device

    def read_input(self, address: int, count: int) -> list[int]:
        """Input registers; see the controller's own."""
        return self._reached().read_input(address, count)

    def read_holding(self, address: int, count: int) -> list[int]:
        """Holding registers; see the controller's own."""
        return self._reached().read_holding(address, count)

    def read_coils(self, address: int, count: int) -> list[bool]:
        """Coils; see the controller's own."""
        return self._reached().read_coils(address, count)

    def read_discrete(self, address: int, count: int) -> list[bool]:
        """Discrete inputs; see the controller's own."""
        return self._reached().read_discrete(address, count)

    def write_holding(self, address: int, values: Sequence[int]) -> None:
        """Write holding registers; see the controller's own."""
        self._reached().write_holding(address, values)

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        """Write coils; see the controller's own."""
        self._reached().write_coils(address, values)

    def _reached(self) -> Skid | Station:
        if self.silent:
            raise TimeoutError("the controller does not answer")
        return self._device


class SkidLink(ModbusLink):
    """The filtration skid's line."""


class StationLink(ModbusLink):
    """The gas and pump station's line."""


class NodeInfo(NamedTuple):
    """One variable of an OPC UA server: string identifier in its namespace, browse name, data type."""

    node_id: str
    browse_name: str
    data_type: str
    writable: bool


class BioreactorLink:
    """The bioreactor controller's variables; while ``silent`` each call raises TimeoutError."""

    def __init__(self, controller: Bioreactor) -> None:
        self.silent = False
        self._controller = controller

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Every variable, in the order of the manual."""
        self._reached()
        return tuple(NodeInfo(n.node_id, n.name, n.data_type.value, n.writable) for n in BY_ID.values())

    def read(self, node_id: str) -> tuple[Scalar | None, int, float]:
        """See :meth:`Bioreactor.read`."""
        return self._reached().read(node_id)

    def write(self, node_id: str, value: object) -> int:
        """See :meth:`Bioreactor.write`."""
        return self._reached().write(node_id, value)

    def _reached(self) -> Bioreactor:
        if self.silent:
            raise TimeoutError("the controller does not answer")
        return self._controller


class BalanceLink:
    """A balance's line; without its cable (``plugged`` false) :meth:`reply` raises OSError."""

    def __init__(self, balance: Balance) -> None:
        self.plugged = True
        self._balance = balance

    def reply(self, line: str) -> list[str]:
        """See :meth:`Balance.reply`."""
        if not self.plugged:
            raise OSError(errno.EIO, "the device has gone")
        return self._balance.reply(line)

    def stream(self) -> list[str]:
        """See :meth:`Balance.stream`; what the balance sends without its cable is lost."""
        lines = self._balance.stream()
        return lines if self.plugged else []
