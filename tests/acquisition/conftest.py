"""A small plant whose two devices are driven by the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

import pytest

from drivers.driver import BoundPoint, Link, LinkState, Model, WriteResult
from evcontrol.clock import Clock
from evcontrol.expression import Symbol
from evcontrol.plant.model import DerivedSpec, DeviceSpec, Plant, RateSpec
from evcontrol.quality import GOOD
from evcontrol.signals import Frame, Tag, TagKind, TagTable, make_frame


class Point(Model):
    """Where a tag lives in the fake device."""


class FakeDriver:
    """A device that answers at once, late, or never, as the test says."""

    options_model: ClassVar[type[Model]] = Point
    point_model: ClassVar[type[Model]] = Point

    def __init__(self, spec: DeviceSpec, clock: Clock) -> None:
        self.name = spec.name
        self._points = spec.points
        self._clock = clock
        self.values: dict[str, float] = {p.tag.name: 1.0 for p in spec.points}
        self.delay_s = 0.0
        self.broken: Exception | None = None
        self.reads = 0
        self.link = Link(LinkState.READY, "", 0)

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def read(self) -> Frame:
        self.reads += 1
        if self.broken is not None:
            raise self.broken
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        t = self._clock.now()
        return make_frame(t, t, self.name, [(p.tag.index, self.values[p.tag.name], GOOD) for p in self._points])

    async def write(self, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        raise NotImplementedError

    async def feed_watchdog(self) -> bool:
        return True


def tag(index: int, name: str, unit: str = "", kind: TagKind = TagKind.ANALOG) -> Tag:
    return Tag(name, index, unit, kind, 0, 1000)


@pytest.fixture
def plant() -> Plant:
    tags = TagTable(
        [
            tag(0, "U.W", "g"),
            tag(1, "U.P", "psig"),
            tag(2, "U.RATE", "g/min"),
            tag(3, "U.TWICE", "g"),
            tag(4, "U.NOTE", kind=TagKind.TEXT),
        ]
    )
    devices = {
        "scale": DeviceSpec("scale", "fake", Point(), (BoundPoint(tags["U.W"], Point()),), 0.5),
        "plc": DeviceSpec("plc", "fake", Point(), (BoundPoint(tags["U.P"], Point()),), 0.5),
    }
    return Plant(
        name="test",
        text="",
        hash="",
        scan_s=1.0,
        wire_scan_s=0.05,
        simulated=True,
        devices=devices,
        tags=tags,
        writes={},
        derived=(
            DerivedSpec("U.RATE", rate=RateSpec("U.W", 10.0, 60.0)),
            DerivedSpec("U.TWICE", expression="U.W * 2"),
        ),
        internal=frozenset({"U.NOTE"}),
        units={},
        loops={},
        interlocks={},
        alarms={},
        symbols={t.name: Symbol(t.name, t.unit, t.labels) for t in tags},
    )
