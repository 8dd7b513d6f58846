"""A journal goes on after a crash, whatever the crash left of the last line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcontrol.journal.events import ENGINE, Kind
from evcontrol.journal.store import JournalDamagedError, JournalUnavailableError, read_events, verify
from tests.journal.build import open_journal, segments, written


def test_a_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    head = written(tmp_path, 7)
    journal = open_journal(tmp_path)
    assert journal.head == head
    assert journal.synced == (segments(tmp_path)[-1], segments(tmp_path)[-1].stat().st_size)
    assert journal.append(Kind.ENGINE_STARTED, ENGINE, {}).seq == 7
    journal.close()
    assert verify(tmp_path, journal.head).intact


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_last_segment_cut_at_any_byte_goes_on_and_the_rest_is_kept_aside(tmp_path: Path, data: st.DataObject) -> None:
    shutil.rmtree(tmp_path)
    written(tmp_path, 8)
    last = segments(tmp_path)[-1]
    whole = last.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    last.write_bytes(whole[:cut])
    kept = whole[: whole[:cut].rfind(b"\n") + 1]

    journal = open_journal(tmp_path)
    journal.append(Kind.ENGINE_STARTED, ENGINE, {})
    journal.close()

    assert last.read_bytes().startswith(kept)
    assert [path.read_bytes() for path in tmp_path.glob("*.torn-*")] == (
        [whole[len(kept) : cut]] if cut > len(kept) else []
    )
    assert verify(tmp_path, journal.head).intact
    assert [event.kind for event in read_events(tmp_path)][-1] is Kind.ENGINE_STARTED


def test_a_tail_of_zeros_is_set_aside(tmp_path: Path) -> None:
    head = written(tmp_path, 3)
    with segments(tmp_path)[-1].open("ab") as file:
        file.write(bytes(5000))
    assert open_journal(tmp_path).head == head
    assert next(tmp_path.glob("*.torn-*")).read_bytes() == bytes(5000)


def test_two_torn_lines_at_the_same_place_are_both_kept(tmp_path: Path) -> None:
    written(tmp_path, 3)
    for half in (b'{"a', b'{"b'):
        with segments(tmp_path)[-1].open("ab") as file:
            file.write(half)
        open_journal(tmp_path).close()
    assert {path.read_bytes() for path in tmp_path.glob("*.torn-*")} == {b'{"a', b'{"b'}


def test_a_crash_just_after_a_new_segment_was_made(tmp_path: Path) -> None:
    head = written(tmp_path, 8)
    following = tmp_path / f"{len(segments(tmp_path)) + 1:06d}.jsonl"
    following.touch()
    journal = open_journal(tmp_path)
    assert journal.head == head
    journal.append(Kind.ENGINE_STARTED, ENGINE, {})
    journal.close()
    assert following.stat().st_size > 0
    assert verify(tmp_path, journal.head).intact


def test_a_damaged_last_segment_is_not_written_on(tmp_path: Path) -> None:
    written(tmp_path, 8)
    last = segments(tmp_path)[-1]
    last.write_bytes(last.read_bytes().replace(b"volume", b"volumf", 1))
    before = last.read_bytes()
    with pytest.raises(JournalDamagedError, match=f"{last.name} line 2"):
        open_journal(tmp_path)
    assert last.read_bytes() == before


def test_the_last_segment_must_follow_the_one_before(tmp_path: Path) -> None:
    written(tmp_path, 8)
    before_last = segments(tmp_path)[-2]
    lines = before_last.read_bytes().splitlines(keepends=True)
    before_last.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(JournalDamagedError, match="lines are missing"):
        open_journal(tmp_path)


def test_a_segment_before_the_last_must_end_with_a_whole_line(tmp_path: Path) -> None:
    written(tmp_path, 8)
    before_last = segments(tmp_path)[-2]
    before_last.write_bytes(before_last.read_bytes()[:-3])
    with pytest.raises(JournalDamagedError, match="does not end with a whole line"):
        open_journal(tmp_path)


def test_a_directory_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnavailableError, match=r"Not a directory|File exists"):
        open_journal(tmp_path / "file" / "journal")


def test_a_long_last_line_is_found_from_the_end(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, segment_bytes=10)
    journal.append(Kind.BATCH_CREATED, ENGINE, {"recipe": "x" * 300_000})
    journal.append(Kind.ENGINE_STOPPED, ENGINE, {})
    journal.close()
    assert open_journal(tmp_path).head == journal.head


def test_two_writers_are_noticed_before_either_overwrites_the_other(tmp_path: Path) -> None:
    first, second = open_journal(tmp_path), open_journal(tmp_path)
    second.append(Kind.ENGINE_STARTED, ENGINE, {})
    with pytest.raises(JournalUnavailableError, match="changed by another"):
        first.append(Kind.ENGINE_STARTED, ENGINE, {})
    assert first.append_safety(Kind.SAFE_STATE, ENGINE, {}) is None
    assert verify(tmp_path, second.head).intact
