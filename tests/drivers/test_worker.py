"""The one thread for work that may hang."""

from __future__ import annotations

import asyncio
import threading

import pytest

from drivers.worker import Worker
from evcontrol.clock import LiveClock, VirtualClock, run_virtual


def test_jobs_are_done_one_after_the_other_in_a_thread_of_their_own() -> None:
    async def main() -> None:
        worker = Worker("w", LiveClock())
        threads = [await worker.run(threading.current_thread) for _ in range(3)]
        assert len({thread.ident for thread in threads}) == 1
        assert threads[0] is not threading.main_thread()
        assert worker.stuck_s == 0.0
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 / 0)
        worker.end()
        assert await worker.run(threading.current_thread) is not threads[0]
        worker.end()

    asyncio.run(main())


def test_a_job_that_hangs_keeps_its_thread_and_jobs_that_nobody_waits_for_are_not_begun() -> None:
    async def main() -> None:
        worker, free, begun, done = Worker("w", LiveClock()), threading.Event(), threading.Event(), []

        def hang() -> None:
            begun.set()
            free.wait()

        first = asyncio.create_task(worker.run(hang))
        second = asyncio.create_task(worker.run(lambda: done.append("second")))
        while not begun.is_set():
            await asyncio.sleep(0)
        for task in (first, second):
            task.cancel()
        await asyncio.wait((first, second))
        assert worker.stuck_s > 0.0
        free.set()
        await worker.run(lambda: done.append("third"))
        assert done == ["third"]
        assert worker.stuck_s == 0.0
        worker.end()

    asyncio.run(main())


def test_in_virtual_time_there_is_no_thread() -> None:
    async def main(clock: VirtualClock) -> None:
        worker = Worker("w", clock)
        assert await worker.run(threading.current_thread) is threading.current_thread()
        worker.end()

    run_virtual(main)
