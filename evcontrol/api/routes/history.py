"""The history: readings as binary columns."""

from __future__ import annotations

import asyncio
from array import array
from typing import Annotated

from fastapi import APIRouter, Query, Response

from evcontrol.api.guard import Reader, TheDesk
from evcontrol.api.problem import RefusedError
from evcontrol.api.schema import SERIES_MEDIA_TYPE, Series, pack_series
from evcontrol.clock import NS
from evcontrol.history.cell_blob import TREND
from evcontrol.history.reader import HistoryReader
from evcontrol.history.rollup import WIDTHS
from evcontrol.quality import QualityArray
from evcontrol.signals import FloatArray, TimeArray

router = APIRouter(prefix="/api")

DEFAULT_S = 3600
"""Process time back from the end when no start is asked for."""
MAX_READINGS = 5_000_000
"""Most readings that one request may look at, unless roll-ups give the answer: they are held in memory."""


@router.get("/history", dependencies=[Reader])
async def history(
    desk: TheDesk,
    tag: Annotated[list[str], Query(min_length=1, max_length=100)],
    start: int | None = None,
    end: int | None = None,
    buckets: Annotated[int | None, Query(ge=1, le=10_000)] = None,
) -> Response:
    """Readings between two process times (UTC ns), or with ``buckets`` their means; by default the last hour.

    Means are of about so many equal parts: those of a minute or more begin and end with whole minutes.
    """
    last = desk.engine.clock.now() if end is None else end
    first = last - DEFAULT_S * NS if start is None else start
    if not 0 <= first < last < 1 << 63:
        raise RefusedError(422, "the time must end after it begins", "Send `start` and `end` in ns since 1970 (UTC).")
    scans = (min(last, desk.engine.clock.now()) - first) / NS / desk.engine.plant.scan_s
    rolled_up = buckets is not None and (last - first) / buckets >= WIDTHS[0]
    if not rolled_up and scans * len(tag) > MAX_READINGS:
        what = f"{len(tag)} tags over {scans:.0f} scans are too much for one answer"
        raise RefusedError(422, what, "Ask for a shorter time or fewer tags; `evcontrol history export` takes all.")
    reader = HistoryReader(desk.engine.data / "history")
    async with desk.long_work:
        content = await asyncio.to_thread(_packed, reader, list(dict.fromkeys(tag)), first, last, buckets)
    return Response(content, media_type=SERIES_MEDIA_TYPE)


def _packed(reader: HistoryReader, tags: list[str], start: int, end: int, buckets: int | None) -> bytes:
    if buckets is None:
        return pack_series(_series(name, c.unit, c.t, c.v, c.q) for name, c in reader.raw(tags, start, end).items())
    means = reader.trend(tags, start, end, buckets, TREND)
    return pack_series(_series(name, a.unit, a.t, a.mean, a.q) for name, a in means.items())


def _series(tag: str, unit: str, t: TimeArray, v: FloatArray, q: QualityArray) -> Series:
    return Series(tag, unit, array("q", t.tobytes()), array("d", v.tobytes()), array("I", q.tobytes()))
