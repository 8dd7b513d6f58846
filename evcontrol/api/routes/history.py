"""The history: readings as binary columns."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from evcontrol.api.guard import Reader, TheDesk
from evcontrol.api.problem import RefusedError
from evcontrol.api.series import SERIES_MEDIA_TYPE
from evcontrol.clock import NS
from evcontrol.history.rollup import WIDTHS

router = APIRouter(prefix="/api")

DEFAULT_S = 3600
"""Process time back from the end when no start is asked for."""
MAX_READINGS = 5_000_000
"""Most readings that one request may look at, unless roll-ups give the answer: they are held in a worker's memory."""


@router.get("/history", dependencies=[Reader])
async def history(
    desk: TheDesk,
    tag: Annotated[list[str], Query(min_length=1, max_length=500)],
    start: int | None = None,
    end: int | None = None,
    buckets: Annotated[int | None, Query(ge=1, le=10_000)] = None,
) -> Response:
    """Readings between two process times (UTC ns), or with ``buckets`` means and limits; by default of the last hour.

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
    content = await desk.history.series(list(dict.fromkeys(tag)), first, last, buckets)
    return Response(content, media_type=SERIES_MEDIA_TYPE)
