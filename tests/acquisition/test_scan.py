"""The scan: cadence, staleness, isolation of devices and stages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise

import pytest
import structlog

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan, Scanner
from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.plant.model import Plant
from evcontrol.quality import BAD_STALE, is_bad, is_good
from tests.acquisition.conftest import FakeDriver


class Rig:
    def __init__(self, plant: Plant, clock: VirtualClock) -> None:
        self.clock = clock
        self.image = ProcessImage(plant.tags, plant.internal)
        self.drivers = {name: FakeDriver(spec, clock) for name, spec in plant.devices.items()}
        self.scanner = Scanner(plant, self.drivers, self.image, clock)
        self.scans: list[Scan] = []
        self.scanner.stages.append(self.scans.append)


def drive(plant: Plant, body: Callable[[Rig], Awaitable[None]]) -> Rig:
    """Run the scanner in virtual time while ``body`` runs."""

    async def main(clock: VirtualClock) -> Rig:
        rig = Rig(plant, clock)
        task = asyncio.create_task(rig.scanner.run())
        await body(rig)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return rig

    return run_virtual(main, start_ns=0)


def test_scans_keep_their_cadence_and_hold_every_tag(plant: Plant) -> None:
    async def body(rig: Rig) -> None:
        await rig.clock.sleep(60.5)

    rig = drive(plant, body)
    assert [scan.t for scan in rig.scans] == [i * NS for i in range(61)]
    for scan in rig.scans:
        assert sorted(i for frame in scan.frames for i in frame.index) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("off", [0.0, 0.3, 17.0, 43.0, 71.0])
def test_time_that_becomes_slow_between_two_scans_does_not_put_the_next_one_off(plant: Plant, off: float) -> None:
    moments: list[float] = []

    async def body(rig: Rig) -> None:
        rig.scanner.stages.append(lambda _: moments.append(rig.clock.monotonic()))
        for speed in (1440.0, 1.0, 240.0, 1.0):
            rig.clock.set_speed(speed)
            await rig.clock.sleep(2000.0 + off)

    drive(plant, body)
    assert max(b - a for a, b in pairwise(moments)) < 1.051  # one old interval and one new


def test_derived_tags_follow_their_inputs_in_the_same_scan(plant: Plant) -> None:
    async def body(rig: Rig) -> None:
        rig.drivers["scale"].values["U.W"] = 21.0
        await rig.scanner.next_scan()
        assert rig.image.reading("U.TWICE") == (42.0, 0)

    drive(plant, body)


def test_a_hung_device_goes_stale_within_scan_plus_timeout_and_the_others_never_miss_a_scan(plant: Plant) -> None:
    async def body(rig: Rig) -> None:
        await rig.clock.sleep(3.1)
        hung_at = rig.clock.now()
        rig.drivers["scale"].delay_s = 1e9
        while not is_bad(rig.image.reading("U.W").quality):
            await rig.scanner.next_scan()
        assert rig.clock.now() - hung_at <= (1.0 + 0.5 + 1.0) * NS
        assert rig.image.reading("U.W").quality == BAD_STALE
        assert is_bad(rig.image.reading("U.TWICE").quality)
        await rig.clock.sleep(20)
        assert is_good(rig.image.reading("U.P").quality)

    rig = drive(plant, body)
    plc = [scan.t for scan in rig.scans if any(frame.group == "plc" for frame in scan.frames)]
    assert len(plc) == len(rig.scans)
    assert max(b - a for a, b in pairwise(plc)) <= 1.25 * NS


def test_a_slow_answer_still_counts_when_it_comes(plant: Plant) -> None:
    async def body(rig: Rig) -> None:
        rig.drivers["scale"].delay_s = 0.4
        await rig.clock.sleep(10)
        assert is_good(rig.image.reading("U.W").quality)

    drive(plant, body)


def test_a_stage_that_raises_is_reported_and_the_next_ones_still_run(plant: Plant) -> None:
    failures: list[str] = []

    def broken(scan: Scan) -> None:
        raise ArithmeticError(f"scan {scan.seq}")

    async def body(rig: Rig) -> None:
        rig.scanner.stages.insert(0, broken)
        rig.scanner.on_failure = lambda name, error: failures.append(f"{name}: {error}")
        await rig.scanner.next_scan()
        await rig.scanner.next_scan()

    with structlog.testing.capture_logs():
        rig = drive(plant, body)
    assert len(failures) >= 2
    assert "broken" in failures[0]
    assert len(rig.scans) >= 2


def test_a_driver_that_breaks_its_promise_turns_its_tags_bad_and_is_reported(plant: Plant) -> None:
    failures: list[str] = []

    async def body(rig: Rig) -> None:
        rig.scanner.on_failure = lambda name, _: failures.append(name)
        await rig.scanner.next_scan()
        rig.drivers["scale"].broken = RuntimeError("bug")
        await rig.scanner.next_scan()
        await rig.scanner.next_scan()
        assert rig.image.reading("U.W").quality == BAD_STALE

    with structlog.testing.capture_logs():
        drive(plant, body)
    assert failures
    assert failures[0] == "driver scale"


@pytest.mark.parametrize("hang", [False, True])
def test_what_follows_the_scan_never_runs_twice_at_once_nor_delays_it(plant: Plant, hang: bool) -> None:
    running = 0
    most = 0

    async def follow() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1e6 if hang else 0.1)
        running -= 1

    async def body(rig: Rig) -> None:
        rig.scanner.after.append(follow)
        await rig.clock.sleep(20.5)

    rig = drive(plant, body)
    assert most == 1
    assert len(rig.scans) == 21


def test_reading_begins_so_much_before_a_scan_that_the_scan_is_punctual(plant: Plant) -> None:
    async def body(rig: Rig) -> None:
        rig.drivers["scale"].delay_s = 0.15
        rig.drivers["plc"].delay_s = 0.08
        await rig.clock.sleep(30.5)
        rig.drivers["scale"].delay_s = rig.drivers["plc"].delay_s = 0.0
        await rig.clock.sleep(300)

    rig = drive(plant, body)
    assert rig.scans[0].late_ms > 0.0, "the first one does not know yet"
    assert [scan.late_ms for scan in rig.scans[3:]] == pytest.approx([0.0] * len(rig.scans[3:]), abs=1e-6)
    for scan in rig.scans[3:]:
        assert {frame.group for frame in scan.frames} >= {"scale", "plc"}
    assert rig.scanner._lead_s == 0.0, "forgotten when everything is quick again"
