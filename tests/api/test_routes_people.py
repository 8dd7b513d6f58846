"""Signing on and off, what a role may do, and people as an administrator changes them."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from evcontrol.api.client import ApiError, EngineGoneError
from evcontrol.api.schema import NewPassword, NewUser, StatusEvent
from evcontrol.journal.events import Kind
from tests.api.served import PASSWORD, Served, serve


def test_nobody_reads_without_a_token(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"}, {"Authorization": "x"}):
            answer = await served.raw("GET", "/api/snapshot", headers=headers)
            assert answer.status_code == 401
            assert answer.json()["remedy"]

    serve(tmp_path, work)


def test_the_run_token_reads_and_changes_nothing(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.client() as client:
            assert (await client.snapshot()).status.plant == served.plant.name
            with pytest.raises(ApiError, match="nobody is signed on") as refused:
                await client.change_mode("TFF201", "manual", "why not")
            assert refused.value.status == 401

    serve(tmp_path, work)


def test_a_session_is_journalled_from_sign_on_to_sign_off(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.client() as client:
            session = await client.sign_on("olivia", PASSWORD, "station 1")
            assert session.full_name == "Olivia Operator"
            assert "operate" in session.permissions
            (opened,) = served.events(Kind.SESSION_OPENED)
            assert (opened.actor, opened.station) == ("user:olivia", "station 1")
            await client.sign_off()
            (closed,) = served.events(Kind.SESSION_CLOSED)
            assert closed.body["reason"] == "signed off"
        async with served.client(session.token) as client:
            with pytest.raises(ApiError, match="token"):
                await client.snapshot()

    serve(tmp_path, work)


def test_a_wrong_password_is_refused_and_journalled_in_nobodys_name(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.client() as client:
            with pytest.raises(ApiError) as refused:
                await client.sign_on("olivia", "not the password", "station 1")
            assert refused.value.status == 401
        (denied,) = served.events(Kind.SESSION_DENIED)
        assert (denied.actor, denied.body["user"]) == ("engine", "olivia")
        assert "not the password" not in (served.data / "journal" / "000001.jsonl").read_text()

    serve(tmp_path, work)


def test_what_a_role_does_not_allow_is_refused_and_journalled(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on("quentin") as client:
            with pytest.raises(ApiError, match="lacks the permission to command") as refused:
                await client.change_mode("TFF201", "manual", "why not")
            assert refused.value.status == 403
        (denied,) = served.events(Kind.DENIED)
        assert denied.body["permission"] == "command"
        assert denied.actor == "user:quentin"
        assert denied.body["what"] == "POST /api/units/TFF201/mode"

    serve(tmp_path, work)


def test_an_administrator_adds_a_person_who_can_then_sign_on(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        new = NewUser(user="nina", full_name="Nina New", roles=["operator"], password=SecretStr("the first password"))
        async with served.signed_on("oscar") as client:
            with pytest.raises(ApiError, match="administer"):
                await client.add_user(new)
        async with served.signed_on("ann") as client:
            assert (await client.add_user(new)).roles == ["operator"]
            with pytest.raises(ApiError, match="never given again"):
                await client.add_user(new)
            assert "nina" in [user.user for user in await client.users()]
        (added,) = served.events(Kind.USER_ADDED)
        assert (added.actor, added.body["user"]) == ("user:ann", "nina")
        async with served.client() as client:
            await client.sign_on("nina", "the first password", "station 2")

    serve(tmp_path, work)


def test_ones_own_password_needs_the_old_one(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on("oscar") as client:
            for old in (None, SecretStr("a wrong password")):
                with pytest.raises(ApiError):
                    await client.set_password("oscar", NewPassword(password=SecretStr("the next password"), old=old))
            new = NewPassword(password=SecretStr("the next password"), old=SecretStr(PASSWORD))
            await client.set_password("Oscar", new)
            with pytest.raises(ApiError, match="administer"):
                await client.set_password("ann", new)
        assert [e.body["what"] for e in served.events(Kind.USER_CHANGED)] == ["password"]
        async with served.client() as client:
            await client.sign_on("oscar", "the next password", "station 1")

    serve(tmp_path, work)


def test_who_is_disabled_is_out_at_once_with_their_stream(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on("ann") as ann, served.signed_on("oscar") as oscar:
            stream = oscar.stream()
            assert isinstance(await anext(stream), StatusEvent)
            await ann.disable_user("oscar", "left the company")
            with pytest.raises(EngineGoneError):
                async for _ in stream:
                    pass
            with pytest.raises(ApiError, match="session has ended"):
                await oscar.change_mode("TFF201", "manual", "why not")
            with pytest.raises(ApiError, match="there is no user"):
                await ann.disable_user("nobody", "a mistake")
        (closed,) = [e for e in served.events(Kind.SESSION_CLOSED) if e.body["user"] == "oscar"]
        assert closed.body["reason"] == "the access was disabled"

    serve(tmp_path, work)


def test_five_sign_ons_at_once_do_not_stop_the_scan(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async def one(user: str) -> None:
            async with served.signed_on(user):
                pass

        await asyncio.gather(*(one(user) for user in ("olivia", "oscar", "quentin", "ann", "olivia")))
        assert len(served.events(Kind.SESSION_OPENED)) == 5

    serve(tmp_path, work)


def test_bodies_that_are_wrong_are_refused_without_an_echo_of_passwords(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        body = {"user": "olivia", "password": "hush-hush", "station": ""}
        answer = await served.raw("POST", "/api/sessions", json=body)
        assert answer.status_code == 422
        assert "station" in answer.json()["error"]
        assert "hush" not in answer.text
        assert (await served.raw("POST", "/api/sessions", content=b"{")).status_code == 422
        assert (await served.raw("POST", "/api/sessions", content=b'{"user": "\\ud800"}')).status_code == 422
        assert (await served.raw("GET", "/api/nothing")).json()["remedy"]

    serve(tmp_path, work)
