"""Bypasses of interlocks, and the cause-and-effect table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends

from evcontrol.access.people import AccessError
from evcontrol.access.permission import Permission
from evcontrol.api.bypass_schema import BypassRequest, CauseView
from evcontrol.api.desk import Desk
from evcontrol.api.guard import Reader, Signed, TheDesk, may
from evcontrol.api.problem import RefusedError
from evcontrol.api.schema import WithReason
from evcontrol.plant.cause_effect import cause_and_effect

router = APIRouter(prefix="/api")


@router.post("/interlocks/{interlock}/bypass", status_code=204)
async def bypass_interlock(
    interlock: str, body: BypassRequest, signed: Annotated[Signed, Depends(may(Permission.BYPASS))], desk: TheDesk
) -> None:
    """Bypass an interlock for a limited time; signed with the password, given anew."""
    _known(desk, interlock)
    password = body.password.get_secret_value()
    try:
        await desk.engine.bypasses.begin(interlock, body.duration_s, signed.session, password, body.reason)
    except AccessError as error:
        desk.note_denied(signed.session.user, signed.session.station, error)
        raise


@router.post("/interlocks/{interlock}/bypass/end", status_code=204)
async def end_bypass(
    interlock: str, body: WithReason, signed: Annotated[Signed, Depends(may(Permission.COMMAND))], desk: TheDesk
) -> None:
    """End a bypass before its time: the interlock trips in the next scan if its condition holds."""
    _known(desk, interlock)
    desk.engine.interlocks.end_bypass(interlock, signed.origin, body.reason)
    await desk.engine.journal.flush()


@router.get("/cause-and-effect", dependencies=[Reader])
async def causes_and_effects(desk: TheDesk) -> list[CauseView]:
    """Which interlock brings which actuator where."""
    return [CauseView(**asdict(cause)) for cause in cause_and_effect(desk.engine.plant)]


def _known(desk: Desk, interlock: str) -> None:
    if interlock not in desk.engine.plant.interlocks:
        raise RefusedError(404, f"the plant has no interlock {interlock!a}")
