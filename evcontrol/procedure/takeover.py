"""Taking a unit over from its own controller: the writes that a person's start or restart makes."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from evcontrol.clock import NS
from evcontrol.expression import compile_condition
from evcontrol.plant.model import TakeOverSpec
from evcontrol.procedure.context import HoldRequiredError, PhaseContext, Rooms

TAKE_OVER_S = 10.0
"""Process time for which a take-over may stay without effect."""
TAKE_OVER_SCANS = 5
"""Scans for which it may at least: at high speed one of them is longer than that time."""


class TakeOver:
    """Makes the take-over writes of a unit, one phase at a time."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, context: PhaseContext, unit: str) -> None:
        """Write what is asked for now, and wait until it has had its effect. Raises HoldRequiredError."""
        async with self._locks[unit]:
            for spec in self._rooms.plant.units[unit].take_over:
                if self._true_now(spec):
                    short = spec.tag.partition(".")[2]
                    await context.write(f"take over: {spec.when}", **{short: spec.value})
                    await self._until_done(context, spec)

    async def _until_done(self, context: PhaseContext, spec: TakeOverSpec) -> None:
        clock = self._rooms.clock
        within_s = max(TAKE_OVER_S, TAKE_OVER_SCANS * context.scan_s)
        end = clock.now() + round(within_s * NS)
        done = compile_condition(f"not ({spec.when})", self._rooms.plant.symbols)
        await context.until(done, tolerance_s=within_s, unless=lambda: clock.now() >= end)
        if self._true_now(spec):
            raise HoldRequiredError(f"{spec.tag} was written, and it is still so that {spec.when}")

    def _true_now(self, spec: TakeOverSpec) -> bool:
        condition = compile_condition(spec.when, self._rooms.plant.symbols)
        return bool(condition.update(self._rooms.image.reading, self._rooms.clock.now()))
