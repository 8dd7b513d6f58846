"""Work on the text of recipes, done beside the control loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from evcontrol.clock import ClockKind
from evcontrol.procedure.context import Rooms

T = TypeVar("T")


async def aside(rooms: Rooms, work: Callable[[], T]) -> T:
    """Do it in a thread, since a long recipe must not hold the control loop up; inline in virtual time."""
    if rooms.clock.kind is ClockKind.VIRTUAL:
        return work()
    return await asyncio.to_thread(work)
