"""Appending, telling the listeners, and what is sure to be on the disk."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from evcontrol.journal.events import ENGINE, Event, Kind
from evcontrol.journal.store import Journal, JournalUnavailableError, read_events, verify
from tests.journal.build import ADA, open_journal, segments


def test_an_event_says_what_who_when_and_where(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    before = LiveClock().now()
    event = journal.append(Kind.MODE_CHANGED, ADA, {"unit": "TFF101", "new": "manual"}, batch="B-0001", path="a/b")
    assert (event.seq, event.kind, event.actor, event.station) == (0, Kind.MODE_CHANGED, "user:ada", "hall-2")
    assert (event.batch, event.path, event.body) == ("B-0001", "a/b", {"unit": "TFF101", "new": "manual"})
    assert before - 10**9 < event.t < before + 10**10
    assert list(read_events(tmp_path)) == [event]


def test_later_changes_of_a_body_do_not_reach_the_event(tmp_path: Path) -> None:
    body = {"items": [1]}
    event = open_journal(tmp_path).append(Kind.RECONCILIATION_SHOWN, ENGINE, body)
    body["items"].append(2)
    assert event.body == {"items": [1]}


@pytest.mark.parametrize("body", [{"x": {1, 2}}, {1: "x"}, {"x": 2**70}, {"x": "\ud800"}])
def test_a_body_that_json_cannot_hold_is_refused_and_nothing_written(tmp_path: Path, body: dict[str, object]) -> None:
    journal = open_journal(tmp_path)
    with pytest.raises(TypeError):
        journal.append(Kind.PHASE_RESULT, ENGINE, body)
    assert journal.head[0] == 0
    assert journal.available
    assert segments(tmp_path)[0].stat().st_size == 0


@pytest.mark.parametrize("body", [{"x": {1, 2}}, {1: "x"}, {"x": "\ud800"}])
def test_an_event_of_safety_lands_whatever_its_body(tmp_path: Path, body: dict[str, object]) -> None:
    event = open_journal(tmp_path).append_safety(Kind.SAFE_STATE, ENGINE, body)
    assert event is not None
    assert list(event.body) == ["unreadable"]
    assert list(read_events(tmp_path)) == [event]


def test_listeners_hear_each_event_in_order_and_after_it_is_in_the_journal(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    heard: list[tuple[str, int]] = []

    def first(event: Event) -> None:
        assert [kept.seq for kept in read_events(tmp_path)][-1] >= event.seq
        heard.append(("first", event.seq))
        if event.seq == 0:
            journal.append(Kind.ALARM_STATE, ENGINE, {})

    journal.subscribe(first)
    journal.subscribe(lambda event: heard.append(("second", event.seq)))
    journal.append(Kind.INTERLOCK_TRIPPED, ENGINE, {})
    journal.append_safety(Kind.SAFE_STATE, ENGINE, {})
    assert heard == [(who, seq) for seq in range(3) for who in ("first", "second")]


def test_a_failing_listener_is_heard_of_when_all_have_heard_and_the_event_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = open_journal(tmp_path)
    heard: list[int] = []

    def fail(event: Event) -> None:
        raise ZeroDivisionError(event.seq)

    journal.subscribe(fail)
    journal.subscribe(lambda event: heard.append(event.seq))
    with pytest.raises(ZeroDivisionError):
        journal.append(Kind.DENIED, ENGINE, {})
    assert journal.append_safety(Kind.SAFE_STATE, ENGINE, {}) is not None
    assert "ZeroDivisionError" in caplog.text
    assert heard == [0, 1]
    assert len(list(read_events(tmp_path))) == 2


def test_synced_tells_what_a_loss_of_power_leaves(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_journal(tmp_path, segment_bytes=2000)
        for _ in range(9):
            await journal.record(Kind.PHASE_PROGRESS, ENGINE, {})
        for _ in range(2):
            journal.append(Kind.ALARM_STATE, ENGINE, {})
        path, size = journal.synced
        os.truncate(path, size)
        for later in segments(tmp_path):
            if later.name > path.name:
                later.unlink()

    asyncio.run(main())
    kinds = [event.kind for event in read_events(tmp_path)]
    assert kinds.count(Kind.PHASE_PROGRESS) == 9
    journal = open_journal(tmp_path)
    assert journal.head[0] == len(kinds)


def test_synced_moves_with_flush_only(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_journal(tmp_path)
        assert journal.synced == (tmp_path / "000001.jsonl", 0)
        journal.append(Kind.ALARM_STATE, ENGINE, {})
        assert journal.synced[1] == 0
        await journal.flush()
        assert journal.synced[1] == (tmp_path / "000001.jsonl").stat().st_size
        journal.close()

    asyncio.run(main())


def test_a_new_segment_is_begun_only_when_the_old_one_is_on_the_disk(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, segment_bytes=1)
    journal.append(Kind.ALARM_STATE, ENGINE, {})
    assert journal.synced == (tmp_path / "000001.jsonl", 0)
    journal.append(Kind.ALARM_STATE, ENGINE, {})
    assert journal.synced == (tmp_path / "000002.jsonl", 0)
    assert [path.name for path in segments(tmp_path)] == ["000001.jsonl", "000002.jsonl"]


class GatedDisk:
    """The real fdatasync, counted, and held until the test lets it go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.begun = threading.Event()
        self.go = threading.Event()
        self._real: Callable[[int], None] = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self)

    def __call__(self, fd: int) -> None:
        self.calls += 1
        self.begun.set()
        assert self.go.wait(20)
        self._real(fd)


def test_callers_share_a_sync_that_covers_all_that_was_appended_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = GatedDisk(monkeypatch)

    async def main() -> None:
        journal = open_journal(tmp_path)
        early = asyncio.create_task(journal.record(Kind.ALARM_STATE, ENGINE, {}))
        await asyncio.to_thread(disk.begun.wait, 20)
        size = segments(tmp_path)[0].stat().st_size
        late = [asyncio.create_task(journal.record(Kind.ALARM_STATE, ENGINE, {})) for _ in range(50)]
        await asyncio.sleep(0)
        disk.begun.clear()
        disk.go.set()
        await early
        assert journal.synced[1] == size, "the first sync began before the others had appended"
        await asyncio.gather(*late)
        assert journal.synced[1] == segments(tmp_path)[0].stat().st_size
        await journal.flush()
        journal.close()

    asyncio.run(main())
    assert disk.calls == 2


def test_a_cancelled_caller_does_not_take_the_others_sync_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = GatedDisk(monkeypatch)

    async def main() -> None:
        journal = open_journal(tmp_path)
        impatient = asyncio.create_task(journal.record(Kind.ALARM_STATE, ENGINE, {}))
        await asyncio.to_thread(disk.begun.wait, 20)
        patient = asyncio.create_task(journal.flush())
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        disk.go.set()
        await patient
        assert journal.synced[1] == segments(tmp_path)[0].stat().st_size
        journal.close()

    asyncio.run(main())
    assert disk.calls == 1


def test_segments_change_while_a_sync_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = GatedDisk(monkeypatch)

    async def main() -> None:
        journal = open_journal(tmp_path, segment_bytes=1)
        first = asyncio.create_task(journal.record(Kind.ALARM_STATE, ENGINE, {}))
        await asyncio.to_thread(disk.begun.wait, 20)
        disk.go.set()
        await asyncio.gather(first, *(journal.record(Kind.ALARM_STATE, ENGINE, {}) for _ in range(5)))
        assert journal.synced == (segments(tmp_path)[-1], segments(tmp_path)[-1].stat().st_size)
        journal.close()

    asyncio.run(main())
    assert len(segments(tmp_path)) == 6
    assert verify(tmp_path).events == 6


def test_a_run_that_ends_during_a_sync_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = GatedDisk(monkeypatch)
    journal = open_journal(tmp_path)

    async def main() -> None:
        task = asyncio.create_task(journal.record(Kind.ALARM_STATE, ENGINE, {}))
        await asyncio.to_thread(disk.begun.wait, 20)
        disk.go.set()
        del task

    asyncio.run(main())
    asyncio.run(journal.flush())
    assert journal.synced[1] == segments(tmp_path)[0].stat().st_size
    journal.close()


def test_after_a_failed_sync_the_lines_are_written_again_and_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-in for a disk whose failed sync drops the pages: the next read of them gives zeros."""
    real = os.fdatasync

    def drop_pages(fd: int) -> None:
        size = os.fstat(fd).st_size
        os.pwrite(fd, bytes(size - safe), safe)
        raise OSError(errno.EIO, "Input/output error")

    async def main() -> None:
        nonlocal safe
        journal = open_journal(tmp_path)
        await journal.record(Kind.ENGINE_STARTED, ENGINE, {})
        safe = journal.synced[1]
        monkeypatch.setattr(os, "fdatasync", drop_pages)
        with pytest.raises(JournalUnavailableError, match="Input/output error"):
            await journal.record(Kind.ALARM_STATE, ENGINE, {})
        assert not journal.available
        assert "Input/output error" in journal.trouble
        journal.append(Kind.ALARM_STATE, ENGINE, {})
        assert not journal.available, "an append says nothing about the disk below"
        assert not await journal.retry()
        monkeypatch.setattr(os, "fdatasync", real)
        assert await journal.retry()
        assert journal.available
        assert journal.synced[1] == segments(tmp_path)[0].stat().st_size
        journal.close()
        assert verify(tmp_path, journal.head).events == 3
        assert verify(tmp_path, journal.head).intact

    safe = 0
    asyncio.run(main())


def test_in_virtual_time_no_thread_is_used_and_no_time_passes(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        journal = Journal(tmp_path, clock, reserve_bytes=0)
        events = []
        for _ in range(3):
            events.append(await journal.record(Kind.PHASE_PROGRESS, ENGINE, {}))
            await clock.sleep(3600)
        await asyncio.gather(*(journal.record(Kind.ALARM_STATE, ENGINE, {}) for _ in range(5)))
        assert set(threading.enumerate()) <= threads
        assert [event.t for event in events] == [start + n * 3600 * 10**9 for n in range(3)]
        assert all(event.wall == event.t for event in events)
        assert journal.synced[1] == segments(tmp_path)[0].stat().st_size
        journal.close()

    start = 1_700_000_000_000_000_000
    threads = set(threading.enumerate())
    run_virtual(main, start)
    assert verify(tmp_path).events == 8


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append(Kind.ALARM_STATE, ENGINE, {})
    journal.close()
    journal.close()
    assert journal.synced[1] == segments(tmp_path)[0].stat().st_size
    with pytest.raises(JournalUnavailableError, match="closed"):
        journal.append(Kind.ALARM_STATE, ENGINE, {})
    assert journal.append_safety(Kind.SAFE_STATE, ENGINE, {}) is None
    asyncio.run(journal.flush())


def test_no_new_segment_is_begun_while_the_old_one_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fdatasync

    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    journal = open_journal(tmp_path, segment_bytes=1)
    journal.append(Kind.ALARM_STATE, ENGINE, {})
    monkeypatch.setattr(os, "fdatasync", refuse)
    with pytest.raises(JournalUnavailableError, match="Input/output error"):
        journal.append(Kind.ALARM_STATE, ENGINE, {})
    assert journal.synced == (tmp_path / "000001.jsonl", 0)
    assert len(segments(tmp_path)) == 1
    monkeypatch.setattr(os, "fdatasync", real)
    journal.append(Kind.ALARM_STATE, ENGINE, {})
    assert journal.available
    assert len(segments(tmp_path)) == 2
    journal.close()
    assert verify(tmp_path, journal.head).events == 2


def test_a_sync_that_fails_in_the_thread_is_made_good_before_the_next_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system reports a failed write-back only once: who syncs next is told that all is well."""
    real = os.fdatasync
    begun, go = threading.Event(), threading.Event()

    def fail_in_thread(fd: int) -> None:
        if threading.current_thread() is threading.main_thread():
            real(fd)
            return
        begun.set()
        assert go.wait(20)
        os.pwrite(fd, bytes(os.fstat(fd).st_size), 0)
        raise OSError(errno.EIO, "Input/output error")

    async def main() -> None:
        journal = open_journal(tmp_path, segment_bytes=1)
        monkeypatch.setattr(os, "fdatasync", fail_in_thread)
        recording = asyncio.create_task(journal.record(Kind.ALARM_STATE, ENGINE, {}))
        await asyncio.to_thread(begun.wait, 20)
        go.set()
        journal.append(Kind.ALARM_STATE, ENGINE, {})
        await recording
        monkeypatch.setattr(os, "fdatasync", real)
        journal.close()
        assert verify(tmp_path, journal.head).events == 2
        assert verify(tmp_path, journal.head).intact

    asyncio.run(main())
