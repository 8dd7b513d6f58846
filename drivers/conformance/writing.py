"""Promises of writing: three outcomes, nothing sent that should not be, nothing sent twice, nothing replayed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

import pytest

from drivers.conformance.bench import Bench, needs, on_bench
from drivers.conformance.rig import Rig, Trouble
from drivers.driver import LinkState, Outcome, WriteResult

LOSING = [Trouble.GONE, Trouble.SILENT, Trouble.MUTE, Trouble.LATE, Trouble.GARBAGE]


class WritingPromises:
    """What becomes of a write."""

    def test_a_write_is_confirmed_arrives_once_and_is_read_back(self, rig: Rig) -> None:
        """CONFIRMED means that the device took it."""
        _needs_writes(rig)

        async def test(bench: Bench) -> None:
            for values in rig.writes()[:3]:
                before = len(await rig.arrived())
                results = await bench.write(values)
                assert _outcomes(results) == {Outcome.CONFIRMED}, results
                assert set((await bench.arrivals(values, before)).values()) == {1}
                await _read_back(bench, values)

        on_bench(rig, test)

    def test_a_tag_that_is_unknown_or_cannot_be_written_is_the_callers_mistake(self, rig: Rig) -> None:
        """KeyError, and nothing is sent."""

        async def test(bench: Bench) -> None:
            good = dict(rig.writes()[0]) if rig.writes() else {}
            assert set(good) <= bench.writable, f"not writable: {sorted(set(good) - bench.writable)}"
            read_only = [tag.name for tag in bench.table if tag.name not in bench.writable]
            for name in ("NO.SUCH_TAG", *read_only[:1]):
                with pytest.raises(KeyError):
                    await bench.driver.write({**good, name: 1.0})
            assert not await rig.arrived()

        on_bench(rig, test)

    def test_one_value_that_cannot_be_sent_has_all_rejected_before_anything_is_sent(self, rig: Rig) -> None:
        """NaN, infinity, and what the point cannot carry."""
        _needs_writes(rig)

        async def test(bench: Bench) -> None:
            good = rig.writes()[0]
            wrong = [{**good, name: bad} for name in good for bad in (math.nan, math.inf, -math.inf)]
            for values in (*wrong, *rig.misfits()):
                results = await bench.write(values)
                assert _outcomes(results) == {Outcome.REJECTED}, f"{values}: {results}"
            await bench.right()
            assert not await rig.arrived()
            assert bench.driver.link.state is LinkState.READY

        on_bench(rig, test)

    def test_without_a_link_a_write_is_rejected_at_once_and_never_sent_later(self, rig: Rig) -> None:
        """Nothing is queued, before the start as little as in an outage."""
        _needs_writes(rig)
        needs(rig, Trouble.GONE)

        async def rejected(bench: Bench, values: Mapping[str, float]) -> None:
            results = await bench.at_once(lambda: bench.write(values))
            assert _outcomes(results) == {Outcome.REJECTED}, results
            assert all("not connected" in result.reason for result in results.values()), results

        async def test(bench: Bench) -> None:
            values = rig.writes()[0]
            await rejected(bench, values)
            await bench.driver.start()
            await bench.right()
            await rig.trouble(Trouble.GONE)
            await bench.link_is(*({*LinkState} - {LinkState.READY}))
            await rejected(bench, values)
            await rig.trouble(Trouble.NONE)
            await bench.right()
            await bench.pause(rig.timeout_s)
            assert not await rig.arrived(), "replayed after the outage"
            await bench.driver.stop()
            await rejected(bench, values)

        on_bench(rig, test, ready=False)

    @pytest.mark.parametrize("trouble", LOSING, ids=str)
    def test_a_write_in_trouble_arrives_once_at_most_and_is_settled_by_reading_back(
        self, rig: Rig, trouble: Trouble
    ) -> None:
        """REJECTED never arrives, UNKNOWN at most once, CONFIRMED once; afterwards the tag reads what truly came."""
        _needs_writes(rig)
        needs(rig, trouble)

        async def test(bench: Bench) -> None:
            for values in rig.writes()[:3]:
                before = len(await rig.arrived())
                await rig.trouble(trouble)
                results = await bench.write(values)
                assert Outcome.CONFIRMED not in _outcomes(results), f"confirmed by nobody: {results}"
                await rig.trouble(Trouble.NONE)
                await bench.right()
                await bench.pause(rig.timeout_s)
                await _settled(bench, values, results, before)
                if trouble is not Trouble.MUTE or Outcome.UNKNOWN in _outcomes(results):
                    return
            pytest.fail("a write whose answer does not come is never UNKNOWN")

        on_bench(rig, test)

    def test_a_write_that_is_cancelled_arrives_once_at_most_and_leaves_a_working_driver(self, rig: Rig) -> None:
        """The request under way may still land; it is not sent again."""
        _needs_writes(rig)

        async def test(bench: Bench) -> None:
            first, second = rig.writes()[:2]
            writing = asyncio.ensure_future(bench.driver.write(first))
            for _ in range(3):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait((writing,))
            assert writing.cancelled() or writing.exception() is None, f"raises {writing.exception()!r}"
            await bench.pause(rig.timeout_s)
            assert max((await bench.arrivals(first, 0)).values()) <= 1
            before = len(await rig.arrived())
            assert _outcomes(await bench.write(second)) == {Outcome.CONFIRMED}
            assert set((await bench.arrivals(second, before)).values()) == {1}
            await _read_back(bench, second)

        on_bench(rig, test)

    def test_stopping_ends_a_write_under_way_as_unknown(self, rig: Rig) -> None:
        """It may have arrived, and nobody will hear of it."""
        _needs_writes(rig)
        needs(rig, Trouble.MUTE)

        async def test(bench: Bench) -> None:
            await rig.trouble(Trouble.MUTE)
            writing = asyncio.ensure_future(bench.driver.write(rig.writes()[0]))
            await bench.pause(rig.timeout_s / 4)
            await bench.driver.stop()
            results = await writing
            assert Outcome.CONFIRMED not in _outcomes(results)
            arrived = await bench.arrivals(rig.writes()[0], 0)
            lost = {name for name, times in arrived.items() if times and results[name].outcome is not Outcome.UNKNOWN}
            assert not lost, f"arrived, and called rejected: {results}"

        on_bench(rig, test)

    def test_a_device_that_refuses_a_write_is_told_as_such(self, rig: Rig) -> None:
        """REJECTED with the device's reason; nothing has changed and the link stays."""
        _needs_writes(rig)
        needs(rig, Trouble.DENYING)

        async def test(bench: Bench) -> None:
            before = await bench.truth()
            await rig.trouble(Trouble.DENYING)
            results = await bench.write(rig.writes()[0])
            assert _outcomes(results) == {Outcome.REJECTED}, results
            await rig.trouble(Trouble.NONE)
            assert await bench.truth() == before
            await bench.right()
            assert bench.driver.link.state is LinkState.READY

        on_bench(rig, test)


def _needs_writes(rig: Rig) -> None:
    if not rig.writes():
        pytest.skip("this device takes no values")
    assert len(rig.writes()) >= 3, "the rig's writes() must be three sets at least"


def _outcomes(results: Mapping[str, WriteResult]) -> set[Outcome]:
    return {result.outcome for result in results.values()}


async def _read_back(bench: Bench, values: Mapping[str, float]) -> None:
    readings = await bench.right()
    for name, value in values.items():
        if bench.rig_tags[name].readable:
            read = readings[name][0]
            assert bench.same(name, read, value), f"{name} reads {read} after {value} was confirmed"


async def _settled(bench: Bench, values: Mapping[str, float], results: Mapping[str, WriteResult], before: int) -> None:
    for name, times in (await bench.arrivals(values, before)).items():
        outcome = results[name].outcome
        assert times <= 1, f"{name}: written {times} times"
        assert outcome is not Outcome.REJECTED or not times, f"{name}: arrived, and called rejected"
