"""Pressure monitors over real pseudo-terminals and sockets: what a reading is in each state of monitor and line."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import BoundPoint, LinkState
from drivers.pendotech import PendotechDriver, PendotechOptions, PendotechPoint
from drivers.pendotech_telegram import Channel
from drivers.transport import in_process_bytes
from evcontrol.clock import LiveClock, VirtualClock, run_virtual
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_NOT_CONNECTED,
    BAD_OUT_OF_RANGE,
    BAD_SENSOR_FAILURE,
    BAD_TIMEOUT,
    GOOD,
)
from simulators.devices.bus import LineFault, cut_at_cr
from simulators.devices.pressure_monitor import NOISE_PSI, PressureMonitor
from tests.drivers.build import link_is, tag
from tests.drivers.serial_rig import Reader, Rig, on_line, reader

KINDS = pytest.mark.parametrize("kind", ["pty", "tcp"])
KINDS_IN_FULL = pytest.mark.parametrize("kind", ["pty", pytest.param("tcp", marks=pytest.mark.full)])
TIMEOUT_S = 0.4
NAMES = ("P1", "P2", "P3", "P4")
PSI = (10.0, 8.0, -2.0, 0.0)
NEAR = 5 * NOISE_PSI + 0.05

Test = Callable[[Reader, Rig, PressureMonitor], Awaitable[None]]


def on_monitor(
    kind: str,
    folder: Path,
    test: Test,
    psi: list[float] | None = None,
    points: dict[str, tuple[dict[str, Any], str]] | None = None,
    monitor_unit: str = "psi",
    **options: Any,
) -> None:
    truths = list(PSI) if psi is None else psi
    there = PressureMonitor([lambda i=i: truths[i] for i in range(len(truths))], monitor_unit)  # type: ignore[misc]
    options = {"timeout_s": TIMEOUT_S} | options
    points = points or {name: ({"channel": name}, "psig") for name in NAMES}

    async def run(one: Reader, rig: Rig) -> None:
        await test(one, rig, there)
        assert set(rig.bus.heard) == {b"AZK"}

    on_line(
        lambda: Rig(kind, folder, there, cut_at_cr),
        lambda rig: reader("pendotech-pressuremat", points, port=rig.port, **options),
        run,
    )


def qualities(readings: dict[str, tuple[float, int]]) -> list[int]:
    """By channel; whatever is Bad has no value."""
    assert all(math.isnan(value) == (quality != GOOD) for value, quality in readings.values())
    return [quality for _, quality in readings.values()]


@KINDS
def test_the_pressures_of_all_channels_are_read(kind: str, tmp_path: Path) -> None:
    async def test(one: Reader, _rig: Rig, _there: PressureMonitor) -> None:
        assert one.driver.link.reason == "channels P1, P2, P3, P4"
        readings = await one.read()
        assert qualities(readings) == [GOOD] * 4
        assert [value for value, _ in readings.values()] == pytest.approx(PSI, abs=NEAR)

    on_monitor(kind, tmp_path, test)


@pytest.mark.parametrize(
    ("unit", "per_psi"),
    [("psig", 1.0), ("psi", 1.0), ("barg", 0.0689476), ("bar", 0.0689476), ("mbar", 68.9476), ("kPa", 6.89476)],
)
@pytest.mark.parametrize("monitor_unit", ["psi", "mbar"])
def test_a_pressure_comes_in_the_unit_of_its_tag(unit: str, per_psi: float, monitor_unit: str, tmp_path: Path) -> None:
    async def test(one: Reader, _rig: Rig, _there: PressureMonitor) -> None:
        value, quality = (await one.read())["P"]
        assert quality == GOOD
        assert value == pytest.approx(10.0 * per_psi, abs=NEAR * per_psi)

    points: dict[str, tuple[dict[str, Any], str]] = {"P": ({"channel": "P1"}, unit)}
    on_monitor("tcp", tmp_path, test, points=points, monitor_unit=monitor_unit, unit=monitor_unit)


@pytest.mark.parametrize("unit", ["g", "", "LMH"])
def test_a_tag_in_another_unit_is_a_mistake_in_the_plant_file(unit: str) -> None:
    point = BoundPoint(tag(0, "P", unit), PendotechPoint(channel=Channel.P1))
    with pytest.raises(ValueError, match="a pressure is in a unit such as psig"):
        PendotechDriver("dev", PendotechOptions(port="x"), [point], LiveClock())


def test_a_range_that_is_none_is_a_mistake_in_the_plant_file() -> None:
    with pytest.raises(ValueError, match="low_psi is not below high_psi"):
        PendotechOptions(port="x", low_psi=5, high_psi=5)


@KINDS_IN_FULL
def test_a_pressure_beyond_the_sensor_s_range_is_bad(kind: str, tmp_path: Path) -> None:
    psi = [75.0, 8.0, -12.0, 0.0]

    async def test(one: Reader, _rig: Rig, _there: PressureMonitor) -> None:
        assert qualities(await one.read()) == [BAD_OUT_OF_RANGE, GOOD, BAD_OUT_OF_RANGE, GOOD]
        psi[0] = psi[2] = 1.0
        assert qualities(await one.read()) == [GOOD] * 4

    on_monitor(kind, tmp_path, test, psi)


def test_a_sensor_with_a_wider_range_is_used_when_the_options_say_so(tmp_path: Path) -> None:
    async def test(one: Reader, _rig: Rig, _there: PressureMonitor) -> None:
        assert qualities(await one.read()) == [GOOD] * 4

    on_monitor("tcp", tmp_path, test, [75.0, 8.0, -2.0, 0.0], high_psi=100)


@KINDS_IN_FULL
def test_a_sensor_that_is_unplugged_and_a_packet_that_is_damaged_are_bad_alone(kind: str, tmp_path: Path) -> None:
    async def test(one: Reader, _rig: Rig, there: PressureMonitor) -> None:
        there.failed = {1}
        there.damaged = {3}
        assert qualities(await one.read()) == [BAD_SENSOR_FAILURE, GOOD, BAD_DECODING, GOOD]
        there.failed, there.damaged = set(), set()
        assert qualities(await one.read()) == [GOOD] * 4

    on_monitor(kind, tmp_path, test)


def test_a_channel_that_the_monitor_does_not_have_is_bad(tmp_path: Path) -> None:
    async def test(one: Reader, _rig: Rig, _there: PressureMonitor) -> None:
        assert one.driver.link.reason == "channels P1, P2"
        assert qualities(await one.read()) == [GOOD, GOOD, BAD_CONFIGURATION, BAD_CONFIGURATION]

    on_monitor("pty", tmp_path, test, [1.0, 2.0])


@KINDS_IN_FULL
@pytest.mark.parametrize("fault", [LineFault.SILENT, LineFault.DEAF, LineFault.HALF, LineFault.GARBAGE])
def test_a_line_at_fault_is_bad_and_good_again_afterwards(kind: str, fault: LineFault, tmp_path: Path) -> None:
    async def test(one: Reader, rig: Rig, _there: PressureMonitor) -> None:
        rig.bus.fault = fault
        assert qualities(await one.read()) == [BAD_TIMEOUT] * 4
        rig.bus.fault = LineFault.NONE
        value, quality = await one.good("P1")
        assert quality == GOOD
        assert value == pytest.approx(PSI[0], abs=NEAR)

    on_monitor(kind, tmp_path, test)


@KINDS_IN_FULL
def test_a_block_that_begins_anew_is_read_from_its_second_beginning(kind: str, tmp_path: Path) -> None:
    async def test(one: Reader, rig: Rig, _there: PressureMonitor) -> None:
        rig.bus.fault = LineFault.MERGED
        assert qualities(await one.read()) == [GOOD] * 4

    on_monitor(kind, tmp_path, test)


@KINDS_IN_FULL
def test_a_block_that_came_unasked_is_not_the_answer_of_now(kind: str, tmp_path: Path) -> None:
    psi = list(PSI)

    async def test(one: Reader, rig: Rig, there: PressureMonitor) -> None:
        old = there.hear(b"AZK")
        psi[0] = 40.0
        for cut in range(0, len(old), 40):
            rig.send(old + old[:cut])
            # The second one was asked after all of that had been thrown away.
            await one.read()
            value, quality = (await one.read())["P1"]
            assert (quality, value) == (GOOD, pytest.approx(40.0, abs=NEAR))

    on_monitor(kind, tmp_path, test, psi)


@KINDS_IN_FULL
def test_unplugged_it_is_bad_and_plugged_again_it_comes_back(kind: str, tmp_path: Path) -> None:
    async def test(one: Reader, rig: Rig, _there: PressureMonitor) -> None:
        await rig.unplug()
        assert qualities(await one.read()) == [BAD_NOT_CONNECTED] * 4
        await rig.plug()
        assert (await one.good("P1"))[1] == GOOD

    on_monitor(kind, tmp_path, test)


def test_another_instrument_on_the_line_is_not_taken_for_a_monitor(tmp_path: Path) -> None:
    class Other(PressureMonitor):
        def hear(self, command: bytes) -> bytes:
            return b"\x10\x02AZ,nonsense\x10\x03" if command == b"AZK" else b""

    async def test(one: Reader, _rig: Rig) -> None:
        await one.until(LinkState.DISCONNECTED, "no PressureMAT")
        assert qualities(await one.read()) == [BAD_NOT_CONNECTED]

    on_line(
        lambda: Rig("pty", tmp_path, Other([]), cut_at_cr),
        lambda rig: reader("pendotech-pressuremat", {"P": ({"channel": "P1"}, "psig")}, port=rig.port),
        test,
        None,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=120) | st.integers(0, 400), max_size=6))
def test_whatever_a_monitor_sends_a_reading_is_its_pressure_or_bad_and_ends_in_time(damages: list[bytes | int]) -> None:
    """Bytes instead of a block, or a block of which so many bytes are missing at its end."""

    async def main(clock: VirtualClock) -> None:
        there = PressureMonitor([lambda: 10.0, lambda: 8.0])
        pending: list[bytes | int] = []

        def reply(command: bytes) -> bytes:
            block = there.hear(command.removesuffix(b"\r\n"))
            damage = pending.pop(0) if pending else 0
            return damage if isinstance(damage, bytes) else block[: len(block) - damage]

        points: dict[str, tuple[dict[str, Any], str]] = {name: ({"channel": name}, "psig") for name in ("P1", "P2")}
        one = reader("pendotech-pressuremat", points, in_process_bytes(reply), clock, timeout_s=TIMEOUT_S)
        await one.driver.start()
        for damage in damages:
            pending.clear()
            await link_is(one.driver, LinkState.READY, 60)
            pending.append(damage)
            begun = clock.monotonic()
            for expected, (value, quality) in zip((10.0, 8.0), (await one.read()).values(), strict=True):
                assert math.isnan(value) == (quality != GOOD)
                assert quality != GOOD or value == pytest.approx(expected, abs=NEAR)
            assert clock.monotonic() - begun <= TIMEOUT_S + 1e-6
        await one.driver.stop()

    run_virtual(main)
