"""Drivers on the simulated pumps and gas controllers, in virtual time: what is sent, and what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from drivers.driver import BoundPoint, LinkState, Outcome
from drivers.multidrop import MultidropDriver
from drivers.transport import in_process_bytes
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.signals import Tag, TagKind
from simulators.devices.bus import Bus
from tests.drivers.build import link_is

UNITS = {"speed": "rpm", "flow": "mL/min", "mass_flow": "L/min", "setpoint": "L/min", "pressure": "psi"}
UNITS |= {"volumetric_flow": "L/min", "temperature": "degC", "total": "L"}


class Rig:
    """One driver on one bus; tags are named ADDRESS.FIELD."""

    def __init__(self, clock: VirtualClock, driver: Any, bus: Bus) -> None:
        self.clock = clock
        self.driver = driver
        self.bus = bus

    async def ready(self) -> None:
        await link_is(self.driver, LinkState.READY, 60)

    async def read(self) -> dict[str, tuple[float, int]]:
        frame = await self.driver.read()
        names = [bound.tag.name for bound in self.driver._bound]
        return {
            name: (float(value), int(quality))
            for name, value, quality in zip(names, frame.value, frame.quality, strict=True)
        }

    async def values(self) -> dict[str, float]:
        return {name: value for name, (value, _) in (await self.read()).items()}

    async def qualities(self, prefix: str) -> set[int]:
        return {quality for name, (_, quality) in (await self.read()).items() if name.startswith(prefix)}

    async def write(self, **values: float) -> dict[str, tuple[Outcome, str]]:
        """Tags are given as _1_speed=100."""
        tags = {name[1:].replace("_", ".", 1): value for name, value in values.items()}
        return {tag: (r.outcome, r.reason) for tag, r in (await self.driver.write(tags)).items()}

    async def outcome(self, **values: float) -> Outcome:
        (result,) = (await self.write(**values)).values()
        return result[0]

    def heard(self) -> list[bytes]:
        """What has come to the bus since this was asked last."""
        heard, self.bus.heard = self.bus.heard, []
        return heard


def tags(kind: type[MultidropDriver[Any, Any]], points: Iterable[dict[str, Any]]) -> list[BoundPoint]:
    bound = []
    for index, point in enumerate(points):
        given = dict(point)
        unit = given.pop("unit", UNITS.get(given["field"], ""))
        tag = Tag(f"{given['address']}.{given['field']}", index, unit, TagKind.ANALOG, 0, 1e6)
        bound.append(BoundPoint(tag, kind.point_model.model_validate(given)))
    return bound


Test = Callable[[Rig], Awaitable[None]]


def on_bus(
    kind: type[MultidropDriver[Any, Any]],
    bus: Bus,
    points: Iterable[dict[str, Any]],
    test: Test,
    *,
    ready: bool = True,
    **options: Any,
) -> None:
    async def main(clock: VirtualClock) -> None:
        model = kind.options_model.model_validate({"port": "x"} | options)
        driver = kind("dev", model, tags(kind, points), clock, connect=in_process_bytes(bus.hear))  # type: ignore[abstract]
        rig = Rig(clock, driver, bus)
        try:
            await driver.start()
            if ready:
                await rig.ready()
            await test(rig)
        finally:
            await driver.stop()

    run_virtual(main)
