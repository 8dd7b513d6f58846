"""Parquet holds what the CSV holds, as numbers."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from evcontrol.clock import NS
from evcontrol.history.export import to_csv
from evcontrol.history.parquet import to_parquet
from evcontrol.history.reader import HistoryError, HistoryReader
from tests.history.test_seal import LATER, TAGS, seal_all, write


def test_every_row_value_quality_and_gap_is_that_of_the_csv(tmp_path: Path) -> None:
    file = write(tmp_path, 700, 40)
    seal_all(file, at_once=False)
    reader = HistoryReader(file.parent)
    text, path = io.StringIO(), tmp_path / "out.parquet"
    to_csv(reader, TAGS, 0, LATER, text)
    to_parquet(reader, TAGS, 0, LATER, path)
    rows = list(csv.reader(io.StringIO(text.getvalue())))[1:]
    table = pq.read_table(path)
    assert table.column_names == ["time", *(n for tag in TAGS for n in (tag, f"{tag} quality")), "gap"]
    assert table.num_rows == len(rows)
    times = table["time"].cast("int64").to_pylist()
    assert times == [int(np.datetime64(row[0].removesuffix("Z"), "ns").astype(np.int64)) for row in rows]
    for column, name in enumerate(table.column_names[1:], 1):
        cells = table[name].to_pylist()
        for cell, row in zip(cells, rows, strict=True):
            assert cell == (
                None if row[column] == "" else float(row[column]) if isinstance(cell, float) else row[column]
            )
    assert table.schema.field("TEMP").metadata[b"unit"] == b"degC"
    assert sum(gap is not None for gap in table["gap"].to_pylist()) == 2


def test_an_empty_range_is_a_file_without_rows(tmp_path: Path) -> None:
    reader = HistoryReader(write(tmp_path, 5).parent)
    to_parquet(reader, ["TEMP"], LATER, LATER + NS, tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_without_pyarrow_it_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = HistoryReader(write(tmp_path, 5).parent)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(HistoryError, match=r"install evcontrol\[parquet\], or export CSV"):
        to_parquet(reader, ["TEMP"], 0, LATER, tmp_path / "out.parquet")
