"""An engine and its plant's simulated equipment in one process and in virtual time: no wires, and nobody waits.

The engine, its drivers and the equipment are the ones that run on the wires; only what carries the bytes is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
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
from evcontrol.cli.fault import CliError
from evcontrol.clock import NS, VirtualClock
from evcontrol.engine import Engine
from evcontrol.plant.load import load_plant
from evcontrol.plant.model import Plant
from evcontrol.procedure.phase import FASTEST

STEP_S = 0.05
"""Time between two steps of the equipment at speed 1 of the wires, as of the simulators on them;"""
LEAST_STEP_S = 0.5
"""but never less than so many seconds of process."""
COUNTER_FOLDERS = ("worklists", "exports", "archive")
NOWHERE: Mapping[str, Mapping[str, Any]] = {
    "opc-ua": {"url": "opc.tcp://127.0.0.1:1/"},
    "modbus-tcp": {"host": "127.0.0.1", "port": 1},
    "mt-sics": {"port": "in process"},
    "nta-folder": {},
}
"""What stands for the address of a device of each kind; others have nothing in the place of their wire."""


class Rehearsal:
    """Use as an async context manager. ``sim`` is the simulated equipment, and outlives an engine that is stopped.

    ``each_step`` is called after each step of the equipment, and before it ``poll_counter``, the counter's own program.
    CliError for a plant that is not simulated as a whole.
    """

    def __init__(
        self, plant_file: Path, data: Path, clock: VirtualClock, *, speed: float = FASTEST, sim: Any = None
    ) -> None:
        # Here and not above, since the simulators cannot be imported without POSIX.
        from simulators.ev_plant import EvPlant  # noqa: PLC0415
        from simulators.serve import plug_in_counter  # noqa: PLC0415

        self.data = data
        self.clock = clock
        self.speed = speed
        drivers = {name: device.driver for name, device in load_plant(plant_file).devices.items()}
        self.sim = _equipment(drivers) if sim is None else sim
        self.plant: Plant = load_plant(plant_file, self._endpoints(drivers))
        self.poll_counter: Callable[[], None] = lambda: None
        if isinstance(self.sim, EvPlant):
            folders = {name: self._counter / name for name in COUNTER_FOLDERS}
            for folder in folders.values():
                folder.mkdir(parents=True, exist_ok=True)
            self.poll_counter = plug_in_counter(self.sim, folders["worklists"], folders["exports"])
        self.each_step: list[Callable[[], None]] = []
        self.engine: Engine
        self._steps: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._steps = asyncio.create_task(self._step(), name="simulated equipment")
        await self.start_engine()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                await self.engine.stop("the rehearsal ends")
        finally:
            if self._steps is not None:
                self._steps.cancel()

    async def start_engine(self) -> None:
        """A new engine on the same data and equipment."""
        self.engine = Engine(self.plant, self.data, self.clock, self.driver)
        await self.engine.start(self.speed)

    def hands(self, order: Mapping[str, Any]) -> None:
        """Do something at the equipment by hand: ``do`` is what, the rest is how."""
        how = dict(order)
        getattr(self.sim, how.pop("do"))(**how)

    def measure(self, what: str) -> float:
        """A figure of the truth by its names joined by dots, as an instrument with four digits would show it."""
        found: Any = self.sim.truth()
        for name in what.split("."):
            found = found[name]
        return float(f"{float(found):.4g}")

    def driver(self, name: str) -> Driver:
        """The driver of a device, with the equipment itself at the end of its line."""
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
        speed, left = self.clock.speed, max(LEAST_STEP_S, STEP_S * self.clock.speed)
        while left > 0.0 and self.clock.speed == speed:
            part = min(left, max(LEAST_STEP_S, STEP_S * self.clock.pending_speed))
            await self.clock.sleep(part)
            left -= part

    @property
    def _counter(self) -> Path:
        return self.data.resolve() / "counter"

    def _endpoints(self, drivers: Mapping[str, str]) -> dict[str, Any]:
        odd = [f"device {name!r} ({driver}) cannot be rehearsed" for name, driver in drivers.items()
               if driver not in NOWHERE]  # fmt: skip
        if odd:
            raise CliError(*odd, f"what can be is {', '.join(NOWHERE)}")
        folders = {name: str(self._counter / name) for name in COUNTER_FOLDERS}
        devices = {n: folders if driver == "nta-folder" else dict(NOWHERE[driver]) for n, driver in drivers.items()}
        return {"simulated": True, "devices": devices}


def _equipment(drivers: Mapping[str, str]) -> Any:
    from simulators.serve import PLANTS, plant_for  # noqa: PLC0415

    which = plant_for(drivers)
    if which is None or not set(drivers) <= set(which.devices):
        known = "; or: ".join(", ".join(f"{name} ({driver})" for name, driver in one.devices.items()) for one in PLANTS)
        raise CliError("there is no simulated equipment for this plant's devices", f"there is, all together: {known}")
    return which()
