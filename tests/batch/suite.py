"""A whole suite in virtual time: the engine, its real drivers, and the simulated plant in the same process."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from drivers.driver import Driver
from drivers.modbus import ModbusDriver
from drivers.modbus_client import in_process as modbus_in_process
from drivers.mtsics import MtSicsDriver
from drivers.transport import in_process as line_in_process
from evcontrol.clock import VirtualClock
from evcontrol.engine import Engine
from evcontrol.journal.events import Origin
from evcontrol.plant.load import load_plant
from evcontrol.plant.model import Plant
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, State
from simulators.devices.link import SkidLink
from simulators.plant import TffPlant

CONFIG = Path(__file__).parents[2] / "config"
RECIPE = CONFIG / "recipes" / "ultrafiltration.yaml"
PLANT = CONFIG / "plants" / "tff.yaml"
ENDPOINTS = {
    "simulated": True,
    "devices": {
        "TFF201": {"host": "127.0.0.1", "port": 1},
        "WT-RET": {"port": "in process"},
        "WT-PERM": {"port": "in process"},
    },
}
OPERATOR = Origin.user("olivia", "station 1")
STEP_S = 0.5
HEARTBEAT, RETENTATE_VALVE = 0, 4
"""Registers that are written nearly each scan, and are not counted."""
PASSWORD = "correct horse battery"
ANSWERS: Mapping[str, str | bool | float] = {
    "membrane module": "HF500-1600 SN-0001",
    "empty": True,
    "product container": "C-0001",
    "appearance": "clear",
}


class Wire:
    """The engine's side of all lines; a dead one passes nothing on, as the lines of a process that was killed."""

    def __init__(self, sim: TffPlant) -> None:
        self.sim = sim
        self.dead = False
        self.writes = 0
        self.on_write: Callable[[int, bool], None] = lambda number, done: None
        """Called before and after each write to the skid, with its number and whether it was done."""

    def read_input(self, address: int, count: int) -> list[int]:
        return self._skid.read_input(address, count)

    def read_holding(self, address: int, count: int) -> list[int]:
        return self._skid.read_holding(address, count)

    def read_coils(self, address: int, count: int) -> list[bool]:
        return self._skid.read_coils(address, count)

    def read_discrete(self, address: int, count: int) -> list[bool]:
        return self._skid.read_discrete(address, count)

    def write_holding(self, address: int, values: Sequence[int]) -> None:
        quiet = address in (HEARTBEAT, RETENTATE_VALVE) and len(values) == 1
        self._write(lambda skid: skid.write_holding(address, values), beat=quiet)

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        self._write(lambda skid: skid.write_coils(address, values), beat=False)

    def reply(self, balance: str, line: str) -> list[str]:
        if self.dead:
            raise OSError(errno.EIO, "the process was killed")
        return self.sim.balance_links[balance].reply(line)

    def _write(self, write: Callable[[SkidLink], None], beat: bool) -> None:
        if not beat:
            self.writes += 1
            self.on_write(self.writes, False)
        write(self._skid)
        if not beat:
            self.on_write(self.writes, True)

    @property
    def _skid(self) -> SkidLink:
        if self.dead:
            raise OSError(errno.EIO, "the process was killed")
        return self.sim.skid_link


class Suite:
    """Use as an async context manager. ``sim`` outlives an engine that dies, as equipment does."""

    def __init__(self, data: Path, clock: VirtualClock, sim: TffPlant | None = None) -> None:
        self.data = data
        self.clock = clock
        self.sim = sim or TffPlant()
        self.plant: Plant = load_plant(PLANT, ENDPOINTS)
        self.answers = dict(ANSWERS)
        self.each_step: list[Callable[[], None]] = []
        self.engine: Engine
        self.wire = Wire(self.sim)
        self.killed = asyncio.Event()
        self._lives = 0
        self._steps: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._steps = asyncio.create_task(self._step(), name="simulated plant")
        await self.start_engine()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.engine.stop("the test ends")
        finally:
            if self._steps is not None:
                self._steps.cancel()

    async def start_engine(self) -> None:
        """A new engine on the same data and equipment."""
        self.wire = Wire(self.sim)
        self.engine = Engine(self.plant, self.data, self.clock, self._driver)
        await self.engine.start()

    def kill(self) -> None:
        """Kill the engine at this very moment: its lines are dead, and of its files only what was synced is left."""
        self._lives += 1
        survived = self.data.with_name(f"{self.data.name}-{self._lives}")
        segment, end = self.engine.journal.synced
        shutil.copytree(self.data, survived)
        with (survived / "journal" / segment.name).open("r+b") as file:
            file.truncate(end)
        self.wire.dead = True
        self.data = survived
        self.killed.set()

    async def bury(self) -> None:
        """Clear away what is left of a killed engine in this process."""
        keep = {asyncio.current_task(), self._steps}
        left = [task for task in asyncio.all_tasks() if task not in keep]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self.engine.abandon()
        self.killed.clear()

    async def sign(self, run: BatchRun) -> None:
        """Sign the reconciliation of a batch."""
        engine = self.engine
        if engine.people.get("olivia") is None:
            engine.people.add("olivia", "Olivia Operator", ["supervisor"], PASSWORD)
        session, _ = await engine.sessions.open("olivia", PASSWORD, "station 1")
        shown = engine.batches.reconciliations[run.id]
        await engine.batches.sign(run.id, shown.shown_hash, session, PASSWORD, "", engine.people)

    async def start_batch(self, text: str | None = None, **parameters: str) -> BatchRun:
        """A batch of the shipped recipe or of ``text``."""
        recipe = RECIPE.read_text(encoding="utf-8") if text is None else text
        return await self.engine.batches.start(recipe, "recipe.yaml", parameters, "test", "", OPERATOR)

    async def finish(self, run: BatchRun, hours: float = 4.0) -> State:
        """Answer every question until the batch has ended; raises when it is held or takes too long."""
        await self.until(run, lambda: run.state in FINAL, hours)
        return run.state

    async def until(self, run: BatchRun, there: Callable[[], bool], hours: float = 4.0) -> None:
        """Answer every question until ``there``; raises when the batch is held meanwhile or it takes too long."""
        end = self.clock.monotonic() + hours * 3600
        while not there():
            await self.engine.scanner.next_scan()
            await self.answer_all(run)
            if run.state is State.HELD:
                raise AssertionError(f"held: {run.reason}")
            if self.clock.monotonic() > end:
                raise AssertionError(f"not there after {hours} h: {[e for e in run.elements() if e.waiting]}")

    async def answer_all(self, run: BatchRun) -> None:
        """Answer what is asked now."""
        for prompt in run.prompts():
            value = next(v for key, v in reversed(self.answers.items()) if key in prompt.text.lower())
            await self.engine.batches.answer(run.id, prompt.id, value, OPERATOR, "")

    async def scans(self, count: int) -> None:
        """Let so many scans pass."""
        for _ in range(count):
            await self.engine.scanner.next_scan()

    async def _step(self) -> None:
        while True:
            await self.clock.sleep(STEP_S)
            self.sim.step(STEP_S)
            for look in self.each_step:
                look()

    def _driver(self, name: str) -> Driver:
        spec = self.plant.devices[name]
        if spec.driver == "modbus-tcp":
            connect = modbus_in_process(self.wire)
            return ModbusDriver(name, spec.options, spec.points, self.clock, connect=connect)
        wire = self.wire
        line = line_in_process(lambda text: wire.reply(name, text))
        return MtSicsDriver(name, spec.options, spec.points, self.clock, connect=line)
