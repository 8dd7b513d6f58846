"""Taking an alarm out of service and putting it back, each with a signature (ISA-18.2, 5.4.2; 21 CFR 11.200)."""

from __future__ import annotations

from collections.abc import Callable

from evcontrol.access.people import People
from evcontrol.access.session import Session
from evcontrol.access.sign import hash_of, sign
from evcontrol.alarms.alarms import Alarms
from evcontrol.alarms.states import Happening
from evcontrol.clock import Clock
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.store import Journal
from evcontrol.plant.alarm_specs import AlarmSpec


class AlarmService:
    """What people sign about a plant's alarms; the journal has the signature before what was signed.

    Both raise KeyError for an unknown alarm, ValueError when it cannot be done now, AccessError when the person may
    not sign, JournalUnavailableError.
    """

    def __init__(self, alarms: Alarms, people: People, journal: Journal, clock: Clock) -> None:
        self._alarms = alarms
        self._people = people
        self._journal = journal
        self._clock = clock

    async def remove(self, spec: AlarmSpec, session: Session, password: str, reason: str) -> None:
        """Take an alarm out of service."""
        await self._signed(spec, session, password, reason, Happening.REMOVED, self._alarms.remove)

    async def put_back(self, spec: AlarmSpec, session: Session, password: str, reason: str) -> None:
        """Put an alarm back in service."""
        await self._signed(spec, session, password, reason, Happening.PUT_BACK, self._alarms.put_back)

    async def _signed(
        self,
        spec: AlarmSpec,
        session: Session,
        password: str,
        reason: str,
        happening: Happening,
        do: Callable[[str, Origin, str], None],
    ) -> None:
        self._alarms.check(spec.name, happening)
        shown = {
            "alarm": spec.name, "description": spec.description, "consequence": spec.consequence, "reason": reason,
            "meaning": happening.value,
        }  # fmt: skip
        shown_hash = hash_of(shown)
        meaning, subject = happening.value, f"alarm {spec.name}"
        body = await sign(self._people, self._clock, session, password, meaning, subject, shown_hash)
        self._alarms.check(spec.name, happening)  # it may have changed while the password was checked
        origin = Origin.user(session.user, session.station)
        self._journal.append(Kind.SIGNATURE, origin, body | {"comment": reason})
        do(spec.name, origin, reason)
