"""Freeze: everything stays as it is, pumps and loops included, and no phase goes on. It is not Held, and not safe."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import Final

from evcontrol.clock import NS
from evcontrol.procedure.context import PhaseContext
from evcontrol.procedure.element import Element
from evcontrol.procedure.states import State
from evcontrol.procedure.stepping import SteeringError

LONGEST_S: Final = 1800.0
"""Process time after which what is frozen is held: pumps and loops run on in it, and nobody may have meant that."""


class Freeze:
    """Whether a batch is frozen; phases wait for :meth:`thawed` before they look, write or go on."""

    def __init__(self) -> None:
        self.reason = ""
        self._since = 0
        self._thawed = asyncio.Event()
        self._thawed.set()

    @property
    def frozen(self) -> bool:
        """Whether it is."""
        return not self._thawed.is_set()

    def too_long(self, now: int) -> bool:
        """Whether it has been frozen for longer than it may at a process time (UTC ns)."""
        return self.frozen and now - self._since >= LONGEST_S * NS

    def begin(self, reason: str, now: int) -> None:
        """Freeze at a process time (UTC ns)."""
        self.reason, self._since = reason, now
        self._thawed.clear()

    def end(self) -> None:
        """Let everything go on."""
        self.reason = ""
        self._thawed.set()

    async def thawed(self) -> None:
        """Wait until it is not frozen."""
        await self._thawed.wait()


def check_freeze(elements: Iterable[Element]) -> None:
    """Raises SteeringError unless every phase that has begun may stay as it is: no open permeate, no transfer."""
    reasons = []
    for element in elements:
        if not element.is_phase or not element.active or element.state is State.HELD:
            continue
        if element.state is not State.RUNNING or element.phase is None or element.context is None:
            reasons.append(f"{element.path} is {element.state}")
            continue
        kind, context = type(element.phase), element.context
        if kind.hazardous and not kind.shut_to_freeze:
            reasons.append(f"{element.path} cannot be frozen: hold it")
        reasons += [f"{context.unit}.{tag} is open" for tag in kind.shut_to_freeze if not _shut(context, tag)]
    if reasons:
        raise SteeringError(f"not frozen: {'; '.join(reasons)}")


def _shut(context: PhaseContext, tag: str) -> bool:
    value = context.reading(tag).value
    return not math.isnan(value) and value == 0.0
