"""Signatures: a password given anew, for one meaning and exactly what was shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from evcontrol.access.people import AccessError, People
from evcontrol.access.permission import Permission, permissions_of
from evcontrol.access.rules import key_of
from evcontrol.access.session import Session
from evcontrol.clock import Clock

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def hash_of(shown: Mapping[str, Any]) -> str:
    """The SHA-256 (hexadecimal) of what a person is shown, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def sign(
    people: People,
    clock: Clock,
    session: Session,
    password: str,
    meaning: str,
    subject: str,
    shown_hash: str,
    other_than: str = "",
) -> dict[str, Any]:
    """The body of the journal's signature event, whose time is that of the event.

    ``meaning`` says what the signature is for, ``subject`` what is signed, ``shown_hash`` is the SHA-256 of what the
    person saw; ``other_than`` is the user who may not sign, since doer and checker differ. AccessError when the person
    may not, or the password is wrong, which counts as at sign-on. (21 CFR 11.50, 11.70, 11.200.)
    """
    if not meaning.strip() or not subject.strip():
        raise AccessError("a signature needs a meaning and a subject")
    if not _SHA256.fullmatch(shown_hash):
        raise AccessError("a signature needs the SHA-256 of what was shown")
    person = people.get(session.user)
    if person is None or person.disabled or Permission.SIGN not in permissions_of(person.roles):
        raise AccessError(f"{session.user} may not sign", f"{session.user} lacks the permission to sign")
    if other_than and key_of(other_than) == key_of(person.user):
        raise AccessError(f"{person.user} may not sign this: it was done by {person.user}; another person signs it")
    person = await people.aside(people.check, session.user, password)
    return {
        "user": person.user,
        "full_name": person.full_name,
        "meaning": meaning,
        "subject": subject,
        "shown_hash": shown_hash,
    }
