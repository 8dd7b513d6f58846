"""Nothing in a journal can be changed, taken out or swapped unnoticed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcontrol.journal.events import ENGINE, GENESIS, Kind
from evcontrol.journal.store import verify
from tests.journal.build import open_journal, segments, written

on_one_directory = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_an_untouched_journal_is_intact(tmp_path: Path) -> None:
    head = written(tmp_path, 12)
    verdict = verify(tmp_path, head)
    assert verdict.intact
    assert (verdict.faults, verdict.events, verdict.head) == ([], 12, head)


def test_an_empty_journal_is_intact(tmp_path: Path) -> None:
    open_journal(tmp_path).close()
    assert verify(tmp_path, (0, GENESIS)).intact


def test_a_head_of_earlier_lies_on_the_chain(tmp_path: Path) -> None:
    earlier = written(tmp_path, 5)
    journal = open_journal(tmp_path)
    journal.append(Kind.ENGINE_STOPPED, ENGINE, {"reason": "maintenance"})
    journal.close()
    assert verify(tmp_path, earlier).intact
    assert not verify(tmp_path, (earlier[0], "f" * 64)).intact


def test_a_flip_in_every_single_byte_is_found(tmp_path: Path) -> None:
    head = written(tmp_path, 9)
    paths = segments(tmp_path)
    assert len(paths) > 2
    for path in paths:
        data = path.read_bytes()
        last_line = data[:-1].rfind(b"\n") + 1 if path == paths[-1] else len(data)
        for at in range(len(data)):
            path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
            assert not verify(tmp_path, head).intact, (path.name, at)
            # The chain alone protects all but the last line, to which nothing refers yet.
            assert at >= last_line or not verify(tmp_path).intact, (path.name, at)
        path.write_bytes(data)
    assert verify(tmp_path, head).intact


@given(data=st.data())
@on_one_directory
def test_lines_taken_out_doubled_or_swapped_are_found(tmp_path: Path, data: st.DataObject) -> None:
    head, path, original = _fresh(tmp_path, data)
    lines = original.splitlines(keepends=True)
    first = data.draw(st.integers(0, len(lines) - 1))
    second = data.draw(st.integers(0, len(lines) - 1))
    changes: list[Callable[[], list[bytes]]] = [
        lambda: lines[:first] + lines[first + 1 :],
        lambda: lines[: first + 1] + lines[first:],
        lambda: [*lines[:first], *reversed(lines[first:])],
        lambda: [lines[second] if n == first else line for n, line in enumerate(lines)],
    ]
    changed = b"".join(data.draw(st.sampled_from(changes))())
    path.write_bytes(changed)
    assert verify(tmp_path, head).intact == (changed == original)


@given(data=st.data())
@on_one_directory
def test_bytes_cut_out_put_in_or_replaced_are_found(tmp_path: Path, data: st.DataObject) -> None:
    head, path, original = _fresh(tmp_path, data)
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, len(original)))
    changed = original[:start] + data.draw(st.binary(max_size=30)) + original[end:]
    path.write_bytes(changed)
    assert verify(tmp_path, head).intact == (changed == original)


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_segment_taken_away_is_found(tmp_path: Path, which: int) -> None:
    head = written(tmp_path, 12)
    segments(tmp_path)[which].unlink()
    assert not verify(tmp_path, head).intact


def test_segments_swapped_are_found(tmp_path: Path) -> None:
    head = written(tmp_path, 12)
    first, second = segments(tmp_path)[:2]
    aside = tmp_path / "aside"
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    assert not verify(tmp_path, head).intact


def test_a_journal_rewritten_with_a_sound_chain_is_found_by_the_noted_head(tmp_path: Path) -> None:
    head = written(tmp_path / "true")
    written(tmp_path / "false")
    assert verify(tmp_path / "false").intact
    assert not verify(tmp_path / "false", head).intact


def test_every_fault_is_named_once_with_file_and_line(tmp_path: Path) -> None:
    written(tmp_path, 12)
    first, second = segments(tmp_path)[:2]
    first.write_bytes(first.read_bytes().replace(b"volume", b"volumf", 1))
    lines = second.read_bytes().splitlines(keepends=True)
    second.write_bytes(b"{}\n" + b"".join(lines[1:]))
    assert verify(tmp_path).faults == [
        "000001.jsonl line 2: the line before this one is not the one that was written",
        "000002.jsonl line 1: not an event: its keys are others",
        "000002.jsonl line 2: the line before this one is not the one that was written",
    ]


def test_a_line_in_another_form_is_found_though_its_content_is_the_same(tmp_path: Path) -> None:
    written(tmp_path, 12)
    last = segments(tmp_path)[-1]
    lines = last.read_bytes().splitlines(keepends=True)
    last.write_bytes(b"".join(lines[:-1]) + lines[-1].replace(b":", b": ", 1))
    assert "not in the form" in verify(tmp_path).faults[0]


def test_checking_changes_nothing(tmp_path: Path) -> None:
    written(tmp_path, 12)
    last = segments(tmp_path)[-1]
    last.write_bytes(last.read_bytes()[:-5])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert "not finished" in verify(tmp_path).faults[0]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def _fresh(directory: Path, data: st.DataObject) -> tuple[tuple[int, str], Path, bytes]:
    """A new journal in ``directory``; its head, and one of its segments with what is in it."""
    shutil.rmtree(directory)
    head = written(directory, 9)
    path = data.draw(st.sampled_from(segments(directory)))
    return head, path, path.read_bytes()
