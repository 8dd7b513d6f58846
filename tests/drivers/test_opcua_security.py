"""Signed and encrypted OPC UA: who is let in by whom, and what is told when not; real servers, real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers import opcua_channel
from drivers.driver import LinkState, Outcome
from drivers.opcua_certificate import CERTIFICATE_FILE, KEY_FILE
from drivers.opcua_options import Policy, SecurityMode
from drivers.opcua_security import IDENTITY_PAUSE_S
from evcontrol.quality import BAD_CONFIGURATION, GOOD
from evcontrol.signals import TagKind
from tests.drivers.build import link_is
from tests.drivers.opcua_credentials import CLIENT_URI, SERVER_URI, application, security, trust
from tests.drivers.opcua_rig import (
    BACK_S,
    SCAN_S,
    NamedOpcUaDriver,
    ServerProcess,
    behind_proxy,
    nodes,
    on_server,
    until,
    values_of,
)
from tests.faultproxy import Fault, FaultProxy

ALL = ",".join(
    f"{name}_{mode}"
    for name in ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
    for mode in ("Sign", "SignAndEncrypt")
)
PATIENT = {"timeout_s": 2.0}
PASSWORD = "a long secret"


@dataclass(frozen=True)
class Applications:
    """Folders with the certificates of a client, a user, a server and others, and trust lists."""

    root: Path

    def trusted(self, *names: str) -> Path:
        folder = self.root / ("trusted-" + "-".join(names))
        return folder if folder.exists() else trust(folder, *(self.root / name for name in names))

    def security(self, *trusted: str, client: str = "client", **more: Any) -> dict[str, Any]:
        return security(self.root / client, self.trusted(*trusted or ("server",)), **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Applications:
    root = tmp_path_factory.mktemp("opcua")
    application(root / "client", CLIENT_URI, "localhost")
    application(root / "user", "urn:test:user")
    application(root / "server", SERVER_URI, "localhost", "127.0.0.1")
    application(root / "stranger", SERVER_URI, "localhost", "127.0.0.1")
    application(root / "expired", SERVER_URI, "127.0.0.1", days=1, ago_days=3)
    return Applications(root)


@pytest.fixture(scope="module")
def server(made: Applications) -> Iterator[ServerProcess]:
    with ServerProcess(f"secure={made.root / 'server'}", f"policies={ALL}") as process:
        yield process


async def reads_and_writes(driver: NamedOpcUaDriver) -> None:
    await until(driver, lambda now: now["TT"] == (37.0, GOOD), BACK_S)
    assert (await driver.write({"SP": 21.5}))["SP"].outcome is Outcome.CONFIRMED
    assert (await values_of(driver))["SP"] == (21.5, GOOD)


def refused(server: ServerProcess, words: str, **options: Any) -> None:
    """The link is refused for that reason, and no reading is Good."""

    async def test(driver: NamedOpcUaDriver) -> None:
        await link_is(driver, LinkState.REFUSED, BACK_S, words)
        assert {quality for _, quality in (await values_of(driver)).values()} == {BAD_CONFIGURATION}

    on_server(server, nodes("TT", "SP"), test, ready=False, **PATIENT | options)


@pytest.mark.parametrize("mode", SecurityMode)
@pytest.mark.parametrize("policy", Policy)
def test_every_policy_and_mode_carries_readings_and_writes(
    server: ServerProcess, made: Applications, policy: Policy, mode: SecurityMode
) -> None:
    server.order(set={"TT": 37.0})
    on_server(server, nodes("TT", "SP"), reads_and_writes, security=made.security(policy=policy, mode=mode), **PATIENT)


@pytest.mark.parametrize("mode", SecurityMode)
def test_only_an_encrypted_connection_hides_what_is_read(
    server: ServerProcess, made: Applications, mode: SecurityMode
) -> None:
    async def test(driver: NamedOpcUaDriver, proxy: FaultProxy) -> None:
        await until(driver, lambda now: now["NOTE"][1] == GOOD, BACK_S)
        sent = b"".join(proxy.requests)
        assert (b"BR.NOTE" in sent) == (mode is SecurityMode.SIGN)

    points = nodes("NOTE", kind=TagKind.TEXT)
    behind_proxy(server, points, test, security=made.security(mode=mode), **PATIENT)


def test_a_changed_byte_ends_the_link_and_is_never_a_reading(server: ServerProcess, made: Applications) -> None:
    server.order(set={"TT": 37.0})

    async def test(driver: NamedOpcUaDriver, proxy: FaultProxy) -> None:
        await until(driver, lambda now: now["TT"] == (37.0, GOOD), BACK_S)
        await proxy.set(Fault.GARBAGE)
        await link_is(driver, LinkState.DISCONNECTED, BACK_S)
        await proxy.set(Fault.NONE)
        await until(driver, lambda now: now["TT"] == (37.0, GOOD), BACK_S)

    behind_proxy(server, nodes("TT"), test, security=made.security(), **PATIENT)


@pytest.mark.parametrize("mode", SecurityMode)
def test_a_secured_channel_is_renewed_without_anybody_noticing(
    server: ServerProcess, made: Applications, monkeypatch: pytest.MonkeyPatch, mode: SecurityMode
) -> None:
    monkeypatch.setattr(opcua_channel, "CHANNEL_LIFETIME_MS", 2000)
    renewed = []
    renew = opcua_channel.Channel._open_channel

    async def counted(channel: opcua_channel.Channel, kind: object) -> float:
        renewed.append(kind)
        return await renew(channel, kind)

    monkeypatch.setattr(opcua_channel.Channel, "_open_channel", counted)

    async def test(driver: NamedOpcUaDriver) -> None:
        links = []
        driver.on_link = links.append
        while len(renewed) < 4:
            assert (await driver.write({"SP": 1.0}))["SP"].outcome is Outcome.CONFIRMED
            assert (await values_of(driver))["TT"][1] == GOOD
            await asyncio.sleep(SCAN_S)
        assert links == []

    on_server(server, nodes("TT", "SP"), test, security=made.security(mode=mode), **PATIENT)


def test_a_server_that_is_not_in_the_trust_list_is_refused_with_its_fingerprint(
    server: ServerProcess, made: Applications
) -> None:
    refused(server, "not in the trust list: server, SHA-256 ", security=made.security("stranger"))


def test_a_server_that_offers_only_what_is_weaker_or_is_another_application_is_refused(made: Applications) -> None:
    offers = "policies=NoSecurity,Basic256Sha256_Sign,Basic256_SignAndEncrypt"
    with ServerProcess(f"secure={made.root / 'server'}", "uri=urn:test:other", offers) as weak:
        words = "the server does not offer Basic256Sha256 with SignAndEncrypt; it offers Basic256 with SignAndEncrypt, "
        refused(weak, words + "Basic256Sha256 with Sign, no security", security=made.security())
        words = f"is for {SERVER_URI}, and the server says that it is urn:test:other"
        refused(weak, words, security=made.security(mode=SecurityMode.SIGN))


def test_a_server_without_an_open_endpoint_refuses_a_client_without_security(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await link_is(driver, LinkState.REFUSED, BACK_S)

    on_server(server, nodes("TT"), test, ready=False, **PATIENT)


@pytest.fixture(scope="module")
def strict(made: Applications) -> Iterator[ServerProcess]:
    """Lets in one user by password, and one by certificate."""
    known = (f"user={PASSWORD}", f"knows={made.root / 'user' / CERTIFICATE_FILE}")
    with ServerProcess(f"secure={made.root / 'server'}", f"policies={ALL},NoSecurity", *known) as process:
        yield process


def test_a_password_is_never_sent_in_clear_and_a_wrong_one_is_apart_from_no_route(
    strict: ServerProcess, made: Applications, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"user": "op", "password_env": "TEST_OPCUA_PASSWORD"}
    monkeypatch.setenv("TEST_OPCUA_PASSWORD", PASSWORD)
    # Without a secured channel the server's certificate still serves to encrypt the password.
    for secured in ({"security": made.security()}, {"security": made.security(mode=SecurityMode.SIGN)}, {}):

        async def test(driver: NamedOpcUaDriver, proxy: FaultProxy) -> None:
            await reads_and_writes(driver)
            assert PASSWORD.encode() not in b"".join(proxy.requests)

        behind_proxy(strict, nodes("TT", "SP"), test, **secured, **known, **PATIENT)
    monkeypatch.setenv("TEST_OPCUA_PASSWORD", "wrong")
    refused(strict, "does not let us in (BadUserAccessDenied)", security=made.security(), **known)


def test_a_user_with_certificate_is_let_in_and_no_other(strict: ServerProcess, made: Applications) -> None:
    def user(name: str) -> dict[str, Any]:
        folder = made.root / name
        return {"user_certificate": str(folder / CERTIFICATE_FILE), "user_key": str(folder / KEY_FILE)}

    on_server(strict, nodes("TT", "SP"), reads_and_writes, security=made.security(), **user("user"), **PATIENT)
    words = "does not let us in (BadUserAccessDenied)"
    refused(strict, words, security=made.security(), **user("stranger"))
    refused(strict, "does not let a client without user in", security=made.security())


def test_files_that_cannot_be_used_are_named(server: ServerProcess, made: Applications) -> None:
    good = made.security()
    refused(server, "nowhere: no such file", security=good | {"certificate": str(made.root / "nowhere")})
    refused(server, "is not the key of the certificate", security=good | {"key": str(made.root / "user" / KEY_FILE)})
    refused(server, "holds no private key", security=good | {"key": good["certificate"]})
    refused(server, "trust list", security=good | {"trusted": str(made.root / "nowhere")})
    refused(server, "our own certificate (expired)", security=made.security(client="expired"))


def test_who_was_refused_is_let_in_once_a_person_has_put_it_right(
    server: ServerProcess, made: Applications, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert IDENTITY_PAUSE_S >= 10
    monkeypatch.setattr("drivers.opcua_security.IdentityRefusedError.pause_s", 0.5)
    empty = trust(tmp_path / "trusted")
    options = made.security() | {"trusted": str(empty)}
    server.order(set={"TT": 37.0})

    async def test(driver: NamedOpcUaDriver) -> None:
        await link_is(driver, LinkState.REFUSED, BACK_S, "not in the trust list")
        (empty / "server.der").write_bytes((made.root / "server" / CERTIFICATE_FILE).read_bytes())
        await link_is(driver, LinkState.READY, BACK_S)
        await reads_and_writes(driver)

    on_server(server, nodes("TT", "SP"), test, ready=False, security=options, **PATIENT)
