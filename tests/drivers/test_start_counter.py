from __future__ import annotations

import math

import numpy as np
import pytest

from drivers.start_counter import StartCounter
from evcontrol.quality import BAD_TIMEOUT, GOOD, GOOD_DYNAMIC


def seen(counter: StartCounter, value: float, quality: int = GOOD) -> str:
    return counter.watch(np.array([7.0, value]), np.array([GOOD, quality], dtype=np.uint32))


def counter(tag: str | None = "starts") -> StartCounter:
    return StartCounter("dev", tag, {"other": 0, "starts": 1})


def test_a_device_taken_up_for_the_first_time_has_not_restarted() -> None:
    assert counter().take_up(3.0) == ""


def test_another_count_at_the_next_taking_up_is_a_restart() -> None:
    starts = counter()
    starts.take_up(3.0)
    assert starts.take_up(4.0) == "the device restarted (start counter 3 to 4)"
    assert starts.take_up(4.0) == ""


def test_a_count_that_goes_back_is_a_restart_too() -> None:
    starts = counter()
    starts.take_up(3.0)
    assert seen(starts, 1.0) == "the device restarted (start counter 3 to 1)"


def test_only_a_good_reading_tells_of_a_restart() -> None:
    starts = counter()
    starts.take_up(3.0)
    assert seen(starts, 3.0) == ""
    assert seen(starts, math.nan, BAD_TIMEOUT) == ""
    assert seen(starts, 4.0, GOOD_DYNAMIC) != ""


def test_a_counter_that_could_not_be_read_at_first_counts_from_its_first_reading() -> None:
    starts = counter()
    assert seen(starts, 3.0) == ""
    assert seen(starts, 4.0) != ""


def test_a_device_without_a_counter_never_restarts_and_an_unknown_tag_is_a_mistake() -> None:
    assert seen(counter(None), 4.0) == ""
    with pytest.raises(ValueError, match="'no' is no tag of this device"):
        counter("no")
