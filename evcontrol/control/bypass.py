"""Bypassing interlocks: signed, for a limited time, always visible."""

from __future__ import annotations

from evcontrol.access.people import People
from evcontrol.access.session import Session
from evcontrol.access.sign import hash_of, sign
from evcontrol.clock import NS, Clock
from evcontrol.control.interlocks import Interlocks
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.store import Journal

MEANING = "bypass of an interlock"


class BypassService:
    """What people sign about a plant's interlocks."""

    def __init__(self, interlocks: Interlocks, people: People, journal: Journal, clock: Clock) -> None:
        self._interlocks = interlocks
        self._people = people
        self._journal = journal
        self._clock = clock

    async def begin(self, name: str, duration_s: float, session: Session, password: str, reason: str) -> None:
        """Bypass an interlock for so many seconds of process time; it holds once it is on disk.

        Raises KeyError for an unknown interlock, BypassRefusedError when it may not be bypassed or not so long,
        AccessError when the person may not sign, JournalUnavailableError.
        """
        spec = self._interlocks.may_bypass(name, duration_s)
        shown = {
            "interlock": name, "description": spec.description, "consequence": spec.consequence,
            "duration_s": duration_s, "reason": reason, "meaning": MEANING,
        }  # fmt: skip
        shown_hash = hash_of(shown)
        subject = f"interlock {name}"
        body = await sign(self._people, self._clock, session, password, MEANING, subject, shown_hash)
        self._interlocks.may_bypass(name, duration_s)  # it may have changed while the password was checked
        origin = Origin.user(session.user, session.station)
        self._journal.append(Kind.SIGNATURE, origin, body | {"comment": reason})
        until = self._clock.now() + round(duration_s * NS)
        await self._interlocks.bypass(name, until, duration_s, origin, reason)
