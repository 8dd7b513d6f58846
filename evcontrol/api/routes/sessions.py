"""Signing on and off."""

from __future__ import annotations

from fastapi import APIRouter

from evcontrol.api.guard import Anybody, TheDesk
from evcontrol.api.schema import Session, SignOn

router = APIRouter(prefix="/api/sessions")


@router.post("", status_code=201)
async def sign_on(body: SignOn, desk: TheDesk) -> Session:
    """Open a session; its token is given here and never again."""
    session, token = await desk.sign_on(body.user, body.password.get_secret_value(), body.station)
    return Session(
        user=session.user,
        full_name=session.full_name,
        roles=list(session.roles),
        permissions=sorted(permission.value for permission in session.permissions),
        station=session.station,
        token=token,
    )


@router.delete("/current", status_code=204)
async def sign_off(signed: Anybody, desk: TheDesk) -> None:
    """Close the session whose token is shown."""
    desk.sign_off(signed.session, signed.token)
