import asyncio
import json
import time
from pathlib import Path

import pytest

from evcontrol import clock
from evcontrol.clock import (
    NS,
    SPEED_NOTICE_NS,
    Clock,
    ClockKind,
    LiveClock,
    ScaledClock,
    VirtualClock,
    iso,
    run_virtual,
)

START = 1_700_000_000 * NS


def segments(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# live


def test_the_live_clock_is_the_machines_time() -> None:
    live = LiveClock()
    assert (live.kind, live.speed) == (ClockKind.LIVE, 1.0)
    assert abs(live.now() - time.time_ns()) < NS
    assert abs(live.wall() - time.time_ns()) < NS


def test_the_live_clock_does_not_step_when_the_machine_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveClock()
    before = live.now()
    monkeypatch.setattr(time, "time_ns", lambda: START)
    assert 0 <= live.now() - before < NS
    assert live.wall() == START


def test_the_live_clock_sleeps_in_real_time() -> None:
    live = LiveClock()
    before = live.now()
    asyncio.run(live.sleep(0.05))
    assert live.now() - before >= 0.049 * NS


def test_a_sleep_of_no_time_returns() -> None:
    asyncio.run(LiveClock().sleep(-1))


# virtual


def test_virtual_time_skips_a_wait() -> None:
    async def main(virtual: VirtualClock) -> tuple[int, float]:
        await virtual.sleep(72 * 3600)
        assert virtual.wall() == virtual.now()
        return virtual.now(), virtual.monotonic()

    begun = time.monotonic()
    assert run_virtual(main, START) == (START + 72 * 3600 * NS, 72 * 3600.0)
    assert time.monotonic() - begun < 5


def test_virtual_time_orders_timers_by_when_they_are_due() -> None:
    async def main(virtual: VirtualClock) -> list[tuple[str, int]]:
        rang: list[tuple[str, int]] = []

        async def ring(name: str, *waits: float) -> None:
            for wait in waits:
                await virtual.sleep(wait)
                rang.append((name, virtual.now() - START))

        await asyncio.gather(ring("slow", 3, 3), ring("fast", 1, 1, 1.5), ring("once", 0.25))
        return rang

    assert run_virtual(main, START) == [
        ("once", NS // 4),
        ("fast", NS),
        ("fast", 2 * NS),
        ("slow", 3 * NS),
        ("fast", 7 * NS // 2),
        ("slow", 6 * NS),
    ]


def test_many_short_waits_do_not_drift() -> None:
    async def main(virtual: VirtualClock) -> int:
        for _ in range(10_000):
            await virtual.sleep(0.1)
        return virtual.now()

    assert abs(run_virtual(main, START) - START - 1000 * NS) < 1000


def test_timeouts_hold_in_virtual_time() -> None:
    async def main(virtual: VirtualClock) -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await virtual.sleep(3600)
        return virtual.now()

    assert run_virtual(main, START) == START + 60 * NS


def test_virtual_time_stands_while_something_can_run() -> None:
    async def main(virtual: VirtualClock) -> int:
        asyncio.get_running_loop().call_later(5, lambda: None)
        for _ in range(1000):
            await asyncio.sleep(0)
        return virtual.now()

    assert run_virtual(main, START) == START


def test_waiting_for_what_no_timer_brings_is_an_error() -> None:
    async def main(virtual: VirtualClock) -> None:
        await virtual.sleep(1)
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="no timer will bring"):
        run_virtual(main)


def test_the_end_of_a_virtual_run_cancels_what_still_runs() -> None:
    ended: list[str] = []

    async def background(virtual: VirtualClock) -> None:
        try:
            await virtual.sleep(3600)
        finally:
            ended.append("background")

    async def main(virtual: VirtualClock) -> str:
        task = asyncio.create_task(background(virtual))
        await virtual.sleep(1)
        assert not task.done()
        return "result"

    assert run_virtual(main) == "result"
    assert ended == ["background"]


def test_an_error_of_a_virtual_run_is_raised() -> None:
    async def main(virtual: VirtualClock) -> None:
        await virtual.sleep(1)
        raise KeyError("recipe")

    with pytest.raises(KeyError, match="recipe"):
        run_virtual(main)


# scaled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "speed.jsonl"


@pytest.fixture
def quick_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of speed hold after 50 ms, so that tests need not wait."""
    monkeypatch.setattr(clock, "SPEED_NOTICE_NS", NS // 20)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(path: Path, speed: float) -> None:
    with pytest.raises(ValueError, match="not above 0"):
        ScaledClock(path, speed)
    scaled = ScaledClock(path, 1)
    with pytest.raises(ValueError, match="not above 0"):
        scaled.set_speed(speed)


def test_scaled_time_runs_at_its_speed_from_its_start(path: Path) -> None:
    scaled = ScaledClock(path, 100, START)
    mono = segments(path)[0]["mono_ns"]
    low = time.monotonic_ns()
    now = scaled.now()
    high = time.monotonic_ns()
    assert START + 100 * (low - mono) <= now <= START + 100 * (high - mono)
    assert (scaled.kind, scaled.speed) == (ClockKind.SCALED, 100)


def test_a_scaled_sleep_is_shorter_in_real_time(path: Path) -> None:
    scaled = ScaledClock(path, 1000, START)
    before, begun = scaled.now(), time.monotonic()
    asyncio.run(scaled.sleep(60))
    assert scaled.now() - before >= 60 * NS
    assert 0.059 < time.monotonic() - begun < 10


def test_a_change_of_speed_is_published_before_it_holds(path: Path) -> None:
    scaled = ScaledClock(path, 10, START)
    before = time.monotonic_ns()
    scaled.set_speed(20)
    first, second = segments(path)
    assert second["mono_ns"] - before >= clock.SPEED_NOTICE_NS
    assert second["process_ns"] == first["process_ns"] + 10 * (second["mono_ns"] - first["mono_ns"])
    assert second["speed"] == 20
    assert scaled.speed == 10


def test_the_same_speed_again_is_no_change(path: Path) -> None:
    scaled = ScaledClock(path, 10, START)
    scaled.set_speed(10)
    assert len(segments(path)) == 1


@pytest.mark.usefixtures("quick_notice")
@pytest.mark.parametrize(("speed", "new_speed", "seconds", "real"), [(20, 2000, 100, 0.0995), (200, 20, 12, 0.15)])
def test_a_sleep_lasts_its_process_time_through_a_change_of_speed(
    path: Path, speed: float, new_speed: float, seconds: float, real: float
) -> None:
    scaled = ScaledClock(path, speed, START)

    async def main() -> int:
        before = scaled.now()
        sleeper = asyncio.create_task(scaled.sleep(seconds))
        await asyncio.sleep(0)
        scaled.set_speed(new_speed)
        await sleeper
        return scaled.now() - before

    begun = time.monotonic()
    assert asyncio.run(main()) >= seconds * NS
    assert real - 0.005 <= time.monotonic() - begun < real + 2.5
    assert scaled.speed == new_speed


@pytest.mark.usefixtures("quick_notice")
def test_a_sleep_into_a_change_that_is_under_way_counts_it(path: Path) -> None:
    scaled = ScaledClock(path, 1, START)
    scaled.set_speed(1000)
    before, begun = scaled.now(), time.monotonic()
    asyncio.run(scaled.sleep(20))
    assert scaled.now() - before >= 20 * NS
    assert time.monotonic() - begun < 10


def test_a_scaled_sleep_can_be_cancelled(path: Path) -> None:
    scaled = ScaledClock(path, 1, START)

    async def main() -> None:
        async with asyncio.timeout(0.02):
            await scaled.sleep(3600)

    with pytest.raises(TimeoutError):
        asyncio.run(main())


@pytest.mark.usefixtures("quick_notice")
def test_scaled_time_never_goes_back_through_many_changes(path: Path) -> None:
    scaled = ScaledClock(path, 1, START)
    seen = [scaled.now()]
    until = time.monotonic() + 0.2
    for speed in [100, 1, 1000, 2, 500, 1, 30]:
        scaled.set_speed(speed)
        seen += [scaled.now() for _ in range(20)]
    while time.monotonic() < until:
        seen.append(scaled.now())
    assert seen == sorted(seen)
    assert scaled.speed == 30


def test_changes_that_do_not_hold_yet_leave_the_present_speed(path: Path) -> None:
    scaled = ScaledClock(path, 1, START)
    for speed in [100, 1, 100, 1, 100, 1, 100]:
        scaled.set_speed(speed)
    assert scaled.speed == 1
    assert scaled.now() - START < NS


def test_a_new_clock_on_an_old_file_goes_on_where_the_old_one_is(path: Path) -> None:
    old = ScaledClock(path, 1000, START)
    new = ScaledClock(path, 1, START)
    assert old.now() >= new.now() > START
    assert len(segments(path)) == 2
    later = ScaledClock(path, 1, START + 3600 * NS)
    assert later.now() >= START + 3600 * NS


def test_a_file_of_another_boot_does_not_count(path: Path) -> None:
    path.parent.mkdir()
    line = json.dumps({"mono_ns": time.monotonic_ns() + 3600 * NS, "process_ns": 2 * START, "speed": 1})
    path.write_text(line + "\n", encoding="utf-8")
    assert ScaledClock(path, 1, START).now() < START + NS


def test_a_clock_that_died_before_its_change_held_is_not_gone_behind(path: Path) -> None:
    old = ScaledClock(path, 1000, START)
    old.set_speed(1)
    died = old.now()
    assert ScaledClock(path, 1, START).now() >= died


@pytest.mark.parametrize("torn", ['{"mono_ns": 12', "", "7\n", '{"mono_ns": 1}\n', "nonsense"])
def test_a_torn_last_line_is_passed_over_and_the_next_stands_by_itself(path: Path, torn: str) -> None:
    path.parent.mkdir()
    mono = time.monotonic_ns()
    whole = json.dumps({"mono_ns": mono, "process_ns": START, "speed": 1}) + "\n"
    path.write_text(whole + torn, encoding="utf-8")
    assert ScaledClock(path, 7, 0).now() >= START
    last = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    assert last["speed"] == 7
    assert last["process_ns"] >= START


def test_an_empty_file_is_as_none(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert START <= ScaledClock(path, 1, START).now() < START + NS


# all


@pytest.mark.parametrize(
    ("t", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (START, "2023-11-14T22:13:20.000Z"),
        (START + 123_000_000, "2023-11-14T22:13:20.123Z"),
        (START + 999_000_000, "2023-11-14T22:13:20.999Z"),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(t: int, text: str) -> None:
    assert iso(t) == text


def test_all_clocks_are_clocks(path: Path) -> None:
    async def main(virtual: VirtualClock) -> ClockKind:
        either: Clock = virtual
        return either.kind

    clocks: list[Clock] = [LiveClock(), ScaledClock(path, 1)]
    assert [each.kind for each in clocks] == [ClockKind.LIVE, ClockKind.SCALED]
    assert run_virtual(main) == ClockKind.VIRTUAL


def test_virtual_time_at_a_speed_keeps_its_moments() -> None:
    async def main(clock: VirtualClock) -> tuple[float, float, int]:
        start = clock.now()
        clock.set_speed(1440.0)
        assert (clock.speed, clock.pending_speed) == (1.0, 1440.0)
        await clock.sleep(3600.0)
        return clock.monotonic(), clock.speed, clock.now() - start

    real, speed, process = run_virtual(main, 0)
    assert speed == 1440.0
    assert 0 <= process - 3600 * NS <= 1440
    assert real == pytest.approx(0.5 + (3600.0 - 0.5) / 1440.0, abs=1e-6)


@pytest.mark.parametrize("speed", [7.0, 240.0, 1440.0])
def test_a_sleep_never_ends_before_its_moment(speed: float) -> None:
    async def main(clock: VirtualClock) -> None:
        clock.set_speed(speed)
        await clock.sleep(1.0)
        for nanoseconds in (1, 3, 100, 239, 1441, 123_456_789):
            end = clock.now() + nanoseconds
            await clock.sleep(nanoseconds / NS)
            assert clock.now() >= end

    run_virtual(main, 0)


def test_what_was_set_and_does_not_hold_yet_is_told() -> None:
    async def main(clock: VirtualClock) -> None:
        start = clock.now()
        for speed in (1.0, 240.0, 30.0):
            clock.set_speed(speed)
            await clock.sleep(0.1)
        assert clock.speed == 1.0
        first = start + NS // 10 + SPEED_NOTICE_NS
        assert clock.changes_ahead() == [(first, 240.0), (first + 24 * NS, 30.0)]
        await clock.sleep(100.0)
        assert (clock.speed, clock.changes_ahead()) == (30.0, [])

    run_virtual(main)
