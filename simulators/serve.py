"""A simulated plant in real time and on its wires: Modbus TCP, OPC UA, a serial line for each balance, folders.

Files under the data directory: ``run/simulators.json`` says where everything listens, as long as it does;
``run/lines/`` has the serial ports; ``counter/`` has the folders of the particle counter; ``run/speed.jsonl`` is read
for the speed of process time; ``simulator/state.json`` keeps liquids and cells.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from simulators.clock import NS, Pace, SpeedFile, monotonic_s, sleep_until
from simulators.devices.nta_counter import NtaCounter
from simulators.ev_plant import BIOREACTOR, COUNTER, EvPlant
from simulators.fault_models import FaultError
from simulators.faults import Faults, TimedFault, step
from simulators.instruments import MAKERS, OF_CELLS, OnLine, Options
from simulators.plant import BenchPlant, TffPlant
from simulators.state_file import StateDamagedError, read_state, write_atomically
from simulators.wire.control import ControlServer
from simulators.wire.instrument_lines import InstrumentLines
from simulators.wire.modbus import ModbusServer
from simulators.wire.nta_folder import NtaFolder
from simulators.wire.opcua import OpcUaServer
from simulators.wire.serial_line import SerialLine

HOST: Final = "127.0.0.1"
STEP_S: Final = 0.05
"""Real time between two steps: the controller's scan."""
SAVE_S: Final = 0.5
"""Real time between two writes of the state."""


NEW: Final = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001  an instrument's clock has no zone
"""What a counter's clock shows that nobody has set."""
PLANTS: Final[tuple[type[TffPlant], ...]] = (TffPlant, EvPlant)
"""What can be served."""


def plant_for(drivers: Mapping[str, str]) -> type[TffPlant] | None:
    """The plant that has all of its devices among those, given by name with what they speak; None when there is none.

    What is not of the plant is served as instruments of their own; a plant of nothing else is a bench.
    """
    choices: tuple[type[TffPlant], ...] = (*PLANTS, BenchPlant)
    fitting = [plant for plant in choices if not unserved(plant, drivers)]
    return max(fitting, key=lambda plant: len(plant.devices), default=None)


def unserved(plant: type[TffPlant], drivers: Mapping[str, str]) -> dict[str, str]:
    """The devices, given by name with what they speak, that would be missing or odd if that plant were served."""
    odd = {
        name: driver
        for name, driver in drivers.items()
        if not (driver in MAKERS if name not in plant.devices else _fits(plant.devices[name], driver))
    }
    return odd | {name: driver for name, driver in plant.devices.items() if name not in drivers}


def _fits(own: str, driver: str) -> bool:
    return driver == own or (own == "mt-sics" and driver in OF_CELLS)


class AlreadyServedError(Exception):
    """Other simulators serve this data directory."""


def plug_in_counter(plant: EvPlant, worklists: Path, exports: Path, began: datetime = NEW) -> Callable[[], None]:
    """Put a particle counter into a plant. What is returned looks after its folders and is called at each step.

    ``began`` is what the counter's clock showed when the plant was new. A plant that is restored is restored after
    this and before the first call, which makes the folders and raises OSError when that fails.
    """
    counter = NtaCounter(plant.sample_of, COUNTER, began)
    plant.counter = counter
    folder = NtaFolder(counter, worklists, exports)
    opened = False

    def poll() -> None:
        nonlocal opened
        if not opened:
            folder.open()
            opened = True
        folder.poll()

    return poll


class PlantServer:
    """One plant on its wires. :meth:`run` steps it until its task is cancelled; use it as a context."""

    def __init__(
        self,
        data: Path,
        speed: float = 1.0,
        timed: list[TimedFault] | None = None,
        plant: TffPlant | None = None,
        drivers: Mapping[str, str] | None = None,
        options: Mapping[str, Options] | None = None,
    ) -> None:
        """``speed`` holds as long as nobody publishes another one; ``plant`` is a new one, by default the skid's.

        ``drivers`` says what each device speaks, if not what the plant's own do, and which instruments stand beside it;
        ``options`` what the plant file says of each.
        Raises StateDamagedError when there is a state that cannot be read, FaultError for what the plant cannot have.
        """
        self._endpoints = data / "run" / "simulators.json"
        self._state_file = data / "simulator" / "state.json"
        self.plant = plant or TffPlant()
        self._folders = {name: data.resolve() / "counter" / name for name in ("worklists", "exports", "archive")}
        self._pace = Pace(SpeedFile(data / "run" / "speed.jsonl", speed))
        self._drivers = dict(self.plant.devices if drivers is None else drivers)
        single = self._single_instruments(options or {})
        self.plant.buses = {name: one.bus for name, one in single.items()}
        saved = read_state(self._state_file) or {}
        self._poll_counter = self._plug_in(saved.get("time_s", 0.0))
        self._restore(saved)
        self.faults = Faults(self.plant, timed or ())
        self._restore_faults(saved)
        self._old_ports: dict[str, int] = dict(saved.get("ports", {}))
        self._modbus = {name: ModbusServer(link) for name, link in self.plant.modbus_links.items()}
        self._opcua = (
            OpcUaServer(self.plant.bioreactor_link, self._epoch_s) if isinstance(self.plant, EvPlant) else None
        )
        self._control = ControlServer(self.plant, self.faults, self.keep_up)
        lines = data.resolve() / "run" / "lines"
        self._instruments = InstrumentLines(lines, single, self._is_plugged)
        self._lines = {
            name: SerialLine(lines / name, link.reply)
            for name, link in self.plant.balance_links.items()
            if name not in single
        }
        self._stack = AsyncExitStack()
        self._saving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> PlantServer:
        """Open every wire, then say where. OSError when one cannot be opened."""
        async with AsyncExitStack() as stack:
            self._endpoints.unlink(missing_ok=True)
            for name, server in self._servers.items():
                stack.push_async_callback(server.stop)
                await self._listen(name, server)
            stack.push_async_callback(self._control.stop)
            await self._control.start(HOST)
            for line in self._lines.values():
                stack.callback(line.unplug)
            stack.callback(self._instruments.unplug)
            self.keep_up()
            self.save()
            stack.callback(self.save)
            stack.push_async_callback(self._saved)
            stack.callback(self._endpoints.unlink, missing_ok=True)
            write_atomically(self._endpoints, self.endpoints())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take the endpoints away, keep the state, close every wire."""
        await self._stack.aclose()

    def endpoints(self) -> dict[str, Any]:
        """Where everything listens: options of each device, and the testers' port."""
        options: dict[str, dict[str, Any]] = {
            name: {"host": HOST, "port": server.port} for name, server in self._modbus.items()
        }
        if self._opcua is not None:
            options[BIOREACTOR] = {"url": self._opcua.url}
            options[COUNTER] = {name: str(path) for name, path in self._folders.items()}
        for name, line in self._lines.items():
            serial = self.plant.balances[name].parameters.serial
            options[name] = {"port": str(line.path), "serial_number": serial}
        options |= self._instruments.endpoints()
        devices = {name: options[name] for name in self._drivers}
        control = {"host": HOST, "port": self._control.port}
        return {"simulated": True, "pid": os.getpid(), "devices": devices, "control": control}

    async def run(self) -> None:
        """Step the plant every :data:`STEP_S` of real time, and keep its state."""
        due = saved = monotonic_s()
        while True:
            due = max(due + STEP_S, monotonic_s())
            await sleep_until(due)
            self.keep_up()
            if self._opcua is not None:
                await self._opcua.publish()
            if monotonic_s() - saved >= SAVE_S and (self._saving is None or self._saving.done()):
                saved = monotonic_s()
                await self._saved()
                # Beside the plant: a disk that is busy must not make the devices fall silent.
                self._saving = asyncio.create_task(asyncio.to_thread(write_atomically, self._state_file, self._state()))

    def keep_up(self) -> None:
        """Bring the plant up to the present, and its serial lines up to the plant."""
        self.plant.pace(STEP_S * self._pace.speed())
        passed_s = self._pace.passed_s()
        step(self.plant, self.faults, passed_s)
        self._instruments.keep_up(passed_s)
        for name, line in self._lines.items():
            link = self.plant.balance_links[name]
            if link.plugged:
                line.plug()
            else:
                line.unplug()
            line.send(link.stream())
        self._poll_counter()

    def _single_instruments(self, options: Mapping[str, Options]) -> dict[str, OnLine]:
        """Those on lines of their own: the plant's balances that speak otherwise, and what stands beside it."""
        made: dict[str, OnLine] = {}
        for name, driver in self._drivers.items():
            if name not in self.plant.devices:
                made[name] = MAKERS[driver](name, options.get(name, {}))
            elif driver != self.plant.devices[name]:
                made[name] = OF_CELLS[driver](self.plant.balances[name], options.get(name, {}))
        return made

    def _is_plugged(self, name: str) -> bool:
        link = self.plant.balance_links.get(name)
        return link is None or link.plugged

    def save(self) -> None:
        """Keep the state on disk."""
        write_atomically(self._state_file, self._state())

    async def _saved(self) -> None:
        """Wait for a save under way; OSError when the disk refused it."""
        saving, self._saving = self._saving, None
        if saving is not None:
            await asyncio.shield(saving)

    def _state(self) -> dict[str, Any]:
        ports = {name: server.port for name, server in self._servers.items()}
        return self.plant.state() | {"devices": dict(self.plant.devices), "faults": self.faults.state(), "ports": ports}

    @property
    def _servers(self) -> dict[str, ModbusServer | OpcUaServer]:
        return {**self._modbus, **({BIOREACTOR: self._opcua} if self._opcua is not None else {})}

    async def _listen(self, name: str, server: ModbusServer | OpcUaServer) -> None:
        """On the port that it had before it was killed, so that its clients find it again; else on a free one."""
        if name in self._old_ports:
            with suppress(OSError):
                await server.start(HOST, self._old_ports[name])
                return
        await server.start(HOST)

    def _epoch_s(self) -> float:
        """The UTC time at which the plant's process time was 0."""
        return self._pace.now_ns() / NS - self.plant.time_s

    def _plug_in(self, time_s: object) -> Callable[[], None]:
        """Plug a counter in whose clock is as far as the plant's; ``time_s`` is what the plant's will show."""
        if not isinstance(self.plant, EvPlant):
            return lambda: None
        began_s = self._pace.now_ns() / NS - (time_s if isinstance(time_s, (int, float)) else 0.0)
        # An instrument's clock has no zone; this one is set to UTC.
        began = datetime.fromtimestamp(began_s, UTC).replace(tzinfo=None)
        return plug_in_counter(self.plant, self._folders["worklists"], self._folders["exports"], began)

    def _restore(self, saved: dict[str, Any]) -> None:
        if not saved:
            return
        try:
            if dict(saved["devices"]) != dict(self.plant.devices):
                raise ValueError("it is of other devices")
            self.plant.restore(saved)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def _restore_faults(self, saved: dict[str, Any]) -> None:
        try:
            self.faults.restore(saved.get("faults", []))
        except (KeyError, TypeError, ValueError, FaultError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> StateDamagedError:
        return StateDamagedError(
            f"{self._state_file}: not a state of these simulators ({error}); move it away to begin with full vessels"
        )


async def serve(
    data: Path,
    until: Callable[[], Awaitable[object]],
    *,
    speed: float = 1.0,
    timed: list[TimedFault] | None = None,
    plant: TffPlant | None = None,
    drivers: Mapping[str, str] | None = None,
    options: Mapping[str, Options] | None = None,
    ready: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """Serve a plant until ``until()`` returns; ``ready`` is told the endpoints when all is up.

    ``drivers`` says what each device speaks (see :func:`plant_for`), if not what the plant's own do, and ``options``
    what the plant file says of each.

    Raises StateDamagedError, AlreadyServedError, FaultError, OSError.
    """
    with _alone(data / "simulator" / "lock"):
        async with PlantServer(data, speed, timed, plant, drivers, options) as server:
            ready(server.endpoints())
            await _run_until(server, until)


async def _run_until(server: PlantServer, until: Callable[[], Awaitable[object]]) -> None:
    run = asyncio.create_task(server.run(), name="plant")
    stop = asyncio.ensure_future(until())
    try:
        await asyncio.wait([run, stop], return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            run.result()
    finally:
        for task in (run, stop):
            task.cancel()
        await asyncio.gather(run, stop, return_exceptions=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock that the operating system lets go when this process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyServedError(f"{path.parent}: other simulators serve this data directory") from None
        yield
