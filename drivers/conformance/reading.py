"""Promises of reading: the truth, whole, in time, and never an answer to another question."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from drivers.conformance.bench import Bench, needs, on_bench
from drivers.conformance.rig import Rig, Trouble
from drivers.driver import LinkState
from evcontrol.quality import is_bad


class ReadingPromises:
    """What a frame says."""

    def test_every_tag_is_read_as_the_device_has_it(self, rig: Rig) -> None:
        """Also after changes, in frames that are whole (see ``check_frame``)."""

        async def test(bench: Bench) -> None:
            for _ in range(3):
                before = await bench.truth()
                await rig.change()
                assert await bench.truth() != before, "the rig's change() changed nothing"
                if rig.lag_s:
                    await bench.right()
                else:
                    readings = await bench.read()
                    assert not (wrong := bench.wrong(readings, await bench.truth())), f"(read, true): {wrong}"
            assert bench.driver.link.state is LinkState.READY

        on_bench(rig, test)

    def test_a_read_that_is_cancelled_ends_and_its_answer_is_never_taken_for_the_next(self, rig: Rig) -> None:
        """However far it had come: the cancellation is not swallowed, and the next reading is one of now."""

        async def test(bench: Bench) -> None:
            for turns in range(12):
                await _cancelled(bench.driver.read(), turns)
                await rig.change()
                if rig.lag_s:
                    continue
                readings = await bench.read()
                truth = await bench.truth()
                shown = {n: v for n, v in truth.items() if not is_bad(readings[n][1])}
                assert not (wrong := bench.wrong(readings, shown)), f"the answer to a cancelled read: {wrong}"
            await bench.right()

        on_bench(rig, test)

    def test_a_read_that_is_cancelled_while_the_device_is_silent_leaves_a_working_driver(self, rig: Rig) -> None:
        """What was under way then does no harm later."""
        needs(rig, Trouble.SILENT)

        async def test(bench: Bench) -> None:
            await rig.trouble(Trouble.SILENT)
            reading = asyncio.create_task(bench.driver.read())
            await bench.pause(rig.timeout_s / 4)
            reading.cancel()
            await asyncio.wait((reading,))
            assert reading.cancelled() or reading.exception() is None, (
                f"a cancelled read raises {reading.exception()!r}"
            )
            await rig.change()
            await rig.trouble(Trouble.NONE)
            await bench.right()

        on_bench(rig, test)


async def _cancelled(ask: Coroutine[Any, Any, object], turns: int) -> None:
    task = asyncio.create_task(ask)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled() or task.exception() is None, f"a cancelled read raises {task.exception()!r}"
