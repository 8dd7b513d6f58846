"""Every driver through every fault, as the engine sees it: scans, the process image, and what arrived at the device.

The device's value goes on changing, and every value is noted with the time until which it was true. So it is known of
each Good value in the image how old it is.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.conformance import Rig, Trouble
from drivers.driver import BoundPoint, Driver, Link, LinkState, Outcome, WriteResult
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan, Scanner
from evcontrol.clock import LiveClock
from evcontrol.plant.model import DeviceSpec, Plant
from evcontrol.quality import is_bad
from evcontrol.signals import Tag, TagTable
from tests.drivers.rigs.found import wire_rigs
from tests.drivers.rigs.process import DeviceProcess
from tests.drivers.rigs.proxied import ProcessRig, ProxiedRig
from tests.faultproxy import Fault

SCAN_S = 0.1
CHANGE_S = 0.05
HELD_S = 1.5
"""For how long a fault is held after it shows."""
BACK_S = 5.0
"""Within which a link is back after the fault's end."""
SLACK_S = 0.5
"""How late a machine with other work may be."""

HANG = "server stopped by SIGSTOP"
RESTART = "server killed and started again"
SWAP = "server started again with other namespaces"
PROXY = [fault for fault in Fault if fault not in (Fault.NONE, Fault.WRONG_TRANSACTION)]
HARMLESS = {Fault.ONE_BYTE, Fault.DOUBLED, Fault.REORDER, Fault.CORRUPT}
"""Faults that a protocol may be proof against: the link need not be lost."""
QUICK = {
    ("ModbusTcpRig", Fault.CUT),
    ("ModbusTcpRig", Fault.REORDER),
    ("ModbusTcpRig", HANG),
    ("ModbusRtuSerialRig", Fault.CORRUPT),
    ("LibmodbusRig", Fault.HALF_OPEN),
    ("MtSicsSerialRig", Fault.CORRUPT),
    ("MtSicsSerialRig", HANG),
    ("SbiSerialRig", Fault.REORDER),
    ("PendotechSerialRig", Fault.CUT),
    ("WatsonMarlowSerialRig", Fault.CORRUPT),
    ("OpcUaRig", Fault.RESET),
    ("OpcUaRig", HANG),
    ("OpcUaRig", SWAP),
    ("NtaFolderRig", Trouble.GONE),
}
"""What is tried at every `make test`; the rest are drills."""


def faults_of(rig: type[Rig]) -> list[str]:
    """Every fault that a rig has the means for."""
    if not issubclass(rig, ProxiedRig):
        return [trouble for trouble in Trouble if trouble in rig.troubles - {Trouble.DENYING}]
    if not issubclass(rig, ProcessRig):
        return [*PROXY]
    return [*PROXY, HANG, RESTART, *([SWAP] if rig.swaps else [])]


CASES = [
    pytest.param(
        rig,
        fault,
        id=f"{rig.__name__}-{fault}",
        marks=[] if (rig.__name__, fault) in QUICK else [pytest.mark.full],
    )
    for rig in wire_rigs()
    for fault in faults_of(rig)
]


def test_what_is_tried_every_time_is_there_to_be_tried() -> None:
    assert {(rig.__name__, fault) for rig in wire_rigs() for fault in faults_of(rig)} >= QUICK


class Engine:
    """The rig's driver under the engine's scan, on a device that goes on changing."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.clock = LiveClock()
        self.tolerance = {tag.name: tag.tolerance for tag in rig.tags()}
        tags = TagTable(
            Tag(tag.name, i, tag.unit, tag.kind, tag.low, tag.high, labels=tag.labels)
            for i, tag in enumerate(rig.tags())
        )
        points = tuple(
            BoundPoint(tags[tag.name], rig.driver.point_model.model_validate(tag.point), tags.code_of)
            for tag in rig.tags()
        )
        options = rig.driver.options_model.model_validate(rig.options())
        device = DeviceSpec("DEVICE", "tested", options, points, rig.timeout_s)
        nothing: dict[str, Any] = {name: {} for name in ("writes", "units", "loops", "interlocks", "alarms")}
        devices = {"DEVICE": device}
        self.plant = Plant(
            "", "", "", SCAN_S, SCAN_S, False, devices, tags, derived=(), internal=frozenset(), **nothing
        )
        self.driver: Driver = rig.make("DEVICE", options, points, self.clock)
        self.links: list[Link] = []
        self.driver.on_link = self.links.append
        self.image = ProcessImage(tags)
        self.scanner = Scanner(self.plant, {"DEVICE": self.driver}, self.image, self.clock)
        self.scanner.stages.append(self._judge)
        self.scanner.on_failure = lambda name, error: self.wrongs.append(f"{name} raised {error!r}")
        self.true_until: dict[str, list[tuple[float, float]]] = {tag.name: [] for tag in tags}
        """Of each tag the values that it had, and the loop time at which each ended."""
        self.truth: dict[str, float] = {}
        """What those tags are now that go on changing."""
        self.written = {name for values in rig.writes() for name in values}
        """Tags whose values change by the test's own writes, also between two looks at the truth: those are counted."""
        self.known: set[str] = set()
        """The tags that are readable while all is well."""
        self.wrongs: list[str] = []
        self.oldest_s = 0.0
        self.changing = True

    async def change_on(self) -> None:
        """Change the device again and again, unless it cannot be asked."""
        while True:
            if self.changing:
                before = await self.rig.truth()
                self.known = set(before)
                await self.rig.change()
                now = asyncio.get_running_loop().time()
                for name, value in (await self.rig.truth()).items():
                    if before[name] != value and name not in self.written:
                        self.truth[name] = float(value)
                        self.true_until[name].append((float(before[name]), now))
            await asyncio.sleep(CHANGE_S if self.rig.fresh else self.rig.lag_s)

    @property
    def bad(self) -> bool:
        """Whether every tag is Bad."""
        return all(is_bad(int(quality)) for quality in self.image.quality)

    @property
    def good(self) -> bool:
        """Whether every tag that can be is."""
        return bool(self.known) and not any(is_bad(self.image.reading(name).quality) for name in self.known)

    def age(self, name: str, value: float) -> float | None:
        """For how long a value has not been true any more, s; None for one that never was."""
        if self.same(name, self.truth[name], value):
            return 0.0
        now = asyncio.get_running_loop().time()
        return next((now - end for old, end in reversed(self.true_until[name]) if self.same(name, old, value)), None)

    def same(self, name: str, one: float, other: float) -> bool:
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=self.tolerance[name])

    def _judge(self, scan: Scan) -> None:
        """A stage of every scan: nothing Good may be older than scan and time-out, or never have been.

        A rig that is not fresh tells what was seen last of things that need time; of that the age says nothing.
        """
        if not self.rig.fresh:
            return
        allowed = SCAN_S + self.rig.timeout_s + self.rig.lag_s + SLACK_S + max(0.0, scan.late_ms / 1000)
        for name in self.truth:
            value, quality = self.image.reading(name)
            if is_bad(quality):
                continue
            age = self.age(name, value)
            if age is None:
                self.wrongs.append(f"{name} is {value}, and never was")
                continue
            self.oldest_s = max(self.oldest_s, age)
            if age > allowed:
                self.wrongs.append(f"{name} is {value}, which ended {age:.2f} s ago")

    async def until(self, what: str, within_s: float) -> float:
        """Wait until ``bad`` or ``good`` holds; after how long it did (s)."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not getattr(self, what):
            took = loop.time() - begun
            assert took <= within_s, f"not {what} after {took:.1f} s: {self.driver.link} {self.links[-8:]}"
            await self.scanner.next_scan()
        return loop.time() - begun

    async def scans_for(self, seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            await self.scanner.next_scan()


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Engine]:
    await rig.start()
    try:
        engine = Engine(rig)
        tasks = [asyncio.create_task(engine.change_on()), asyncio.create_task(engine.scanner.run())]
        await engine.driver.start()
        try:
            yield engine
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await engine.driver.stop()
    finally:
        await rig.stop()


async def begin(engine: Engine, fault: str) -> None:
    rig = engine.rig
    if fault in (HANG, RESTART, SWAP):
        assert isinstance(rig, ProcessRig)
        assert rig.process is not None
        engine.changing = False
        rig.process.hang() if fault == HANG else rig.process.kill()
    elif isinstance(rig, ProxiedRig):
        await rig.proxy.set(Fault(fault))
    else:
        engine.changing = rig.fresh
        await rig.trouble(Trouble(fault))


async def end(engine: Engine, fault: str) -> None:
    rig = engine.rig
    if fault in (HANG, RESTART, SWAP):
        assert isinstance(rig, ProcessRig)
        assert rig.process is not None
        if fault == HANG:
            rig.process.go_on()
        else:
            await asyncio.to_thread(rig.process.start, *(["swap"] if fault == SWAP else []))
            rig.forget()
        engine.changing = True
    elif isinstance(rig, ProxiedRig):
        await rig.proxy.set(Fault.NONE)
    else:
        await rig.trouble(Trouble.NONE)
        engine.changing = True


@pytest.mark.parametrize(("kind", "fault"), CASES)
def test_nothing_old_is_good_the_link_comes_back_and_no_write_is_made_twice(
    kind: type[Rig], fault: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async def main() -> None:
        rig = kind(tmp_path)
        if isinstance(rig, ProcessRig) and fault in (HANG, RESTART, SWAP):
            rig.process = DeviceProcess(rig.served)
        try:
            async with asyncio.timeout(60), running(rig) as engine:
                record_property("back_s", await drill(engine, fault))
                record_property("oldest_good_s", engine.oldest_s)
        finally:
            if isinstance(rig, ProcessRig) and rig.process is not None:
                rig.process.go_on()
                rig.process.kill()

    asyncio.run(main())


async def drill(engine: Engine, fault: str) -> float:
    """The whole course; after how long (s) everything was Good again."""
    rig, writes = engine.rig, list(engine.rig.writes())
    await engine.until("good", 20.0)
    outcomes: list[tuple[Mapping[str, float], Mapping[str, WriteResult]]] = []
    if writes:
        outcomes.append((writes[0], await engine.driver.write(writes[0])))
        assert {result.outcome for result in outcomes[0][1].values()} == {Outcome.CONFIRMED}
    await begin(engine, fault)
    if writes:
        outcomes.append((writes[1], await engine.driver.write(writes[1])))
    if fault not in HARMLESS:
        await engine.until("bad", SCAN_S + rig.timeout_s + rig.lag_s + SLACK_S)
    await engine.scans_for(HELD_S)
    if fault not in HARMLESS:
        assert engine.bad, "Good again before the fault's end"
        if not (
            isinstance(rig, ProxiedRig) and rig.serial and fault == Fault.SLOW
        ):  # on a line a late answer to who are you ends the next hand-shake
            assert engine.driver.link.state is not LinkState.READY
    if writes:
        outcomes.append((writes[2], await engine.driver.write(writes[2])))
    await end(engine, fault)
    back_s = await engine.until("good", BACK_S + SLACK_S)
    await engine.scans_for(1.0)
    assert engine.driver.link.state is LinkState.READY
    await check_arrivals(engine, outcomes[1 if fault in (RESTART, SWAP) else 0 :])
    assert not engine.wrongs, engine.wrongs[:5]
    return back_s


async def check_arrivals(engine: Engine, outcomes: list[tuple[Mapping[str, float], Mapping[str, WriteResult]]]) -> None:
    """No write has arrived twice, and none that was rejected."""
    arrived = await engine.rig.arrived()
    least: dict[tuple[str, float], int] = {}
    most: dict[tuple[str, float], int] = {}
    for values, results in outcomes:
        for name, value in values.items():
            outcome = results[name].outcome
            key = name, value
            least[key] = least.get(key, 0) + (outcome is Outcome.CONFIRMED)
            most[key] = most.get(key, 0) + (outcome is not Outcome.REJECTED)
    for (name, value), at_most in most.items():
        times = sum(tag == name and engine.same(name, got, value) for tag, got in arrived)
        assert least[name, value] <= times <= at_most, f"{name} = {value} arrived {times} times: {outcomes} {arrived}"
