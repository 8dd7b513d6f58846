"""Whether a server holds exactly what the history of a data directory holds: value for value and ns for ns."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evcontrol.history.reader import Column, HistoryReader
from evcontrol.quality import BAD
from evcontrol.signals import Tag, TagKind
from tests.history.influx_server import InfluxServer, Row
from tests.history.victoria_server import VictoriaServer

SHOWN = 5
"""Differences that are told of one tag."""


@dataclass
class Comparison:
    """How many readings, tags and gaps the history has, and what differs at the server (empty: nothing)."""

    readings: int = 0
    tags: int = 0
    gaps: int = 0
    differences: list[str] = field(default_factory=list)


def compare(data: Path, server: InfluxServer, bucket: str, *, simulated: bool) -> Comparison:
    """Compare all readings, gaps and units of a data directory with a bucket; the directory holds only one kind."""
    reader = HistoryReader(data / "history")
    span = reader.span()
    if span is None:
        raise AssertionError(f"{data}: no history")
    tags = {tag.name: tag for tag in reader.tags()}
    result = Comparison(tags=len(tags))
    mark = f"simulated = '{str(simulated).lower()}'"
    for name, column in reader.raw(list(tags), *span).items():
        rows = server.rows(bucket, f'SELECT "{name}", "{name}__q" FROM readings WHERE {mark}')
        result.readings += len(column)
        result.differences += _differences(tags[name], column, rows)
    gaps = reader.gaps(0, 2**62)
    told = server.rows(bucket, f'SELECT "end", reason FROM gaps WHERE {mark}')
    result.gaps = len(gaps)
    here = sorted({(str(gap.start), str(gap.end), gap.reason) for gap in gaps})
    there = sorted((str(row["time"]), str(row["end"]), str(row["reason"])) for row in told)
    if here != there:
        result.differences.append(f"gaps: {here} here, {there} there")
    asked = 'SELECT last("unit") AS "unit" FROM definitions GROUP BY "tag"'
    units = {row["tag"]: row["unit"] for row in server.rows(bucket, asked)}
    result.differences += [
        f"{name}: unit {tag.unit!r} here, {units.get(name)!r} there"
        for name, tag in tags.items()
        if units.get(name) != tag.unit
    ]
    known = {str(row["fieldKey"]) for row in server.rows(bucket, "SHOW FIELD KEYS FROM readings")}
    if more := known - {key for name in tags for key in (name, f"{name}__q")}:
        result.differences.append(f"only there: {', '.join(sorted(more))}")
    kinds = {str(row["value"]) for row in server.rows(bucket, "SHOW TAG VALUES FROM readings WITH KEY = simulated")}
    if kinds != {str(simulated).lower()}:
        result.differences.append(f"readings are marked simulated={', '.join(sorted(kinds))}")
    return result


def compare_numbers(data: Path, server: VictoriaServer, *, simulated: bool) -> Comparison:
    """Compare all numbers and qualities of a data directory with a server that keeps milliseconds and no texts."""
    reader = HistoryReader(data / "history")
    span = reader.span()
    if span is None:
        raise AssertionError(f"{data}: no history")
    tags = {tag.name: tag for tag in reader.tags()}
    result = Comparison(tags=len(tags))
    there = server.numbers(simulated=str(simulated).lower())
    for name, column in reader.raw(list(tags), *span).items():
        t = (column.t // 1_000_000).tolist()
        quality = {at: float(q) for at, q in zip(t, column.q.tolist(), strict=True)}
        result.differences += _not_the_same(f"{name}__q", quality, there.pop(f"{name}__q", {}))
        told = there.pop(name, {})
        if tags[name].kind is TagKind.TEXT:
            continue
        kept = (column.q < BAD) & ~np.isnan(column.v)
        value = dict(zip((column.t[kept] // 1_000_000).tolist(), column.v[kept].tolist(), strict=True))
        result.readings += len(value)
        result.differences += _not_the_same(name, value, told)
    if there:
        result.differences.append(f"only there: {', '.join(sorted(there))}")
    return result


def _not_the_same(name: str, here: Mapping[int, float], there: Mapping[int, float]) -> list[str]:
    found = [
        f"{name} at {t} ms: {here.get(t, 'nothing')} here, {there.get(t, 'nothing')} there"
        for t in sorted(set(here) | set(there))
        # The server keeps decimal numbers of one exponent for many: the last digits of binary ones are lost.
        if t not in here or t not in there or not math.isclose(here[t], there[t], rel_tol=1e-12, abs_tol=1e-12)
    ]
    return found[:SHOWN] + ([f"{name}: {len(found) - SHOWN} more"] if len(found) > SHOWN else [])


def _differences(tag: Tag, column: Column, rows: list[Row]) -> list[str]:
    here = {int(t): (_bits_here(tag, column, i), str(int(column.q[i]))) for i, t in enumerate(column.t.tolist())}
    there = {int(str(row["time"])): (_bits_there(tag, row[tag.name]), row[f"{tag.name}__q"]) for row in rows}
    found = [
        f"{tag.name} at {t}: {here.get(t, 'nothing')} here, {there.get(t, 'nothing')} there"
        for t in sorted(set(here) | set(there))
        if here.get(t) != there.get(t)
    ]
    return found[:SHOWN] + ([f"{tag.name}: {len(found) - SHOWN} more"] if len(found) > SHOWN else [])


def _bits_here(tag: Tag, column: Column, i: int) -> bytes | int | str | None:
    value = float(column.v[i])
    if column.q[i] >= BAD or math.isnan(value):
        return None
    if tag.kind is TagKind.TEXT:
        return column.text(i)
    return int(value) if tag.kind is not TagKind.ANALOG else struct.pack("<d", value)


def _bits_there(tag: Tag, word: str | bool | None) -> bytes | int | str | None:
    if word is None:
        return None
    if tag.kind is TagKind.TEXT:
        return str(word)
    return int(word) if tag.kind is not TagKind.ANALOG else struct.pack("<d", float(word))
