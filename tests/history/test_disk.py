"""A full disk, one that became read-only, a damaged tail: control goes on, batches are held, it ends by itself."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from evcontrol.alarms.states import AlarmStatus
from evcontrol.clock import NS, LiveClock, VirtualClock, run_virtual
from evcontrol.history.month import MonthFile
from evcontrol.history.reader import HistoryError, HistoryReader
from evcontrol.history.store import Historian
from evcontrol.journal.events import Kind
from evcontrol.journal.store import read_events
from evcontrol.procedure.start import StartRefusedError
from evcontrol.procedure.states import Command, State
from tests.batch.suite import OPERATOR, Suite
from tests.history.plant import START, frame, make_tags
from tests.history.test_seal import contents, seal_all, write

SIZE = 48 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose history lies on a file system of its own."""
    history = tmp_path / "data" / "history"
    history.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(history)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount")
    try:
        yield history
    finally:
        subprocess.run(["umount", "--lazy", str(history)], check=True)


def fill(disk: Path) -> Path:
    """Leave not one byte."""
    path = disk / "filler"
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def remounted(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


@pytest.mark.full  # needs the right to mount; test_crash.py has a stand-in that runs everywhere
@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_batch_is_held_and_goes_on_when_the_disk_is_well_again(disk: Path, trouble: str) -> None:
    data = disk.parent

    async def story(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            run = await suite.start_batch()
            await suite.until(run, lambda: any("concentrate" in path for path in run.running()))
            await suite.scans(20)
            engine = suite.engine
            filler = fill(disk)
            if trouble == "full":
                suite.each_step.append(lambda: fill(disk) and None)  # whatever the history gives back on closing
            else:
                # A file system with a file open for writing cannot be remounted; once it was refused none is open.
                while not engine.historian.trouble:
                    await suite.scans(1)
                filler.unlink()
                remounted(disk, "ro")
            before = engine.scanner.latest.seq
            for _ in range(400):
                await suite.scans(1)
                if run.state is State.HELD:
                    break
            assert run.state is State.HELD
            assert "history cannot be written" in run.reason
            await suite.scans(20)
            assert engine.scanner.latest.seq > before + 20
            wanted = "disk is full|disk I/O error" if trouble == "full" else "readonly|read-only|unable to open"
            assert re.search(wanted, engine.historian.trouble)
            assert engine.gate.is_safe_held("TFF201")
            assert engine.image.reading("SYS.HISTORY_REFUSED").value == 1
            alarms = {alarm.spec.name: alarm.state for alarm in engine.alarms.states()}
            assert alarms["SYS.HISTORY_REFUSED"] is AlarmStatus.UNACKNOWLEDGED
            with pytest.raises(StartRefusedError, match="history cannot be written"):
                await engine.batches.command(run.id, Command.RESTART, OPERATOR, "now")
            if trouble == "full":
                suite.each_step.clear()
                filler.unlink()
            else:
                remounted(disk, "rw")
            await suite.scans(20)
            assert engine.historian.trouble == ""
            assert engine.image.reading("SYS.HISTORY_REFUSED").value == 0
            await engine.batches.command(run.id, Command.RESTART, OPERATOR, "mended")
            for _ in range(60):
                if run.state is not State.HELD:
                    break
                await suite.scans(1)
            assert run.state is not State.HELD

    run_virtual(story)
    span = HistoryReader(disk).span()
    assert span is not None
    assert HistoryReader(disk).gaps(*span) == [], "all of it fitted into memory"


@pytest.mark.full  # as above
def test_what_memory_cannot_hold_is_one_gap_in_history_and_journal(disk: Path) -> None:
    data = disk.parent

    async def story(clock: VirtualClock) -> None:
        async with Suite(data, clock) as suite:
            await suite.scans(5)
            suite.engine.historian.buffer_frames = 100
            filler = fill(disk)
            await suite.scans(600)
            filler.unlink()
            await suite.scans(10)
            assert suite.engine.historian.trouble == ""

    run_virtual(story)
    span = HistoryReader(disk).span()
    assert span is not None
    (gap,) = HistoryReader(disk).gaps(*span)
    assert "disk is full" in gap.reason
    told = [e.body for e in read_events(data / "journal") if e.kind is Kind.HISTORY_GAP]
    assert {body["from"] for body in told} == {gap.start}
    assert told[-1]["to"] == gap.end
    scans = HistoryReader(disk).scans(*span)
    assert not ((scans >= gap.start) & (scans <= gap.end)).any()


@pytest.mark.full  # as above
def test_sealing_without_room_loses_nothing(disk: Path) -> None:
    file = write(disk.parent, 900)
    before = contents(disk)
    filler = fill(disk)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        seal_all(file)
    assert contents(disk) == before
    filler.unlink()
    assert seal_all(file) > 2
    assert contents(disk) == before


@pytest.mark.parametrize("damage", ["cut", "overwritten", "emptied"])
def test_a_damaged_tail_is_told_and_keeping_goes_on(tmp_path: Path, damage: str) -> None:
    file = write(tmp_path, 900)
    seal_all(file)
    size = file.stat().st_size
    if damage == "overwritten":
        with file.open("r+b") as opened:
            opened.seek(size * 2 // 3)
            opened.write(os.urandom(size // 3))
    else:
        os.truncate(file, size * 2 // 3 if damage == "cut" else 100)

    async def story(clock: VirtualClock) -> str:
        historian = Historian(file.parent, make_tags(), clock)
        for i in range(5):
            historian.keep(START + i, START + i, [frame(START + i, [float(i)])])
            await historian.flush()
        trouble = historian.trouble
        await historian.close()
        return trouble

    assert run_virtual(story, START) == ""
    found = []
    for path in sorted(file.parent.glob("*.db")):
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as db:
            found += db.execute(
                "SELECT t FROM frames WHERE t BETWEEN ? AND ? ORDER BY t", (START, START + 4)
            ).fetchall()
    assert found == [(START + i,) for i in range(5)]


def test_a_torn_end_of_the_log_costs_only_what_was_torn(tmp_path: Path) -> None:
    """As a machine that lost its power leaves it: the last bytes of the write-ahead log are not there."""
    writer = MonthFile(tmp_path / "2026-03.db", make_tags(), LiveClock())
    for i in range(50):
        writer.write([frame(START + i * NS, [float(i)])])
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("2026-03.db", "2026-03.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    writer.close()
    log = copy / "2026-03.db-wal"
    os.truncate(log, log.stat().st_size - 5000)
    values = HistoryReader(copy).raw(["TEMP"], START, START + 99 * NS)["TEMP"].v.tolist()
    assert values == [float(i) for i in range(len(values))]
    assert 45 <= len(values) < 50
    again = MonthFile(copy / "2026-03.db", make_tags(), LiveClock())
    again.write([frame(START + 60 * NS, [60.0])])
    again.close()
    assert HistoryReader(copy).raw(["TEMP"], START, START + 99 * NS)["TEMP"].v.tolist() == [*values, 60.0]


def test_a_damaged_month_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = write(tmp_path, 900)
    seal_all(file)
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(os.urandom(file.stat().st_size - 4096))
    with pytest.raises(HistoryError, match=r"2026-03\.db"):
        HistoryReader(file.parent).raw(["TEMP"], 0, START + 10**6 * NS)
