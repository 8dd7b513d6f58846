"""CSV for people and machines: times in ISO UTC, units in the head, a quality beside each value."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from evcontrol.clock import NS
from evcontrol.history.export import HOUR_NS, MOST_HOURS, to_csv
from evcontrol.history.reader import HistoryReader
from evcontrol.quality import BAD_NOT_CONNECTED
from tests.history.plant import START, frame, make_tags
from tests.history.test_reader import write

SLICE_NS = MOST_HOURS * HOUR_NS
"""Of one tag."""


def _csv(directory: Path, tags: list[str], start: int, end: int) -> list[list[str]]:
    out = io.StringIO()
    to_csv(HistoryReader(directory), tags, start, end, out)
    return list(csv.reader(io.StringIO(out.getvalue())))


def test_head_rows_and_qualities(tmp_path: Path) -> None:
    tags = make_tags()
    step = tags.code_of("fill, slowly")
    frames = [
        frame(START, [20.1, 1, step], [0, 0, 0], index=[0, 3, 4]),
        frame(START + NS // 4, [np.nan, 0, step], [BAD_NOT_CONNECTED, 0, 0], index=[0, 3, 4]),
        frame(START + 1, [7], index=[2], group="other"),
    ]
    write(tmp_path, tags, frames)
    assert _csv(tmp_path, ["TEMP", "VALVE", "STEP", "COUNT"], START, START + NS) == [
        [
            "time",
            "TEMP [degC]",
            "TEMP quality",
            "VALVE",
            "VALVE quality",
            "STEP",
            "STEP quality",
            "COUNT",
            "COUNT quality",
            "gap",
        ],
        ["2026-03-01T00:00:00.000000000Z", "20.1", "Good", "open", "Good", "fill, slowly", "Good", "", "", ""],
        ["2026-03-01T00:00:00.000000001Z", "", "", "", "", "", "", "7", "Good", ""],
        ["2026-03-01T00:00:00.250000000Z", "", "Bad: not connected", "closed", "Good", "fill, slowly", "Good"]
        + [""] * 3,
    ]


def test_numbers_read_back_as_they_were_over_many_slices(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=50) * 10.0 ** rng.integers(-300, 300, 50)
    times = [START + i * SLICE_NS // 3 for i in range(49)] + [START + 400 * 24 * 3600 * NS]
    write(tmp_path, make_tags(), [frame(t, [v]) for t, v in zip(times, values, strict=True)])
    rows = _csv(tmp_path, ["TEMP"], START, times[-1])[1:]
    assert [float(row[1]) for row in rows] == values.tolist()


def test_a_gap_is_a_row(tmp_path: Path) -> None:
    write(tmp_path, make_tags(), [frame(START, [1.0])])
    write(tmp_path, make_tags(), [frame(START + 5 * SLICE_NS, [2.0])])
    rows = _csv(tmp_path, ["TEMP"], START + 1, START + 5 * SLICE_NS)[1:]
    expected = "no readings from 2026-03-01T00:00:00.000000000Z to 2026-03-06T00:00:00.000000000Z: "
    assert [row[1] for row in rows] == ["", "2.0"]
    assert rows[0][-1] == expected + "the engine was not running"


def test_a_range_without_readings_is_only_a_head(tmp_path: Path) -> None:
    write(tmp_path, make_tags(), [frame(START, [1.0])])
    assert len(_csv(tmp_path, ["TEMP"], START + 1, START + NS)) == 1
