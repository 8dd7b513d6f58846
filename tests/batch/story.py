"""A batch told by hand: its events through the real journal, its readings through the real historian."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.history.store import Historian
from evcontrol.journal.events import ENGINE, Kind, Origin, ProcessActor
from evcontrol.journal.store import Journal
from evcontrol.phases.water import density
from evcontrol.quality import GOOD
from evcontrol.signals import Tag, TagKind, TagTable, make_frame

START = 1_772_323_200_000_000_000
"""2026-03-01T00:00:00Z."""
BATCH = "B-0001"
CELSIUS = 21.0
RHO = density(CELSIUS)
OLIVIA = Origin.user("olivia", "station 1")
PHASE = Origin(ProcessActor.PHASE)
CONSTANTS = {"TFF201": {"hold_up": "60 mL", "residual": "12 mL"}}

RECIPE = """recipe: Ultrafiltration by hand
version: 2.1.0
product: MSC-EV concentrate
units:
  tff: {class: tff}
parameters:
  feed_mass: {value: 2000 g, low: 500 g, high: 2700 g, description: Conditioned medium}
  tmp: {value: 4 psi, low: 2 psi, high: 7 psi, description: Transmembrane pressure}
procedure:
  - unit_procedure: uf
    unit: tff
    steps:
      - phase: load
        with: {mass: feed_mass}
      - phase: concentrate
        with: {vcf: 10 x, cross_flow: 1200 mL/min, tmp: tmp}
      - phase: diafilter
        with: {diavolumes: 6 DV, cross_flow: 1200 mL/min, tmp: tmp}
      - phase: recover
        with: {flow: 300 mL/min, rinse: 60 mL}
"""

UNITS = {
    "WT_RET": "g", "WT_PERM": "g", "FQ_IN": "mL", "TT": "degC", "TMP": "psi", "FLUX": "LMH", "PT_FEED": "psig",
    "PT_RET": "psig", "PT_PERM": "psig", "CT": "mS/cm", "FT_FEED": "mL/min", "RETENTATE": "g",
}  # fmt: skip


def tags() -> TagTable:
    """What the story's history holds."""
    analog = [Tag(f"TFF201.{name}", i, unit, TagKind.ANALOG, -1e4, 1e4) for i, (name, unit) in enumerate(UNITS.items())]
    valve = Tag("TFF201.XV102_FB", len(analog), "", TagKind.DISCRETE, 0, 1, labels=("closed", "open"))
    inlet = Tag("TFF201.INLET", len(analog) + 1, "", TagKind.ENUM, 0, 2, labels=("none", "feed", "buffer"))
    return TagTable([*analog, valve, inlet])


class Story:
    """Tells a batch second by second. ``value`` and ``quality`` are what is read next, by tag without the unit."""

    def __init__(self, data: Path, clock: VirtualClock) -> None:
        self.clock = clock
        self.journal = Journal(data / "journal", clock)
        self.tags = tags()
        self.historian = Historian(data / "history", self.tags, clock)
        self.value = dict.fromkeys([*UNITS, "XV102_FB", "INLET"], 0.0)
        self.value |= {"TT": CELSIUS, "WT_RET": 500.0, "WT_PERM": 300.0, "FQ_IN": 10_000.0}
        self.quality = dict.fromkeys(self.value, GOOD)
        self.silent = False
        self.hooks: Mapping[str, Callable[[Story], None]] = {}
        self.leak_g = 0.0

    def event(self, kind: Kind, body: Mapping[str, Any], *, origin: Origin = ENGINE, path: str | None = None) -> None:
        """An event of the batch (of the plant when ``path`` is None)."""
        self.journal.append(kind, origin, body, batch="" if path is None else BATCH, path=path or "")

    def state(self, path: str, old: str, new: str, command: str = "", reason: str = "") -> None:
        body = {"old": old, "new": new, "command": command, "reason": reason}
        self.event(Kind.STATE_CHANGED, body, origin=OLIVIA if not path else ENGINE, path=path)

    def result(self, path: str, name: str, value: float, unit: str) -> None:
        self.event(Kind.PHASE_RESULT, {"name": name, "value": value, "unit": unit}, origin=PHASE, path=path)

    async def seconds(self, count: int, **change: float) -> None:
        """Let time pass; ``change`` is how much each tag moves over it, evenly."""
        for _ in range(count):
            await self.clock.sleep(1.0)
            for name, amount in change.items():
                self.value[name] += amount / count
            self.value["RETENTATE"] = self.value["WT_RET"] - 500.0
            if not self.silent:
                names = list(self.value)
                readings = [(self.tags[f"TFF201.{n}"].index, self.value[n], self.quality[n]) for n in names]
                now = self.clock.now()
                self.historian.keep(now, now, [make_frame(now, now, "skid", readings)])

    async def phase(self, name: str, seconds: int, **change: float) -> None:
        """One phase; the hook ``before <name>`` is called as it starts, ``<name>`` in it, ``after <name>`` past it."""
        path = f"uf/{name}"
        self._hook(f"before {name}")
        await self.seconds(3)
        self.state(path, "Idle", "Running", "start")
        await self.seconds(seconds // 2, **{tag: amount / 2 for tag, amount in change.items()})
        self._hook(name)
        await self.seconds(seconds // 2, **{tag: amount / 2 for tag, amount in change.items()})
        self._hook(f"after {name}")
        await self.seconds(3)
        self.state(path, "Running", "Complete")

    def create(self, parameters: Mapping[str, str], constants: Mapping[str, Any] | None, recipe: str = RECIPE) -> None:
        body: dict[str, Any] = {
            "version": "0.1.0", "plant": "Hall 2", "plant_hash": "ab" * 32, "clock": "virtual", "speed": 1.0,
            "simulated": True, "previous_end": "orderly",
        }  # fmt: skip
        if constants is not None:
            body["constants"] = constants
        self.event(Kind.ENGINE_STARTED, body)
        self.event(Kind.USER_ADDED, {"user": "olivia", "full_name": "Olivia Operator", "roles": ["operator"]})
        name = {
            "name": "Ultrafiltration by hand",
            "version": "2.1.0",
            "file": "hand.yaml",
            "text": recipe,
            "state": "draft",
        }
        created = {
            "recipe": name | {"hash": hashlib.sha256(recipe.encode()).hexdigest()},
            "kind": "training", "purpose": "test", "product": "MSC-EV concentrate", "units": {"tff": "TFF201"},
            "parameters": {"feed_mass": "2000 g", "tmp": "4 psi"} | dict(parameters),
        }  # fmt: skip
        self.event(Kind.BATCH_CREATED, created, origin=OLIVIA, path="")
        self.state("", "Idle", "Running", "start")

    async def filtration(self) -> None:
        """Feed 2000 g, permeate 1800 g, exchange 1200 g, with 48 mL left in the circuit; then pump out."""
        feed, taken, exchanged, circuit = 2000.0, 1800.0, 1200.0, 48.0 * RHO
        await self.phase("load", 60, WT_RET=feed, FQ_IN=feed / RHO)
        self.result("uf/load", "feed", feed, "g")
        self.value |= {"XV102_FB": 1.0, "TMP": 4.0, "FT_FEED": 1200.0, "FLUX": 60.0}
        self.value["WT_RET"] -= circuit
        await self.seconds(1)
        start = {"total_g": self.value["RETENTATE"] + 60.0 * RHO, "perm_g": self.value["WT_PERM"]}
        self.event(Kind.PHASE_PROGRESS, {"key": "start", "value": start}, origin=PHASE, path="uf/concentrate")
        await self.phase("concentrate", 240, WT_RET=-taken, WT_PERM=taken - self.leak_g)
        self.result("uf/concentrate", "VCF", 9.9, "x")
        await self.phase("diafilter", 60, WT_PERM=exchanged, FQ_IN=exchanged / RHO)
        self.value |= {"XV102_FB": 0.0, "TMP": 0.0}
        await self.phase("recover", 20, WT_RET=-150.0)
        self.result("uf/recover", "left in the circuit", 12.0 * RHO, "g")

    def _hook(self, name: str) -> None:
        if name in self.hooks:
            self.hooks[name](self)


def tell(
    data: Path,
    hooks: Mapping[str, Callable[[Story], None]] | None = None,
    *,
    parameters: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = CONSTANTS,
    leak_g: float = 0.0,
    recipe: str = RECIPE,
    ends: bool = True,
) -> None:
    """Write the data directory of one batch. ``hooks`` as in :meth:`Story.phase`, and ``begun``, ``end``."""

    async def main(clock: VirtualClock) -> None:
        story = Story(data, clock)
        story.hooks, story.leak_g = hooks or {}, leak_g
        await story.seconds(3)
        story._hook("before")
        story.create(parameters or {}, constants, recipe)
        story._hook("begun")
        await story.filtration()
        if ends:
            story.state("", "Running", "Complete")
        story._hook("end")
        await story.historian.close()
        story.journal.close()

    run_virtual(main, START)
