"""Watson-Marlow and Masterflex: two simulated pumps behind a TCP serial server, and on a pseudo-terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from drivers.conformance import RigTag, Trouble
from drivers.masterflex import MasterflexDriver
from drivers.masterflex_usb import MasterflexUsbDriver
from drivers.watson_marlow import WatsonMarlowDriver
from evcontrol.signals import TagKind
from simulators.devices.bus import Bus, cut_at_cr, cut_linkable
from simulators.devices.masterflex import LinkablePump
from simulators.devices.masterflex_usb import UsbPump
from simulators.devices.watson_marlow import WatsonMarlowPump
from simulators.wire.bus_port import BusPort
from tests.drivers.rigs.on_bus import OnBusRig
from tests.drivers.rigs.process import Serve
from tests.drivers.rigs.proxied import ProcessRig, ProxiedRig

MAX_RPM = 220.0
TAGS = (
    RigTag(name="SP", point={"address": 1, "field": "speed", "writable": True}, unit="rpm", tolerance=0.001),
    RigTag(name="RUN", point={"address": 1, "field": "running", "writable": True}, kind=TagKind.DISCRETE),
    RigTag(name="DIR", point={"address": 1, "field": "direction"}, kind=TagKind.DISCRETE),
    RigTag(name="SP2", point={"address": 2, "field": "speed"}, unit="rpm", tolerance=0.001),
)
Pump = WatsonMarlowPump | LinkablePump | UsbPump


class Pumps:
    """Two pumps, and what the parent of their process may call."""

    def __init__(
        self, pumps: Sequence[Pump], bus: Bus, orders: Mapping[str, tuple[str, Callable[[str], float]]], stop: bytes
    ) -> None:
        self.pumps = pumps
        self._stop = stop
        self.bus = bus
        self._orders = orders
        """Patterns of commands to the first pump, and what tag and value each is."""

    def truth(self) -> dict[str, float]:
        first, second = self.pumps
        return {
            "SP": first.rpm,
            "RUN": float(first.running),
            "DIR": float(not first.clockwise),
            "SP2": second.rpm,
        }

    def change(self) -> None:
        second = self.pumps[1]
        second.rpm = round(second.rpm % 200.0 + 0.1, 1)

    def written(self) -> list[tuple[str, float]]:
        found = []
        for command in self.bus.heard:
            for pattern, (tag, value) in self._orders.items():
                if match := re.fullmatch(pattern, command.decode("latin-1")):
                    found.append((tag, value(match[1])))
        return found

    def reset(self) -> None:
        """As at the start of a test."""
        self.pumps[0].rpm = 10.0
        self.pumps[0].hear(self._stop)

    def obey(self, trouble: str) -> None:
        for pump in self.pumps:
            if isinstance(pump, WatsonMarlowPump):
                wrong = Trouble(trouble) is Trouble.REFUSING
                pump.parameters = replace(pump.parameters, head="OTHER" if wrong else "520R")
                pump.remote = Trouble(trouble) is not Trouble.DENYING
            else:
                pump.max_rpm = 0.0 if Trouble(trouble) is Trouble.DENYING else MAX_RPM


def watson_marlow() -> Pumps:
    pumps = [WatsonMarlowPump(1), WatsonMarlowPump(2)]
    orders = {r"1SP(.+)": ("SP", float), r"1(GO|ST)": ("RUN", lambda word: float(word == "GO"))}
    return Pumps(pumps, Bus(pumps, cut_at_cr), orders, b"1ST")


def masterflex() -> Pumps:
    pumps = [LinkablePump(MAX_RPM), LinkablePump(MAX_RPM)]
    for number, pump in enumerate(pumps, 1):
        pump.number, pump.remote, pump.rpm = number, True, 10.0
    orders = {
        "\x02P01S[+-](.+)\r": ("SP", float),
        "\x02P01(G0|H)\r": ("RUN", lambda word: float(word == "G0")),
    }
    return Pumps(pumps, Bus(pumps, cut_linkable), orders, b"\x02P01H\r")


def masterflex_usb() -> Pumps:
    pumps = [UsbPump(1, MAX_RPM), UsbPump(2, MAX_RPM)]
    for pump in pumps:
        pump.serial = True
    orders = {r"1R(\d{6})": ("SP", lambda word: int(word) / 100), r"1([HI])": ("RUN", lambda word: float(word == "H"))}
    return Pumps(pumps, Bus(pumps, cut_at_cr), orders, b"1I")


async def _served(pumps: Pumps, port: int) -> tuple[int, Pumps]:
    line = BusPort(pumps.bus)
    await line.start(port=port)
    return line.port, pumps


async def serve_watson_marlow(port: int) -> tuple[int, Pumps]:
    return await _served(watson_marlow(), port)


async def serve_masterflex(port: int) -> tuple[int, Pumps]:
    return await _served(masterflex(), port)


async def serve_masterflex_usb(port: int) -> tuple[int, Pumps]:
    return await _served(masterflex_usb(), port)


_: Sequence[Serve] = (serve_watson_marlow, serve_masterflex, serve_masterflex_usb)
WRITES = ({"SP": 100.0}, {"SP": 50.5, "RUN": 1.0}, {"RUN": 0.0})
MISFITS = ({"SP": 220.5, "RUN": 0.0}, {"SP": -1.0}, {"RUN": 0.5})
PUMP = {"max_rpm": MAX_RPM}
NAMED = PUMP | {"head": "520R"}


class _PumpsRig(ProcessRig):
    timeout_s = 1.0
    pump: ClassVar[Mapping[str, Any]] = PUMP

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        line = {"port": self.line, "timeout_s": self.timeout_s, "answer_s": 0.4, "bytesize": 8, "parity": "N"}
        return line | {"pumps": {1: self.pump, 2: self.pump}}

    async def serve(self) -> int:
        self.device.call("reset")
        return await super().serve()

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES

    def misfits(self) -> Sequence[Mapping[str, float]]:
        return MISFITS


class _PumpsInProcessRig(OnBusRig):
    made: ClassVar[Callable[[], Pumps]]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, type(self).made())

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {"port": "x", "timeout_s": self.timeout_s, "answer_s": 0.1, "pumps": {1: PUMP, 2: PUMP}}

    def writes(self) -> Sequence[Mapping[str, float]]:
        return WRITES

    def misfits(self) -> Sequence[Mapping[str, float]]:
        return MISFITS


class WatsonMarlowTcpRig(_PumpsRig):
    """Watson-Marlow pumps behind a TCP serial server."""

    driver = WatsonMarlowDriver
    served = "tests.drivers.rigs.pumps:serve_watson_marlow"
    troubles = ProxiedRig.troubles | {Trouble.REFUSING, Trouble.DENYING}
    pump = NAMED


class WatsonMarlowSerialRig(WatsonMarlowTcpRig):
    """Watson-Marlow pumps on a pseudo-terminal."""

    serial = True


class MasterflexTcpRig(_PumpsRig):
    """Linkable Masterflex pumps behind a TCP serial server."""

    driver = MasterflexDriver
    served = "tests.drivers.rigs.pumps:serve_masterflex"
    troubles = ProxiedRig.troubles | {Trouble.DENYING}


class MasterflexSerialRig(MasterflexTcpRig):
    """Linkable Masterflex pumps on a pseudo-terminal."""

    serial = True


class MasterflexUsbTcpRig(_PumpsRig):
    """Masterflex pumps with USB behind a TCP serial server."""

    driver = MasterflexUsbDriver
    served = "tests.drivers.rigs.pumps:serve_masterflex_usb"
    troubles = ProxiedRig.troubles | {Trouble.DENYING}


class MasterflexUsbSerialRig(MasterflexUsbTcpRig):
    """Masterflex pumps with USB on a pseudo-terminal."""

    serial = True


class WatsonMarlowInProcessRig(_PumpsInProcessRig):
    """Watson-Marlow pumps in virtual time."""

    driver = WatsonMarlowDriver
    made = staticmethod(watson_marlow)


class MasterflexInProcessRig(_PumpsInProcessRig):
    """Linkable Masterflex pumps in virtual time."""

    driver = MasterflexDriver
    made = staticmethod(masterflex)


class MasterflexUsbInProcessRig(_PumpsInProcessRig):
    """Masterflex pumps with USB in virtual time."""

    driver = MasterflexUsbDriver
    made = staticmethod(masterflex_usb)
