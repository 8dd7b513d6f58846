"""Alarms and interlocks: what stands, and what a person does about it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from evcontrol.access.permission import Permission
from evcontrol.api import views
from evcontrol.api.guard import Reader, Signed, TheDesk, may
from evcontrol.api.problem import RefusedError
from evcontrol.api.schema import Acknowledgement, AlarmView, InterlockView, WithReason

router = APIRouter(prefix="/api")


@router.get("/alarms", dependencies=[Reader])
async def alarms(desk: TheDesk) -> list[AlarmView]:
    """The alarms that are not normal."""
    return views.alarms(desk.engine)


@router.post("/alarms/{alarm}/acknowledge", status_code=204)
async def acknowledge(
    alarm: str,
    body: Acknowledgement,
    signed: Annotated[Signed, Depends(may(Permission.ACKNOWLEDGE))],
    desk: TheDesk,
) -> None:
    """Acknowledge an alarm."""
    if alarm not in desk.engine.plant.alarms:
        raise RefusedError(404, f"the plant has no alarm {alarm!a}")
    try:
        desk.engine.alarms.acknowledge(alarm, signed.origin, body.comment)
    except ValueError as error:
        raise RefusedError(409, str(error)) from None
    await desk.engine.journal.flush()


@router.get("/interlocks", dependencies=[Reader])
async def interlocks(desk: TheDesk) -> list[InterlockView]:
    """All interlocks."""
    return views.interlocks(desk.engine)


@router.post("/interlocks/{interlock}/reset", status_code=204)
async def reset_interlock(
    interlock: str, body: WithReason, signed: Annotated[Signed, Depends(may(Permission.RESET))], desk: TheDesk
) -> None:
    """Reset an interlock whose cause is gone."""
    if interlock not in desk.engine.plant.interlocks:
        raise RefusedError(404, f"the plant has no interlock {interlock!a}")
    await desk.engine.interlocks.reset(interlock, signed.origin, body.reason)
