"""The OPC UA driver while the server or the network fails: real processes, real sockets."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.driver import Link, LinkState, Outcome
from evcontrol.clock import LiveClock
from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_NOT_CONNECTED, BAD_TIMEOUT, GOOD, is_bad
from tests.drivers.build import link_is
from tests.drivers.opcua_rig import (
    BACK_S,
    SCAN_S,
    SLACK_S,
    TIMEOUT_S,
    NamedOpcUaDriver,
    ServerProcess,
    behind_proxy,
    nodes,
    on_server,
    opcua_driver,
    until,
    values_of,
)
from tests.faultproxy import Fault, FaultProxy

NAMES = ("TT", "SP", "MODE")
IN_TIME_S = SCAN_S + TIMEOUT_S + SLACK_S
NEVER_HELD = {BAD_NOT_CONNECTED, BAD_TIMEOUT, BAD_DECODING}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as process:
        yield process


async def ready(driver: NamedOpcUaDriver) -> None:
    await until(driver, lambda now: all(quality == GOOD for _, quality in now.values()), BACK_S)


async def is_bad_in_time(driver: NamedOpcUaDriver) -> None:
    """Every point is Bad within scan and time-out, and no number is shown with it."""
    result = await until(driver, lambda now: all(is_bad(quality) for _, quality in now.values()), IN_TIME_S)
    assert all(math.isnan(value) for value, _ in result.values())
    assert {quality for _, quality in result.values()} <= NEVER_HELD


def test_pieces_of_one_byte_are_no_fault(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver, proxy: FaultProxy) -> None:
        await ready(driver)
        await proxy.set(Fault.ONE_BYTE)
        assert (await driver.write({"SP": 5.0}))["SP"].outcome is Outcome.CONFIRMED
        assert (await values_of(driver))["SP"] == (5.0, GOOD)

    behind_proxy(server, nodes(*NAMES), test, timeout_s=4.0)


def test_a_write_whose_answer_does_not_come_is_unknown_and_never_repeated(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver, proxy: FaultProxy) -> None:
        await ready(driver)
        before = len(server.writes("SP"))
        await proxy.set(Fault.HALF_OPEN)
        result = (await driver.write({"SP": 11.0}))["SP"]
        assert result.outcome is Outcome.UNKNOWN
        refused = (await driver.write({"SP": 12.0}))["SP"]
        assert refused.outcome is Outcome.REJECTED
        assert refused.reason.startswith("not connected")
        await proxy.set(Fault.NONE)
        await until(driver, lambda now: now["SP"] == (11.0, GOOD), BACK_S)
        assert server.writes("SP")[before:] == [11.0]

    behind_proxy(server, nodes(*NAMES), test)


def test_a_server_that_answers_late_is_not_ready(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver, proxy: FaultProxy) -> None:
        await ready(driver)
        await proxy.set(Fault.SLOW)
        await is_bad_in_time(driver)
        assert (await driver.write({"SP": 1.0}))["SP"].outcome is not Outcome.CONFIRMED
        await proxy.set(Fault.NONE)
        await ready(driver)

    behind_proxy(server, nodes(*NAMES), test)


def test_a_server_that_hangs_is_lost_in_time_and_is_back_when_it_goes_on(
    server: ServerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await ready(driver)
        before = len(server.writes("SP"))
        server.hang()
        try:
            await is_bad_in_time(driver)
            for _ in range(10):
                assert (await driver.write({"SP": 99.0}))["SP"].outcome is Outcome.REJECTED
                assert all(is_bad(quality) for _, quality in (await values_of(driver)).values())
                await asyncio.sleep(SCAN_S)
        finally:
            server.go_on()
        await ready(driver)
        assert server.writes("SP")[before:] == []

    with caplog.at_level(logging.DEBUG):
        on_server(server, nodes(*NAMES), test)
    assert [record.name for record in caplog.records if record.name.startswith("asyncua")] == []


def test_a_server_that_is_killed_and_started_with_other_namespaces_is_back() -> None:
    with ServerProcess() as mortal:

        async def test(driver: NamedOpcUaDriver) -> None:
            await ready(driver)
            await driver.write({"SP": 33.0})
            mortal.kill()
            await is_bad_in_time(driver)
            await link_is(driver, LinkState.DISCONNECTED, BACK_S, "connection refused")
            assert (await driver.write({"SP": 34.0}))["SP"].outcome is Outcome.REJECTED
            await asyncio.to_thread(mortal.start, "swap")
            result = await until(driver, lambda now: all(quality == GOOD for _, quality in now.values()), BACK_S)
            assert result["SP"] == (20.0, GOOD)
            assert (await driver.write({"SP": 35.0}))["SP"].outcome is Outcome.CONFIRMED
            assert mortal.writes("SP") == [35.0]

        on_server(mortal, nodes(*NAMES), test)


def test_a_subscription_that_the_server_forgets_is_a_lost_link(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await ready(driver)
        links: list[Link] = []
        driver.on_link = links.append  # it may be back before the next scan looks
        server.order(forget=1, set={"TT": 41.0})
        await until(driver, lambda now: bool(links), BACK_S)
        assert links[0].state is not LinkState.READY
        await until(driver, lambda now: now["TT"] == (41.0, GOOD), BACK_S)

    on_server(server, nodes(*NAMES), test)


def test_a_notification_that_is_missing_is_counted_and_everything_is_read_anew(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await ready(driver)
        server.order(skip=1)
        async with asyncio.timeout(2):
            while not driver.counts.gaps:
                await asyncio.sleep(SCAN_S)
        assert {quality for _, quality in (await values_of(driver)).values()} == {GOOD}
        assert driver.link.state is LinkState.READY
        assert driver.link.reason == "a report of the server was lost, and everything read anew"

    on_server(server, nodes(*NAMES), test)


def test_a_server_that_would_speak_too_seldom_is_refused_with_the_remedy(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver) -> None:
        await link_is(driver, LinkState.REFUSED, BACK_S, "set timeout_s above that, or mode: read")
        assert {quality for _, quality in (await values_of(driver)).values()} == {BAD_CONFIGURATION}

    with ServerProcess("slowest=2") as slow:
        on_server(slow, nodes("TT"), test, ready=False)
        on_server(slow, nodes("TT"), ready, mode="read")


def test_stopping_ends_a_write_under_way_as_unknown(server: ServerProcess) -> None:
    async def test(driver: NamedOpcUaDriver, proxy: FaultProxy) -> None:
        await ready(driver)
        await proxy.set(Fault.HALF_OPEN)
        writing = asyncio.create_task(driver.write({"SP": 3.0}))
        await asyncio.sleep(SCAN_S)
        await driver.stop()
        assert (await writing)["SP"].outcome is Outcome.UNKNOWN

    behind_proxy(server, nodes(*NAMES), test)


def test_files_that_hang_keep_one_thread_and_not_those_of_others(tmp_path: Path) -> None:
    """A pipe that nobody writes to hangs as a file on a network drive does."""
    pipe = tmp_path / "password"
    os.mkfifo(pipe)

    async def main() -> None:
        driver = opcua_driver(LiveClock(), nodes("TT"), user="op", password_file=pipe)
        before = set(threading.enumerate())
        async with asyncio.timeout(10):
            await driver.start()
            while "have not answered for" not in driver.link.reason:
                await asyncio.sleep(SCAN_S)
        assert len(set(threading.enumerate()) - before) == 1
        await driver.stop()
        os.close(os.open(pipe, os.O_RDWR))

    asyncio.run(main())
