"""Sessions: opened by a password, ended by signing off, silence or disabling."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evcontrol.access.people import REFUSED, AccessError, People
from evcontrol.access.permission import ROLES
from evcontrol.access.session import Session, Sessions
from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from tests.access.conftest import PASSWORD

Scenario = Callable[[VirtualClock, People, Sessions], Awaitable[None]]


def _run(path: Path, scenario: Scenario) -> None:
    async def main(clock: VirtualClock) -> None:
        staff = People(path, clock)
        staff.add("olivia", "Olivia Operator", ["operator", "quality"], PASSWORD)
        await scenario(clock, staff, Sessions(staff, clock, idle_s=60))

    run_virtual(main)


def test_a_password_opens_a_session_with_the_permissions_of_all_roles(path: Path) -> None:
    async def scenario(_: VirtualClock, __: People, sessions: Sessions) -> None:
        session, token = await sessions.open("OLIVIA", PASSWORD, "desk-1")
        allowed = ROLES["operator"] | ROLES["quality"]
        assert session == Session("olivia", "Olivia Operator", ("operator", "quality"), allowed, "desk-1")
        assert sessions.get(token) == session

    _run(path, scenario)


def test_a_wrong_password_opens_none(path: Path) -> None:
    async def scenario(_: VirtualClock, __: People, sessions: Sessions) -> None:
        with pytest.raises(AccessError, match="wrong") as caught:
            await sessions.open("olivia", "wrong", "desk-1")
        assert (str(caught.value), caught.value.reason) == (REFUSED, "wrong password (1 of 5)")
        with pytest.raises(AccessError, match="station"):
            await sessions.open("olivia", PASSWORD, " ")

    _run(path, scenario)


@pytest.mark.parametrize("token", ["", "x", "\ud800", "é" * 1000])
def test_a_token_that_was_never_given_has_no_session(path: Path, token: str) -> None:
    async def scenario(_: VirtualClock, __: People, sessions: Sessions) -> None:
        await sessions.open("olivia", PASSWORD, "desk-1")
        assert sessions.get(token) is None
        assert sessions.close(token) is None

    _run(path, scenario)


def test_each_session_has_a_token_of_its_own_and_ends_alone(path: Path) -> None:
    async def scenario(_: VirtualClock, __: People, sessions: Sessions) -> None:
        first, one = await sessions.open("olivia", PASSWORD, "desk-1")
        second, two = await sessions.open("olivia", PASSWORD, "desk-2")
        assert one != two
        assert sessions.close(one) == first
        assert sessions.get(one) is None
        assert sessions.get(two) == second

    _run(path, scenario)


def test_silence_ends_a_session_and_a_sign_of_life_keeps_it(path: Path) -> None:
    async def scenario(clock: VirtualClock, _: People, sessions: Sessions) -> None:
        ended: list[tuple[Session, str]] = []
        sessions.on_ended = lambda *what: ended.append(what)
        session, token = await sessions.open("olivia", PASSWORD, "desk-1")
        for _ in range(3):
            await clock.sleep(59)
            assert sessions.get(token) == session
        await clock.sleep(60)
        assert sessions.get(token) is None
        assert sessions.get(token) is None
        assert ended == [(session, "idle for 60 s")]

    _run(path, scenario)


def test_disabling_ends_every_session_of_the_person_at_once(path: Path) -> None:
    async def scenario(_: VirtualClock, staff: People, sessions: Sessions) -> None:
        ended: list[str] = []
        sessions.on_ended = lambda session, reason: ended.append(f"{session.station}: {reason}")
        staff.add("quentin", "Quentin Quality", ["quality"], PASSWORD)
        tokens = [(await sessions.open("olivia", PASSWORD, f"desk-{n}"))[1] for n in (1, 2)]
        other = (await sessions.open("quentin", PASSWORD, "desk-3"))[1]
        staff.disable("olivia")
        assert [sessions.get(token) for token in tokens] == [None, None]
        assert sessions.get(other) is not None
        assert ended == ["desk-1: the access was disabled", "desk-2: the access was disabled"]

    _run(path, scenario)


def test_forgotten_sessions_are_swept(path: Path) -> None:
    async def scenario(clock: VirtualClock, _: People, sessions: Sessions) -> None:
        ended: list[str] = []
        sessions.on_ended = lambda session, _: ended.append(session.station)
        await sessions.open("olivia", PASSWORD, "desk-1")
        await clock.sleep(60)
        await sessions.open("olivia", PASSWORD, "desk-2")
        assert ended == ["desk-1"]
        await clock.sleep(60)
        sessions.sweep()
        assert ended == ["desk-1", "desk-2"]

    _run(path, scenario)


def test_the_token_is_kept_nowhere(staff: People, path: Path) -> None:
    sessions = Sessions(staff, LiveClock())
    _, token = asyncio.run(sessions.open("olivia", PASSWORD, "desk-1"))
    reachable, todo = set(), [sessions]
    while todo:
        found = todo.pop()
        if id(found) not in reachable and isinstance(found, (dict, list, tuple, str, bytes, Sessions)):
            reachable.add(id(found))
            assert found != token
            todo.extend(gc.get_referents(found))
    assert token not in path.read_text()
    assert len(token) >= 43


def test_signing_on_leaves_the_event_loop_free(staff: People) -> None:
    async def scenario() -> int:
        turns = 0
        opening = asyncio.create_task(Sessions(staff, LiveClock()).open("olivia", PASSWORD, "desk-1"))
        while not opening.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert asyncio.run(scenario()) > 2
