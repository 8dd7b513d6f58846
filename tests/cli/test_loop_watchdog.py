"""A loop that stands still is told and ends its process; one that only was busy goes on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

from structlog.testing import capture_logs

from evcontrol.cli.loop_watchdog import BLOCKED, TOLD_AFTER, LoopWatchdog

BOUND_S = 30.0
LOOK_S = 0.02
BLOCKING = """
import asyncio, threading
from evcontrol.cli.loop_watchdog import LoopWatchdog, end_process

async def main():
    with LoopWatchdog(end_process, look_s=0.02, ended_after=10).watching():
        def a_driver_that_blocks():
            threading.Event().wait(60)
        a_driver_that_blocks()

asyncio.run(main())
"""


def test_a_process_whose_loop_stands_still_ends_and_tells_where_it_stood() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKING], cwd=root, capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert done.returncode == BLOCKED
    assert "the event loop stood still for too long" in done.stderr
    assert "a_driver_that_blocks" in done.stdout + done.stderr


def test_a_loop_that_goes_on_is_left_in_peace_and_the_watching_ends_with_it() -> None:
    ended = threading.Event()

    async def main() -> None:
        with LoopWatchdog(ended.set, LOOK_S, ended_after=1000).watching():
            for _ in range(50):
                await asyncio.sleep(LOOK_S / 4)

    with capture_logs() as logs:
        asyncio.run(main())
    assert not ended.is_set()
    assert [entry for entry in logs if entry["log_level"] == "critical"] == []


def test_a_loop_that_stands_still_for_a_while_is_told_and_goes_on() -> None:
    ended = threading.Event()

    async def main() -> None:
        with LoopWatchdog(ended.set, LOOK_S, ended_after=100_000).watching():
            await asyncio.sleep(LOOK_S)
            with capture_logs() as logs:
                waited = 0
                while not logs and waited < BOUND_S / LOOK_S:
                    threading.Event().wait(TOLD_AFTER * LOOK_S)  # blocks the loop
                    waited += TOLD_AFTER
            assert logs[0]["event"] == "the event loop stands still"
            assert "test_loop_watchdog" in logs[0]["where"]
            await asyncio.sleep(LOOK_S)

    asyncio.run(main())
    assert not ended.is_set()


def test_the_watchdog_calls_for_the_end_only_once() -> None:
    calls: list[int] = []
    ended = threading.Event()

    def end() -> None:
        calls.append(1)
        ended.set()

    async def main() -> None:
        with LoopWatchdog(end, LOOK_S, ended_after=5).watching():
            await asyncio.sleep(LOOK_S)
            assert ended.wait(BOUND_S)  # blocks the loop
            threading.Event().wait(10 * LOOK_S)

    asyncio.run(main())
    assert calls == [1]
