"""Retention removes whole months, the oldest first, and nothing that somebody still needs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evcontrol.clock import NS, LiveClock
from evcontrol.engine import Engine
from evcontrol.history.cursor import Position
from evcontrol.history.follow import Follower
from evcontrol.history.layout import Gap, month_files
from evcontrol.history.month import MonthFile
from evcontrol.history.retention import REMOVED, Retention, removable, remove
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.plant.load import parse_plant
from tests.history.plant import START, frame, make_tags
from tests.plant.test_influx import PLANT

DAY = 24 * 3600 * NS
MONTHS = {"2026-03": START, "2026-04": START + 31 * DAY, "2026-05": START + 61 * DAY}
NOW = START + 70 * DAY


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Three months of a few frames each."""
    directory = tmp_path / "history"
    directory.mkdir()
    for month, t in MONTHS.items():
        file = MonthFile(directory / f"{month}.db", make_tags(), LiveClock())
        file.write([frame(t + i * NS, [float(i)]) for i in range(10)])
        file.write([Gap(t + 10 * NS, t + 11 * NS, "an outage")])
        file.close()
    return directory


def names(found: list[tuple[Path, Gap]]) -> list[str]:
    return [path.stem for path, _ in found]


def sent(history: Path) -> dict[str, Position]:
    """Where a forwarder stands that has sent everything."""
    follower = Follower(history, "p", False, {})
    positions = {}
    while (batch := follower.next(1000)) is not None:
        positions[batch.file] = batch.position
        follower.done(batch)
    follower.close()
    return positions


@pytest.mark.parametrize(
    ("days", "gone"), [(100, []), (60, ["2026-03"]), (20, ["2026-03", "2026-04"]), (1, ["2026-03", "2026-04"])]
)
def test_what_is_older_goes_but_never_the_latest_month(history: Path, days: int, gone: list[str]) -> None:
    assert names(removable(history, Retention(keep_s=days * 86400.0), NOW, None, [])) == gone


def test_what_is_too_much_goes_the_oldest_first(history: Path) -> None:
    sizes = [path.stat().st_size for _, path in month_files(history)]
    assert names(removable(history, Retention(most_bytes=sum(sizes)), NOW, None, [])) == []
    assert names(removable(history, Retention(most_bytes=sum(sizes) - 1), NOW, None, [])) == ["2026-03"]
    assert names(removable(history, Retention(most_bytes=1), NOW, None, [])) == ["2026-03", "2026-04"]


def test_nothing_goes_that_was_not_forwarded(history: Path) -> None:
    everything = sent(history)
    old = Retention(keep_s=86400.0)
    assert names(removable(history, old, NOW, everything, [])) == ["2026-03", "2026-04"]
    assert removable(history, old, NOW, {}, []) == []
    whole = everything["2026-03.db"]
    for behind in (Position(whole.frame - 1, whole.gap), Position(whole.frame, whole.gap - 1)):
        assert names(removable(history, old, NOW, {**everything, "2026-03.db": behind}, [])) == ["2026-04"]


def test_nothing_goes_that_a_batch_still_needs(history: Path) -> None:
    old = Retention(keep_s=86400.0)
    within = (START + 5 * NS, START + 6 * NS)
    across = (START + 5 * NS, NOW)
    assert names(removable(history, old, NOW, None, [within])) == ["2026-04"]
    assert removable(history, old, NOW, None, [across]) == []
    assert len(removable(history, old, NOW, None, [(START - DAY, START - 1)])) == 2


def test_a_month_that_cannot_be_read_stays(history: Path) -> None:
    (history / "2026-03.db").write_bytes(b"this is no database at all" * 400)
    assert names(removable(history, Retention(keep_s=86400.0), NOW, None, [])) == ["2026-04"]


def test_removed_is_the_whole_month(history: Path) -> None:
    ((path, gap), *_) = removable(history, Retention(keep_s=86400.0), NOW, None, [])
    (history / "2026-03.db-wal").touch()
    remove(path)
    assert [entry.name for entry in sorted(history.glob("2026-03*"))] == []
    assert gap == Gap(START, START + 9 * NS, REMOVED)


def test_an_engine_removes_and_the_journal_tells(history: Path) -> None:
    plant = parse_plant(PLANT + "history: {keep: 400 d}\n", "plant.yaml")
    assert plant.retention == Retention(keep_s=400 * 86400.0)
    plant = parse_plant(PLANT + "history: {most_gb: 1e-9}\n", "plant.yaml")

    async def run() -> None:
        engine = Engine(plant, history.parent, LiveClock())
        await engine.start()
        async with asyncio.timeout(20):
            while len(month_files(history)) > 2:
                await engine.scanner.next_scan()
        await engine.stop("the test ends")

    asyncio.run(run())
    told = [e.body for e in read_events(history.parent / "journal") if e.kind is Kind.HISTORY_GAP]
    assert {"from": START, "to": START + 9 * NS, "reason": REMOVED} in told
