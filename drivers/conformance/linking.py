"""Promises of the link: its states, its reasons, and that it comes back by itself."""

from __future__ import annotations

from itertools import pairwise

import pytest

from drivers.conformance.bench import BACK_S, BOUND_S, Bench, needs, on_bench
from drivers.conformance.rig import Rig, Trouble
from drivers.driver import Link, LinkState
from evcontrol.quality import BAD, is_bad

LOSING = [Trouble.GONE, Trouble.SILENT, Trouble.MUTE, Trouble.LATE, Trouble.GARBAGE, Trouble.REFUSING]
"""Troubles in which nothing can be read."""


class LinkPromises:
    """How a driver says what its connection is."""

    def test_start_returns_at_once_and_the_link_becomes_ready(self, rig: Rig) -> None:
        """``start`` returns before it is known whether the device answers."""

        async def test(bench: Bench) -> None:
            await bench.driver.start()
            assert bench.driver.link.state in (LinkState.DISCONNECTED, LinkState.CONNECTING), "start waited"
            assert all(link.state is LinkState.CONNECTING for link in bench.links), f"start waited: {bench.links}"
            await bench.link_is(LinkState.READY, within_s=BOUND_S)

        on_bench(rig, test, ready=False)

    def test_every_change_of_the_link_is_told_in_order(self, rig: Rig) -> None:
        """``on_link`` gets each change once; a state's time is when it began, and the last one told is the link."""
        needs(rig, Trouble.GONE)

        async def test(bench: Bench) -> None:
            await rig.trouble(Trouble.GONE)
            await bench.link_is(LinkState.DISCONNECTED)
            await rig.trouble(Trouble.NONE)
            await bench.link_is(LinkState.READY)
            await bench.pause()
            _check_links(bench.links)
            assert bench.links[-1] == bench.driver.link
            states = [link.state for link in bench.links]
            assert states[0] is LinkState.CONNECTING
            assert states.index(LinkState.READY) < states.index(LinkState.DISCONNECTED)

        on_bench(rig, test)

    @pytest.mark.parametrize("trouble", LOSING, ids=str)
    def test_a_trouble_is_bad_in_time_is_told_raises_nothing_and_passes(self, rig: Rig, trouble: Trouble) -> None:
        """Every tag is Bad within the time-out and stays so; nothing raises; the link says why; it is back in time.

        What is read first afterwards is what the device has then, never what it had before.
        """
        needs(rig, trouble)

        async def test(bench: Bench) -> None:
            await rig.trouble(trouble)
            if trouble is not Trouble.REFUSING:
                await bench.bad(rig.timeout_s)
            wanted = {LinkState.REFUSED} if trouble is Trouble.REFUSING else {*LinkState} - {LinkState.READY}
            link = await bench.link_is(*wanted)
            assert link.reason or link.state is LinkState.CONNECTING, f"{link.state} without a reason"
            await rig.change()
            await bench.still_bad(2 * rig.timeout_s)
            assert await bench.driver.feed_watchdog() is False
            await rig.trouble(Trouble.NONE)
            if rig.fresh:
                await bench.first_right()
            await bench.link_is(LinkState.READY)
            await bench.right(rig.lag_s + BACK_S)
            await bench.pause()
            _check_links(bench.links)

        on_bench(rig, test)

    def test_a_device_that_is_there_later_is_found(self, rig: Rig) -> None:
        """The start does not need the device."""
        needs(rig, Trouble.GONE)

        async def test(bench: Bench) -> None:
            await rig.trouble(Trouble.GONE)
            await bench.driver.start()
            await bench.pause()
            link = await bench.link_is(LinkState.DISCONNECTED, LinkState.REFUSED)
            assert link.reason, f"{link.state} without a reason"
            await rig.trouble(Trouble.NONE)
            await bench.right(BACK_S + rig.lag_s)

        on_bench(rig, test, ready=False)

    def test_without_a_link_a_read_is_bad_at_once(self, rig: Rig) -> None:
        """Before the start and after the stop every tag is Bad with a reason, and nothing is waited for."""

        async def bad_at_once(bench: Bench) -> None:
            readings = await bench.at_once(bench.read)
            assert all(is_bad(quality) and quality != BAD for _, quality in readings.values()), readings

        async def test(bench: Bench) -> None:
            await bad_at_once(bench)
            await bench.driver.start()
            await bench.right()
            await bench.driver.stop()
            await bad_at_once(bench)

        on_bench(rig, test, ready=False)

    def test_stop_closes_for_good_and_can_be_called_again(self, rig: Rig) -> None:
        """Also before the start; afterwards the link is DISCONNECTED and stays so."""

        async def test(bench: Bench) -> None:
            await bench.driver.stop()
            await bench.driver.start()
            await bench.right()
            await bench.driver.stop()
            assert bench.driver.link.state is LinkState.DISCONNECTED
            await bench.driver.stop()
            told = len(bench.links)
            await bench.pause(rig.timeout_s)
            assert {link.state for link in bench.links[told:]} <= {LinkState.DISCONNECTED}, "connected again"
            assert bench.driver.link.state is LinkState.DISCONNECTED

        on_bench(rig, test, ready=False)

    def test_stop_while_the_device_is_silent_ends_in_time(self, rig: Rig) -> None:
        """A device that says nothing cannot keep the engine from ending."""
        needs(rig, Trouble.SILENT)

        async def test(bench: Bench) -> None:
            await rig.trouble(Trouble.SILENT)
            async with bench.within(2 * rig.timeout_s, "stop"):
                await bench.driver.stop()
            assert bench.driver.link.state is LinkState.DISCONNECTED

        on_bench(rig, test)


def _check_links(links: list[Link]) -> None:
    for old, new in pairwise(links):
        assert (old.state, old.reason) != (new.state, new.reason), f"told twice: {new}"
        if old.state is new.state:
            assert old.since == new.since, f"{new.state} began at {old.since}, not {new.since}"
        else:
            assert old.since <= new.since, f"{new} began before {old}"
    for link in links:
        wordless = link.state in (LinkState.DISCONNECTED, LinkState.REFUSED) and not link.reason
        assert not wordless, f"{link.state} without a reason"
