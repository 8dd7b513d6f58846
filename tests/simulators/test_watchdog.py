"""The controllers' watchdog when the speed of time changes."""

from simulators.devices.watchdog import Watchdog

SETPOINT_S = 10.0


def passes(dog: Watchdog, seconds: float, scan_s: float) -> None:
    """Let so many seconds pass in scans of a length."""
    for _ in range(round(seconds / scan_s)):
        dog.scan(scan_s)
        dog.count(scan_s)


def test_time_that_becomes_slow_leaves_the_one_who_feeds_it_the_whole_setpoint() -> None:
    dog = Watchdog()
    dog.nominal_step_s = 12.0
    dog.feed()
    passes(dog, 12.0, 12.0)
    assert dog.left_s(SETPOINT_S) == 24.0
    dog.nominal_step_s = 0.05
    assert dog.left_s(SETPOINT_S) == SETPOINT_S
    passes(dog, 9.0, 0.05)
    assert 0.9 < dog.left_s(SETPOINT_S) < 1.1
    passes(dog, 1.5, 0.05)
    assert dog.left_s(SETPOINT_S) == 0.0


def test_time_that_becomes_fast_or_stays_as_it_is_gives_nothing_back() -> None:
    dog = Watchdog()
    dog.nominal_step_s = 0.05
    dog.feed()
    passes(dog, 9.0, 0.05)
    dog.nominal_step_s = 0.05
    assert dog.left_s(SETPOINT_S) < 1.1
    dog.nominal_step_s = 1.5
    assert dog.left_s(SETPOINT_S) < 1.1
