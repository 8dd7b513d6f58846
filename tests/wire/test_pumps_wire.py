"""Pumps and gas controllers on real pseudo-terminals and TCP ports: readings, commands, cables that are pulled."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from drivers.driver import LinkState, Outcome
from evcontrol.quality import BAD_NOT_CONNECTED, BAD_TIMEOUT, GOOD, is_bad
from simulators.bus_makers import BUSES
from simulators.devices.bus import Bus, LineFault
from simulators.wire.bus_line import BusLine
from simulators.wire.bus_port import BusPort
from tests.drivers.serial_rig import Reader, reader


class Case(NamedTuple):
    """One protocol: options of its line, points and units by tag, and a command with what then stands at which tag."""

    options: dict[str, Any]
    points: dict[str, tuple[dict[str, Any], str]]
    first: dict[str, float]
    command: dict[str, float]


PUMPS = {1: {"max_rpm": 220.0}, 2: {"max_rpm": 220.0}}


def _pump(address: int, field: str, unit: str = "") -> tuple[dict[str, Any], str]:
    return {"address": address, "field": field, "writable": True}, unit


CASES: dict[str, Case] = {
    "watson-marlow": Case(
        {"pumps": PUMPS},
        {"SP": _pump(1, "speed", "rpm"), "RUN": _pump(1, "running"), "SP2": _pump(2, "speed", "rpm")},
        {"SP": 220.0, "RUN": 0.0, "SP2": 220.0},
        {"SP": 100.0, "RUN": 1.0},
    ),
    "masterflex-classic": Case(
        {"pumps": PUMPS, "assign_numbers": True},
        {
            "SP": _pump(1, "speed", "rpm"),
            "RUN": _pump(1, "running"),
            "REMOTE": _pump(1, "remote"),
            "SP2": _pump(2, "speed", "rpm"),
        },
        {"SP": 0.0, "RUN": 0.0, "REMOTE": 0.0, "SP2": 0.0},
        {"SP": 100.0, "RUN": 1.0, "REMOTE": 1.0},
    ),
    "masterflex-usb": Case(
        {"pumps": PUMPS},
        {"REMOTE": _pump(1, "remote"), "REMOTE2": _pump(2, "remote")},
        {"REMOTE": 0.0, "REMOTE2": 0.0},
        {"REMOTE": 1.0},
    ),
    "alicat": Case(
        {
            "controllers": {
                "A": {"gas": "N2", "full_scale": 20.0, "unit": "SLPM"},
                "B": {"gas": "CO2", "full_scale": 500.0, "unit": "SCCM", "totaliser": True},
            }
        },
        {
            "SP": ({"address": "A", "field": "setpoint", "writable": True}, "L/min"),
            "FT": ({"address": "A", "field": "mass_flow"}, "L/min"),
            "FT2": ({"address": "B", "field": "mass_flow"}, "mL/min"),
        },
        {"SP": 0.0, "FT": 0.0, "FT2": 0.0},
        {"SP": 15.44},
    ),
}
PLAIN: dict[str, Any] = {"bytesize": 8, "parity": "N", "answer_s": 0.8, "timeout_s": 3.0}
"""A pseudo-terminal has neither 7 bits nor parity, and Linux refuses to set them twice; a busy machine is slow."""
QUESTION = re.compile(rb"\d+(RS|ZY)|\x02P\d\d[CIS]\r|\x05|\d(RC?|#)|[A-Z](FPF \d|\?\?M[59]|LSS)?")
ALL = pytest.mark.parametrize("name", CASES)
KINDS = pytest.mark.parametrize("kind", ["pty", pytest.param("tcp", marks=pytest.mark.full)])


class Wire:
    """The bus of a case on a pseudo-terminal or a TCP port."""

    def __init__(self, kind: str, folder: Path, bus: Bus) -> None:
        self.bus = bus
        self._line = BusLine(folder / "line", bus) if kind == "pty" else BusPort(bus)
        self.port = str(folder / "line")

    async def plug(self) -> None:
        if isinstance(self._line, BusLine):
            self._line.plug()
            return
        await self._line.start(port=self._line.port)
        self.port = f"socket://127.0.0.1:{self._line.port}"

    async def unplug(self) -> None:
        if isinstance(self._line, BusLine):
            self._line.unplug()
        else:
            await self._line.stop()

    def settings(self) -> list[bytes]:
        """Whatever was sent beside questions, to which an instrument that obeyed would change something."""
        return [command for command in self.bus.heard if not QUESTION.fullmatch(command)]


def on_wire(name: str, kind: str, folder: Path, test: Callable[[Reader, Wire, Case], Awaitable[None]]) -> None:
    async def main() -> None:
        case = CASES[name]
        wire = Wire(kind, folder, BUSES[name](case.options))
        await wire.plug()
        one = reader(name, case.points, port=wire.port, **PLAIN, **case.options)
        try:
            async with asyncio.timeout(60):
                await one.driver.start()
                await one.until(LinkState.READY)
                await test(one, wire, case)
        finally:
            await one.driver.stop()
            await wire.unplug()

    asyncio.run(main())


async def values(one: Reader) -> dict[str, float]:
    """The first readings of which none is Bad."""
    while True:
        readings = await one.read()
        if not any(is_bad(quality) for _, quality in readings.values()):
            return {tag: value for tag, (value, _) in readings.items()}
        await asyncio.sleep(0.02)


@ALL
@KINDS
def test_every_instrument_is_found_read_and_obeys(kind: str, name: str, tmp_path: Path) -> None:
    async def test(one: Reader, wire: Wire, case: Case) -> None:
        assert await values(one) == case.first
        results = await one.driver.write(case.command)
        assert {result.outcome for result in results.values()} == {Outcome.CONFIRMED}, results
        wire.bus.step(10.0)
        after = await values(one)
        assert {tag: after[tag] for tag in case.command} == case.command

    on_wire(name, kind, tmp_path, test)


@ALL
@KINDS
def test_a_cable_that_is_pulled_is_bad_at_once_and_plugged_in_comes_back_with_nothing_replayed(
    kind: str, name: str, tmp_path: Path
) -> None:
    async def test(one: Reader, wire: Wire, case: Case) -> None:
        await values(one)
        await wire.unplug()
        readings = await one.read()
        assert all(is_bad(quality) for _, quality in readings.values())
        await one.until(LinkState.DISCONNECTED)
        assert {quality for _, quality in (await one.read()).values()} == {BAD_NOT_CONNECTED}
        results = await one.driver.write(case.command)
        assert {result.outcome for result in results.values()} == {Outcome.REJECTED}
        wire.bus.heard.clear()
        await wire.plug()
        await one.until(LinkState.READY)
        assert await values(one) == case.first
        assert wire.settings() == []

    on_wire(name, kind, tmp_path, test)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "watson-marlow" else pytest.mark.full) for name in CASES]
)
@KINDS
def test_a_line_that_falls_silent_is_bad_in_time_and_a_write_to_it_is_never_made_twice(
    kind: str, name: str, tmp_path: Path
) -> None:
    async def test(one: Reader, wire: Wire, case: Case) -> None:
        await values(one)
        wire.bus.fault = LineFault.DEAF
        results = await one.driver.write(case.command)
        assert {result.outcome for result in results.values()} <= {Outcome.UNKNOWN, Outcome.REJECTED}
        readings = await one.read()
        assert {quality for _, quality in readings.values()} <= {BAD_TIMEOUT, BAD_NOT_CONNECTED}
        await one.until(LinkState.DISCONNECTED)
        wire.bus.fault = LineFault.NONE
        await one.until(LinkState.READY)
        await values(one)
        sent = wire.settings()
        assert len(sent) == len(set(sent))

    on_wire(name, kind, tmp_path, test)


@KINDS
def test_one_pump_that_is_switched_off_is_bad_alone(kind: str, tmp_path: Path) -> None:
    async def test(one: Reader, wire: Wire, case: Case) -> None:
        await values(one)
        wire.bus.instruments[1].silent = True
        readings = await one.read()
        assert readings["SP"] == (220.0, GOOD)
        assert readings["SP2"][1] == BAD_TIMEOUT
        results = await one.driver.write(case.command)
        assert {result.outcome for result in results.values()} == {Outcome.CONFIRMED}
        wire.bus.instruments[1].silent = False
        assert (await values(one))["SP2"] == 220.0
        assert one.driver.link.state is LinkState.READY

    on_wire("watson-marlow", kind, tmp_path, test)


@KINDS
def test_a_pump_that_needs_a_pause_between_two_commands_has_it(kind: str, tmp_path: Path) -> None:
    async def test(one: Reader, wire: Wire, case: Case) -> None:
        times: list[float] = []
        real, clock = wire.bus.hear, asyncio.get_running_loop().time

        def hear(data: bytes) -> bytes:
            times.append(clock())
            return real(data)

        wire.bus.hear = hear  # type: ignore[method-assign]
        await values(one)
        await one.driver.write(case.command)
        assert len(times) > 6
        assert min(after - before for before, after in pairwise(times)) >= 0.0095

    on_wire("watson-marlow", kind, tmp_path, test)
