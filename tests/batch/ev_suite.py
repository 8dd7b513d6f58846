"""The whole process cell in virtual time: a rehearsal with its operator, whose engine can be killed.

Virtual time runs at the speeds at which the demo runs, so that a batch of days takes seconds.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evcontrol.cli.demo_script import Script, answer_to, load_script
from evcontrol.cli.rehearsal import Rehearsal
from evcontrol.clock import NS, VirtualClock
from evcontrol.journal.events import Origin
from evcontrol.procedure.run import BatchRun
from evcontrol.procedure.states import FINAL, Command, State
from simulators.ev_plant import EvPlant

CONFIG = Path(__file__).parents[2] / "config"
RECIPE = CONFIG / "recipes" / "ev-batch.yaml"
PLANT = CONFIG / "plants" / "demo.yaml"
OPERATOR = Origin.user("olivia", "station 1")
PASSWORD = "correct horse battery"
SPEED = 1440.0


class EvSuite(Rehearsal):
    """Use as an async context manager. ``sim`` outlives an engine that is stopped, as equipment does."""

    def __init__(self, data: Path, clock: VirtualClock, sim: EvPlant | None = None, speed: float = SPEED) -> None:
        super().__init__(PLANT, data, clock, speed=speed, sim=sim)
        self.script: Script = load_script()
        self.killed = asyncio.Event()
        self._session: Any = None
        self._first = data
        self._lives = 0
        self._main: asyncio.Task[Any] | None = None
        self._dying: list[asyncio.Task[Any]] = []
        self._handled: set[str] = set()

    async def start_engine(self) -> None:
        """A new engine on the same data and equipment."""
        await super().start_engine()
        self._main = asyncio.current_task()
        self._session = None

    def kill(self) -> None:
        """Kill the engine at this very moment: nothing of it goes on, and of its files only what was synced is left."""
        self._lives += 1
        survived = self._first.with_name(f"{self._first.name}-{self._lives}")
        segment, end = self.engine.journal.synced
        shutil.copytree(self.data, survived, ignore=shutil.ignore_patterns("counter"))
        with (survived / "journal" / segment.name).open("r+b") as file:
            file.truncate(end)
        self.data = survived
        self._dying = [task for task in asyncio.all_tasks() if task not in (self._main, self._steps)]
        for task in self._dying:
            task.cancel()
        self.killed.set()

    async def bury(self) -> None:
        """Clear away what is left of a killed engine in this process; the equipment goes on."""
        await asyncio.gather(*self._dying, return_exceptions=True)
        self.engine.abandon()
        self.killed.clear()

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
            answer = answer_to(prompt, self.script)
            value = self.measure(answer.truth) if answer.truth else answer.value
            if answer.do and prompt.id not in self._handled:  # nobody does it twice because he is asked again
                self._handled.add(prompt.id)
                self.hands(answer.do)
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

    async def scans(self, count: int) -> None:
        """Let so many scans pass."""
        for _ in range(count):
            await self.engine.scanner.next_scan()

    def value(self, tag: str) -> float:
        """What a tag reads now."""
        return self.engine.image.reading(tag).value
