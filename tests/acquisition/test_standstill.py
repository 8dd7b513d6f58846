"""The event loop's own standstill, measured."""

import asyncio

import pytest

from evcontrol.acquisition.standstill import BEAT_S, Standstill
from evcontrol.clock import LiveClock


class SteppedClock(LiveClock):
    """Real time that a test adds to, as if the loop had stood still."""

    def __init__(self) -> None:
        super().__init__()
        self.stood_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.stood_s


@pytest.mark.parametrize("beats_first", [True, False])
def test_a_loop_that_stood_still_is_told_once(beats_first: bool) -> None:
    async def work() -> tuple[float, float]:
        clock = SteppedClock()
        standstill = Standstill(clock)
        standstill.start()
        clock.stood_s += 5.0
        if beats_first:
            due = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(1.5 * BEAT_S, due.set_result, None)
            await due
        told, again = standstill.take(), standstill.take()
        standstill.stop()
        return told, again

    told, again = asyncio.run(work())
    assert told > 4_800.0
    assert again < 1_000.0


def test_it_says_nothing_while_it_does_not_beat() -> None:
    assert Standstill(LiveClock()).take() == 0.0
