"""The nodes of the simulated bioreactor controller, as docs/reference/simulated-bioreactor.md shows them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

NAMESPACE: Final = "urn:sim:bioreactor"
ROOT: Final = "BR101"

Scalar = float | int | bool


class DataType(StrEnum):
    """OPC UA data types in use."""

    DOUBLE = "Double"
    INT32 = "Int32"
    UINT32 = "UInt32"
    BOOLEAN = "Boolean"


class Status(IntEnum):
    """OPC UA status codes that the controller gives (OPC 10000-6, annex A)."""

    GOOD = 0x00000000
    UNCERTAIN_SENSOR = 0x40930000
    """UncertainSensorNotAccurate: the probe is not in the medium."""
    BAD_USER_ACCESS_DENIED = 0x801F0000
    BAD_NODE_ID_UNKNOWN = 0x80340000
    BAD_NOT_WRITABLE = 0x803B0000
    BAD_OUT_OF_RANGE = 0x803C0000
    BAD_TYPE_MISMATCH = 0x80740000
    BAD_SENSOR_FAILURE = 0x808C0000
    BAD_INVALID_STATE = 0x80AF0000


class DoMode(IntEnum):
    """What the oxygen controller does."""

    OFF = 0
    AIR = 1
    AUTO = 2


@dataclass(frozen=True, slots=True)
class Node:
    """One variable. A writable one has limits and a default; ``safe`` is its value in the safe state, None: kept."""

    name: str
    data_type: DataType = DataType.DOUBLE
    unit: str = ""
    writable: bool = False
    low: float = 0.0
    high: float = 0.0
    default: Scalar = 0.0
    safe: Scalar | None = None

    @property
    def node_id(self) -> str:
        """String identifier in the namespace."""
        return f"{ROOT}.{self.name}"

    def moves(self, value: Scalar) -> bool:
        """Whether it would move something away from the safe state."""
        return self.safe is not None and value != self.safe


def _double(name: str, unit: str, low: float, high: float, default: float) -> Node:
    return Node(name, DataType.DOUBLE, unit, True, low, high, default)


def _mode(name: str, high: int, safe: int) -> Node:
    return Node(name, DataType.INT32, "", True, 0, high, safe, safe)


_UINT32: Final = 0xFFFFFFFF

NODES: Final = {
    node.name: node
    for node in (
        Node("TT", unit="degC"),
        Node("AT_PH", unit="pH"),
        Node("AT_DO", unit="%O2"),
        Node("PT_HEAD", unit="mbarg"),
        Node("LT", unit="%v/v"),
        Node("AGIT", unit="rpm"),
        Node("AT_GLC", unit="mM"),
        Node("AT_LAC", unit="mM"),
        Node("DO_SP_WORK", unit="%O2"),
        Node("N2_DEMAND", unit="%v/v"),
        Node("WD_LEFT", unit="s"),
        _double("TT_SP", "degC", 20.0, 40.0, 37.0),
        _double("PH_SP", "pH", 6.5, 8.0, 7.3),
        _double("DO_SP", "%O2", 0.5, 20.9, 20.9),
        _double("DO_RATE", "%O2/h", 0.0, 1000.0, 0.0),
        _double("AGIT_SP", "rpm", 0.0, 400.0, 60.0),
        _double("WD_TIME", "s", 1.0, 36000.0, 60.0),
        _mode("TIC_MODE", 1, 1),
        _mode("PHIC_MODE", 1, 1),
        _mode("DOIC_MODE", 2, DoMode.AIR.value),
        Node("REMOTE", DataType.BOOLEAN),
        Node("WD_OK", DataType.BOOLEAN),
        Node("SAFE", DataType.BOOLEAN),
        Node("STATION_OK", DataType.BOOLEAN),
        Node("TRIP", DataType.BOOLEAN),
        Node("TRIP_TEMP", DataType.BOOLEAN),
        Node("TRIP_WATCHDOG", DataType.BOOLEAN),
        Node("STARTS", DataType.UINT32),
        Node("HEARTBEAT", DataType.UINT32, "", True, 0, _UINT32, 0),
        Node("TRIP_RESET", DataType.BOOLEAN, "", True, 0, 1, False),
    )
}
BY_ID: Final = {node.node_id: node for node in NODES.values()}
WRITABLE: Final = {name: node for name, node in NODES.items() if node.writable}
RETENTIVE: Final = ("TT_SP", "PH_SP", "DO_SP", "DO_RATE", "AGIT_SP", "WD_TIME")
"""Setpoints that outlive a loss of power; modes do not."""
