"""Two units with a loop and interlocks before the gate: readings set by hand, or those of a device with a process."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from drivers.driver import BoundPoint, Link, LinkState, Model, Outcome, WriteResult
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import NS, Clock, ClockKind
from evcontrol.control.gate import Gate
from evcontrol.control.owner import Owner
from evcontrol.expression import Symbol
from evcontrol.journal.events import Event, Kind
from evcontrol.journal.store import Journal
from evcontrol.plant.model import DeviceSpec, InterlockSpec, LoopSpec, OnSilence, Plant, UnitSpec, WriteSpec
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD
from evcontrol.signals import Frame, Tag, TagKind, TagTable, make_frame

START_S = 1_000


class HandClock:
    """Process time that a test moves."""

    kind = ClockKind.LIVE
    speed = 1.0

    def __init__(self) -> None:
        self.t = START_S * NS

    def now(self) -> int:
        return self.t

    wall = now

    def monotonic(self) -> float:
        return self.t / NS

    async def sleep(self, seconds: float) -> None:
        self.t += round(seconds * NS)


class RecordingGate(Gate):
    """The gate, keeping what loops gave it beside."""

    outputs: dict[str, list[float]]

    def modulate(self, tag: str, value: float, loop: str) -> None:
        super().modulate(tag, value, loop)
        self.outputs.setdefault(tag, []).append(value)

    def locked(self, unit: str) -> bool:
        """Whether an interlock has the unit."""
        return self.holder(f"{unit}.VALVE").owner is Owner.INTERLOCK


class Device:
    """A skid whose pressure follows its valve with a lag of 20 s: 3 psi at 60 %, 0.1 psi more for each per cent less.

    It moves on by a second at each reading.
    """

    options_model: ClassVar[type[Model]] = Model
    point_model: ClassVar[type[Model]] = Model
    lag_s = 20.0

    def __init__(self, name: str, tags: TagTable, clock: Clock) -> None:
        self.name = name
        self.link = Link(LinkState.READY, "", 0)
        self.on_link: Callable[[Link], None] | None = None
        self.values = {"U.TMP": 3.0, "U.VALVE": 60.0, "U.PUMP": 500.0, "V.LEVEL": 50.0, "V.VALVE": 0.0}
        self.disturbance = 0.0
        self.lost: set[str] = set()
        self.written: list[float] = []
        self._tags = tags
        self._clock = clock

    async def start(self) -> None:
        """Always connected."""

    async def stop(self) -> None:
        """Always connected."""

    async def feed_watchdog(self) -> bool:
        return True

    async def write(self, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        self.values.update(values)
        self.written += [value for tag, value in values.items() if tag == "U.VALVE"]
        return {tag: WriteResult(Outcome.CONFIRMED) for tag in values}

    async def read(self) -> Frame:
        steady = 3.0 - 0.1 * (self.values["U.VALVE"] - 60.0) + self.disturbance
        self.values["U.TMP"] = steady + (self.values["U.TMP"] - steady) * math.exp(-1.0 / self.lag_s)
        t = self._clock.now()
        return make_frame(
            t,
            t,
            self.name,
            [
                (self._tags[tag].index, value, BAD_NOT_CONNECTED if tag in self.lost else GOOD)
                for tag, value in self.values.items()
            ],
        )


def make_plant(loops: Mapping[str, LoopSpec], interlocks: Mapping[str, InterlockSpec]) -> Plant:
    """Units U (pressure, valve, pump) and V (level, valve) on one device; safe is the valve of U open, V's shut."""
    tags = TagTable(
        [
            Tag("U.TMP", 0, "psi", TagKind.ANALOG, -20, 60),
            Tag("U.VALVE", 1, "%open", TagKind.ANALOG, 0, 100),
            Tag("U.PUMP", 2, "mL/min", TagKind.ANALOG, 0, 3000),
            Tag("V.LEVEL", 3, "%v/v", TagKind.ANALOG, 0, 110),
            Tag("V.VALVE", 4, "%open", TagKind.ANALOG, 0, 100),
            Tag("U.CONTENT", 5, "", TagKind.ENUM, 0, 1, labels=("empty", "product")),
        ]
    )
    points = tuple(BoundPoint(tag, Model()) for tag in tags if tag.name != "U.CONTENT")
    return Plant(
        name="test",
        text="",
        hash="",
        scan_s=1.0,
        wire_scan_s=0.05,
        simulated=True,
        devices={"plc": DeviceSpec("plc", "test", Model(), points, 0.5)},
        tags=tags,
        writes={tag: WriteSpec(0.0, 100.0, OnSilence.CONTROLLER_WATCHDOG, 0.01) for tag in ("U.VALVE", "V.VALVE")},
        derived=(),
        internal=frozenset({"U.CONTENT"}),
        units={
            "U": UnitSpec("U", "test", "U.CONTENT", {"default": {"U.VALVE": 100.0}}, 2.0, 1800.0),
            "V": UnitSpec("V", "test", "U.CONTENT", {"default": {"V.VALVE": 0.0}}, 2.0, 1800.0),
        },
        loops=loops,
        interlocks=interlocks,
        alarms={},
        symbols={t.name: Symbol(t.name, t.unit, t.labels) for t in tags},
    )


async def no_scan() -> None:
    """The scan that a gate without commands never waits for."""


class Bench:
    """Process image, journal and gate of one unit; each scan is a second after the last."""

    def __init__(
        self,
        directory: Path,
        loops: Mapping[str, LoopSpec],
        interlocks: Mapping[str, InterlockSpec],
        writes: Mapping[str, WriteSpec] | None = None,
    ) -> None:
        self.plant = make_plant(loops, interlocks)
        if writes is not None:
            self.plant = replace(self.plant, writes={**self.plant.writes, **writes})
        self.clock = HandClock()
        self.image = ProcessImage(self.plant.tags, self.plant.internal)
        self.journal = Journal(directory, self.clock)
        drivers = {"plc": Device("plc", self.plant.tags, self.clock)}
        self.gate = RecordingGate(self.plant, drivers, self.image, self.journal, self.clock, no_scan)
        self.gate.outputs = {}
        self.events: list[Event] = []
        self.journal.subscribe(self.events.append)
        self._seq = 0

    def scan(self, after_s: float = 1.0, **readings: float | tuple[float, int]) -> Scan:
        """Apply readings (``TMP=5.0`` or ``TMP=(0.0, BAD)``; V_LEVEL is V.LEVEL, all others belong to U)."""
        self.clock.t += round(after_s * NS)
        triples = []
        for name, reading in readings.items():
            value, quality = reading if isinstance(reading, tuple) else (reading, GOOD)
            tag = "V.LEVEL" if name == "V_LEVEL" else f"U.{name}"
            triples.append((self.plant.tags[tag].index, value, quality))
        frame = make_frame(self.clock.t, self.clock.t, "device", triples)
        changed = self.image.apply(frame)
        self._seq += 1
        return Scan(self._seq, self.clock.t, self.clock.t, (frame,), changed)

    def told(self, *kinds: Kind) -> list[Event]:
        """The events so far of some kinds."""
        return [e for e in self.events if e.kind in kinds]
