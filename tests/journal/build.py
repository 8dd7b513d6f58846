"""Journals to test with."""

from __future__ import annotations

from pathlib import Path

from evcontrol.clock import LiveClock
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.store import Journal

RESERVE = 1 << 16
ADA = Origin.user("ada", "hall-2")


def open_journal(directory: Path, *, segment_bytes: int = 16 << 20, reserve_bytes: int = RESERVE) -> Journal:
    return Journal(directory, LiveClock(), segment_bytes=segment_bytes, reserve_bytes=reserve_bytes)


def written(directory: Path, events: int = 12, *, segment_bytes: int = 1000) -> tuple[int, str]:
    """A closed journal of so many events over several segments; its head."""
    journal = open_journal(directory, segment_bytes=segment_bytes)
    for n in range(events):
        origin = ADA if n % 2 else ENGINE
        journal.append(
            Kind.PHASE_PROGRESS, origin, {"key": "volume", "value": n / 3}, batch=f"B-{n % 3:04d}", path="df"
        )
    journal.close()
    return journal.head


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.jsonl"))
