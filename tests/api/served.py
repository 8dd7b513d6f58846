"""A whole engine behind its API on a real socket, with the simulated plant in the same process."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from drivers.driver import Driver
from drivers.modbus import ModbusDriver
from drivers.modbus_client import in_process as modbus_in_process
from drivers.mtsics import MtSicsDriver
from drivers.transport import in_process as line_in_process
from evcontrol.api.client import Client
from evcontrol.api.desk import Desk
from evcontrol.api.listen import Listener, bind, url_of
from evcontrol.api.server import make_app
from evcontrol.clock import LiveClock
from evcontrol.engine import Engine
from evcontrol.journal.events import Event, Kind
from evcontrol.journal.store import read_events
from evcontrol.plant.load import load_plant
from evcontrol.plant.model import Plant
from simulators.plant import TffPlant
from tests.batch.suite import ENDPOINTS, PLANT, RECIPE

PASSWORD = "a long pass phrase"
PEOPLE = {
    "olivia": ("Olivia Operator", ["operator", "supervisor"]),
    "oscar": ("Oscar Operator", ["operator"]),
    "quentin": ("Quentin Quality", ["quality"]),
    "ann": ("Ann Admin", ["administrator"]),
}
STEP_S = 0.02
LIMIT_S = 60.0


class Served:
    """One engine with its API; ``sim`` is the equipment."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.clock = LiveClock()
        self.sim = TffPlant()
        # Scans as short as on the wire of a demo, so that a test waits for none.
        self.plant: Plant = dataclasses.replace(load_plant(PLANT, ENDPOINTS), scan_s=0.05)
        self.engine = Engine(self.plant, data, self.clock, self._driver)
        for user, (name, roles) in PEOPLE.items():
            self.engine.people.add(user, name, roles, PASSWORD)
        self.desk = Desk(self.engine)
        self.url = ""

    def client(self, token: str | None = None) -> Client:
        """A client that may read (or has another token)."""
        return Client(self.url, self.desk.run_token if token is None else token)

    @asynccontextmanager
    async def signed_on(self, user: str = "olivia") -> AsyncIterator[Client]:
        """A client with a session."""
        async with self.client() as client:
            await client.sign_on(user, PASSWORD, "station 1")
            yield client

    async def raw(self, method: str, path: str, **options: object) -> httpx.Response:
        """A request as somebody would make it by hand."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            return await http.request(method, path, **options)  # type: ignore[arg-type]

    def events(self, kind: Kind) -> list[Event]:
        """What the journal has of a kind."""
        return [event for event in read_events(self.data / "journal") if event.kind is kind]

    async def until(self, there: Callable[[], bool]) -> None:
        """Wait scan by scan."""
        while not there():
            await self.engine.scanner.next_scan()

    async def _step(self) -> None:
        last = self.clock.now()
        while True:
            await self.clock.sleep(STEP_S)
            now = self.clock.now()
            self.sim.step((now - last) / 1e9)
            last = now

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Served]:
        """Start everything, and end it."""
        tasks = [asyncio.create_task(self._step(), name="simulated plant")]
        await self.engine.start()
        with bind("127.0.0.1", 0) as socket:
            self.url = url_of(socket)
            listener = Listener(make_app(self.desk), socket)
            serving = asyncio.create_task(listener.run_until_stopped(), name="API")
            tasks.append(asyncio.create_task(self.desk.run(), name="desk"))
            while not listener.started:
                await self.clock.sleep(0.005)
            try:
                yield self
            finally:
                await listener.stop(serving)
                for task in tasks[1:]:
                    task.cancel()
                await asyncio.gather(*tasks[1:], return_exceptions=True)
                await self.engine.stop("the test ends")
                tasks[0].cancel()
                await asyncio.gather(tasks[0], return_exceptions=True)

    def _driver(self, name: str) -> Driver:
        spec = self.plant.devices[name]
        if spec.driver == "modbus-tcp":
            connect = modbus_in_process(self.sim.skid_link)
            return ModbusDriver(name, spec.options, spec.points, self.clock, connect=connect)
        line = line_in_process(self.sim.balance_links[name].reply)
        return MtSicsDriver(name, spec.options, spec.points, self.clock, connect=line)


def serve(data: Path, work: Callable[[Served], Awaitable[None]]) -> None:
    """Do ``work`` with a served engine."""

    async def run() -> None:
        async with asyncio.timeout(LIMIT_S):
            async with Served(data).running() as served:
                await work(served)

    asyncio.run(run())


def recipe_text() -> str:
    """The shipped recipe."""
    return RECIPE.read_text(encoding="utf-8")
