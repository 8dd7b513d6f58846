"""The speed of simulated time: as asked, but never faster than what runs now can bear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evcontrol.acquisition.scan import Scan
from evcontrol.clock import LiveClock, ScaledClock
from evcontrol.journal.events import Kind
from evcontrol.journal.store import Journal, read_events
from evcontrol.pace import Limit, SpeedGovernor

SCAN = Scan(0, 0, 0, (), np.empty(0, dtype=np.int32))


@pytest.fixture
def clock(tmp_path: Path) -> ScaledClock:
    return ScaledClock(tmp_path / "run" / "speed.jsonl", 1.0)


def asked(clock: ScaledClock) -> float:
    """The speed that was published last; it holds half a second later."""
    return clock.pending_speed


def test_the_lowest_limit_is_taken_and_told_with_its_reason(tmp_path: Path, clock: ScaledClock) -> None:
    journal = Journal(tmp_path / "journal", LiveClock())
    limits = [Limit(30.0, "filtration"), Limit(1.0, "a prompt is open")]
    governor = SpeedGovernor(clock, 120.0, lambda: limits, journal)
    governor.evaluate(SCAN)
    assert asked(clock) == 1.0
    limits.pop()
    governor.evaluate(SCAN)
    assert asked(clock) == 30.0
    limits.clear()
    governor.evaluate(SCAN)
    assert asked(clock) == 120.0
    journal.close()
    told = [
        (e.body["speed"], e.body["reason"]) for e in read_events(tmp_path / "journal") if e.kind is Kind.CLOCK_SPEED
    ]
    assert told == [(30.0, "filtration"), (120.0, "as asked")]


def test_a_speed_that_cannot_be_published_is_not_taken(tmp_path: Path, clock: ScaledClock) -> None:
    journal = Journal(tmp_path / "journal", LiveClock())
    governor = SpeedGovernor(clock, 30.0, list, journal)
    published = tmp_path / "run" / "speed.jsonl"
    content = published.read_bytes()
    published.unlink()
    published.mkdir()
    governor.evaluate(SCAN)
    assert asked(clock) == 1.0
    published.rmdir()
    published.write_bytes(content)
    governor.evaluate(SCAN)
    assert asked(clock) == 30.0
    journal.close()
