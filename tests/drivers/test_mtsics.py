"""Balances over real pseudo-terminals and sockets: what a reading is in each state of balance and line."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.connection import PROBE_AFTER_S
from drivers.driver import LinkState
from drivers.mtsics import MtSicsOptions
from drivers.transport import in_process
from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_NOT_CONNECTED,
    BAD_OUT_OF_RANGE,
    BAD_TIMEOUT,
    BAD_WAITING_FOR_INITIAL,
    GOOD,
    GOOD_DYNAMIC,
    is_bad,
)
from tests.drivers.build import NamedMtSicsDriver, balance_driver, link_is, readings
from tests.drivers.instruments import Instrument, PtyInstrument, TcpInstrument

KINDS = pytest.mark.parametrize("kind", ["pty", "tcp"])
TIMEOUT_S = 0.15
SLACK_S = 0.5
"""How late a machine with other work may be."""
FIELDS = (("weight", "g"), ("stable", ""))


class Balance:
    """Answers ``I4`` with its serial number and ``SI`` with ``weight``."""

    def __init__(self, weight: bytes = b"S S     100.00 g\r\n", serial: bytes = b"SIM1") -> None:
        self.weight = weight
        self.serial = serial

    def __call__(self, line: bytes) -> bytes:
        return {b"I4": b'I4 A "' + self.serial + b'"\r\n', b"SI": self.weight}.get(line, b"ES\r\n")


Test = Callable[[NamedMtSicsDriver, Balance, Instrument], Awaitable[None]]


def on_balance(kind: str, folder: Path, test: Test, *, ready: bool = True, **options: Any) -> None:
    async def main() -> None:
        balance = Balance()
        other = PtyInstrument(folder / "line", balance) if kind == "pty" else TcpInstrument(balance)
        await other.plug()
        driver = balance_driver(LiveClock(), fields=FIELDS, **{"port": other.port, "timeout_s": TIMEOUT_S} | options)
        try:
            await driver.start()
            if ready:
                await link_is(driver, LinkState.READY, 5)
            await test(driver, balance, other)
        finally:
            await driver.stop()
            await other.unplug()

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main()

    asyncio.run(bounded())


async def weight_of(driver: NamedMtSicsDriver) -> tuple[float, int]:
    return (await timely(driver))["weight.g"]


async def good_weight(driver: NamedMtSicsDriver) -> tuple[float, int]:
    """The first weight that is not Bad."""
    while True:
        await link_is(driver, LinkState.READY, 10)
        reading = readings(driver, await driver.read())["weight.g"]
        if not is_bad(reading[1]):
            return reading


async def timely(driver: NamedMtSicsDriver) -> dict[str, tuple[float, int]]:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    result = readings(driver, await driver.read())
    assert loop.time() - begun < TIMEOUT_S + SLACK_S
    return result


@KINDS
def test_a_balance_is_found_named_and_read(kind: str, tmp_path: Path) -> None:
    async def test(driver: NamedMtSicsDriver, _balance: Balance, other: Instrument) -> None:
        assert driver.link.reason == 'serial number "SIM1"'
        assert await timely(driver) == {"weight.g": (100.0, GOOD), "stable.": (1.0, GOOD)}
        assert other.asked == [b"I4", b"SI"]

    on_balance(kind, tmp_path, test)


@KINDS
@pytest.mark.parametrize(
    ("line", "grams", "quality"),
    [
        (b"S S      -0.00 g\r\n", 0.0, GOOD),
        (b"S D     100.00 g\r\n", 100.0, GOOD_DYNAMIC),
        (b"S S    1.23456 kg\r\n", 1234.56, GOOD),
        (b"S +\r\n", math.nan, BAD_OUT_OF_RANGE),
        (b"S -\r\n", math.nan, BAD_OUT_OF_RANGE),
        (b"S I\r\n", math.nan, BAD_WAITING_FOR_INITIAL),
        (b"ES\r\n", math.nan, BAD_CONFIGURATION),
        (b"ET\r\n", math.nan, BAD_DECODING),
        (b"EL\r\n", math.nan, BAD_CONFIGURATION),
        (b"S S     100.00 lb\r\n", math.nan, BAD_CONFIGURATION),
        (b"S S  100.00 g\r\n", math.nan, BAD_DECODING),
        (b"nonsense\r\n", math.nan, BAD_DECODING),
        (b"\xff\xfe\xfd\r\n", math.nan, BAD_DECODING),
        (b"S S     100.", math.nan, BAD_TIMEOUT),
        (b"S S     100.00 g\r", math.nan, BAD_TIMEOUT),
        (b"", math.nan, BAD_TIMEOUT),
        (b"x" * 300, math.nan, BAD_DECODING),
    ],
)
def test_every_answer_makes_its_reading_and_the_next_good_one_is_good_again(
    kind: str, tmp_path: Path, line: bytes, grams: float, quality: int
) -> None:
    async def test(driver: NamedMtSicsDriver, balance: Balance, _other: Instrument) -> None:
        assert await weight_of(driver) == (100.0, GOOD)
        balance.weight = line
        assert await weight_of(driver) == pytest.approx((grams, quality), nan_ok=True)
        balance.weight = b"S S     200.00 g\r\n"
        assert await good_weight(driver) == (200.0, GOOD)

    on_balance(kind, tmp_path, test)


@KINDS
def test_the_flag_of_rest_follows_the_weight_and_is_bad_with_it(kind: str, tmp_path: Path) -> None:
    async def test(driver: NamedMtSicsDriver, balance: Balance, _other: Instrument) -> None:
        balance.weight = b"S D     100.00 g\r\n"
        assert (await timely(driver))["stable."] == (0.0, GOOD)
        balance.weight = b"S +\r\n"
        value, quality = (await timely(driver))["stable."]
        assert math.isnan(value)
        assert quality == BAD_OUT_OF_RANGE

    on_balance(kind, tmp_path, test)


@KINDS
def test_a_late_answer_is_never_taken_for_the_next_ones(kind: str, tmp_path: Path) -> None:
    async def test(driver: NamedMtSicsDriver, balance: Balance, other: Instrument) -> None:
        balance.weight = b""
        assert (await weight_of(driver))[1] == BAD_TIMEOUT
        balance.weight = b"S S     200.00 g\r\n"
        await other.was_asked(3)  # the hand-shake of the connection made anew
        other.send(b"S S     999.00 g\r\n")
        await link_is(driver, LinkState.READY, 5)
        assert await weight_of(driver) == (200.0, GOOD)

    on_balance(kind, tmp_path, test)


@KINDS
def test_after_an_unreadable_line_the_driver_gets_into_step_by_the_serial_number(kind: str, tmp_path: Path) -> None:
    async def test(driver: NamedMtSicsDriver, balance: Balance, other: Instrument) -> None:
        balance.weight = b"S S   1\r\n"
        assert (await weight_of(driver))[1] == BAD_DECODING
        balance.weight = b"S S     200.00 g\r\n"
        assert await weight_of(driver) == (200.0, GOOD)
        assert other.asked == [b"I4", b"SI", b"I4", b"SI"]

    on_balance(kind, tmp_path, test)


@KINDS
def test_the_driver_only_ever_asks(kind: str, tmp_path: Path) -> None:
    async def test(driver: NamedMtSicsDriver, _balance: Balance, other: Instrument) -> None:
        await timely(driver)
        for tag in ("weight.g", "other"):
            with pytest.raises(KeyError):
                await driver.write({tag: 0.0})
        assert not await driver.feed_watchdog()
        assert set(other.asked) == {b"I4", b"SI"}

    on_balance(kind, tmp_path, test)


@KINDS
def test_another_balance_than_the_expected_one_is_refused_and_no_weight_of_it_is_used(
    kind: str, tmp_path: Path
) -> None:
    async def test(driver: NamedMtSicsDriver, _balance: Balance, other: Instrument) -> None:
        await link_is(driver, LinkState.REFUSED, 5)
        assert driver.link.reason == 'this is the balance with serial number "SIM1", not "SIM2"'
        value, quality = await weight_of(driver)
        assert math.isnan(value)
        assert quality == BAD_CONFIGURATION
        assert b"SI" not in other.asked

    on_balance(kind, tmp_path, test, ready=False, serial_number="SIM2")


@pytest.mark.parametrize("identity", [b"I4 I\r\n", b"ES\r\n", b'I4 A "half\r\n'])
def test_a_balance_that_does_not_tell_its_number_is_not_ready(identity: bytes, tmp_path: Path) -> None:
    async def main() -> None:
        other = PtyInstrument(tmp_path / "line", lambda _: identity)
        await other.plug()
        driver = balance_driver(LiveClock(), port=other.port, timeout_s=TIMEOUT_S)
        try:
            await driver.start()
            await link_is(driver, LinkState.DISCONNECTED, 5, "serial number")
            assert (await weight_of(driver))[1] == BAD_NOT_CONNECTED
        finally:
            await driver.stop()
            await other.unplug()

    asyncio.run(main())


@KINDS
def test_unplugged_it_is_bad_at_once_and_replugged_it_comes_back(kind: str, tmp_path: Path) -> None:
    async def test(driver: NamedMtSicsDriver, balance: Balance, other: Instrument) -> None:
        for grams in (200, 300):
            before = driver.link
            await other.unplug()
            value, quality = await weight_of(driver)
            assert math.isnan(value)
            assert quality == BAD_NOT_CONNECTED
            await link_is(driver, LinkState.DISCONNECTED, 5)
            assert driver.link.since > before.since
            balance.weight = b"S S     %d.00 g\r\n" % grams
            await other.plug()
            await link_is(driver, LinkState.READY, 5)
            assert await weight_of(driver) == (float(grams), GOOD)

    on_balance(kind, tmp_path, test)


@KINDS
def test_another_balance_on_the_line_is_told(kind: str, tmp_path: Path) -> None:
    async def test(driver: NamedMtSicsDriver, balance: Balance, other: Instrument) -> None:
        await other.unplug()
        await timely(driver)
        await link_is(driver, LinkState.DISCONNECTED, 5)
        balance.serial = b"SIM9"
        await other.plug()
        await link_is(driver, LinkState.READY, 5)
        assert driver.link.reason == 'serial number "SIM9": another balance than "SIM1" before'

    on_balance(kind, tmp_path, test)


def test_a_balance_that_falls_silent_while_nobody_reads_is_noticed() -> None:
    async def main(clock: VirtualClock) -> None:
        answers = ['I4 A "SIM1"']
        driver = balance_driver(clock, in_process(lambda _: answers), timeout_s=TIMEOUT_S)
        await driver.start()
        await link_is(driver, LinkState.READY, 5)
        await clock.sleep(30.0)
        assert driver.link.state is LinkState.READY
        answers.clear()
        await link_is(driver, LinkState.DISCONNECTED, PROBE_AFTER_S + TIMEOUT_S + 0.01, "no answer")
        await driver.stop()

    run_virtual(main)


def test_without_its_port_it_is_disconnected_and_every_reading_bad(tmp_path: Path) -> None:
    async def main() -> None:
        driver = balance_driver(LiveClock(), port=str(tmp_path / "absent"), fields=FIELDS, timeout_s=TIMEOUT_S)
        assert [q for _, q in readings(driver, await driver.read()).values()] == [BAD_NOT_CONNECTED] * 2
        await driver.start()
        await link_is(driver, LinkState.DISCONNECTED, 5, "no such file")
        assert [q for _, q in readings(driver, await driver.read()).values()] == [BAD_NOT_CONNECTED] * 2
        await driver.stop()
        assert driver.link.state is LinkState.DISCONNECTED

    asyncio.run(main())


def test_weights_come_in_the_units_of_their_tags() -> None:
    async def main(clock: VirtualClock) -> None:
        balance = Balance(b"S S    1234.56 g\r\n")
        driver = balance_driver(
            clock,
            in_process(lambda line: balance(line.encode()).decode().splitlines()),
            [("weight", "g"), ("weight", "kg"), ("weight", "mg")],
        )
        await driver.start()
        await link_is(driver, LinkState.READY, 5)
        values = [value for value, _ in readings(driver, await driver.read()).values()]
        assert values == [1234.56, 1.23456, 1234560.0]
        await driver.stop()

    run_virtual(main)


def test_a_weight_in_pounds_is_a_mistake_in_the_plant_file() -> None:
    with pytest.raises(ValueError, match="g, kg or mg"):
        balance_driver(LiveClock(), fields=[("weight", "lb")])


@pytest.mark.parametrize("port", ["socket://", "socket://host", "socket://host:0", "socket://:1", "socket://h:70000"])
def test_a_socket_port_without_host_and_number_is_a_mistake_in_the_plant_file(port: str) -> None:
    with pytest.raises(ValidationError, match="HOST:PORT"):
        MtSicsOptions(port=port)


ANSWERS = st.one_of(
    st.sampled_from([b"S S     200.00 g\r\n", b"S D     200.00 g\r\n", b"S +\r\n", b"ET\r\n", b"", b"S S"]),
    st.binary(max_size=60),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ANSWERS, max_size=8))
def test_whatever_a_balance_sends_a_reading_is_its_weight_or_bad_and_ends_in_time(answers: list[bytes]) -> None:
    async def main(clock: VirtualClock) -> None:
        pending = list(answers)

        def reply(line: str) -> list[str]:
            if line == "I4":
                return ['I4 A "SIM1"']
            data = pending.pop(0) if pending else b"S S     300.00 g\r\n"
            return [part.decode("latin-1") for part in data.split(b"\r\n")[:-1]]

        driver = balance_driver(clock, in_process(reply), timeout_s=TIMEOUT_S)
        await driver.start()
        while pending:
            await link_is(driver, LinkState.READY, 60)
            left, begun = len(pending), clock.monotonic()
            value, quality = readings(driver, await driver.read())["weight.g"]
            assert clock.monotonic() - begun <= TIMEOUT_S + 1e-6
            assert math.isnan(value) == is_bad(quality)
            if not is_bad(quality):
                assert b"200.00 g" in answers[len(answers) - left]
                assert value == 200.0
        assert await good_weight(driver) == (300.0, GOOD)
        await driver.stop()

    run_virtual(main)
