"""A simulated instrument on a real pseudo-terminal or a real TCP port, and a driver that is connected to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from drivers.driver import BoundPoint, Driver, LinkState
from drivers.registry import driver_type
from evcontrol.clock import Clock, LiveClock
from evcontrol.quality import is_bad
from evcontrol.signals import Tag, TagKind
from simulators.devices.bus import Bus, Cut, Instrument
from simulators.wire.bus_line import BusLine
from simulators.wire.bus_port import BusPort

Reading = tuple[float, int]


class Rig:
    """One instrument on its line."""

    def __init__(self, kind: str, folder: Path, instrument: Instrument, cut: Cut) -> None:
        self.bus = Bus([instrument], cut)
        self._line = BusLine(folder / "line", self.bus) if kind == "pty" else BusPort(self.bus)
        self._port = 0

    @property
    def port(self) -> str:
        """The option ``port`` of a driver."""
        return str(self._line.path) if isinstance(self._line, BusLine) else f"socket://127.0.0.1:{self._port}"

    async def plug(self) -> None:
        if isinstance(self._line, BusLine):
            self._line.plug()
        else:
            await self._line.start(port=self._port)
            self._port = self._line.port

    async def unplug(self) -> None:
        if isinstance(self._line, BusLine):
            self._line.unplug()
        else:
            await self._line.stop()

    def send(self, data: bytes) -> None:
        """What the instrument says without being asked."""
        self._line.send(self.bus.told(data))


class Reader:
    """A driver, and its readings by the names of its tags."""

    def __init__(self, driver: Driver, names: Sequence[str], timeout_s: float) -> None:
        self.driver = driver
        self._names = names
        self._timeout_s = timeout_s

    async def read(self) -> dict[str, Reading]:
        """One frame, which must come within the time-out and half a second for a machine with other work."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        frame = await self.driver.read()
        assert loop.time() - begun < self._timeout_s + 0.5
        return {
            self._names[index]: (float(value), int(quality))
            for index, value, quality in zip(frame.index, frame.value, frame.quality, strict=True)
        }

    async def good(self, name: str) -> Reading:
        """The first reading of a tag that is not Bad."""
        async with asyncio.timeout(15):
            while True:
                reading = (await self.read())[name]
                if not is_bad(reading[1]):
                    return reading
                await asyncio.sleep(0.01)

    async def until(self, state: LinkState, words: str = "") -> None:
        """Wait for the link."""
        async with asyncio.timeout(15):
            while self.driver.link.state is not state or words not in self.driver.link.reason:
                await asyncio.sleep(0.005)


def reader(
    driver: str,
    points: dict[str, tuple[dict[str, Any], str]],
    connect: Any = None,
    clock: Clock | None = None,
    **options: Any,
) -> Reader:
    """A driver by its name in the registry, with points and units by tag."""
    kind = driver_type(driver)
    bound = [
        BoundPoint(Tag(name, i, unit, TagKind.ANALOG, -1e6, 1e6), kind.point_model.model_validate(point))
        for i, (name, (point, unit)) in enumerate(points.items())
    ]
    model = kind.options_model.model_validate({"port": "x"} | options)
    made = kind("dev", model, bound, clock or LiveClock())
    if connect is not None:
        made.connect = connect  # type: ignore[attr-defined]
    return Reader(made, list(points), model.timeout_s)  # type: ignore[attr-defined]


def on_line(
    rig: Callable[[], Rig],
    made: Callable[[Rig], Reader],
    test: Callable[[Reader, Rig], Awaitable[None]],
    ready: LinkState | None = LinkState.READY,
) -> None:
    """Run a test with the instrument plugged in and the driver started (and its link in that state)."""

    async def main() -> None:
        there = rig()
        await there.plug()
        one = made(there)
        try:
            async with asyncio.timeout(30):
                await one.driver.start()
                if ready is not None:
                    await one.until(ready)
                await test(one, there)
        finally:
            await one.driver.stop()
            await there.unplug()

    asyncio.run(main())
