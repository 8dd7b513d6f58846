"""The lateness of the last minute's scans."""

from __future__ import annotations

import pytest

from evcontrol.acquisition.lateness import WINDOW_S, Lateness
from evcontrol.clock import NS


def at(seconds: float) -> int:
    return round(seconds * NS) + NS


def test_it_is_what_99_of_100_scans_keep_below() -> None:
    lateness = Lateness()
    told = [lateness.take(at(i / 10), 50.0 if i % 200 == 0 else 1.0) for i in range(600)]
    assert told[0] == 50.0
    assert told[-1] == pytest.approx(1.0, abs=0.5)
    told = [lateness.take(at(60 + i / 10), 50.0 if i % 20 == 0 else 1.0) for i in range(600)]
    assert told[-1] == pytest.approx(50.0)


def test_what_is_older_than_a_minute_is_forgotten_and_early_is_not_late() -> None:
    lateness = Lateness()
    lateness.take(at(0), 500.0)
    assert lateness.take(at(WINDOW_S + 2), -3.0) == 0.0
