"""Alarms and interlocks: what stands, and what a person does about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends

from evcontrol.access.people import AccessError
from evcontrol.access.permission import Permission
from evcontrol.access.session import Session
from evcontrol.api import views
from evcontrol.api.aside import run_aside
from evcontrol.api.desk import Desk
from evcontrol.api.guard import Reader, Signed, TheDesk, may
from evcontrol.api.problem import RefusedError
from evcontrol.api.schema import (
    Acknowledgement,
    Acknowledgements,
    AlarmFigures,
    AlarmView,
    InterlockView,
    ServiceChange,
    SetpointChange,
    Shelving,
    WithReason,
)
from evcontrol.clock import NS
from evcontrol.plant.alarm_specs import AlarmSpec

router = APIRouter(prefix="/api")

DEFAULT_S = 86_400
"""Process time back from the end when no start is asked for."""

Disabler = Annotated[Signed, Depends(may(Permission.DISABLE))]


@router.get("/alarms", dependencies=[Reader])
async def alarms(desk: TheDesk, all: bool = False) -> list[AlarmView]:  # noqa: A002 - the name of the query
    """The alarms that are neither normal nor suppressed by design, or every one."""
    return [views.alarm_view(state) for state in desk.engine.alarms.states()] if all else views.alarms(desk.engine)


@router.get("/alarms/figures", dependencies=[Reader])
async def alarm_figures(desk: TheDesk, start: int | None = None, end: int | None = None) -> AlarmFigures:
    """How good the alarms were between two process times (UTC ns), by default in the last day."""
    last = desk.engine.clock.now() if end is None else end
    first = max(0, last - DEFAULT_S * NS) if start is None else start
    if not 0 <= first < last < 1 << 63:
        raise RefusedError(422, "the time must end after it begins", "Send `start` and `end` in ns since 1970 (UTC).")
    await desk.engine.journal.flush()
    async with desk.long_work:
        return AlarmFigures.model_validate(await run_aside("alarms", desk.engine.data, f"{first}-{last}"))


@router.post("/alarms/{alarm}/acknowledge", status_code=204)
async def acknowledge(
    alarm: str,
    body: Acknowledgement,
    signed: Annotated[Signed, Depends(may(Permission.ACKNOWLEDGE))],
    desk: TheDesk,
) -> None:
    """Acknowledge an alarm."""
    await _do(desk, alarm, lambda: desk.engine.alarms.acknowledge(alarm, signed.origin, body.comment))


@router.post("/alarms/acknowledge")
async def acknowledge_several(
    body: Acknowledgements, signed: Annotated[Signed, Depends(may(Permission.ACKNOWLEDGE))], desk: TheDesk
) -> list[str]:
    """Acknowledge several alarms at once; the names of those that were waiting for it."""
    for alarm in body.alarms:
        _spec(desk, alarm)
    done = desk.engine.alarms.acknowledge_all(body.alarms, signed.origin, body.comment)
    await desk.engine.journal.flush()
    return done


@router.post("/alarms/{alarm}/shelve", status_code=204)
async def shelve(
    alarm: str, body: Shelving, signed: Annotated[Signed, Depends(may(Permission.SHELVE))], desk: TheDesk
) -> None:
    """Put an alarm aside for a limited time; for some alarms only the roles that the plant file names may."""
    roles = _spec(desk, alarm).shelve_roles
    if roles and not set(roles) & set(signed.session.roles):
        desk.refuse(signed.session, Permission.SHELVE, alarm, f"{alarm} is shelved by {' or '.join(roles)} only")
    await _do(desk, alarm, lambda: desk.engine.alarms.shelve(alarm, body.duration_s, signed.origin, body.reason))


@router.post("/alarms/{alarm}/unshelve", status_code=204)
async def unshelve(
    alarm: str, body: WithReason, signed: Annotated[Signed, Depends(may(Permission.SHELVE))], desk: TheDesk
) -> None:
    """Bring a shelved alarm back before its time."""
    await _do(desk, alarm, lambda: desk.engine.alarms.unshelve(alarm, signed.origin, body.reason))


@router.post("/alarms/{alarm}/setpoint")
async def change_setpoint(
    alarm: str, body: SetpointChange, signed: Annotated[Signed, Depends(may(Permission.ADJUST))], desk: TheDesk
) -> AlarmView:
    """Change the setpoint of an alarm within the range of the plant file."""
    await _do(desk, alarm, lambda: desk.engine.alarms.adjust(alarm, body.setpoint, signed.origin, body.reason))
    return views.alarm_view(desk.engine.alarms.state(alarm))


@router.post("/alarms/{alarm}/remove", status_code=204)
async def remove(alarm: str, body: ServiceChange, signed: Disabler, desk: TheDesk) -> None:
    """Take an alarm out of service; signed with the password, given anew."""
    await _sign(desk, alarm, signed, body, desk.engine.alarm_service.remove)


@router.post("/alarms/{alarm}/return", status_code=204)
async def put_back(alarm: str, body: ServiceChange, signed: Disabler, desk: TheDesk) -> None:
    """Put an alarm back in service; signed with the password, given anew."""
    await _sign(desk, alarm, signed, body, desk.engine.alarm_service.put_back)


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


def _spec(desk: Desk, alarm: str) -> AlarmSpec:
    spec = desk.engine.plant.alarms.get(alarm)
    if spec is None:
        raise RefusedError(404, f"the plant has no alarm {alarm!a}")
    return spec


async def _do(desk: Desk, alarm: str, work: Callable[[], None]) -> None:
    _spec(desk, alarm)
    try:
        work()
    except ValueError as error:
        raise RefusedError(409, str(error)) from None
    await desk.engine.journal.flush()


async def _sign(
    desk: Desk,
    alarm: str,
    signed: Signed,
    body: ServiceChange,
    work: Callable[[AlarmSpec, Session, str, str], Awaitable[None]],
) -> None:
    try:
        await work(_spec(desk, alarm), signed.session, body.password.get_secret_value(), body.reason)
    except AccessError as error:
        desk.note_denied(signed.session.user, signed.session.station, error)
        raise
    except ValueError as error:
        raise RefusedError(409, str(error)) from None
    await desk.engine.journal.flush()
