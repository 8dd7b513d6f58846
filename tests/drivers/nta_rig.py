"""The driver of an NTA counter on folders of a test, and what it reads by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivers.driver import BoundPoint, Outcome
from drivers.nta_folder import NtaFolderDriver, NtaFolderOptions, NtaFolderPoint
from drivers.nta_values import NtaField, unit_of
from evcontrol.clock import Clock
from evcontrol.quality import is_bad
from evcontrol.signals import Tag, TagKind, TagTable
from tests.drivers.nta_files import measurement, sizes, summary

QUICK = {"timeout_s": 0.5, "poll_s": 0.0, "settle_s": 0.05, "incomplete_after_s": 0.4}


def folders(root: Path) -> dict[str, str]:
    """Made if need be."""
    for name in ("worklists", "exports"):
        (root / name).mkdir(parents=True, exist_ok=True)
    return {"worklists": str(root / "worklists"), "exports": str(root / "exports"), "archive": str(root / "archive")}


def tag_of(index: int, field: NtaField) -> Tag:
    unit, is_text = unit_of(field)
    return Tag(f"NTA.{field.name}", index, unit, TagKind.TEXT if is_text else TagKind.ANALOG, 0, 1e15)


class Rig:
    """A driver with all its points bound."""

    def __init__(self, root: Path, clock: Clock, **options: Any) -> None:
        self.root = root
        self.tags = TagTable(tag_of(i, field) for i, field in enumerate(NtaField))
        points = [
            BoundPoint(tag, NtaFolderPoint(field=field), self.tags.code_of)
            for tag, field in zip(self.tags, NtaField, strict=True)
        ]
        given = NtaFolderOptions(**{**folders(root), **QUICK, **options})
        self.driver = NtaFolderDriver("NTA", given, points, clock)
        self.clock = clock

    async def read(self) -> dict[str, Any]:
        """Values by name: a number, a text, or the quality (a negative number) of a Bad one."""
        frame = await self.driver.read()
        found: dict[str, Any] = {}
        for field, tag, value, code in zip(NtaField, self.tags, frame.value, frame.quality, strict=True):
            if is_bad(int(code)):
                assert math.isnan(value)
                found[field.value] = -int(code)
            else:
                found[field.value] = self.tags.text_of(value) if tag.kind is TagKind.TEXT else float(value)
        return found

    async def qualities(self) -> set[int]:
        return set((await self.driver.read()).quality.tolist())

    async def until(self, within_s: float = 5.0, **values: Any) -> dict[str, Any]:
        """Read until these values are read; AssertionError when they are not in time."""
        end = self.clock.monotonic() + within_s
        while True:
            found = await self.read()
            if all(found[name] == value for name, value in values.items()):
                return found
            assert self.clock.monotonic() < end, (values, found)
            await self.clock.sleep(0.01)

    async def ask(self, request: int, sample_no: int = 42, **others: float) -> tuple[Outcome, str]:
        """Write a request; its one outcome and why."""
        values = {"sample_no": sample_no, "kind": 4, "dilution": 1000.0, "videos": 3, "request": request} | others
        results = await self.driver.write({f"NTA.{name.upper()}": value for name, value in values.items()})
        found = {(result.outcome, result.reason) for result in results.values()}
        assert len(found) == 1
        return found.pop()

    def export(self, name: str, text: str | None = None, sample: str = "S-000042") -> Path:
        """Leave a file in the exports."""
        path = self.root / "exports" / f"{name}-ExperimentSummary.csv"
        content = summary(measurement(sample=sample)) if text is None else text
        path.write_bytes(content.encode("latin-1"))
        return path

    def size_file(self, name: str, text: str | None = None, sample: str = "S-000042") -> Path:
        """Leave a size file of a ZetaView in the exports."""
        path = self.root / "exports" / f"{name}_size_488.txt"
        path.write_bytes((sizes(measurement(sample=sample)) if text is None else text).encode("latin-1"))
        return path


def same(found: Mapping[str, Any], names: tuple[str, ...], other: Mapping[str, Any]) -> bool:
    return all(found[name] == other[name] for name in names)
