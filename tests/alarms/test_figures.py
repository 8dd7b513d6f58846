"""The figures of ISA-18.2 about a plant's alarms, against counts made by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.alarms.figures import Change, figures
from evcontrol.clock import NS

MINUTE, HOUR = 60 * NS, 3600 * NS
DAY = 24 * HOUR


def raised(t: int, alarm: str = "U.A", priority: str = "high") -> Change:
    return Change(t, alarm, "normal", "unacknowledged", priority)


def cleared(t: int, alarm: str = "U.A") -> Change:
    return Change(t, alarm, "acknowledged", "normal", "high")


def test_a_quiet_time_has_no_alarms() -> None:
    quiet = figures([], 0, HOUR)
    assert (quiet.raised, quiet.per_interval, quiet.peak, quiet.flood_share) == (0, 0.0, 0, 0.0)
    assert (quiet.most, quiet.most_share, quiet.chattering, quiet.stale) == ((), 0.0, (), ())


def test_an_empty_stretch_of_time_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        figures([], HOUR, HOUR)


def test_alarms_are_counted_per_ten_minutes() -> None:
    told = figures([raised(t * MINUTE) for t in (0, 1, 9, 10, 59)], 0, HOUR)
    assert (told.raised, told.peak) == (5, 3)
    assert told.per_interval == pytest.approx(5 / 6)


def test_only_what_was_raised_within_the_time_counts() -> None:
    told = figures([raised(HOUR - 1), raised(HOUR), raised(2 * HOUR - 1), raised(2 * HOUR)], HOUR, 2 * HOUR)
    assert told.raised == 2


def test_acknowledging_shelving_and_clearing_raise_nothing_and_coming_back_does() -> None:
    told = figures(
        [
            Change(1, "U.A", "unacknowledged", "acknowledged", "high"),
            Change(2, "U.A", "acknowledged", "shelved", "high"),
            Change(3, "U.A", "shelved", "unacknowledged", "high"),
            Change(4, "U.A", "unacknowledged", "returned", "high"),
            Change(5, "U.A", "returned", "unacknowledged", "high"),
        ],
        0,
        HOUR,
    )
    assert told.raised == 2


def test_a_flood_lasts_until_fewer_than_five_alarms_come_in_ten_minutes() -> None:
    counts = [10, 11, 5, 4, 6, 0]
    changes = [raised(i * 10 * MINUTE + n, f"U.A{n}") for i, count in enumerate(counts) for n in range(count)]
    assert figures(changes, 0, HOUR).flood_share == pytest.approx(2 / 6)


def test_the_ten_that_are_raised_most_often_and_their_share_are_told() -> None:
    changes = [raised(n * HOUR + i, f"U.A{i:02}") for i in range(12) for n in range(12 - i)]
    told = figures(sorted(changes, key=lambda c: c.t), 0, DAY)
    assert told.most == tuple((f"U.A{i:02}", 12 - i) for i in range(10))
    assert told.most_share == pytest.approx(75 / 78)


def test_three_times_within_a_minute_is_chattering_and_slower_is_not() -> None:
    quick = [raised(t * NS, "U.QUICK") for t in (0, 30, 60)]
    slow = [raised(t * NS, "U.SLOW") for t in (0, 30, 61)]
    assert figures(sorted(quick + slow, key=lambda c: c.t), 0, HOUR).chattering == ("U.QUICK",)


def test_what_has_been_active_for_more_than_a_day_is_stale() -> None:
    changes = [raised(0, "U.OLD"), raised(0, "U.BACK"), cleared(DAY + 1, "U.BACK"), raised(HOUR, "U.NEW")]
    assert figures(changes, DAY, DAY + HOUR).stale == ("U.BACK", "U.OLD")


def test_priorities_are_counted() -> None:
    told = figures([raised(1, priority="low"), raised(2, "U.B", "low"), raised(3, "U.C", "high")], 0, HOUR)
    assert told.by_priority == {"low": 2, "high": 1}


@given(st.lists(st.tuples(st.integers(0, 3 * HOUR), st.sampled_from(["U.A", "U.B", "U.C"]))), st.integers(1, 3 * HOUR))
def test_whatever_happened_the_figures_agree_with_each_other(when: list[tuple[int, str]], end: int) -> None:
    told = figures([raised(t, alarm) for t, alarm in sorted(when)], 0, end)
    assert told.raised == sum(count for _, count in told.most) == sum(told.by_priority.values())
    assert told.per_interval <= told.peak <= told.raised
    assert 0 <= told.flood_share <= 1
    assert set(told.chattering) <= {alarm for alarm, _ in told.most}
