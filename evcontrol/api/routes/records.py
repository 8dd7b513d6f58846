"""Records of batches: reports and their verification, worked out in a process of their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from evcontrol.access.permission import Permission
from evcontrol.api.aside import run_aside
from evcontrol.api.desk import Desk
from evcontrol.api.guard import Reader, Signed, TheDesk, may
from evcontrol.api.problem import RefusedError
from evcontrol.api.schema import RecordVerdict, ReportMade
from evcontrol.journal.events import Kind

router = APIRouter(prefix="/api/batches/{batch}")


@router.post("/report", status_code=201)
async def make_report(
    batch: str, signed: Annotated[Signed, Depends(may(Permission.OPERATE))], desk: TheDesk
) -> ReportMade:
    """Write the batch's report on the engine's machine, under its data directory."""
    _known(desk, batch)
    await desk.engine.historian.flush()
    await desk.engine.journal.flush()
    async with desk.long_work:
        made = await run_aside("report", desk.engine.data, batch)
    await desk.engine.journal.record(
        Kind.REPORT_MADE, signed.origin, {"file": made["file"], "sha256": made["sha256"]}, batch=batch
    )
    return ReportMade(batch=batch, file=made["file"], sha256=made["sha256"])


@router.get("/verify", dependencies=[Reader])
async def verify_record(batch: str, desk: TheDesk) -> RecordVerdict:
    """Whether the batch's record is intact, with every fault found."""
    _known(desk, batch)
    await desk.engine.journal.flush()
    async with desk.long_work:
        verdict = await run_aside("verify", desk.engine.data, batch)
    return RecordVerdict(batch=batch, intact=verdict["intact"], faults=verdict["faults"])


def _known(desk: Desk, batch: str) -> None:
    if batch not in desk.engine.view.batches:
        raise RefusedError(
            404, f"there is no batch {batch!a}", "`evcontrol batch list` and GET /api/batches list them."
        )
