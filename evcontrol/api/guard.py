"""Who may do what: reading needs the run's token or a session, everything else a person with the permission."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from evcontrol.access.permission import Permission
from evcontrol.access.session import Session
from evcontrol.api.desk import Desk
from evcontrol.api.problem import RefusedError
from evcontrol.journal.events import Origin

_SIGN_ON = "Sign on with POST /api/sessions and send the token as `Authorization: Bearer TOKEN`."


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed-on person, and the token that they showed."""

    session: Session
    token: str

    @property
    def origin(self) -> Origin:
        """Who and from where, as commands carry it."""
        return Origin.user(self.session.user, self.session.station)


def desk_of(connection: HTTPConnection) -> Desk:
    """The desk that the application was made for."""
    desk: Desk = connection.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]


async def reader(connection: HTTPConnection, desk: TheDesk) -> None:
    """Refuses whoever shows neither the run's token nor a session's."""
    if not may_read(desk, bearer(connection)):
        raise RefusedError(401, "reading needs a token", _SIGN_ON)


def may_read(desk: Desk, token: str) -> bool:
    """Whether a token is the run's, or that of a session that lasts."""
    return hmac.compare_digest(token.encode(), desk.run_token.encode()) or desk.session(token) is not None


async def person(connection: HTTPConnection, desk: TheDesk) -> Signed:
    """The signed-on person; refuses a run token, and sessions that ended."""
    token = bearer(connection)
    session = desk.session(token)
    if session is None:
        raise RefusedError(401, "nobody is signed on, or the session has ended", _SIGN_ON)
    return Signed(session, token)


def may(permission: Permission) -> Callable[..., Awaitable[Signed]]:
    """A dependency that refuses, and journals, whoever lacks the permission."""

    async def permitted(connection: HTTPConnection, desk: TheDesk) -> Signed:
        signed = await person(connection, desk)
        desk.require(signed.session, permission, f"{connection.scope['method']} {connection.url.path}")
        return signed

    return permitted


Reader = Depends(reader)
Anybody = Annotated[Signed, Depends(person)]


def bearer(connection: HTTPConnection) -> str:
    """The token in the Authorization header; empty when there is none."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
