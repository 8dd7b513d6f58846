"""Sartorius balances over real pseudo-terminals and sockets: what a reading is in each state of balance and line."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import LinkState
from drivers.transport import in_process_bytes
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_DEVICE_FAILURE,
    BAD_NOT_CONNECTED,
    BAD_OUT_OF_RANGE,
    BAD_OUT_OF_SERVICE,
    BAD_TIMEOUT,
    GOOD,
    GOOD_DYNAMIC,
    is_bad,
)
from simulators.devices.balance import Balance, BalanceParameters
from simulators.devices.bus import LineFault
from simulators.devices.sbi_balance import PRINT_S, SbiBalance, SbiSettings, cut_sbi
from tests.drivers.build import link_is
from tests.drivers.serial_rig import Reader, Rig, on_line, reader

KINDS = pytest.mark.parametrize("kind", ["pty", "tcp"])
KINDS_IN_FULL = pytest.mark.parametrize("kind", ["pty", pytest.param("tcp", marks=pytest.mark.full)])
TIMEOUT_S = 0.4
POINTS: dict[str, tuple[dict[str, Any], str]] = {"W": ({"field": "weight"}, "g"), "REST": ({"field": "stable"}, "")}
HARMLESS = {b"\x1bP", b"\x1bx2_"}

Test = Callable[[Reader, Rig, SbiBalance], Awaitable[None]]


class Pan:
    """What stands on the balance, in g."""

    def __init__(self, grams: float = 100.0) -> None:
        self.grams = grams

    def __call__(self) -> float:
        return self.grams


PARAMETERS = BalanceParameters(noise_g=0.0, serial="SIM00001")


def balance(settings: SbiSettings | None = None, load: Callable[[], float] = lambda: 100.0) -> SbiBalance:
    return SbiBalance(Balance(load, PARAMETERS), settings)


def on_balance(
    kind: str,
    folder: Path,
    test: Test,
    instrument: SbiBalance | None = None,
    ready: LinkState | None = LinkState.READY,
    **options: Any,
) -> None:
    there = instrument or balance()
    options = {"timeout_s": TIMEOUT_S, "unit": "g"} | options

    async def run(one: Reader, rig: Rig) -> None:
        await test(one, rig, there)
        assert set(rig.bus.heard) <= HARMLESS

    on_line(
        lambda: Rig(kind, folder, there, cut_sbi),
        lambda rig: reader("sartorius-sbi", POINTS, port=rig.port, **options),
        run,
        ready,
    )


def bad(readings: dict[str, tuple[float, int]]) -> int:
    """The quality that all readings have, none of which has a value."""
    assert all(math.isnan(value) for value, _ in readings.values())
    (quality,) = {quality for _, quality in readings.values()}
    return quality


@KINDS
@pytest.mark.parametrize("long", [True, False])
def test_a_balance_is_found_named_and_read_in_both_forms(kind: str, long: bool, tmp_path: Path) -> None:
    async def test(one: Reader, rig: Rig, _there: SbiBalance) -> None:
        assert one.driver.link.reason == 'serial number "SIM00001"'
        assert await one.read() == {"W": (100.0, GOOD), "REST": (1.0, GOOD)}
        assert rig.bus.heard == [b"\x1bx2_", b"\x1bx2_", b"\x1bP"]

    on_balance(kind, tmp_path, test, balance(SbiSettings(long=long)))


def test_an_older_balance_with_seven_bits_and_odd_parity_is_read(tmp_path: Path) -> None:
    async def test(one: Reader, _rig: Rig, _there: SbiBalance) -> None:
        assert (await one.read())["W"] == (100.0, GOOD)

    older = {"baudrate": 1200, "bytesize": 7, "parity": "O"}
    on_balance("pty", tmp_path, test, balance(SbiSettings(long=False)), **older)


@KINDS_IN_FULL
def test_a_weight_in_motion_is_good_and_says_so_when_the_unit_is_configured(kind: str, tmp_path: Path) -> None:
    pan = Pan()

    async def test(one: Reader, _rig: Rig, there: SbiBalance) -> None:
        pan.grams = 200.0
        for _ in range(5):
            there.cell.step(0.1)
        readings = await one.read()
        assert readings["W"][1] == GOOD_DYNAMIC
        assert 100 < readings["W"][0] < 200
        assert readings["REST"] == (0.0, GOOD)

    on_balance(kind, tmp_path, test, balance(load=pan))


def test_a_weight_in_motion_is_bad_when_the_unit_is_not_configured(tmp_path: Path) -> None:
    pan = Pan()

    async def test(one: Reader, _rig: Rig, there: SbiBalance) -> None:
        assert (await one.read())["W"] == (100.0, GOOD)
        pan.grams = 200.0
        for _ in range(5):
            there.cell.step(0.1)
        assert bad(await one.read()) == BAD_CONFIGURATION

    on_balance("pty", tmp_path, test, balance(load=pan), unit=None)


@KINDS_IN_FULL
@pytest.mark.parametrize(
    ("text", "quality"),
    [
        ("High", BAD_OUT_OF_RANGE),
        ("Low", BAD_OUT_OF_RANGE),
        ("Cal.Ext.", BAD_OUT_OF_SERVICE),
        ("Err 054", BAD_DEVICE_FAILURE),
        ("nonsense", BAD_DECODING),
    ],
)
def test_what_is_shown_instead_of_a_weight_is_bad_and_the_next_weight_is_good(
    kind: str, text: str, quality: int, tmp_path: Path
) -> None:
    async def test(one: Reader, _rig: Rig, there: SbiBalance) -> None:
        there.text = text
        assert bad(await one.read()) == quality
        there.text = ""
        assert await one.good("W") == (100.0, GOOD)

    on_balance(kind, tmp_path, test)


@pytest.mark.parametrize("unit", ["kg", "lb"])
def test_another_unit_than_the_configured_one_is_bad(unit: str, tmp_path: Path) -> None:
    async def test(one: Reader, _rig: Rig, there: SbiBalance) -> None:
        there.settings.unit = unit
        assert bad(await one.read()) == BAD_CONFIGURATION
        there.settings.unit = "g"
        assert await one.good("W") == (100.0, GOOD)

    on_balance("pty", tmp_path, test)


def test_a_weight_in_kg_comes_in_the_tag_s_unit(tmp_path: Path) -> None:
    async def test(one: Reader, _rig: Rig, _there: SbiBalance) -> None:
        assert (await one.read())["W"] == (100.0, GOOD)

    on_balance("pty", tmp_path, test, balance(SbiSettings(unit="kg")), unit="kg")


@KINDS_IN_FULL
@pytest.mark.parametrize(
    ("fault", "quality"),
    [
        (LineFault.SILENT, BAD_TIMEOUT),
        (LineFault.HALF, BAD_TIMEOUT),
        (LineFault.GARBAGE, BAD_TIMEOUT),
        (LineFault.MERGED, BAD_DECODING),
    ],
)
def test_a_line_at_fault_is_bad_and_good_again_afterwards(
    kind: str, fault: LineFault, quality: int, tmp_path: Path
) -> None:
    async def test(one: Reader, rig: Rig, _there: SbiBalance) -> None:
        assert (await one.read())["W"] == (100.0, GOOD)
        rig.bus.fault = fault
        assert bad(await one.read()) == quality
        rig.bus.fault = LineFault.NONE
        assert await one.good("W") == (100.0, GOOD)

    on_balance(kind, tmp_path, test)


def test_a_damaged_serial_number_costs_one_reading_and_another_one_the_link(tmp_path: Path) -> None:
    async def test(one: Reader, _rig: Rig, there: SbiBalance) -> None:
        before = one.driver.link
        there.cell.parameters = replace(PARAMETERS, serial="SIM0?001")
        assert bad(await one.read()) == BAD_DECODING
        there.cell.parameters = PARAMETERS
        assert (await one.read())["W"] == (100.0, GOOD)
        assert one.driver.link == before
        there.cell.parameters = replace(PARAMETERS, serial="SIM00002")
        assert bad(await one.read()) == BAD_DECODING
        await one.until(LinkState.READY, '"SIM00002": another balance than "SIM00001" before')

    on_balance("pty", tmp_path, test)


@KINDS_IN_FULL
def test_unplugged_it_is_bad_and_plugged_again_it_comes_back(kind: str, tmp_path: Path) -> None:
    async def test(one: Reader, rig: Rig, _there: SbiBalance) -> None:
        await rig.unplug()
        assert bad(await one.read()) == BAD_NOT_CONNECTED
        await rig.plug()
        assert await one.good("W") == (100.0, GOOD)

    on_balance(kind, tmp_path, test)


@KINDS_IN_FULL
def test_another_balance_than_the_expected_one_is_refused(kind: str, tmp_path: Path) -> None:
    async def test(one: Reader, rig: Rig, _there: SbiBalance) -> None:
        assert one.driver.link.reason == 'this is the balance with serial number "SIM00001", not "SIM2"'
        assert bad(await one.read()) == BAD_CONFIGURATION
        assert b"\x1bP" not in rig.bus.heard

    on_balance(kind, tmp_path, test, ready=LinkState.REFUSED, serial_number="SIM2")


@KINDS_IN_FULL
def test_a_weight_that_came_unasked_is_never_the_answer_of_now(kind: str, tmp_path: Path) -> None:
    pan = Pan()

    async def test(one: Reader, rig: Rig, there: SbiBalance) -> None:
        old = there.hear(b"\x1bP")
        pan.grams = 900.0
        for _ in range(100):
            there.cell.step(0.1)
        for cut in range(len(old) + 1):
            rig.send(old * 2 + old[:cut])
            weight = (await one.read())["W"]
            assert is_bad(weight[1]) or weight == (900.0, GOOD)
        assert await one.good("W") == (900.0, GOOD)

    on_balance(kind, tmp_path, test, balance(load=pan))


@KINDS_IN_FULL
def test_a_balance_that_prints_by_itself_is_only_listened_to(kind: str, tmp_path: Path) -> None:
    pan = Pan()

    async def test(one: Reader, rig: Rig, there: SbiBalance) -> None:
        with printing(rig, there):
            assert (await one.read())["W"] == (100.0, GOOD)
            pan.grams = 900.0
            for _ in range(100):
                there.cell.step(0.1)
            assert (await one.read())["W"] == (900.0, GOOD)
            assert b"\x1bP" not in rig.bus.heard
        assert bad(await one.read()) == BAD_TIMEOUT

    there = balance(SbiSettings(auto_print=True, toggles=True), pan)
    on_balance(kind, tmp_path, test, there, auto_print=True, timeout_s=0.6)


@KINDS_IN_FULL
def test_printing_by_itself_is_told_when_it_is_not_configured(kind: str, tmp_path: Path) -> None:
    async def test(one: Reader, rig: Rig, there: SbiBalance) -> None:
        with printing(rig, there):
            rig.bus.fault = LineFault.SILENT
            await one.read()
            rig.bus.fault = LineFault.NONE
            await one.until(LinkState.READY, "prints by itself: see auto_print")
            assert await one.good("W") == (100.0, GOOD)

    settings = SbiSettings(auto_print=True)
    slow = SlowIdentity(Balance(lambda: 100.0, BalanceParameters(noise_g=0.0, serial="SIM00001")), settings)
    on_balance(kind, tmp_path, test, slow, timeout_s=1.0)


class SlowIdentity(SbiBalance):
    """Prints a weight before it tells who it is."""

    def hear(self, command: bytes) -> bytes:
        before = self._line() if command == b"\x1bx2_" else b""
        return before + super().hear(command)


class printing:  # noqa: N801  (a context)
    """Lets a balance print by itself, ten times as fast as a real one."""

    def __init__(self, rig: Rig, there: SbiBalance) -> None:
        self._rig = rig
        self._there = there
        self._on = True

    def __enter__(self) -> None:
        self._print()

    def __exit__(self, *_: object) -> None:
        self._on = False

    def _print(self) -> None:
        if self._on:
            self._there.step(PRINT_S)
            self._rig.send(self._there.stream())
            asyncio.get_running_loop().call_later(PRINT_S / 10, self._print)


def test_without_its_port_every_reading_is_bad(tmp_path: Path) -> None:
    async def main() -> None:
        one = reader("sartorius-sbi", POINTS, port=str(tmp_path / "absent"), timeout_s=TIMEOUT_S)
        assert bad(await one.read()) == BAD_NOT_CONNECTED
        await one.driver.start()
        await one.until(LinkState.DISCONNECTED, "no such file")
        assert bad(await one.read()) == BAD_NOT_CONNECTED
        await one.driver.stop()

    asyncio.run(main())


LINES_OF_A_BALANCE = st.one_of(
    st.sampled_from(
        [b"N     +   200.00 g  \r\n", b"N     +   200.00    \r\n", b"Stat       High     \r\n", b"N    ", b""]
    ),
    st.binary(max_size=60),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES_OF_A_BALANCE, max_size=6))
def test_whatever_a_balance_sends_a_reading_is_its_weight_or_bad_and_ends_in_time(answers: list[bytes]) -> None:
    async def main(clock: VirtualClock) -> None:
        pending = list(answers)

        def reply(command: bytes) -> bytes:
            if command == b"\x1bx2_\r\n":
                return b"SerNo.  SIM00001    \r\n"
            return pending.pop(0) if pending else b"N     +   300.00 g  \r\n"

        one = reader(
            "sartorius-sbi",
            POINTS,
            in_process_bytes(reply),
            clock,
            timeout_s=TIMEOUT_S,
            unit="g",
            serial_number="SIM00001",
        )
        await one.driver.start()
        while pending:
            await link_is(one.driver, LinkState.READY, 60)
            asked = answers[len(answers) - len(pending)]
            begun = clock.monotonic()
            value, quality = (await one.read())["W"]
            assert clock.monotonic() - begun <= TIMEOUT_S + 1e-6
            assert math.isnan(value) == is_bad(quality)
            assert is_bad(quality) or (b"200.00" in asked and value == 200.0)
        await one.driver.stop()

    run_virtual(main)
