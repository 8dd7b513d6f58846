"""Which drivers there are: the entry points of ``evcontrol.drivers``, so that others can ship theirs."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from drivers.driver import DriverType

GROUP: Final = "evcontrol.drivers"

_BUILT_IN: Final = {
    "alicat": "drivers.alicat:AlicatDriver",
    "masterflex-classic": "drivers.masterflex:MasterflexDriver",
    "masterflex-usb": "drivers.masterflex_usb:MasterflexUsbDriver",
    "modbus-rtu": "drivers.modbus_rtu:ModbusRtuDriver",
    "modbus-tcp": "drivers.modbus:ModbusDriver",
    "mt-sics": "drivers.mtsics:MtSicsDriver",
    "nta-folder": "drivers.nta_folder:NtaFolderDriver",
    "opc-ua": "drivers.opcua:OpcUaDriver",
    "pendotech-pressuremat": "drivers.pendotech:PendotechDriver",
    "sartorius-sbi": "drivers.sbi:SbiDriver",
    "watson-marlow": "drivers.watson_marlow:WatsonMarlowDriver",
}
"""The project's own, also found in a checkout that is not installed."""


class UnknownDriverError(LookupError):
    """No driver has that name; the message names the nearest one."""


def driver_type(name: str) -> DriverType:
    """The driver of that name; :class:`UnknownDriverError` when there is none."""
    found = _entry_points()
    if name not in found:
        near = get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(found))}"
        raise UnknownDriverError(f"unknown driver {name!r}: {hint}")
    return cast(DriverType, found[name].load())


def driver_types() -> Mapping[str, DriverType]:
    """All drivers by name."""
    return {name: cast(DriverType, entry.load()) for name, entry in sorted(_entry_points().items())}


def _entry_points() -> dict[str, EntryPoint]:
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    return installed | {name: EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()}
