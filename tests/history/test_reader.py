"""Reading needs no engine, goes over months and plants, and never mixes units or words."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.history.reader import HistoryError, HistoryReader, UnknownTagError
from evcontrol.history.store import Historian
from evcontrol.quality import BAD_STALE
from evcontrol.signals import Frame, Tag, TagKind, TagTable
from tests.history.plant import START, frame, make_tags


def write(directory: Path, tags: TagTable, frames: Sequence[Frame]) -> None:
    """One session of a historian."""

    async def main(clock: VirtualClock) -> None:
        historian = Historian(directory, tags, clock)
        for one in frames:
            historian.keep(one.t, one.wall, [one])
        await historian.close()

    run_virtual(main, START)


def test_an_empty_history_has_nothing(tmp_path: Path) -> None:
    reader = HistoryReader(tmp_path / "nowhere")
    assert (reader.tags(), reader.span(), reader.gaps(0, START)) == ([], None, [])
    assert reader.scans(0, START).tolist() == []
    assert reader.following(0) is None


def test_a_range_holds_both_its_ends(tmp_path: Path) -> None:
    write(tmp_path, make_tags(), [frame(START + i, [i]) for i in range(5)])
    column = HistoryReader(tmp_path).raw(["TEMP"], START + 1, START + 3)["TEMP"]
    assert column.v.tolist() == [1.0, 2.0, 3.0]
    assert column.unit == "degC"


def test_tags_of_several_groups_and_a_tag_that_moves_between_them(tmp_path: Path) -> None:
    frames = [
        frame(START, [1, 2], index=[0, 1], group="a"),
        frame(START + 1, [3], index=[1], group="b"),
        frame(START + 2, [4, 5], index=[1, 0], group="a"),
    ]
    write(tmp_path, make_tags(), frames)
    columns = HistoryReader(tmp_path).raw(["FLOW", "TEMP"], START, START + 9)
    assert columns["FLOW"].v.tolist() == [2.0, 3.0, 4.0]
    assert columns["FLOW"].t.tolist() == [START, START + 1, START + 2]
    assert columns["TEMP"].v.tolist() == [1.0, 5.0]


def test_a_scan_of_several_frames_counts_once(tmp_path: Path) -> None:
    write(tmp_path, make_tags(), [frame(START, [1], group="a"), frame(START, [1], index=[1], group="b")])
    assert HistoryReader(tmp_path).scans(START, START).tolist() == [START]


def test_an_old_file_stays_readable_when_the_plant_changes(tmp_path: Path) -> None:
    write(tmp_path, make_tags(), [frame(START, [1.5, 3], index=[0, 2])])
    other = TagTable([Tag("NEW", 0, "bar", TagKind.ANALOG, 0, 1), Tag("COUNT", 1, "", TagKind.INTEGER, 0, 1)])
    write(tmp_path, other, [frame(START + 9, [8.5, 4], index=[0, 1])])
    reader = HistoryReader(tmp_path)
    columns = reader.raw(["TEMP", "NEW", "COUNT"], START, START + 9)
    assert {name: column.v.tolist() for name, column in columns.items()} == {
        "TEMP": [1.5],
        "NEW": [8.5],
        "COUNT": [3.0, 4.0],
    }
    assert [(tag.name, tag.unit) for tag in reader.tags()] == [("COUNT", ""), ("NEW", "bar"), ("TEMP", "degC")]


def test_a_tag_whose_unit_changed_is_never_mixed(tmp_path: Path) -> None:
    write(tmp_path, make_tags("degC"), [frame(START, [20.0])])
    write(tmp_path, make_tags("K"), [frame(START + 9, [293.15])])
    reader = HistoryReader(tmp_path)
    with pytest.raises(HistoryError, match="TEMP was recorded in degC and then in K"):
        reader.raw(["TEMP"], START, START + 9)
    assert reader.raw(["TEMP"], START, START + 1)["TEMP"].unit == "degC"
    assert reader.raw(["TEMP"], START + 1, START + 9)["TEMP"].unit == "K"


def test_a_tag_without_a_reading_there_is_empty_and_one_never_recorded_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, make_tags(), [frame(START, [20.0])])
    reader = HistoryReader(tmp_path)
    column = reader.raw(["TEMP"], START + 5, START + 9)["TEMP"]
    assert (len(column), column.unit) == (0, "degC")
    assert reader.texts("TEMP", START + 5, START + 9) == []
    with pytest.raises(UnknownTagError, match="TMEP"):
        reader.raw(["TEMP", "TMEP"], START, START)


def test_texts_keep_their_meaning_over_sessions_with_other_codes(tmp_path: Path) -> None:
    for at, words in ((0, ["idle", "fill", "fill", "drain"]), (9, ["drain", "wash", "idle"])):
        tags = make_tags()
        codes = [tags.code_of(word) for word in words]
        write(tmp_path, tags, [frame(START + at + i, [code], index=[4]) for i, code in enumerate(codes)])
    reader = HistoryReader(tmp_path)
    expected = [(0, "idle"), (1, "fill"), (3, "drain"), (10, "wash"), (11, "idle")]
    assert reader.texts("STEP", START, START + 20) == [(START + t, word) for t, word in expected]
    column = reader.raw(["STEP"], START, START + 20)["STEP"]
    assert [column.text(i) for i in range(len(column))] == ["idle", "fill", "fill", "drain", "drain", "wash", "idle"]
    assert column.v.tolist()[4:] == [0.0, 1.0, 2.0], "the latest session keeps its codes"


def test_labels_of_a_discrete_tag_are_its_words_and_bad_has_none(tmp_path: Path) -> None:
    frames = [
        frame(START, [0], index=[3]),
        frame(START + 1, [1], index=[3]),
        frame(START + 2, [np.nan], BAD_STALE, index=[3]),
        frame(START + 3, [1], index=[3]),
    ]
    write(tmp_path, make_tags(), frames)
    words = HistoryReader(tmp_path).texts("VALVE", START, START + 9)
    assert words == [(START, "closed"), (START + 1, "open"), (START + 2, ""), (START + 3, "open")]


def test_the_first_frame_from_a_time_on_is_found_over_months(tmp_path: Path) -> None:
    april = START + 31 * 24 * 3600 * NS
    write(tmp_path, make_tags(), [frame(START, [1.0]), frame(april, [2.0])])
    reader = HistoryReader(tmp_path)
    assert [reader.following(t) for t in (0, START, START + 1, april + 1)] == [START, START, april, None]


def test_a_file_without_its_tables_yet_is_empty(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "2026-03.db").close()
    assert (tmp_path / "2026-03.db").touch() is None
    reader = HistoryReader(tmp_path)
    assert (reader.tags(), reader.span(), reader.gaps(0, START)) == ([], None, [])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "2026-03.db").write_bytes(b"this is no database at all, is it?" * 100)
    with pytest.raises(HistoryError, match=r"2026-03\.db: file is not a database"):
        HistoryReader(tmp_path).span()


NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """As somebody whom permissions bind: root may write everywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_copy_on_a_read_only_medium_can_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write(directory, make_tags(), [frame(START, [1.0])])
        directory.chmod(0o555)
        try:
            with unprivileged():
                assert HistoryReader(directory).span() == (START, START)
        finally:
            directory.chmod(0o700)


def test_reading_while_writing_sees_whole_scans_and_does_not_stop_the_writer(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        tags = make_tags()
        historian, reader = Historian(tmp_path, tags, clock), HistoryReader(tmp_path)
        for i in range(20):
            frames = [frame(START + i, [i], group="a"), frame(START + i, [i], index=[1], group="b")]
            historian.keep(START + i, START + i, frames)
            await historian.flush()
            columns = reader.raw(["TEMP", "FLOW"], START, START + 99)
            assert columns["TEMP"].v.tolist() == columns["FLOW"].v.tolist() == list(range(i + 1))
        await historian.close()

    run_virtual(main, START)
