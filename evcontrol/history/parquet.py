"""Readings as Parquet: the rows of the CSV, with numbers as numbers. Needs the extra ``parquet`` (pyarrow)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evcontrol import quality
from evcontrol.history.export import gap_note, slices
from evcontrol.history.layout import Gap
from evcontrol.history.reader import Column, HistoryError, HistoryReader
from evcontrol.signals import Tag, TagKind, TimeArray

MISSING = "Parquet needs pyarrow: install evcontrol[parquet], or export CSV"


def to_parquet(reader: HistoryReader, tags: Sequence[str], start: int, end: int, path: Path) -> None:
    """Write the readings of a range (process time, UTC ns, both ends included), one row group an hour.

    Columns: ``time`` (UTC, ns); each tag (words for codes; null when Bad or not read; its unit is in the field's
    metadata) with ``TAG quality``; and ``gap``, which says from when to when nothing was read, and why. HistoryError
    without pyarrow, otherwise as :class:`HistoryReader`.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra)
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise HistoryError(MISSING) from None
    tags = list(dict.fromkeys(tags))
    meant = reader.definitions(tags, start, end)
    schema = pa.schema(_fields(pa, [meant[name] for name in tags]))
    gaps = reader.gaps(start, end)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for begin, last in slices(reader, start, end, gaps, len(tags)):
            columns = reader.raw(tags, begin, last)
            here = [gap for gap in gaps if begin <= max(gap.start, start) <= last]
            arrays = _arrays([columns[name] for name in tags], [meant[name] for name in tags], here, start)
            made = [
                pa.array(values, type=field.type, from_pandas=True)
                for values, field in zip(arrays, schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(made, schema=schema))


def _fields(pa: Any, tags: Sequence[Tag]) -> list[Any]:
    fields = [pa.field("time", pa.timestamp("ns", tz="UTC"))]
    for tag in tags:
        kind = pa.string() if _in_words(tag) else pa.float64()
        fields.append(pa.field(tag.name, kind, metadata={"unit": tag.unit, "description": tag.description}))
        fields.append(pa.field(f"{tag.name} quality", pa.string()))
    return [*fields, pa.field("gap", pa.string())]


def _in_words(tag: Tag) -> bool:
    return tag.kind is TagKind.TEXT or bool(tag.labels)


def _arrays(columns: Sequence[Column], tags: Sequence[Tag], gaps: Sequence[Gap], start: int) -> list[Any]:
    gap_times = np.array([max(gap.start, start) for gap in gaps], dtype=np.int64)
    times = np.unique(np.concatenate([gap_times, *(column.t for column in columns)]))
    arrays: list[Any] = [times]
    for column, tag in zip(columns, tags, strict=True):
        arrays += _cells(column, tag, times)
    notes: list[str | None] = [None] * len(times)
    for t, gap in zip(gap_times.tolist(), gaps, strict=True):
        at = int(np.searchsorted(times, t))
        notes[at] = "; ".join(filter(None, (notes[at], gap_note(gap))))
    return [*arrays, notes]


def _cells(column: Column, tag: Tag, times: TimeArray) -> tuple[list[Any], list[str | None]]:
    """Value and quality for every time; both null where the tag has no reading, the last one where it has two."""
    values: list[Any] = [None] * len(times)
    qualities: list[str | None] = [None] * len(times)
    words = {int(code): quality.text(int(code)) for code in np.unique(column.q).tolist()}
    for i, (place, v, q) in enumerate(
        zip(np.searchsorted(times, column.t).tolist(), column.v.tolist(), column.q.tolist(), strict=True)
    ):
        qualities[place] = words[q]
        if quality.is_bad(q) or v != v:  # noqa: PLR0124  (not a number is no value)
            values[place] = None
        elif _in_words(tag):
            values[place] = column.text(i) or repr(v)
        else:
            values[place] = v
    return values, qualities
