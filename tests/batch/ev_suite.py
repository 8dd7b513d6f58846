"""The whole process cell in virtual time: engine, real drivers, and the simulated equipment in the same process.

Virtual time runs at the speeds at which the demo runs, so that a batch of days takes seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from drivers.driver import Driver
from drivers.modbus import ModbusDriver
from drivers.modbus_client import in_process as modbus_in_process
from drivers.mtsics import MtSicsDriver
from drivers.nta_folder import NtaFolderDriver
from drivers.opcua import OpcUaDriver
from drivers.opcua_session import in_process as opcua_in_process
from drivers.transport import in_process as line_in_process
from evcontrol.cli.demo_script import Script, answer_to, load_script
from evcontrol.clock import NS, VirtualClock
from evcontrol.engine import Engine
from evcontrol.journal.events import Origin
from evcontrol.plant.load import load_plant
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, Command, State
from simulators.ev_plant import EvPlant
from simulators.serve import plug_in_counter

CONFIG = Path(__file__).parents[2] / "config"
RECIPE = CONFIG / "recipes" / "ev-batch.yaml"
PLANT = CONFIG / "plants" / "demo.yaml"
OPERATOR = Origin.user("olivia", "station 1")
PASSWORD = "correct horse battery"
SPEED = 1440.0
STEP_S = 0.05
"""Time between two steps of the equipment, as of the simulators on their wires."""


class EvSuite:
    """Use as an async context manager. ``sim`` outlives an engine that is stopped, as equipment does."""

    def __init__(self, data: Path, clock: VirtualClock, sim: EvPlant | None = None, speed: float = SPEED) -> None:
        self.data = data
        self.clock = clock
        self.sim = sim or EvPlant()
        self.speed = speed
        folders = {name: data / "counter" / name for name in ("worklists", "exports")}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        self.poll_counter = plug_in_counter(self.sim, **folders)
        self.script: Script = load_script()
        self.plant = load_plant(PLANT, self._endpoints())
        self.each_step: list[Callable[[], None]] = []
        self.engine: Engine
        self._steps: asyncio.Task[None] | None = None
        self._session: Any = None

    async def __aenter__(self) -> Self:
        self._steps = asyncio.create_task(self._step(), name="simulated plant")
        await self.start_engine()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                await self.engine.stop("the test ends")
        finally:
            if self._steps is not None:
                self._steps.cancel()

    async def start_engine(self) -> None:
        """A new engine on the same data and equipment."""
        self.engine = Engine(self.plant, self.data, self.clock, self._driver)
        await self.engine.start(self.speed)
        self._session = None

    async def kill_engine(self) -> None:
        """End every task of the engine where it stands, as SIGKILL does; the equipment goes on."""
        keep = {asyncio.current_task(), self._steps}
        left = [task for task in asyncio.all_tasks() if task not in keep]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self.engine.abandon()

    async def restart(self, run: BatchRun) -> None:
        """Sign the reconciliation as it is shown now, and restart the batch."""
        engine, session = self.engine, await self.session()
        shown = engine.batches.reconciliations[run.id]
        await engine.batches.sign(run.id, shown.shown_hash, session, PASSWORD, "", engine.people)
        await engine.batches.command(run.id, Command.RESTART, OPERATOR, "reconciled")

    async def start_batch(self, text: str | None = None, **parameters: str) -> BatchRun:
        """A batch of the shipped recipe or of ``text``, as short as the demo's unless ``parameters`` say otherwise."""
        recipe = RECIPE.read_text(encoding="utf-8") if text is None else text
        given = {name: value for name, value in self.script.parameters.items() if f"{name}:" in recipe}
        return await self.engine.batches.start(recipe, "recipe.yaml", given | parameters, "test", "", OPERATOR)

    async def finish(self, run: BatchRun, hours: float = 200.0) -> State:
        """Answer every question until the batch has ended; raises when it is held or takes too long."""
        await self.until(run, lambda: run.state in FINAL, hours)
        return run.state

    async def until(self, run: BatchRun, there: Callable[[], bool], hours: float = 200.0) -> None:
        """Answer every question until ``there``; raises when the batch is held meanwhile or it takes too long."""
        end = self.clock.now() + round(hours * 3600 * NS)
        while not there():
            await self.engine.scanner.next_scan()
            await self.answer_all(run)
            if run.state is State.HELD:
                raise AssertionError(f"held: {run.reason}")
            if self.clock.now() > end:
                raise AssertionError(f"not there after {hours} h: {[e for e in run.elements() if e.waiting]}")

    async def answer_all(self, run: BatchRun) -> None:
        """Answer what is asked now as the demo's operator does, with the same hands."""
        for prompt in run.prompts():
            answer = answer_to(prompt, self.script)  # type: ignore[arg-type]  # it has the same fields
            value = self.measure(answer.truth) if answer.truth else answer.value
            if answer.do:
                self.hands(dict(answer.do))
            if prompt.meaning:
                await self.sign(run, prompt.id, value)
            else:
                await self.engine.batches.answer(run.id, prompt.id, value, OPERATOR, answer.comment)

    async def sign(self, run: BatchRun, prompt: str, value: bool | float | str) -> None:
        """Answer a question whose answer is a signature."""
        session = await self.session()
        await self.engine.batches.sign_answer(run.id, prompt, value, session, PASSWORD, "", self.engine.people)

    async def session(self) -> Any:
        """Somebody who is signed on."""
        engine = self.engine
        if engine.people.get("olivia") is None:
            engine.people.add("olivia", "Olivia Operator", ["supervisor"], PASSWORD)
        if self._session is None:
            self._session, _ = await engine.sessions.open("olivia", PASSWORD, "station 1")
        return self._session

    def hands(self, order: dict[str, Any]) -> None:
        """Do something at the equipment by hand."""
        do = order.pop("do")
        getattr(self.sim, do)(**order)

    def measure(self, what: str) -> float:
        """Measure a figure of the truth as an instrument with four digits would."""
        found: Any = self.sim.truth()
        for name in what.split("."):
            found = found[name]
        return float(f"{float(found):.4g}")

    async def scans(self, count: int) -> None:
        """Let so many scans pass."""
        for _ in range(count):
            await self.engine.scanner.next_scan()

    def value(self, tag: str) -> float:
        """What a tag reads now."""
        return self.engine.image.reading(tag).value

    async def _step(self) -> None:
        last = self.clock.now()
        while True:
            await self._until_next_step()
            now = self.clock.now()
            if self.clock.speed > 1.0:
                self.sim.pace(STEP_S * self.clock.speed)
            self.sim.step((now - last) / NS)
            self.poll_counter()
            last = now
            for look in self.each_step:
                look()

    async def _until_next_step(self) -> None:
        """Wait for a step's time, or until time has become slower meanwhile: on their wires the devices go on then."""
        speed, left = self.clock.speed, max(0.5, STEP_S * self.clock.speed)
        while left > 0.0 and self.clock.speed == speed:
            part = min(left, max(0.5, STEP_S * self.clock.pending_speed))
            await self.clock.sleep(part)
            left -= part

    def _endpoints(self) -> dict[str, Any]:
        counter = {name: str(self.data / "counter" / name) for name in ("worklists", "exports", "archive")}
        devices = {
            "BR101": {"url": "opc.tcp://127.0.0.1:1/"},
            "BR101-ST": {"host": "127.0.0.1", "port": 1},
            "TFF201": {"host": "127.0.0.1", "port": 1},
            "WT-RET": {"port": "in process"},
            "WT-PERM": {"port": "in process"},
            "NTA301": counter,
        }
        return {"simulated": True, "devices": devices}

    def _driver(self, name: str) -> Driver:
        spec, sim, clock = self.plant.devices[name], self.sim, self.clock
        match spec.driver:
            case "opc-ua":
                session = opcua_in_process(sim.bioreactor_link)
                return OpcUaDriver(name, spec.options, spec.points, clock, connect=session)
            case "modbus-tcp":
                line = modbus_in_process(sim.modbus_links[name])
                return ModbusDriver(name, spec.options, spec.points, clock, connect=line)
            case "mt-sics":
                weight = line_in_process(sim.balance_links[name].reply)
                return MtSicsDriver(name, spec.options, spec.points, clock, connect=weight)
        return NtaFolderDriver(name, spec.options, spec.points, clock)
