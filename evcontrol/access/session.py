"""Sessions: who is signed on, from which station, until they sign off, fall silent or lose their access."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from evcontrol.access.people import AccessError, People, Person
from evcontrol.access.permission import Permission, permissions_of
from evcontrol.clock import Clock

IDLE_S: Final = 900.0
"""Real seconds without a request after which a session has ended."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-on person at a station."""

    user: str
    full_name: str
    roles: tuple[str, ...]
    permissions: frozenset[Permission]
    station: str


class Sessions:
    """All open sessions, in memory only: a restart of the engine ends them.

    ``on_ended`` is called, with the reason, for each session that ends otherwise than by :meth:`close`.
    """

    def __init__(self, people: People, clock: Clock, idle_s: float = IDLE_S) -> None:
        self._people = people
        self._clock = clock
        self._idle_s = idle_s
        # By the SHA-256 of their token: the tokens themselves are nowhere to be found.
        self._open: dict[bytes, _Open] = {}
        self.on_ended: Callable[[Session, str], None] = lambda _session, _reason: None

    async def open(self, user: str, password: str, station: str) -> tuple[Session, str]:
        """A new session and its token, which is given only here; AccessError when name and password do not fit."""
        if not station.strip():
            raise AccessError("the station has no name")
        person = await self._people.aside(self._people.check, user, password)
        self.sweep()
        session = _session(person, station)
        token = secrets.token_urlsafe(32)
        self._open[_digest(token)] = _Open(session, self._clock.monotonic())
        return session, token

    def get(self, token: str) -> Session | None:
        """The session of a token, which counts as a sign of life; None when there is none, or it has ended."""
        key = _digest(token)
        opened = self._open.get(key)
        if opened is None or self._end_if_over(key, opened):
            return None
        opened.seen = self._clock.monotonic()
        return opened.session

    def close(self, token: str) -> Session | None:
        """End a session; None when it had ended already."""
        opened = self._open.pop(_digest(token), None)
        return None if opened is None else opened.session

    def sweep(self) -> None:
        """End every session that is over; for a caller that wants to know of it before somebody shows the token."""
        for key, opened in list(self._open.items()):
            self._end_if_over(key, opened)

    def _end_if_over(self, key: bytes, opened: _Open) -> bool:
        reason = self._over(opened)
        if reason:
            del self._open[key]
            self.on_ended(opened.session, reason)
        return bool(reason)

    def _over(self, opened: _Open) -> str:
        person = self._people.get(opened.session.user)
        if person is None or person.disabled:
            return "the access was disabled"
        if self._clock.monotonic() - opened.seen >= self._idle_s:
            return f"idle for {self._idle_s:g} s"
        return ""


@dataclass(slots=True)
class _Open:
    session: Session
    seen: float


def _session(person: Person, station: str) -> Session:
    return Session(person.user, person.full_name, person.roles, permissions_of(person.roles), station)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
