"""The folders of an NTA counter, on this machine's disk; gone is a network drive that is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.conformance import Rig, RigTag, Trouble
from drivers.nta_folder import NtaFolderDriver
from drivers.nta_ledger import KINDS
from drivers.nta_watch import State

REQUEST = ("SAMPLE_NO", "KIND", "DILUTION", "VIDEOS", "REQUEST")
TAGS = tuple(RigTag(name=name, point={"field": name.lower()}) for name in (*REQUEST, "STATE", "QUARANTINED"))


class NtaFolderRig(Rig):
    """Changes are files that cannot be read, each of which is quarantined."""

    driver = NtaFolderDriver
    timeout_s = 1.0
    lag_s = 1.0
    fresh = False
    troubles = frozenset({Trouble.GONE})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.root = folder / "counter"
        self.gone = folder / "unmounted"
        self.exported = 0

    async def start(self) -> None:
        for name in ("worklists", "exports"):
            (self.root / name).mkdir(parents=True)

    async def stop(self) -> None:
        """Folders end by themselves."""

    def tags(self) -> Sequence[RigTag]:
        return TAGS

    def options(self) -> Mapping[str, Any]:
        return {
            "worklists": str(self.root / "worklists"),
            "exports": str(self.root / "exports"),
            "timeout_s": self.timeout_s,
            "poll_s": 0,
            "settle_s": 0.05,
            "incomplete_after_s": 0.1,
        }

    async def truth(self) -> Mapping[str, float]:
        last = dict((await self.arrived())[-len(REQUEST) :])
        state = State.REQUESTED if last else State.IDLE
        return dict.fromkeys(REQUEST, 0.0) | last | {"STATE": float(state), "QUARANTINED": float(self.exported)}

    async def change(self) -> None:
        self.exported += 1
        path = self._there / "exports" / f"{self.exported}-ExperimentSummary.csv"
        path.write_text(f"export {self.exported}, of no program\n", encoding="utf-8")

    async def trouble(self, trouble: Trouble) -> None:
        source, target = (self.root, self.gone) if trouble is Trouble.GONE else (self.gone, self.root)
        if source.exists():
            source.rename(target)

    def writes(self) -> Sequence[Mapping[str, float]]:
        return [dict(zip(REQUEST, (7.0 + n, 1.0, 1000.0 * n, 3.0, float(n)), strict=True)) for n in (1, 2, 3)]

    def misfits(self) -> Sequence[Mapping[str, float]]:
        good = self.writes()[0]
        return [{**good, "VIDEOS": 0.0}, {**good, "SAMPLE_NO": 1.5}, {"REQUEST": 1.0}]

    async def arrived(self) -> Sequence[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        for path in sorted((self._there / "worklists").glob("worklist-*.csv")):
            request, sample, kind, dilution, videos = path.read_text(encoding="utf-8").split()[1].split(",")
            values = (int(sample.removeprefix("S-")), KINDS.index(kind), dilution, videos, request)
            found += [(name, float(value)) for name, value in zip(REQUEST, values, strict=True)]
        return found

    @property
    def _there(self) -> Path:
        return self.root if self.root.exists() else self.gone
