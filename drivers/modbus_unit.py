"""One unit of a Modbus line: whether it answers, its restarts, its heartbeat and its watchdog time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import numpy as np

from drivers.connection import STEADY_S
from drivers.modbus_blocks import Block
from drivers.modbus_decode import PlanDecoder
from drivers.modbus_options import UnitOptions
from drivers.modbus_points import ModbusPoint, Table
from drivers.modbus_refusal import refusal_of
from drivers.modbus_telegram import ModbusRefusedError, Request
from drivers.start_counter import StartCounter
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD

FIRST_PAUSE_S: Final = 0.2
PAUSE_FACTOR: Final = 2.0
PAUSE_CAP_S: Final = 2.0
"""For how long (real seconds) a unit that does not answer is left alone, so that the others are not kept waiting."""

Ask = Callable[[Request], Awaitable[bytes]]
"""Asks the unit; raises what :meth:`drivers.modbus_units.Units.ask` raises."""


class Unit:
    """A unit, its options, the blocks in which its points are read, and the point with its start counter."""

    def __init__(
        self,
        number: int,
        options: UnitOptions,
        blocks: Sequence[Block],
        starts: StartCounter,
        counter: tuple[ModbusPoint, Block] | None,
    ) -> None:
        self.number = number
        self.starts = starts
        self.answering = False
        self.quality = BAD_NOT_CONNECTED
        """Of its points while it does not answer."""
        self.plan = list(blocks)
        """Its blocks as the device takes them."""
        self._options = options
        self._blocks = tuple(blocks)
        self._counter = counter
        self._due = self._since = 0.0
        self._pause = FIRST_PAUSE_S
        self._missed: Request | None = None
        self._away = ""
        self._restarted = ""
        self._watchdog_trouble = ""
        self._beat = 0

    @property
    def words(self) -> str:
        """What there is to say of it; empty when all is well."""
        if not self.answering:
            return self._away
        return "; ".join(filter(None, (self._restarted, self._watchdog_trouble)))

    @property
    def fed(self) -> bool:
        """Whether it has a heartbeat to be fed."""
        return self._options.heartbeat is not None

    def is_due(self, now: float, *, room: bool) -> bool:
        """Whether a unit that does not answer is to be asked again; ``now`` is loop time.

        Without ``room`` in the scan for its silence it waits, but not for ever.
        """
        return now >= self._due + (0.0 if room else PAUSE_CAP_S)

    def take_up(self, words: str = "") -> None:
        """Ask it anew as soon as may be: the connection is new, or the unit was restarted."""
        self.answering = False
        self._away = words
        self._due = 0.0
        self._pause = FIRST_PAUSE_S

    def missed(self, request: Request, quality: int, words: str, now: float) -> None:
        """It did not answer, or not readably: leave it alone for a while, each time for longer."""
        if self.answering and now - self._since >= STEADY_S:
            self._pause = FIRST_PAUSE_S
        self.answering = False
        self.quality, self._away = quality, words
        self._missed = request
        self._due = now + self._pause
        self._pause = min(PAUSE_CAP_S, self._pause * PAUSE_FACTOR)

    async def greet(self, ask: Ask, now: Callable[[], float]) -> None:
        """Find out that it answers, whether it was restarted, and give it its watchdog time."""
        self.plan = list(self._blocks)
        await self._probe(ask)
        self._restarted = await self._see_restart(ask)
        self._watchdog_trouble = await self._set_watchdog(ask)
        self.answering, self._since = True, now()
        self._missed = None

    async def feed(self, ask: Ask) -> bool:
        """Change the heartbeat; whether the unit took it and has the watchdog time that it should have."""
        if self._options.heartbeat is None:
            return False
        self._beat = (self._beat + 1) % 2**16
        try:
            await ask(Request.writing(self.number, Table.HOLDING, self._options.heartbeat, [self._beat]))
        except ModbusRefusedError:
            return False
        if self._watchdog_trouble:
            self._watchdog_trouble = await self._set_watchdog(ask)
        return not self._watchdog_trouble

    async def _probe(self, ask: Ask) -> None:
        """One read, of which any answer will do; the heartbeat goes on from where the register is."""
        heartbeat = self._options.heartbeat
        if heartbeat is not None:
            beat = Request.reading(self.number, Table.HOLDING, heartbeat, 1)
            if self._missed is not None and not beat.differs_from(self._missed):
                await self._answered(ask, Request.reading(self.number, Table.HOLDING, heartbeat, 2))
            data = await self._answered(ask, beat)
            self._beat = int.from_bytes(data or b"", "big")
        elif self._blocks:
            await self._answered(ask, self._unlike_the_missed(self._blocks[0].request))

    def _unlike_the_missed(self, request: Request) -> Request:
        """A request whose answer cannot be the late one to the request that was missed."""
        if self._missed is None or request.differs_from(self._missed):
            return request
        count = request.count - 8 if request.count > 8 else request.count + 8
        if request.table in (Table.HOLDING, Table.INPUT):
            count = request.count - 1 if request.count > 1 else 2
        return Request.reading(self.number, request.table, request.address, count)

    async def _answered(self, ask: Ask, request: Request) -> bytes | None:
        try:
            return await ask(request)
        except ModbusRefusedError:
            return None

    async def _see_restart(self, ask: Ask) -> str:
        if self._counter is None:
            return ""
        point, block = self._counter
        value, quality = np.full(1, np.nan), np.full(1, BAD_NOT_CONNECTED, dtype=np.uint32)
        try:
            answer = await ask(block.request)
        except ModbusRefusedError as refused:
            return f"start counter not readable: {refusal_of(refused.code).words}"
        PlanDecoder([point], [block]).decode([answer], value, quality)
        if quality[0] != GOOD:
            return "start counter not readable: it is no number"
        return self.starts.take_up(float(value[0]))

    async def _set_watchdog(self, ask: Ask) -> str:
        """Write the watchdog time unless the unit has it already; returns what went wrong, in words."""
        watchdog = self._options.watchdog
        if watchdog is None:
            return ""
        try:
            held = await ask(Request.reading(self.number, Table.HOLDING, watchdog.address, 1))
            if int.from_bytes(held, "big") != watchdog.raw:
                await ask(Request.writing(self.number, Table.HOLDING, watchdog.address, [watchdog.raw]))
        except ModbusRefusedError as refused:
            return f"watchdog time not set: {refusal_of(refused.code).words}"
        return ""
