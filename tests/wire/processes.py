"""The whole suite as processes of their own: simulators and engine on real sockets and serial lines, and a person."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evcontrol.api.client import Client, EngineGoneError
from evcontrol.api.picture import Picture
from evcontrol.api.schema import BatchCommand, BatchView, PromptView, StartBatch
from evcontrol.cli.demo_bench import Bench
from evcontrol.cli.demo_script import answer_to, load_script
from evcontrol.cli.people import add_person

CONFIG = Path(__file__).parents[2] / "config"
PLANT = CONFIG / "plants" / "tff.yaml"
CELL = CONFIG / "plants" / "demo.yaml"
EV_BATCH = CONFIG / "recipes" / "ev-batch.yaml"
USER, PASSWORD = "olivia", "correct horse battery"
BOUND_S = 60.0
"""Longest real time for anything that is waited for."""
ANSWERS = {"membrane module": "HF500-1600 SN-0001", "are empty": True, "product container": "C-0001"}
SHORT = """\
recipe: Short ultrafiltration
version: 1.0.0
product: test
units:
  tff: {class: tff}
procedure:
  - unit_procedure: short
    unit: tff
    steps:
      - phase: install_membrane
        with: {module_type: HF500-1600}
      - phase: load
        with: {mass: 600 g}
      - phase: concentrate
        with: {vcf: 3 x, cross_flow: 1200 mL/min, tmp: 4 psi}
      - phase: diafilter
        with: {diavolumes: 1 DV, cross_flow: 1200 mL/min, tmp: 4 psi}
      - phase: recover
        with: {flow: 300 mL/min, rinse: 60 mL}
"""


class Processes:
    """Use as an async context manager; every process that it started is gone afterwards."""

    def __init__(self, data: Path, speed: float = 30.0, plant: Path = PLANT, serve: tuple[str, ...] = ()) -> None:
        """``plant`` is served; on another than the skid's people answer and work as in the demo."""
        self.data = data
        self.plant = plant
        self._serve = serve
        self._script = load_script() if plant != PLANT else None
        self.speed = speed
        self.simulators: asyncio.subprocess.Process
        self.engine: asyncio.subprocess.Process
        self.client: Client
        self.picture: Picture
        self.batch = ""
        self._answered: set[str] = set()
        self._clients: list[Client] = []
        self._started: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        self.data.mkdir(parents=True, exist_ok=True)
        add_person(self.data, USER, "Olivia Operator", ["operator", "supervisor"], PASSWORD)
        await self.start_simulators()
        await self.start_engine()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.__aexit__(None, None, None)
        for process in reversed(self._started):
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                await process.communicate()

    # -- processes ------------------------------------------------------------------------------------------------

    async def start_simulators(self) -> None:
        """Simulated instruments; returns when they listen."""
        where = self.data / "run" / "simulators.json"
        self.simulators = await self._start("simulate", str(self.plant), "--data", str(self.data))
        await self._until_file(where, self.simulators)

    async def start_engine(self) -> None:
        """The engine, and a person who is signed on; returns when both are there."""
        endpoints = self.data / "run" / "simulators.json"
        self.engine = await self._start(
            "serve", str(self.plant), "--data", str(self.data), "--endpoints", str(endpoints),
            "--speed", str(self.speed), "--listen", "127.0.0.1:0", *self._serve,
        )  # fmt: skip
        await self._until_file(self.data / "run" / "endpoint.json", self.engine)
        self.client = Client.of(self.data)
        self._clients.append(self.client)
        await self.client.sign_on(USER, PASSWORD, "test bench")
        self.picture = Picture(await self.client.snapshot())
        self._answered.clear()

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        """SIGKILL."""
        process.kill()
        await process.communicate()

    async def ended(self, process: asyncio.subprocess.Process) -> tuple[int, str]:
        """Exit status and last line of a process that was asked to end."""
        async with asyncio.timeout(BOUND_S):
            output, _ = await process.communicate()
        lines = output.decode().strip().splitlines()
        return process.returncode or 0, lines[-1] if lines else ""

    # -- a person -------------------------------------------------------------------------------------------------

    async def start_batch(self, recipe: str = SHORT, **parameters: str) -> None:
        """Start a batch."""
        start = StartBatch(recipe=recipe, recipe_name="short.yaml", purpose="test", parameters=parameters)
        view = await self.client.start_batch(start)
        self.batch = view.summary.batch

    async def command(self, command: str, reason: str = "test") -> BatchView:
        """A command to the batch."""
        return await self.client.command_batch(
            self.batch, BatchCommand.model_validate({"command": command, "reason": reason})
        )

    async def sign(self) -> None:
        """Sign the batch's reconciliation."""
        shown = await self.client.reconciliation(self.batch)
        await self.client.sign_reconciliation(self.batch, shown.shown_hash, PASSWORD)

    async def until(self, there: Callable[[Picture], bool], bound_s: float = BOUND_S) -> None:
        """Follow the stream and answer every question until ``there``; TimeoutError with what was seen last."""
        try:
            async with asyncio.timeout(bound_s), aclosing(self.client.stream()) as stream:  # type: ignore[type-var]
                async for message in stream:
                    self.picture.apply(message)
                    if there(self.picture):
                        return
                    await self._answer()
        except TimeoutError:
            view = await self.client.batch(self.batch)
            told = [(e.path, e.state, e.waiting) for e in view.elements if e.waiting]
            raise AssertionError(f"not there within {bound_s} s: {view.summary.state} {told}") from None

    async def until_state(self, *states: str, bound_s: float = BOUND_S) -> None:
        """Wait for the batch to be in one of these states."""
        await self.until(lambda picture: self.state(picture) in states, bound_s)

    async def until_running(self, phase: str) -> None:
        """Wait until a phase runs."""
        await self.until(lambda picture: any(phase in path for path in self._running(picture)))

    async def until_gone(self, process: asyncio.subprocess.Process) -> None:
        """Wait until a process has ended."""
        async with asyncio.timeout(BOUND_S):
            await process.wait()

    def state(self, picture: Picture) -> str:
        """The state of the batch as last told."""
        view = picture.batches.get(self.batch)
        return view.summary.state if view is not None else ""

    # -- what really is ---------------------------------------------------------------------------------------------

    async def truth(self) -> dict[str, Any]:
        """What really is at the simulated plant."""
        return dict(await self.order({"do": "truth"}))

    async def order(self, order: dict[str, Any]) -> Any:
        """An order to the simulators' testers' port."""
        host, port = self._control
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(json.dumps(order).encode() + b"\n")
            async with asyncio.timeout(BOUND_S):
                answer = json.loads(await reader.readline())
        finally:
            writer.close()
            await writer.wait_closed()
        assert "ok" in answer, answer
        return answer["ok"]

    async def until_safe(self) -> None:
        """Wait until the simulated skid really is in its safe state."""
        async with asyncio.timeout(BOUND_S):
            while not (await self.truth())["safe"]:
                await asyncio.sleep(0.05)

    # -- helpers ----------------------------------------------------------------------------------------------------

    @property
    def _control(self) -> tuple[str, int]:
        where = json.loads((self.data / "run" / "simulators.json").read_text(encoding="utf-8"))["control"]
        return where["host"], where["port"]

    def _running(self, picture: Picture) -> list[str]:
        view = picture.batches.get(self.batch)
        return [] if view is None else [e.path for e in view.elements if e.kind == "phase" and e.state == "Running"]

    async def _answer(self) -> None:
        for prompt in self.picture.prompts:
            if prompt.batch == self.batch and prompt.prompt not in self._answered:
                self._answered.add(prompt.prompt)
                await self._answer_one(prompt)

    async def _answer_one(self, prompt: PromptView) -> None:
        if self._script is None:
            value = next(v for key, v in ANSWERS.items() if key in prompt.text)
            await self.client.answer(prompt.batch, prompt.prompt, value)
            return
        answer, bench = answer_to(prompt, self._script), Bench(self.data / "run" / "simulators.json")
        given = await bench.measure(answer.truth) if answer.truth else answer.value
        if answer.do:
            await bench.do(answer.do)
        password = PASSWORD if prompt.meaning else ""
        await self.client.answer(prompt.batch, prompt.prompt, given, answer.comment, password)

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "evcontrol.cli.main", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    async def _until_file(self, path: Path, process: asyncio.subprocess.Process) -> None:
        """Wait until a file tells of this process."""
        async with asyncio.timeout(BOUND_S):
            while not (path.exists() and json.loads(path.read_text(encoding="utf-8"))["pid"] == process.pid):
                assert process.returncode is None, (await self.ended(process))[1]
                await asyncio.sleep(0.05)


def stop_in_its_tracks(process: asyncio.subprocess.Process) -> None:
    """SIGSTOP: its sockets stay open and say nothing."""
    os.kill(process.pid, signal.SIGSTOP)


def go_on(process: asyncio.subprocess.Process) -> None:
    """SIGCONT."""
    os.kill(process.pid, signal.SIGCONT)


__all__ = ["BOUND_S", "SHORT", "EngineGoneError", "Processes", "go_on", "stop_in_its_tracks"]
