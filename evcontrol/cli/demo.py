"""``evcontrol demo``: simulators, engine and a whole batch, with an operator who answers every question.

The engine is a process of its own and is spoken to over its API, signed on with a password, as any console would.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from evcontrol.api.client import Client
from evcontrol.api.endpoint import NoEngineError
from evcontrol.api.picture import Picture
from evcontrol.api.schema import BatchView, PromptView, StartBatch
from evcontrol.cli.children import Child
from evcontrol.cli.connect import DEFAULT_DATA, InfluxFile, station
from evcontrol.cli.console import has_display
from evcontrol.cli.demo_bench import Bench
from evcontrol.cli.demo_script import Script, answer_to, load_script
from evcontrol.cli.demo_show import Progress, display
from evcontrol.cli.demo_summary import print_summary
from evcontrol.cli.fault import DONE, INTERRUPTED, WRONG, WRONG_USE, CliError
from evcontrol.cli.output import complain, say
from evcontrol.cli.people import add_person
from evcontrol.cli.shipped import shipped
from evcontrol.cli.stopping import StopRequest
from evcontrol.clock import NS, LiveClock
from evcontrol.plant.influx import make_target, read_section
from evcontrol.plant.load import load_plant
from evcontrol.procedure.check import bind
from evcontrol.procedure.phase import FASTEST
from evcontrol.procedure.recipe import load_recipe
from evcontrol.procedure.states import FINAL, State

START_S = 30.0
"""Real time in which simulators and engine must be up."""
POLL_S = 0.1
ENDED = FINAL | {State.HELD}
"""A batch that is held waits for somebody to find out why, which the demo's operator cannot."""
OPERATOR = "olivia"
FULL_NAME = "Olivia Operator (demo)"
ROLES = ["operator", "supervisor"]


def demo(
    speed: Annotated[
        float, typer.Option("--speed", min=1, max=FASTEST, help="Most process seconds per real second.")
    ] = FASTEST,
    headless: Annotated[bool, typer.Option("--headless", help="Plain lines, and no console.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new data directory.", show_default="./evcontrol-data/demo-TIME")
    ] = None,
    plant: Annotated[Path | None, typer.Option("--plant", help="Another plant file.")] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Another recipe.")] = None,
    influxdb: InfluxFile = None,
) -> None:
    """Run a whole batch on simulated equipment, and show its record."""
    plant_file = plant or shipped("plants/demo.yaml")
    recipe_file = recipe or shipped("recipes/ev-batch.yaml")
    script = load_script()
    loaded = load_recipe(recipe_file)
    parameters = {name: text for name, text in script.parameters.items() if name in loaded.parameters}
    loaded_plant = load_plant(plant_file, influxdb=influxdb)
    bind(loaded, loaded_plant, parameters)
    if influxdb is not None:
        make_target(read_section(influxdb), loaded_plant.name, loaded_plant.tags, simulated=True)
    data = out or _new_directory()
    if data.is_dir() and any(data.iterdir()):
        raise CliError(f"--out {data}: not empty; the demo needs a data directory of its own", status=WRONG_USE)
    live = sys.stdout.isatty() and not headless
    console = has_display() and not headless
    raise typer.Exit(
        asyncio.run(_Demo(plant_file, recipe_file, parameters, data, speed, live, console, influxdb).run())
    )


class _Demo:
    """One demonstration from start to end."""

    def __init__(
        self,
        plant: Path,
        recipe: Path,
        parameters: dict[str, str],
        data: Path,
        speed: float,
        live: bool,
        console: bool,
        influxdb: Path | None = None,
    ) -> None:
        self._plant = plant
        self._influxdb = influxdb
        self._recipe = recipe
        self._parameters = parameters
        self._data = data
        self._speed = speed
        self._live = live
        self._console = console
        self._script: Script = load_script()
        self._password = secrets.token_urlsafe(18)
        self._clock = LiveClock()

    async def run(self) -> int:
        """Run it; whatever happens, the equipment is safe and every process has ended afterwards."""
        stop = StopRequest()
        with stop.listening():
            work = asyncio.create_task(self._work(), name="demo")
            asked = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait([work, asked], return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if not work.done():
                work.cancel()
            await asyncio.wait([work])
        if not work.cancelled():
            return work.result()
        complain(f"{stop.why}: the demo was ended; its data are in {self._data}")
        return INTERRUPTED

    async def _work(self) -> int:
        self._data.mkdir(parents=True, exist_ok=True)
        add_person(self._data, OPERATOR, FULL_NAME, ROLES, self._password)
        async with AsyncExitStack() as stack:
            simulators = await self._start_simulators(stack)
            engine = await self._start_engine(stack, simulators)
            if self._console:
                console = await Child.start("the console", "console", "--data", str(self._data))
                stack.push_async_callback(console.end)
            client = await stack.enter_async_context(await self._connect(engine))
            view = await self._make_batch(client, [simulators, engine])
            report = await client.make_report(view.summary.batch)
            verdict = await client.verify_record(view.summary.batch)
            await client.sign_off()
        complete = view.summary.state == State.COMPLETE
        sound = print_summary(self._data, view, report, verdict)
        return DONE if complete and sound else WRONG

    async def _start_simulators(self, stack: AsyncExitStack) -> Child:
        child = await Child.start(
            "the simulators", "simulate", str(self._plant), "--data", str(self._data), "--until-eof"
        )
        stack.push_async_callback(child.stop)
        await self._until(self._endpoints.exists, child)
        return child

    async def _start_engine(self, stack: AsyncExitStack, simulators: Child) -> Child:
        child = await Child.start(
            "the engine",
            *("serve", str(self._plant), "--data", str(self._data), "--endpoints", str(self._endpoints)),
            *("--speed", str(self._speed), "--listen", "127.0.0.1:0", "--until-eof"),
            *(() if self._influxdb is None else ("--influxdb", str(self._influxdb))),
        )
        stack.push_async_callback(_stop_engine, child)
        await self._until((self._data / "run" / "endpoint.json").exists, child, simulators)
        return child

    async def _connect(self, engine: Child) -> Client:
        try:
            client = Client.of(self._data)
        except NoEngineError as error:
            raise CliError(f"{engine.name} did not start: {error}") from None
        await client.sign_on(OPERATOR, self._password, station())
        return client

    async def _make_batch(self, client: Client, children: list[Child]) -> BatchView:
        text = self._recipe.read_text(encoding="utf-8")
        start = StartBatch(
            recipe=text,
            recipe_name=self._recipe.name,
            parameters=self._parameters,
            purpose=self._script.purpose,
            product=self._script.product,
            kind="training",
        )
        batch = (await client.start_batch(start)).summary.batch
        say(f"batch {batch} started on simulated equipment; data in {self._data}")
        return await _while_running(children, self._operate(client, batch))

    async def _operate(self, client: Client, batch: str) -> BatchView:
        """Follow the stream, answer every question once, and show what happens until the batch has ended or is held."""
        picture = Picture(await client.snapshot())
        progress = Progress(picture, self._script, batch)
        answered: set[str] = set()
        with display(progress, self._live) as shown:
            async with aclosing(client.stream()) as stream:
                async for message in stream:
                    picture.apply(message)
                    progress.note()
                    shown.update(self._clock.monotonic())
                    for prompt in [p for p in picture.prompts if p.batch == batch and p.prompt not in answered]:
                        answered.add(prompt.prompt)
                        await self._answer(client, prompt)
                    if progress.view is not None and progress.view.summary.state in ENDED:
                        break
            shown.finish()
        return await client.batch(batch)

    async def _answer(self, client: Client, prompt: PromptView) -> None:
        answer = answer_to(prompt, self._script)
        bench = Bench(self._endpoints)
        value = await bench.measure(answer.truth) if answer.truth else answer.value
        if answer.do:
            await bench.do(answer.do)
        password = self._password if prompt.meaning else ""
        await client.answer(prompt.batch, prompt.prompt, value, answer.comment, password)
        if not self._live:
            say(f"  ? {prompt.text}: {value}{f' {prompt.unit}' if prompt.unit else ''}")

    @property
    def _endpoints(self) -> Path:
        return self._data / "run" / "simulators.json"

    async def _until(self, there: Callable[[], bool], *children: Child) -> None:
        """Wait for a file that a child writes when it is up; CliError when one of them ends before."""
        deadline = self._clock.monotonic() + START_S
        while not there():
            for child in children:
                if not child.running:
                    raise _ended(child, await child.ended())
            if self._clock.monotonic() > deadline:
                raise CliError(f"{children[0].name} did not start within {START_S:.0f} s")
            await self._clock.sleep(POLL_S)


async def _while_running(children: list[Child], work: Coroutine[None, None, BatchView]) -> BatchView:
    """Do ``work``; CliError when a child ends before it is done."""
    working = asyncio.create_task(work, name="operator")
    guards = {asyncio.create_task(child.ended(), name=child.name): child for child in children}
    try:
        await asyncio.wait([working, *guards], return_when=asyncio.FIRST_COMPLETED)
        for guard, child in guards.items():
            if guard.done() and not working.done():
                raise _ended(child, guard.result())
        return await working
    finally:
        for task in (working, *guards):
            task.cancel()
        await asyncio.gather(working, *guards, return_exceptions=True)


async def _stop_engine(engine: Child) -> None:
    """Stop the engine, which makes the equipment safe first, and pass its last line on."""
    status = await engine.stop()
    for line in list(engine.lines)[-1:]:
        say(f"{engine.name}: {line.removeprefix('evcontrol: ')}")
    if status != DONE:
        complain(f"{engine.name} ended with status {status}")


def _ended(child: Child, status: int) -> CliError:
    last = [line.removeprefix("evcontrol: ") for line in list(child.lines)[-3:]]
    return CliError(f"{child.name} ended with status {status}", *last)


def _new_directory() -> Path:
    stamp = datetime.fromtimestamp(LiveClock().wall() / NS, tz=UTC).strftime("%Y%m%d-%H%M%S")
    return DEFAULT_DATA / f"demo-{stamp}"
