"""The OPC UA driver against a server that this project did not write: node-opcua."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import LinkState, Outcome
from drivers.opcua_certificate import CERTIFICATE_FILE, KEY_FILE
from drivers.opcua_options import Policy, SecurityMode
from evcontrol.cli.commands import run
from evcontrol.quality import BAD_SENSOR_FAILURE, GOOD, is_bad
from evcontrol.signals import TagKind
from tests.drivers.build import link_is
from tests.drivers.opcua_credentials import CLIENT_URI, SERVER_URI, application, security, trust
from tests.drivers.opcua_rig import BACK_S, SCAN_S, URI, NamedOpcUaDriver, nodes, on_server, until, use, values_of
from tests.foreign.node_opcua import NodeOpcUaServer, needs_node_opcua

pytestmark = needs_node_opcua

SIMPLE = ("TT", "SP", "SINGLE", "MODE", "COUNT", "SMALL", "REMOTE")
PATIENT: dict[str, Any] = {"timeout_s": 2.0}
PASSWORD = "a long secret"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("foreign")
    application(root / "client", CLIENT_URI, "localhost")
    application(root / "stranger", CLIENT_URI, "localhost")
    application(root / "server", SERVER_URI, "localhost", "127.0.0.1")
    trust(root / "trusted", root / "server")
    trust(root / "clients", root / "client")
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[NodeOpcUaServer]:
    """Without security, and nobody is asked who he is."""
    with NodeOpcUaServer(folder / "pki", "refuse=WD_TIME") as process:
        yield process


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[NodeOpcUaServer]:
    """Lets in one client, and of users only ``op``."""
    options = (f"secure={folder / 'server'}", f"trusts={folder / 'clients'}", f"user={PASSWORD}")
    with NodeOpcUaServer(folder / "pki-secured", *options) as process:
        yield process


@pytest.mark.parametrize("mode", ["subscribe", "read"])
def test_readings_of_all_kinds_follow_the_server(server: NodeOpcUaServer, mode: str) -> None:
    server.order(set={"TT": 37.0, "SP": 20.0, "COUNT": 7, "WORD": "air"})
    points = nodes(*SIMPLE) | nodes("WORD", labels=("off", "air"), kind=TagKind.ENUM) | {"path": {"path": "BR/TT"}}

    async def test(driver: NamedOpcUaDriver) -> None:
        assert driver.link.reason == ""
        result = await until(driver, lambda now: now["TT"][1] == GOOD, BACK_S)
        expected = {"TT": 37.0, "SP": 20.0, "SINGLE": 1.5, "MODE": 1.0, "COUNT": 7.0, "SMALL": -3.0, "REMOTE": 1.0}
        assert {name: result[name] for name in SIMPLE} == {name: (value, GOOD) for name, value in expected.items()}
        assert (result["WORD"], result["path"]) == ((1.0, GOOD), (37.0, GOOD))
        server.order(set={"TT": 38.25, "WORD": "off"}, status={"COUNT": "BadSensorFailure"})
        result = await until(driver, lambda now: now["TT"][0] == 38.25 and now["COUNT"][1] != GOOD, BACK_S)
        assert (result["WORD"], result["COUNT"][1]) == ((0.0, GOOD), BAD_SENSOR_FAILURE)
        first = await driver.read()
        assert first.source_t is not None
        assert first.source_t[0] <= first.t

    on_server(server, points, test, mode=mode, **PATIENT)


def test_a_write_is_confirmed_or_rejected_and_what_it_left_is_read_back(server: NodeOpcUaServer) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await until(driver, lambda now: now["SP"][1] == GOOD, BACK_S)
        before = len(server.writes("SP"))
        for value in (30.0, 31.0):
            results = await driver.write({"SP": value, "MODE": 2.0, "SINGLE": 0.5, "SMALL": -7.0, "REMOTE": 0.0})
            assert {result.outcome for result in results.values()} == {Outcome.CONFIRMED}
            for _ in range(10):
                assert (await values_of(driver))["SP"] == (value, GOOD)
                await asyncio.sleep(SCAN_S)
        assert server.writes("SP")[before:] == [30.0, 31.0]
        refused = (await driver.write({"WD_TIME": 5.0}))["WD_TIME"]
        assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "the server answered: BadOutOfRange")
        assert (await values_of(driver))["WD_TIME"] == (60.0, GOOD)
        assert (await driver.write({"MODE": 1.0, "REMOTE": 1.0}))["MODE"].outcome is Outcome.CONFIRMED

    on_server(server, nodes(*SIMPLE, "WD_TIME"), test, **PATIENT)


def test_every_change_between_two_reports_arrives(server: NodeOpcUaServer) -> None:
    server.order(set={"SP": 0.0})

    async def test(driver: NamedOpcUaDriver) -> None:
        await until(driver, lambda now: now["SP"] == (0.0, GOOD), BACK_S)
        before = driver.counts.samples
        for value in range(1, 9):
            server.order(set={"SP": float(value)})
        await until(driver, lambda now: now["SP"] == (8.0, GOOD), BACK_S)
        assert driver.counts.samples - before >= 8
        assert (driver.counts.overflows, driver.counts.gaps) == (0, 0)

    on_server(server, nodes("SP"), test, timeout_s=4.0, publishing_s=1.0, sampling_s=0, queue_size=100)


def test_samples_that_a_short_queue_lost_are_told(server: NodeOpcUaServer) -> None:
    server.order(set={"SP": 0.0})

    async def test(driver: NamedOpcUaDriver) -> None:
        await until(driver, lambda now: now["SP"] == (0.0, GOOD), BACK_S)
        assert driver.link.reason == ""
        for value in range(1, 9):
            server.order(set={"SP": float(value)})
        await until(driver, lambda now: now["SP"] == (8.0, GOOD), BACK_S)
        assert driver.counts.overflows > 0
        await link_is(driver, LinkState.READY, BACK_S, "samples were lost: raise queue_size")

    on_server(server, nodes("SP"), test, timeout_s=4.0, publishing_s=1.0, sampling_s=0, queue_size=2)


def test_a_server_that_hangs_is_bad_in_time_and_back_and_no_write_comes_late(server: NodeOpcUaServer) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await until(driver, lambda now: now["TT"][1] == GOOD, BACK_S)
        before = len(server.writes("SP"))
        server.hang()
        try:
            await until(driver, lambda now: all(is_bad(quality) for _, quality in now.values()), 4.0)
            assert (await driver.write({"SP": 99.0}))["SP"].outcome is Outcome.REJECTED
        finally:
            server.go_on()
        await until(driver, lambda now: all(quality == GOOD for _, quality in now.values()), BACK_S)
        assert server.writes("SP")[before:] == []

    on_server(server, nodes("TT", "SP"), test, **PATIENT)


def test_a_server_that_forgets_the_subscription_is_connected_anew(server: NodeOpcUaServer) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await until(driver, lambda now: now["TT"][1] == GOOD, BACK_S)
        server.order(forget=1)
        await link_is(driver, LinkState.DISCONNECTED, BACK_S)
        server.order(set={"TT": 12.5})
        await until(driver, lambda now: now["TT"] == (12.5, GOOD), BACK_S)

    on_server(server, nodes("TT"), test, **PATIENT)


def test_a_server_that_was_killed_is_back_with_other_namespaces(server: NodeOpcUaServer) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await until(driver, lambda now: now["TT"][1] == GOOD, BACK_S)
        server.kill()
        await until(driver, lambda now: is_bad(now["TT"][1]), 4.0)
        await asyncio.to_thread(server.start, "swap", "refuse=WD_TIME")
        await until(driver, lambda now: now["TT"] == (37.0, GOOD), BACK_S)
        assert (await driver.write({"SP": 3.0}))["SP"].outcome is Outcome.CONFIRMED
        assert server.writes("SP") == [3.0]

    asyncio.run(use(server.port, nodes("TT", "SP"), test, within_s=90, **PATIENT))


@pytest.mark.parametrize("mode", SecurityMode)
@pytest.mark.parametrize("policy", Policy)
def test_every_policy_and_mode_carries_the_password_readings_and_writes(
    secured: NodeOpcUaServer, folder: Path, monkeypatch: pytest.MonkeyPatch, policy: Policy, mode: SecurityMode
) -> None:
    monkeypatch.setenv("TEST_OPCUA_PASSWORD", PASSWORD)
    files = security(folder / "client", folder / "trusted", policy=policy, mode=mode)

    async def test(driver: NamedOpcUaDriver) -> None:
        await until(driver, lambda now: now["TT"] == (37.0, GOOD), BACK_S)
        assert (await driver.write({"SP": 21.5}))["SP"].outcome is Outcome.CONFIRMED
        assert (await values_of(driver))["SP"] == (21.5, GOOD)

    user = {"user": "op", "password_env": "TEST_OPCUA_PASSWORD"}
    on_server(secured, nodes("TT", "SP"), test, security=files, **user, **PATIENT)


def test_who_is_not_let_in_is_told_why(secured: NodeOpcUaServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_OPCUA_PASSWORD", "wrong")
    user = {"user": "op", "password_env": "TEST_OPCUA_PASSWORD"}
    client = security(folder / "client", folder / "trusted")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"security": client, **user}, "the server does not let us in (Bad"),
        ({"security": client}, "the server does not let a client without user in"),
        ({"security": security(folder / "stranger", folder / "trusted")}, "does it trust our certificate?"),
        ({"security": security(folder / "client", folder / "clients")}, "not in the trust list: server, SHA-256"),
    ]
    for options, words in cases:

        async def test(driver: NamedOpcUaDriver, words: str = words) -> None:
            await link_is(driver, LinkState.REFUSED, BACK_S, words)

        on_server(secured, nodes("TT"), test, ready=False, **options, **PATIENT)


def test_what_it_has_is_browsed_over_a_secured_connection(
    secured: NodeOpcUaServer, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVCONTROL_PASSWORD", PASSWORD)
    own, key = folder / "client" / CERTIFICATE_FILE, folder / "client" / KEY_FILE
    files = ["--certificate", str(own), "--key", str(key), "--trusted", str(folder / "trusted")]
    url = f"opc.tcp://127.0.0.1:{secured.port}/plant"
    assert run(["browse", url, *files, "--user", "op", "--namespace", URI, "--json"]) == 0
    told = {one["node"]: one for one in json.loads(capsys.readouterr().out)["variables"]}
    assert {f"BR.{name}" for name in SIMPLE} <= set(told)
    tt = told["BR.TT"]
    assert (tt["path"], tt["type"], tt["unit"], tt["low"], tt["high"]) == ("BR/TT", "Double", "°C", -10.0, 60.0)
