"""A unit with one loop, whose readings the tests set, before a gate that only remembers what it was told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import NS, ClockKind
from evcontrol.control.owner import Holder, Owner
from evcontrol.expression import Symbol
from evcontrol.journal.events import Event
from evcontrol.journal.store import Journal
from evcontrol.plant.model import InterlockSpec, LoopSpec, Plant
from evcontrol.quality import GOOD
from evcontrol.signals import Tag, TagKind, TagTable, make_frame

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


class HandGate:
    """What loops and interlocks ask of the gate, without devices: owners as the test sets them, outputs kept."""

    def __init__(self) -> None:
        self.holders: dict[str, Holder] = {}
        self.outputs: dict[str, list[float]] = {}
        self.locks: set[tuple[str, str]] = set()

    def grant(self, tag: str, loop: str) -> None:
        self.holders[tag] = Holder(Owner.LOOP, loop)

    def release(self, tag: str) -> None:
        self.holders[tag] = Holder(Owner.NONE, "")

    def holder(self, tag: str) -> Holder:
        return self.holders.get(tag, Holder(Owner.NONE, ""))

    def modulate(self, tag: str, value: float, loop: str) -> None:
        assert self.holder(tag) == Holder(Owner.LOOP, loop)
        self.outputs.setdefault(tag, []).append(value)

    def lock(self, unit: str, interlock: str) -> None:
        self.locks.add((unit, interlock))

    def unlock(self, unit: str, interlock: str) -> None:
        self.locks.remove((unit, interlock))


class Bench:
    """Process image, journal and gate of one unit; each scan is a second after the last."""

    def __init__(self, directory: Path, loops: Mapping[str, LoopSpec], interlocks: Mapping[str, InterlockSpec]) -> None:
        tags = TagTable(
            [
                Tag("U.TMP", 0, "psi", TagKind.ANALOG, -20, 60),
                Tag("U.VALVE", 1, "%open", TagKind.ANALOG, 0, 100),
                Tag("U.PUMP", 2, "mL/min", TagKind.ANALOG, 0, 3000),
                Tag("V.LEVEL", 3, "%v/v", TagKind.ANALOG, 0, 110),
            ]
        )
        self.plant = Plant(
            name="test",
            text="",
            hash="",
            scan_s=1.0,
            wire_scan_s=0.05,
            simulated=True,
            devices={},
            tags=tags,
            writes={},
            derived=(),
            internal=frozenset(),
            units={},
            loops=loops,
            interlocks=interlocks,
            alarms={},
            symbols={t.name: Symbol(t.name, t.unit, t.labels) for t in tags},
        )
        self.clock = HandClock()
        self.image = ProcessImage(tags)
        self.gate = HandGate()
        self.journal = Journal(directory, self.clock)
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

    def bodies(self) -> list[dict[str, object]]:
        """Bodies of the events so far."""
        return [dict(e.body) for e in self.events]
