"""One scan of a Modbus line: every block asked for once, refused ones taken apart, no unit waiting for a silent one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from drivers.modbus_blocks import Block, apart
from drivers.modbus_client import ModbusClient
from drivers.modbus_points import ModbusPoint
from drivers.modbus_refusal import SPLIT_CODES, refusal_of
from drivers.modbus_telegram import ModbusRefusedError
from drivers.modbus_unit import Unit
from drivers.modbus_units import CutShortError, UnitAwayError, Units
from evcontrol.quality import BAD_TIMEOUT


class Scan:
    """Units that answer are read first; then those are taken up again whose time has come, until one is silent.

    ``deadline`` is loop time, after which nothing is sent. ``pressed`` says that something more urgent waits: then
    :meth:`run` returns, and is called again.
    """

    def __init__(
        self, points: Sequence[ModbusPoint], units: Units, deadline: float, pressed: Callable[[], bool]
    ) -> None:
        self.answers: dict[Block, bytes] = {}
        self.failures: dict[Block, int] = {}
        """Blocks without answer, and the quality of their points."""
        self.over = False
        self._points = points
        self._units = units
        self._deadline = deadline
        self._pressed = pressed
        self._turns = deque(sorted(units.all, key=lambda unit: not unit.answering))
        self._todo = {unit.number: unit.plan[::-1] for unit in units.all}
        self._silence = False

    async def run(self, client: ModbusClient) -> None:
        """Ask for what is left, until all is done or something more urgent waits."""
        try:
            while self._turns and not self.over:
                unit = self._turns[0]
                if not await self._taken_up(client, unit):
                    self._leave(unit, unit.quality)
                elif not await self._read(client, unit):
                    return
                if self._turns:
                    self._turns.popleft()
        except CutShortError:
            self.end(BAD_TIMEOUT)
        self.over = True

    def end(self, quality: int) -> None:
        """Nothing more is asked for; what was not answered has this quality."""
        self.over = True
        while self._turns:
            self._leave(self._turns.popleft(), quality)

    async def _taken_up(self, client: ModbusClient, unit: Unit) -> bool:
        """Whether a unit answers, or does so again."""
        if unit.answering:
            return True
        now = asyncio.get_running_loop().time()
        room = now + self._units.answer_s <= self._deadline
        if self._silence or now >= self._deadline or not unit.is_due(now, room=room):
            return False
        try:
            await self._units.greet(client, unit, self._deadline)
        except UnitAwayError:
            self._silence = True
            return False
        self._todo[unit.number] = unit.plan[::-1]
        return not self.over

    async def _read(self, client: ModbusClient, unit: Unit) -> bool:
        """Read a unit; whether it is done with, for this scan."""
        loop = asyncio.get_running_loop()
        todo = self._todo[unit.number]
        while todo:
            if self._pressed():
                return False
            if loop.time() >= self._deadline:
                self.end(BAD_TIMEOUT)
                return False
            block = todo[-1]  # stays, when the link is lost
            try:
                result: bytes | ModbusRefusedError | UnitAwayError = await self._units.ask(
                    client, unit, block.request, self._deadline
                )
            except (ModbusRefusedError, UnitAwayError) as error:
                result = error
            if self.over:
                return False
            if isinstance(result, UnitAwayError):
                self._leave(unit, result.quality)
                continue
            todo.pop()
            if isinstance(result, bytes):
                self.answers[block] = result
            elif result.code in SPLIT_CODES and len(block.members) > 1:
                todo.extend(reversed(self._split(unit, block)))
            else:
                self.failures[block] = refusal_of(result.code).quality
        return True

    def _split(self, unit: Unit, block: Block) -> list[Block]:
        parts = apart(self._points, block)
        at = unit.plan.index(block)
        unit.plan[at : at + 1] = parts
        return parts

    def _leave(self, unit: Unit, quality: int) -> None:
        todo = self._todo[unit.number]
        self.failures |= dict.fromkeys(todo, quality)
        todo.clear()
