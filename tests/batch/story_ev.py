"""A whole EV batch told by hand: cultured, collected, clarified, filtered, formulated, and counted on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.history.store import Historian
from evcontrol.journal.events import ENGINE, Kind, Origin, ProcessActor
from evcontrol.journal.store import Journal
from evcontrol.quality import GOOD
from evcontrol.signals import Tag, TagKind, TagTable, make_frame
from tests.batch.story import BATCH, OLIVIA, START

PHASE = Origin(ProcessActor.PHASE)
HOUR_S = 3600
RECIPE = """recipe: EV batch by hand
version: 1.0.0
product: MSC-EV
units: {br: {class: bioreactor}, tff: {class: tff}, nta: {class: counter}}
procedure:
  - unit_procedure: culture
    unit: br
    steps: [{phase: inoculate}, {phase: wash_out}, {phase: condition}, {phase: harvest}, {phase: clarify}]
  - unit_procedure: counting
    unit: nta
    steps: [{phase: count}]
  - unit_procedure: uf
    unit: tff
    steps: [{phase: load}, {phase: concentrate}, {phase: diafilter}, {phase: recover}]
  - unit_procedure: finish
    steps: [{phase: formulate}, {phase: sterile_filter}]
"""
TAGS = {"BR101.WT_POOL": "g", "BR101.WT_CLAR": "g", "BR101.TT": "degC", "TFF201.TT": "degC"}
COUNTS: dict[str, tuple[float, float, str]] = {
    "medium": (2e7, 1.0, ""),
    "diluent": (1e5, 1.0, ""),
    "pool": (6e7, 100.0, "P-1"),
    "clarified": (5.6e7, 100.0, "C-1"),
    "concentrate": (4.6e7, 1000.0, "U-1"),
    "permeate": (1e7, 1.0, ""),
    "product": (3.9e7, 1000.0, "F-1"),
}
"""Kind of sample: particles/mL measured, dilution, container."""
CELLS = (
    ("inoculation", 2e8, "counted", 0.1),
    ("collection", 7e8, "estimated", 0.3),
    ("harvest", 8e8, "counted", 0.1),
)


class EvStory:
    """Tells the batch; ``value`` and ``quality`` are what is read next, by tag."""

    def __init__(self, data: Path, clock: VirtualClock) -> None:
        self.clock = clock
        self.journal = Journal(data / "journal", clock)
        tags = [Tag(name, i, unit, TagKind.ANALOG, -1e4, 1e4) for i, (name, unit) in enumerate(TAGS.items())]
        self.tags = TagTable(tags)
        self.historian = Historian(data / "history", self.tags, clock)
        self.value = {"BR101.WT_POOL": 0.0, "BR101.WT_CLAR": 310.0, "BR101.TT": 37.0, "TFF201.TT": 21.0}
        self.quality = dict.fromkeys(TAGS, GOOD)
        self.hooks: Mapping[str, Callable[[EvStory], None]] = {}
        self.counts: dict[str, Mapping[str, Any] | None] = {}
        self.cells: Sequence[tuple[str, Any, str, float | None]] = CELLS
        self.sample_no = 0

    def event(self, kind: Kind, body: Mapping[str, Any], path: str = "") -> None:
        self.journal.append(kind, PHASE if path else ENGINE, body, batch=BATCH, path=path)

    def state(self, path: str, old: str, new: str) -> None:
        body = {"old": old, "new": new, "command": "", "reason": ""}
        self.journal.append(Kind.STATE_CHANGED, OLIVIA if not path else ENGINE, body, batch=BATCH, path=path)

    def result(self, path: str, name: str, value: float, unit: str = "g") -> None:
        self.event(Kind.PHASE_RESULT, {"name": name, "value": value, "unit": unit}, path)

    def register(self, path: str, container: str, kind: str) -> None:
        body = {"container": container, "type": kind, "content": "empty", "state": "in use", "tare_g": None}
        self.event(Kind.CONTAINER_REGISTERED, body, path)

    def fill(self, path: str, container: str, content: str, mass_g: float, state: str = "filled") -> None:
        body = {"container": container, "state": state, "content": content, "mass_g": mass_g, "reason": path}
        self.event(Kind.CONTAINER_CHANGED, body, path)

    async def wait(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass, with a scan each ``step``."""
        for _ in range(round(seconds / step)):
            await self.clock.sleep(step)
            now = self.clock.now()
            readings = [(self.tags[name].index, self.value[name], self.quality[name]) for name in TAGS]
            self.historian.keep(now, now, [make_frame(now, now, "all", readings)])

    async def pump(self, tag: str, grams: float) -> None:
        """A load cell gains (or loses) in a minute, and comes to rest."""
        for _ in range(6):
            self.value[tag] += grams / 6
            await self.wait(10)
        await self.wait(20)

    def count(self, kind: str, **change: Any) -> None:
        """Take a count as ``COUNTS`` has it, with changes."""
        measured, dilution, container = COUNTS[kind]
        self.sample_no += 1
        body: dict[str, Any] = {
            "sample": f"S-{self.sample_no:06d}", "sample_no": self.sample_no, "kind": kind, "container": container,
            "file": f"S-{self.sample_no:06d}.csv", "sha256": hashlib.sha256(kind.encode()).hexdigest(),
            "software": "NTA 3.4", "captured_at": "2026-03-03T10:00:00", "dilution": dilution,
            "dilution_source": "export", "concentration_measured": measured,
            "concentration_stock": measured * dilution, "cv": 0.08, "replicates": 5, "mean": 142.0, "mode": 118.0,
            "sd": 45.0, "d10": 92.0, "d50": 131.0, "d90": 204.0, "fraction_below_200": 0.89, "tracks": 4200,
            "warnings": "",
        }  # fmt: skip
        self.event(Kind.COUNT_TAKEN, body | change, "counting/count")

    def count_cells(self, when: str) -> None:
        for told, viable, method, cv in self.cells:
            if told == when:
                body = {"when": told, "viable": viable, "viability": 0.93, "method": method, "cv": cv}
                self.event(Kind.CELLS_COUNTED, body, "culture/harvest")

    def call(self, name: str) -> None:
        if name in self.hooks:
            self.hooks[name](self)

    def counted(self, kind: str) -> None:
        """The count of a kind, unless the story leaves it out."""
        change = self.counts.get(kind, {})
        if change is not None:
            self.count(kind, **change)

    def create(self) -> None:
        body = {
            "version": "0.1.0", "plant": "Hall 2", "plant_hash": "ab" * 32, "clock": "virtual", "speed": 360.0,
            "simulated": True, "previous_end": "orderly", "constants": {},
        }  # fmt: skip
        self.journal.append(Kind.ENGINE_STARTED, ENGINE, body)
        recipe = {"name": "EV batch by hand", "version": "1.0.0", "file": "ev.yaml", "text": RECIPE}
        created = {
            "recipe": recipe | {"hash": hashlib.sha256(RECIPE.encode()).hexdigest()}, "purpose": "test",
            "product": "MSC-EV", "units": {"br": "BR101", "tff": "TFF201", "nta": "NTA301"}, "parameters": {},
        }  # fmt: skip
        self.journal.append(Kind.BATCH_CREATED, OLIVIA, created, batch=BATCH)
        self.state("", "Idle", "Running")

    async def culture(self) -> None:
        """Washed out, then two days with a collection of 900 g after the first and 850 g at the end."""
        self.count_cells("inoculation")
        path = "culture/wash_out"
        self.state(path, "Idle", "Running")
        await self.wait(60)
        self.result(path, "old medium left", 0.0132, "")
        self.state(path, "Running", "Complete")
        path = "culture/condition"
        self.state(path, "Idle", "Running")
        await self.wait(20)
        self.value["BR101.WT_POOL"] = 250.0
        await self.wait(10)
        self.register(path, "P-1", "pool")
        await self.wait(24 * HOUR_S, 300.0)
        self.count_cells("collection")
        self.call("collection")
        await self.pump("BR101.WT_POOL", 900.0)
        self.fill(path, "P-1", "conditioned medium", 900.0, "in use")
        self.result(path, "collected", 900.0)
        self.result(path, "pool", 900.0)
        await self.wait(24 * HOUR_S, 300.0)
        self.state(path, "Running", "Complete")
        path = "culture/harvest"
        self.state(path, "Idle", "Running")
        await self.pump("BR101.WT_POOL", 850.0)
        self.fill(path, "P-1", "conditioned medium", 1750.0, "in use")
        self.result(path, "collected", 850.0)
        await self.wait(600)
        self.count_cells("harvest")
        self.state(path, "Running", "Complete")

    async def clarification(self) -> None:
        for kind in ("diluent", "medium", "pool"):
            self.counted(kind)
        path = "culture/clarify"
        self.state(path, "Idle", "Running")
        await self.wait(10)
        self.register(path, "C-1", "clarified")
        await self.wait(10)
        self.value["BR101.WT_POOL"] -= 1742.0
        await self.pump("BR101.WT_CLAR", 1740.0)
        self.result(path, "clarified", 1740.0)
        self.fill(path, "C-1", "clarified medium", 1740.0)
        self.fill(path, "P-1", "conditioned medium", 8.0, "emptied")
        self.state(path, "Running", "Complete")
        self.counted("clarified")

    async def filtration(self) -> None:
        for name, results in (
            ("load", {"feed": 1735.0}),
            ("concentrate", {"permeate": 1500.0, "retentate": 170.0}),
            ("diafilter", {"permeate": 1080.0}),
            ("recover", {"product, by balance and hold-up": 180.0, "left in the circuit": 12.0}),
        ):
            self.state(f"uf/{name}", "Idle", "Running")
            await self.wait(30)
            self.call(name)
            for result, grams in results.items():
                self.result(f"uf/{name}", result, grams)
            if name == "recover":
                self.register("uf/recover", "U-1", "product")
                self.fill("uf/recover", "U-1", "concentrate", 180.0)
            self.state(f"uf/{name}", "Running", "Complete")
        self.counted("permeate")
        self.counted("concentrate")

    async def finishing(self) -> None:
        for name, kind, result, grams in (
            ("formulate", "formulated", "formulated", 200.0),
            ("sterile_filter", "filtered", "filtered", 190.0),
        ):
            path = f"finish/{name}"
            self.state(path, "Idle", "Running")
            await self.wait(30)
            self.register(path, "F-1" if kind == "filtered" else "M-1", kind)
            self.fill(path, "F-1" if kind == "filtered" else "M-1", f"{kind} product", grams)
            self.result(path, result, grams)
            self.state(path, "Running", "Complete")
        self.counted("product")
        self.call("end")
        self.state("", "Running", "Complete")


def tell_ev(
    data: Path,
    hooks: Mapping[str, Callable[[EvStory], None]] | None = None,
    *,
    counts: dict[str, Mapping[str, Any] | None] | None = None,
    cells: Sequence[tuple[str, Any, str, float | None]] = CELLS,
) -> None:
    """Write the data directory of one batch.

    ``counts`` changes the body of a count by its kind, or leaves it out (None). ``hooks`` are called at ``collection``,
    within ``load``, ``concentrate``, ``diafilter`` and ``recover``, and at the ``end``.
    """

    async def main(clock: VirtualClock) -> None:
        story = EvStory(data, clock)
        story.hooks, story.counts, story.cells = hooks or {}, counts or {}, cells
        await story.wait(10)
        story.create()
        await story.culture()
        await story.clarification()
        await story.filtration()
        await story.finishing()
        await story.historian.close()
        story.journal.close()

    run_virtual(main, START)
