"""Child processes end when their input is closed, or are killed with their group."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import pytest

from evcontrol.cli import children
from evcontrol.cli.children import Child

POLITE = "import sys; print('up', flush=True); sys.stdin.read(); print('orderly'); sys.exit(3)"
STUBBORN = "import signal, time; print('up', flush=True); signal.pause()"


async def child(program: str) -> Child:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    made = Child("child", process)
    async with asyncio.timeout(20):
        while not made.lines:
            await asyncio.sleep(0.01)
    return made


def run(work: Callable[[], Awaitable[object]]) -> object:
    async def bounded() -> object:
        async with asyncio.timeout(30):
            return await work()

    return asyncio.run(bounded())


def test_closing_its_input_lets_a_child_end_in_order() -> None:
    async def work() -> tuple[int, list[str]]:
        one = await child(POLITE)
        return await one.stop(), list(one.lines)

    assert run(work) == (3, ["up", "orderly"])


def test_a_child_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STOP_S", 0.1)

    async def work() -> tuple[int, bool]:
        one = await child(STUBBORN)
        return await one.stop(), one.running

    assert run(work) == (-9, False)


def test_a_child_that_has_ended_may_be_stopped_again() -> None:
    async def work() -> tuple[int, int]:
        one = await child(POLITE)
        return await one.stop(), await one.stop()

    assert run(work) == (3, 3)
