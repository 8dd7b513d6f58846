"""A skid with its real driver and scanner in virtual time, and a scripted device for what a real one seldom does."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from drivers.driver import BoundPoint, Driver, Link, LinkState, Model, Outcome, WriteResult
from drivers.modbus import ModbusDriver
from drivers.modbus_client import in_process
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scanner
from evcontrol.clock import Clock, VirtualClock, run_virtual
from evcontrol.control.gate import Gate
from evcontrol.journal.events import Event, Kind
from evcontrol.journal.store import Journal, read_events
from evcontrol.plant.load import load_plant
from evcontrol.plant.model import Plant
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD
from evcontrol.signals import Frame, make_frame
from simulators.devices.skid import Skid
from simulators.process.tff import TffProcess

CONFIG = Path(__file__).parents[2] / "config" / "plants" / "tff.yaml"
STEP_S = 0.1
SELF_CLEARING = "TFF201.TRIP_RESET"


class Plugged:
    """The skid behind its wire, which the test can pull out; ``sent`` is every write in order."""

    def __init__(self, skid: Skid) -> None:
        self.skid = skid
        self.pulled = False
        self.silent_once_after: int | None = None
        self.sent: list[tuple[str, int, list[int]]] = []

    def read_input(self, address: int, count: int) -> list[int]:
        self._wire()
        return self.skid.read_input(address, count)

    def read_holding(self, address: int, count: int) -> list[int]:
        self._wire()
        return self.skid.read_holding(address, count)

    def read_coils(self, address: int, count: int) -> list[bool]:
        self._wire()
        return self.skid.read_coils(address, count)

    def read_discrete(self, address: int, count: int) -> list[bool]:
        self._wire()
        return self.skid.read_discrete(address, count)

    def write_holding(self, address: int, values: Any) -> None:
        self._wire()
        if address != 0:
            self.sent.append(("holding", address, list(values)))
        self.skid.write_holding(address, values)

    def write_coils(self, address: int, values: Any) -> None:
        self._wire()
        self.sent.append(("coil", address, list(values)))
        self.skid.write_coils(address, values)

    def _wire(self) -> None:
        if self.pulled:
            raise OSError(0, "cable out")


class ScriptedDriver:
    """A stand-in for a device: what is written can be read, unless the test says otherwise.

    Real drivers are tested over the wire elsewhere; this one is for writes that hang, are refused or stay unknown.
    """

    options_model: ClassVar[type[Model]] = Model
    point_model: ClassVar[type[Model]] = Model

    def __init__(self, name: str, points: tuple[BoundPoint, ...], clock: Clock, plant: Plant) -> None:
        self.name = name
        self.on_link: Callable[[Link], None] | None = None
        self._points = points
        self._clock = clock
        self._feedback = {spec.feedback: tag for tag, spec in plant.writes.items() if spec.feedback}
        self.values = {p.tag.name: 0.0 for p in points}
        self.ready = True
        self.writes: list[dict[str, float]] = []
        self.answers: list[Outcome] = []
        """Outcomes of the next writes; confirmed after that."""
        self.lands = True
        """Whether what is written takes effect."""
        self.hang: asyncio.Event | None = None
        """A write waits for it before it answers (and before it takes effect)."""
        self.stuck: set[str] = set()
        """Feedbacks that do not follow."""
        self.beats = 0
        self.hang_beats: asyncio.Event | None = None
        self.fails: Exception | None = None

    @property
    def link(self) -> Link:
        return Link(LinkState.READY, "", 0) if self.ready else Link(LinkState.DISCONNECTED, "cable out", 0)

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def read(self) -> Frame:
        t = self._clock.now()
        quality = GOOD if self.ready else BAD_NOT_CONNECTED
        return make_frame(t, t, self.name, [(p.tag.index, self.values[p.tag.name], quality) for p in self._points])

    async def write(self, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        if not self.ready:
            return dict.fromkeys(values, WriteResult(Outcome.REJECTED, "not connected"))
        self.writes.append(dict(values))
        if self.fails is not None:
            raise self.fails
        if self.hang is not None:
            await self.hang.wait()
        outcome = self.answers.pop(0) if self.answers else Outcome.CONFIRMED
        if self.lands and outcome is not Outcome.REJECTED:
            self.land(values)
        reason = {Outcome.REJECTED: "device failure", Outcome.UNKNOWN: "no answer"}.get(outcome, "")
        return dict.fromkeys(values, WriteResult(outcome, reason))

    def land(self, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            if tag != SELF_CLEARING:
                self.values[tag] = value
        for feedback, tag in self._feedback.items():
            if feedback not in self.stuck:
                value = self.values[tag]
                runs_only = feedback.endswith("_RUN")
                self.values[feedback] = float(value > 0.0) if runs_only else value

    async def feed_watchdog(self) -> bool:
        self.beats += 1
        if self.hang_beats is not None:
            await self.hang_beats.wait()
        return True


@dataclasses.dataclass
class Rig:
    """Everything of one run."""

    plant: Plant
    clock: VirtualClock
    image: ProcessImage
    scanner: Scanner
    journal: Journal
    gate: Gate
    directory: Path
    skid: Skid | None = None
    wire: Plugged | None = None
    device: ScriptedDriver | None = None

    def events(self, *kinds: Kind) -> list[Event]:
        return [event for event in read_events(self.directory) if not kinds or event.kind in kinds]

    def bodies(self, kind: Kind) -> list[Mapping[str, Any]]:
        return [event.body for event in self.events(kind)]

    def value(self, tag: str) -> float:
        return float(self.image.reading(tag).value)

    async def scans(self, count: int) -> None:
        for _ in range(count):
            await self.scanner.next_scan()


Test = Callable[[Rig], Coroutine[Any, Any, None]]


@pytest.fixture
def plant() -> Plant:
    """The shipped skid without its balances."""
    whole = load_plant(CONFIG)
    return dataclasses.replace(whole, devices={"TFF201": whole.devices["TFF201"]})


@pytest.fixture
def on_skid(plant: Plant, tmp_path: Path) -> Callable[[Test], None]:
    """Run a test on the simulated skid with a filled vessel; the driver is the real one."""

    def run(test: Test) -> None:
        run_virtual(lambda clock: _skid_run(plant, tmp_path / "journal", clock, test))

    return run


@pytest.fixture
def on_scripted(plant: Plant, tmp_path: Path) -> Callable[[Test], None]:
    """Run a test on the scripted device."""

    def run(test: Test) -> None:
        run_virtual(lambda clock: _scripted_run(plant, tmp_path / "journal", clock, test))

    return run


async def _skid_run(plant: Plant, directory: Path, clock: VirtualClock, test: Test) -> None:
    process = TffProcess()
    water = process.ledger.water
    process.ledger.retentate.add(water.take(800.0))
    skid = Skid(process)
    wire = Plugged(skid)
    spec = plant.devices["TFF201"]
    driver = ModbusDriver(spec.name, spec.options, spec.points, clock, connect=in_process(wire))

    async def physics() -> None:
        while True:
            await clock.sleep(STEP_S)
            skid.step(STEP_S)

    await _run(plant, directory, clock, driver, test, physics(), skid=skid, wire=wire)


async def _scripted_run(plant: Plant, directory: Path, clock: VirtualClock, test: Test) -> None:
    spec = plant.devices["TFF201"]
    device = ScriptedDriver(spec.name, spec.points, clock, plant)
    await _run(plant, directory, clock, device, test, _nothing(), device=device)


async def _nothing() -> None:
    """A scripted device has no physics."""


async def _run(
    plant: Plant,
    directory: Path,
    clock: VirtualClock,
    driver: Driver,
    test: Test,
    physics: Coroutine[Any, Any, None],
    **parts: Any,
) -> None:
    drivers = {driver.name: driver}
    image = ProcessImage(plant.tags, plant.internal)
    scanner = Scanner(plant, drivers, image, clock)
    failures: list[tuple[str, Exception]] = []
    scanner.on_failure = lambda name, error: failures.append((name, error))
    journal = Journal(directory, clock)
    gate = Gate(plant, drivers, image, journal, clock, scanner.next_scan)
    scanner.stages.append(gate.on_scan)
    scanner.after.extend([gate.flush_modulating, gate.feed])
    rig = Rig(plant, clock, image, scanner, journal, gate, directory, **parts)
    await driver.start()
    tasks = [asyncio.create_task(physics), asyncio.create_task(scanner.run())]
    try:
        await rig.scans(3)
        await test(rig)
    finally:
        await gate.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await driver.stop()
        journal.close()
    assert failures == []
