"""The OPC UA driver on a server of asyncua's that is a process of its own, while nothing fails."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator

import pytest

from drivers import opcua_channel, opcua_client
from drivers.driver import Link, LinkState, Outcome
from evcontrol.quality import BAD_CONFIGURATION, BAD_OUT_OF_RANGE, BAD_SENSOR_FAILURE, GOOD
from evcontrol.signals import TagKind
from tests.drivers.build import link_is
from tests.drivers.opcua_rig import (
    BACK_S,
    SCAN_S,
    TIMEOUT_S,
    NamedOpcUaDriver,
    ServerProcess,
    nodes,
    on_server,
    readings,
    until,
    values_of,
)

SIMPLE = ("TT", "SP", "SINGLE", "MODE", "COUNT", "SMALL", "REMOTE")
GUARDED = {"heartbeat": "BR.HEARTBEAT", "watchdog": {"node": "BR.WD_TIME", "seconds": 5}}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess("many=600") as process:
        yield process


@pytest.mark.parametrize("mode", ["subscribe", "read"])
def test_readings_of_every_type(server: ServerProcess, mode: str) -> None:
    server.order(set={"TT": 37.0, "SP": 20.0, "SINGLE": 1.5, "MODE": 1, "COUNT": 7, "REMOTE": True, "WORD": "air"})
    points = nodes(*SIMPLE, "BIG") | nodes("WORD", labels=("off", "air"), kind=TagKind.ENUM)
    points |= nodes("NOTE", kind=TagKind.TEXT)

    async def test(driver: NamedOpcUaDriver) -> None:
        assert driver.link.reason == ""
        result = await until(driver, lambda now: now["TT"][1] == GOOD, 5)
        expected = {"TT": 37.0, "SP": 20.0, "SINGLE": 1.5, "MODE": 1.0, "COUNT": 7.0, "SMALL": -3.0, "REMOTE": 1.0}
        assert {name: result[name] for name in SIMPLE} == {name: (value, GOOD) for name, value in expected.items()}
        assert result["WORD"] == (1.0, GOOD)
        assert driver.table.text_of(result["NOTE"][0]) == "lot 7"
        assert math.isnan(result["BIG"][0])
        assert result["BIG"][1] == BAD_OUT_OF_RANGE
        server.order(set={"TT": 38.25, "WORD": "off"}, status={"COUNT": BAD_SENSOR_FAILURE})
        result = await until(driver, lambda now: now["TT"][0] == 38.25, 2)
        assert result["WORD"] == (0.0, GOOD)
        assert result["COUNT"][1] == BAD_SENSOR_FAILURE

    on_server(server, points, test, mode=mode)


def test_the_time_of_a_sample_is_the_sources(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        server.order(set={"TT": 1.0, "SP": 1.0})
        await until(driver, lambda now: now["TT"][0] == 1.0, 2)
        first = await driver.read()
        server.order(set={"TT": 2.0})
        await until(driver, lambda now: now["TT"][0] == 2.0, 2)
        second = await driver.read()
        assert first.source_t is not None
        assert second.source_t is not None
        assert first.source_t[0] < second.source_t[0] < second.t
        assert first.source_t[1] == second.source_t[1]

    on_server(server, nodes("TT", "SP"), test)


@pytest.mark.parametrize("year", [1975, 2240])
def test_a_source_whose_time_is_far_from_the_machines_is_as_current_as_any(server: ServerProcess, year: int) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        server.order(year=year, set={"TT": 1.0, "SP": 1.0})
        await until(driver, lambda now: now["TT"] == now["SP"] == (1.0, GOOD), 2)
        links = []
        driver.on_link = links.append
        begun = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - begun < 3 * TIMEOUT_S:
            frame = await driver.read()
            assert frame.source_t is not None
            assert {str(t)[:4] for t in frame.source_t.astype("datetime64[ns]")} == {str(year)}
            assert set(frame.quality) == {GOOD}
            await asyncio.sleep(SCAN_S)
        assert (await driver.write({"SP": 2.0}))["SP"].outcome is Outcome.CONFIRMED
        assert (await values_of(driver))["SP"] == (2.0, GOOD)
        assert links == []
        server.order(year=None, set={"TT": 3.0})
        await until(driver, lambda now: now["TT"] == (3.0, GOOD), 2)

    on_server(server, nodes("TT", "SP"), test)


@pytest.mark.parametrize("mode", ["subscribe", "read"])
def test_a_source_that_knows_no_time_has_that_of_the_scan(server: ServerProcess, mode: str) -> None:
    """The largest and the smallest DateTime are what servers send for none (OPC 10000-6, 5.2.2.5)."""

    async def test(driver: NamedOpcUaDriver) -> None:
        for year, value in ((9999, 4.0), (1601, 5.0)):
            server.order(year=year, set={"TT": value})
            await until(driver, lambda now, value=value: now["TT"] == (value, GOOD), 2)
            frame = await driver.read()
            assert frame.source_t is not None
            assert frame.source_t[0] == frame.t
        server.order(year=None)

    on_server(server, nodes("TT"), test, mode=mode)


def test_a_new_time_stamp_of_the_same_value_is_reported_unless_only_changes_are_wanted(server: ServerProcess) -> None:
    for trigger, moves in (("timestamp", True), ("value", False)):

        async def test(driver: NamedOpcUaDriver, moves: bool = moves) -> None:
            server.order(set={"TT": 5.0, "SP": 5.0})
            await until(driver, lambda now: now["SP"][0] == 5.0, 2)
            before = await driver.read()
            server.order(set={"TT": 5.0, "SP": 6.0})
            await until(driver, lambda now: now["SP"][0] == 6.0, 2)
            after = await driver.read()
            assert before.source_t is not None
            assert after.source_t is not None
            assert (after.source_t[0] > before.source_t[0]) == moves

        on_server(server, nodes("TT", "SP"), test, trigger=trigger)


def test_variables_that_are_not_there_or_do_not_fit_are_bad_and_told(server: ServerProcess) -> None:
    points = nodes("TT", "NONE", "LIST", "WHEN", "WORD") | {
        "path": {"path": "BR/TT"},
        "nowhere": {"path": "BR/XY"},
        "clock": {"node": "i=2258", "namespace": "http://opcfoundation.org/UA/"},
        "state": {"node": "i=2259", "namespace": "http://opcfoundation.org/UA/"},
        "abroad": {"node": "x", "namespace": "urn:nobody"},
    }

    async def test(driver: NamedOpcUaDriver) -> None:
        result = await until(driver, lambda now: now["TT"][1] == GOOD, 5)
        assert result["path"] == result["TT"]
        assert result["state"] == (0.0, GOOD)
        bad = {name for name, (_, quality) in result.items() if quality == BAD_CONFIGURATION}
        assert bad == {"NONE", "LIST", "WHEN", "WORD", "nowhere", "clock", "abroad"}
        assert "NONE: there is no node BR.NONE (BadNodeIdUnknown)" in driver.link.reason
        assert "LIST: BR.LIST is an array" in driver.link.reason
        assert "and 1 more" in driver.link.reason

    on_server(server, points, test)


def test_a_write_is_confirmed_shown_at_once_and_never_the_old_value_again(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await until(driver, lambda now: now["SP"][1] == GOOD, 5)
        for value in (30.0, 31.0, 32.0):
            assert (await driver.write({"SP": value, "MODE": 2.0}))["SP"].outcome is Outcome.CONFIRMED
            for _ in range(20):
                assert (await values_of(driver))["SP"] == (value, GOOD)
                await asyncio.sleep(0.02)
        assert server.writes("SP")[-3:] == [30.0, 31.0, 32.0]

    on_server(server, nodes("SP", "MODE"), test)


def test_a_change_that_the_server_makes_itself_after_a_write_is_seen(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await driver.write({"SP": 30.0})
        server.order(set={"SP": 25.0})
        await until(driver, lambda now: now["SP"][0] == 25.0, 2)

    on_server(server, nodes("SP"), test)


def test_more_points_than_one_request_carries(server: ServerProcess) -> None:
    names = [f"V{i}" for i in range(600)]
    server.order(set={name: float(i) for i, name in enumerate(names)})

    async def test(driver: NamedOpcUaDriver) -> None:
        frame = await driver.read()
        assert frame.quality.tolist() == [GOOD] * 600
        assert frame.value.tolist() == [float(i) for i in range(600)]
        server.order(set={"V599": 1.0})
        await until(driver, lambda now: now["V599"][0] == 1.0, 2)
        results = await driver.write(dict.fromkeys(names, 3.0))
        assert {result.outcome for result in results.values()} == {Outcome.CONFIRMED}
        assert set((await driver.read()).value) == {3.0}

    on_server(server, nodes(*names), test, timeout_s=2.0)


def test_the_watchdog_is_set_and_fed(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        assert server.writes("WD_TIME")[-1] == 5.0
        fed = len(server.writes("HEARTBEAT"))
        for _ in range(3):
            assert await driver.feed_watchdog()
        beats = server.writes("HEARTBEAT")[fed:]
        assert len(set(beats)) == 3

    on_server(server, nodes("TT"), test, **GUARDED)


def test_a_namespace_that_the_server_does_not_have_is_refused(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await link_is(driver, LinkState.REFUSED, BACK_S, "the server has no namespace 'urn:nobody'")
        assert {quality for _, quality in (await values_of(driver)).values()} == {BAD_CONFIGURATION}

    on_server(server, nodes("TT"), test, ready=False, namespace="urn:nobody")


def test_the_right_user_is_let_in_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"user": "op", "password_env": "TEST_OPCUA_PASSWORD"}
    with ServerProcess("user=secret") as strict:
        monkeypatch.setenv("TEST_OPCUA_PASSWORD", "secret")
        on_server(strict, nodes("TT"), _reads, **known, password_in_clear=True)
        on_server(strict, nodes("TT"), _is_refused_in_clear, ready=False, **known)
        monkeypatch.setenv("TEST_OPCUA_PASSWORD", "wrong")
        on_server(strict, nodes("TT"), _is_refused, ready=False, **known, password_in_clear=True)
        on_server(strict, nodes("TT"), _is_refused, ready=False)


async def _reads(driver: NamedOpcUaDriver) -> None:
    await until(driver, lambda now: now["TT"] == (37.0, GOOD), 5)


async def _is_refused_in_clear(driver: NamedOpcUaDriver) -> None:
    await link_is(driver, LinkState.REFUSED, BACK_S, "the server wants the password in clear")


async def _is_refused(driver: NamedOpcUaDriver) -> None:
    await link_is(driver, LinkState.REFUSED, BACK_S, "the server does not let")
    assert "secret" not in driver.link.reason


def test_the_channel_is_renewed_without_anybody_noticing(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua_channel, "CHANNEL_LIFETIME_MS", 200)
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

    on_server(server, nodes("TT", "SP"), test)


def test_nothing_is_logged_and_every_session_is_ended(server: ServerProcess, caplog: pytest.LogCaptureFixture) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        frame = await driver.read()
        assert readings(driver, frame)

    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            on_server(server, nodes("TT"), test)
    assert [record for record in caplog.records if record.name.startswith("asyncua")] == []

    async def is_the_only_one(_: NamedOpcUaDriver) -> None:
        async with asyncio.timeout(2):
            while server.order(sessions=1) != 1:
                await asyncio.sleep(SCAN_S)

    on_server(server, nodes("TT"), is_the_only_one)


@pytest.mark.full
def test_a_session_in_which_nobody_asks_is_kept(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        links: list[Link] = []
        driver.on_link = links.append
        await asyncio.sleep(1.5 * opcua_client.SESSION_LIFETIME_MS / 1000)
        assert (await values_of(driver))["TT"][1] == GOOD
        assert links == []

    on_server(server, nodes("TT"), test, mode="read")
