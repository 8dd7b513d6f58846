"""People: who may sign on, and with which roles. A change stands in the journal, or the person cannot use it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from evcontrol.access.people import AccessError
from evcontrol.access.permission import Permission
from evcontrol.api import views
from evcontrol.api.desk import Desk
from evcontrol.api.guard import Anybody, Signed, TheDesk, may
from evcontrol.api.problem import RefusedError
from evcontrol.api.schema import NewPassword, NewUser, User, WithReason
from evcontrol.journal.events import Kind
from evcontrol.journal.store import JournalUnavailableError

router = APIRouter(prefix="/api/users")
Administrator = Annotated[Signed, Depends(may(Permission.ADMINISTER))]


@router.get("")
async def users(_: Administrator, desk: TheDesk) -> list[User]:
    """Everybody who has, or once had, access."""
    return [views.user(person) for person in desk.engine.people.all()]


@router.post("", status_code=201)
async def add_user(body: NewUser, signed: Administrator, desk: TheDesk) -> User:
    """Add a person."""
    _check_journal(desk)
    people = desk.engine.people
    try:
        person = await people.aside(people.add, body.user, body.full_name, body.roles, body.password.get_secret_value())
    except AccessError as error:
        raise RefusedError(409, str(error)) from None
    added = {"user": person.user, "full_name": person.full_name, "roles": list(person.roles)}
    try:
        await desk.engine.journal.record(Kind.USER_ADDED, signed.origin, added)
    except JournalUnavailableError:
        people.disable(person.user)  # nobody has access that no record tells of
        raise
    return views.user(person)


@router.post("/{user}/disable")
async def disable_user(user: str, body: WithReason, signed: Administrator, desk: TheDesk) -> User:
    """Take a person's access away for good; their sessions end."""
    _known(desk, user)
    try:
        person = desk.engine.people.disable(user)
    except AccessError as error:
        raise RefusedError(409, str(error)) from None
    desk.engine.sessions.sweep()
    changed = {"user": person.user, "what": "disabled", "old": False, "new": True, "reason": body.reason}
    await desk.engine.journal.record(Kind.USER_CHANGED, signed.origin, changed)
    return views.user(person)


@router.post("/{user}/password")
async def set_password(user: str, body: NewPassword, signed: Anybody, desk: TheDesk) -> User:
    """Give a person a new password: one's own with the old one, another's as an administrator."""
    people = desk.engine.people
    if user.casefold() == signed.session.user.casefold():
        await _check_own(desk, signed, body)
    else:
        desk.require(signed.session, Permission.ADMINISTER, f"new password of {user}")
        _known(desk, user)
    _check_journal(desk)
    try:
        person = await people.aside(people.set_password, user, body.password.get_secret_value())
    except AccessError as error:
        raise RefusedError(409, str(error)) from None
    changed: dict[str, Any] = {"user": person.user, "what": "password", "old": "", "new": ""}
    await desk.engine.journal.record(Kind.USER_CHANGED, signed.origin, changed)
    return views.user(person)


async def _check_own(desk: Desk, signed: Signed, body: NewPassword) -> None:
    if body.old is None:
        raise RefusedError(422, "the old password is missing", "Send it as `old`.")
    people = desk.engine.people
    try:
        await people.aside(people.check, signed.session.user, body.old.get_secret_value())
    except AccessError as error:
        desk.note_denied(signed.session.user, signed.session.station, error)
        raise RefusedError(403, str(error)) from None


def _known(desk: Desk, user: str) -> None:
    if desk.engine.people.get(user) is None:
        raise RefusedError(404, f"there is no user {user!a}")


def _check_journal(desk: Desk) -> None:
    journal = desk.engine.journal
    if not journal.available:
        raise RefusedError(503, f"the journal cannot be written ({journal.trouble})", "Make room on its disk.")
