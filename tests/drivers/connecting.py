"""A connection to a device that can be told how to behave, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from drivers.connection import (
    Connection,
    LinkLostError,
    SilentError,
    Urgency,
)
from drivers.driver import Link, LinkState
from evcontrol.clock import VirtualClock, run_virtual

TIMEOUT_S = 0.5


class Line:
    """A session whose requests are answered after ``takes_s``, or never."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.closed = False
        self._gone = asyncio.Event()

    async def close(self) -> None:
        self.closed = True
        self._gone.set()

    async def answer_here(self, name: str) -> str:
        """As a session does it whose requests end by themselves: in time, and when the line is closed."""
        answer, gone = asyncio.ensure_future(self.answer(name)), asyncio.ensure_future(self._gone.wait())
        try:
            done, _ = await asyncio.wait((answer, gone), timeout=TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (answer, gone):
                each.cancel()
            await asyncio.wait((answer, gone))
        if not done:
            raise SilentError("nothing")
        if answer not in done:
            raise LinkLostError("closed")
        return answer.result()

    def asks(self, name: str) -> Callable[[Line], Awaitable[str]]:
        return lambda session: session.answer(name)

    async def answer(self, name: str) -> str:
        assert not self.closed
        self.device.received.append(name)
        self.device.under_way += 1
        self.device.most_under_way = max(self.device.most_under_way, self.device.under_way)
        try:
            if self.device.takes_s is None:
                await asyncio.get_running_loop().create_future()
            else:
                await asyncio.sleep(self.device.takes_s)
            return f"{name} answered"
        finally:
            self.device.under_way -= 1


class Device:
    """Something to connect to, and everything that came of it."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.takes_s: float | None = 0.0
        self.open_error: Exception | None = None
        self.handshake_error: Exception | None = None
        self.never_opens = False
        self.knocks: list[float] = []
        self.lines: list[Line] = []
        self.received: list[str] = []
        self.under_way = self.most_under_way = 0
        self.links: list[Link] = []
        self._changed = asyncio.Event()
        self.connection = Connection(clock, self._open, self._handshake, TIMEOUT_S, self._on_link)

    async def _open(self) -> Line:
        self.knocks.append(self.clock.monotonic())
        if self.never_opens:
            await asyncio.get_running_loop().create_future()
        if self.open_error is not None:
            raise self.open_error
        self.lines.append(Line(self))
        return self.lines[-1]

    async def _handshake(self, _line: Line) -> str:
        if self.handshake_error is not None:
            raise self.handshake_error
        return "hello"

    def _on_link(self, link: Link) -> None:
        self.links.append(link)
        self._changed.set()

    async def until(self, state: LinkState, within_s: float = 10.0) -> Link:
        async with asyncio.timeout(within_s):
            while not self.links or self.links[-1].state is not state:
                self._changed.clear()
                await self._changed.wait()
        return self.links[-1]

    async def knocked(self, times: int, within_s: float = 60.0) -> None:
        async with asyncio.timeout(within_s):
            while len(self.knocks) < times:
                await self.clock.sleep(0.01)

    async def ask(self, name: str, urgency: Urgency = Urgency.READ, within_s: float = TIMEOUT_S, **how: Any) -> str:
        deadline = asyncio.get_running_loop().time() + within_s
        return await self.connection.ask(lambda line: line.answer(name), urgency, deadline, **how)

    async def ask_here(self, name: str, urgency: Urgency = Urgency.READ, within_s: float = TIMEOUT_S) -> str:
        deadline = asyncio.get_running_loop().time() + within_s
        return await self.connection.ask_here(lambda line: line.answer_here(name), urgency, deadline)


def on_device(test: Callable[[Device], Awaitable[None]]) -> None:
    async def main(clock: VirtualClock) -> None:
        device = Device(clock)
        try:
            await test(device)
        finally:
            await device.connection.stop()

    run_virtual(main)
