"""Signatures: who may sign what, and what the journal is given."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from evcontrol.access.people import MAX_FAILURES, AccessError, People
from evcontrol.access.session import Session, Sessions
from evcontrol.access.sign import sign
from evcontrol.clock import LiveClock
from tests.access.conftest import PASSWORD

SHOWN = "ab" * 32


def _session(staff: People, user: str) -> Session:
    return asyncio.run(Sessions(staff, LiveClock()).open(user, PASSWORD, "desk-1"))[0]


def _sign(staff: People, session: Session, password: str = PASSWORD, **change: str) -> Mapping[str, Any]:
    what = {"meaning": "checked", "subject": "B-0001/step 3", "shown_hash": SHOWN, **change}
    return asyncio.run(sign(staff, LiveClock(), session, password, **what))


def test_a_signature_names_person_meaning_subject_and_what_was_shown(staff: People) -> None:
    assert _sign(staff, _session(staff, "quentin"), other_than="olivia") == {
        "user": "quentin",
        "full_name": "Quentin Quality",
        "meaning": "checked",
        "subject": "B-0001/step 3",
        "shown_hash": SHOWN,
    }


def test_an_open_session_is_not_enough_the_password_is_checked(staff: People) -> None:
    with pytest.raises(AccessError) as caught:
        _sign(staff, _session(staff, "quentin"), password="wrong")
    assert caught.value.reason == "wrong password (1 of 5)"


def test_wrong_passwords_at_signing_lock_the_access(staff: People) -> None:
    session = _session(staff, "quentin")
    for _ in range(MAX_FAILURES):
        with pytest.raises(AccessError):
            _sign(staff, session, password="wrong")
    with pytest.raises(AccessError) as caught:
        _session(staff, "quentin")
    assert caught.value.reason.startswith("locked")


def test_another_persons_password_does_not_sign(staff: People) -> None:
    session = _session(staff, "quentin")
    staff.set_password("olivia", "hers and hers alone")
    with pytest.raises(AccessError):
        _sign(staff, session, password="hers and hers alone")


def test_who_lacks_the_permission_may_not_sign(staff: People) -> None:
    with pytest.raises(AccessError, match="edna may not sign") as caught:
        _sign(staff, _session(staff, "edna"))
    assert caught.value.reason == "edna lacks the permission to sign"


@pytest.mark.parametrize("doer", ["quentin", "QUENTIN"])
def test_doer_and_checker_differ(staff: People, doer: str) -> None:
    with pytest.raises(AccessError, match="another person"):
        _sign(staff, _session(staff, "quentin"), other_than=doer)


def test_who_was_disabled_meanwhile_may_not_sign(staff: People) -> None:
    session = _session(staff, "quentin")
    staff.disable("quentin")
    with pytest.raises(AccessError, match="may not sign"):
        _sign(staff, session)


@pytest.mark.parametrize("shown", ["", "abc", SHOWN.upper(), SHOWN + "\n", SHOWN + "00"])
def test_a_signature_is_bound_to_a_hash(staff: People, shown: str) -> None:
    with pytest.raises(AccessError, match="SHA-256"):
        _sign(staff, _session(staff, "quentin"), shown_hash=shown)


@pytest.mark.parametrize("missing", ["meaning", "subject"])
def test_a_signature_has_a_meaning_and_a_subject(staff: People, missing: str) -> None:
    with pytest.raises(AccessError, match="meaning and a subject"):
        _sign(staff, _session(staff, "quentin"), **{missing: " "})
