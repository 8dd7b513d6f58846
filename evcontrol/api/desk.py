"""The desk: where requests meet the engine. It knows who asks, what they may do, and journals who came and was refused.

Everything here is called on the engine's event loop, and nothing slow is done on it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

import structlog

from evcontrol.access.people import AccessError
from evcontrol.access.permission import Permission
from evcontrol.access.session import Session
from evcontrol.api import views
from evcontrol.api.history_worker import HistoryWorker
from evcontrol.api.problem import RefusedError
from evcontrol.api.schema import Snapshot, Topic
from evcontrol.api.stream import Body, Hub, Key
from evcontrol.engine import Engine
from evcontrol.journal.events import Kind, Origin, ProcessActor
from evcontrol.journal.store import JournalUnavailableError

SWEEP_S = 5.0
"""Process time between two looks for sessions that are over."""
RETRY_S = 1.0

_log = structlog.get_logger(__name__)


class Desk:
    """The facade between one engine and the routes. ``run_token`` allows reading."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.run_token = secrets.token_urlsafe(32)
        self.closing = False
        """Whether the engine is about to stop: nothing is changed any more."""
        self.signed: dict[str, str] = {}
        """Who signed the reconciliation of a batch since the engine was started."""
        self.hub = Hub(engine.image, engine.clock, engine.scanner.next_scan, self.topics)
        self.long_work = asyncio.Semaphore(1)
        """Reports are worked out one at a time, so that they cannot fill the machine."""
        self.history = HistoryWorker(engine.data / "history")
        self._watches: set[_Watch] = set()
        engine.sessions.on_ended = self._session_ended

    async def run(self) -> None:
        """Publish the stream and look for sessions that are over, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publish(), name="stream")
                tasks.create_task(self._sweep(), name="sessions")
        finally:
            self.history.close()

    # -- who asks ----------------------------------------------------------------------------------------------------

    def session(self, token: str) -> Session | None:
        """The session of a token, which counts as a sign of life."""
        return self.engine.sessions.get(token)

    def require(self, session: Session, permission: Permission, what: str) -> None:
        """RefusedError 403, journalled, unless the person may do it; 503 while the engine stops."""
        if permission not in session.permissions:
            roles = ", ".join(session.roles)
            self.refuse(session, permission, what, f"{session.user} ({roles}) lacks the permission to {permission}")
        if self.closing:
            raise RefusedError(503, "the engine is stopping", "Try again when it has been started again.")

    def refuse(self, session: Session, permission: Permission, what: str, why: str) -> NoReturn:
        """RefusedError 403, journalled."""
        body = {"user": session.user, "permission": permission.value, "what": what[:200]}
        self.note(Kind.DENIED, _person(session), body)
        raise RefusedError(403, why, "Ask somebody who has it.")

    async def sign_on(self, user: str, password: str, station: str) -> tuple[Session, str]:
        """A new session and its token; RefusedError 401 when name and password do not fit."""
        try:
            session, token = await self.engine.sessions.open(user, password, station)
        except AccessError as error:
            self.note_denied(user, station, error)
            raise RefusedError(401, str(error), "Try again, or ask an administrator.") from None
        self.note(Kind.SESSION_OPENED, _person(session), {"user": session.user, "station": session.station})
        with suppress(JournalUnavailableError):  # as for every note
            await self.engine.journal.flush()
        return session, token

    def sign_off(self, session: Session, token: str) -> None:
        """Close a session and its streams."""
        if self.engine.sessions.close(token) is not None:
            self.note(Kind.SESSION_CLOSED, _person(session), {"user": session.user, "reason": "signed off"})
        self._close_streams(session)

    @contextmanager
    def watch(self, session: Session | None) -> Iterator[asyncio.Event]:
        """An event that is set when a stream with this session must end."""
        watch = _Watch(session)
        self._watches.add(watch)
        try:
            yield watch.over
        finally:
            self._watches.discard(watch)

    def note_denied(self, user: str, station: str, error: AccessError) -> None:
        """Journal a wrong password; nobody proved who they are, so the entry names no person as its actor."""
        plain = user.encode("ascii", "backslashreplace").decode()
        self.note(Kind.SESSION_DENIED, Origin(ProcessActor.ENGINE, station), {"user": plain, "reason": error.reason})

    def note(self, kind: Kind, origin: Origin, body: Mapping[str, Any]) -> None:
        """Journal what people did at the door. While the journal refuses they are let in to help, and it is logged."""
        try:
            self.engine.journal.append(kind, origin, body)
        except JournalUnavailableError as error:
            _log.error("not journalled", kind=kind.value, actor=origin.actor, body=dict(body), error=str(error))

    # -- what is shown -----------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        return views.snapshot(self.engine)

    def topics(self) -> Mapping[Key, Body]:
        """Every topic of the stream as it is now."""
        engine = self.engine
        topics: dict[Key, Body] = {
            (Topic.STATUS, ""): views.status(engine),
            (Topic.UNITS, ""): views.units(engine),
            (Topic.OWNERS, ""): views.owners(engine),
            (Topic.LINKS, ""): views.links(engine),
            (Topic.LOOPS, ""): views.loops(engine),
            (Topic.INTERLOCKS, ""): views.interlocks(engine),
            (Topic.ALARMS, ""): views.alarms(engine),
            (Topic.PROMPTS, ""): views.prompts(engine),
        }
        for run in views.shown_batches(engine):
            topics[Topic.BATCH, run.id] = views.batch_view(run)
        return topics

    # -- helpers -----------------------------------------------------------------------------------------------------

    async def _publish(self) -> None:
        """A fault in the stream leaves consoles blind for a second, and the plant under control."""
        while True:
            try:
                await self.hub.run()
            except Exception as error:  # noqa: BLE001  (whatever it is, consoles must not stay blind)
                _log.error("the stream failed and begins anew", exc_info=error)
                await self.engine.clock.sleep(RETRY_S)

    async def _sweep(self) -> None:
        while True:
            await self.engine.clock.sleep(SWEEP_S)
            self.engine.sessions.sweep()

    def _session_ended(self, session: Session, reason: str) -> None:
        self.note(Kind.SESSION_CLOSED, _person(session), {"user": session.user, "reason": reason})
        person = self.engine.people.get(session.user)
        if person is None or person.disabled:  # a console whose person only fell silent goes on showing
            self._close_streams(session)

    def _close_streams(self, session: Session) -> None:
        for watch in self._watches:
            if watch.session is session:
                watch.over.set()


@dataclass(eq=False, slots=True)
class _Watch:
    """One open stream."""

    session: Session | None
    over: asyncio.Event = field(default_factory=asyncio.Event)


def _person(session: Session) -> Origin:
    return Origin.user(session.user, session.station)
