"""The units of one Modbus line or gateway: one that does not answer keeps the others waiting once, and then seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from drivers.connection import LinkLostError, SilentError, UnreadableError
from drivers.driver import Outcome
from drivers.modbus_client import ModbusClient
from drivers.modbus_refusal import GATEWAY_CODES, refusal_of
from drivers.modbus_telegram import ModbusRefusedError, Request
from drivers.modbus_unit import Unit
from evcontrol.quality import BAD_DECODING, BAD_TIMEOUT

NEARLY_ALL: Final = 0.9
"""Part of the time for an answer after which a silence counts."""


class UnitAwayError(Exception):
    """One unit did not answer, and the line goes on without it; ``outcome`` is that of a write."""

    def __init__(self, words: str, quality: int, outcome: Outcome) -> None:
        super().__init__(words)
        self.quality = quality
        self.outcome = outcome


class CutShortError(Exception):
    """The time was over before a unit had all of its own to answer, so that its silence says nothing."""


class Units:
    """All units of a line, of which each answer must come within ``answer_s`` (real seconds)."""

    def __init__(self, units: Sequence[Unit], answer_s: float) -> None:
        self.all = tuple(units)
        self.answer_s = answer_s
        self._by_number = {unit.number: unit for unit in units}

    @property
    def words(self) -> str:
        """What there is to say of the units; empty when all is well."""
        if len(self.all) == 1:
            return self.all[0].words
        return "; ".join(f"unit {unit.number}: {unit.words}" for unit in self.all if unit.words)

    def __getitem__(self, number: int) -> Unit:
        return self._by_number[number]

    async def handshake(self, client: ModbusClient) -> None:
        """Take up the units until one answers (or a gateway does); those left are taken up while scanning."""
        order = sorted(self.all, key=lambda unit: not unit.answering)
        for unit in order:
            unit.take_up()
        failure: LinkLostError | None = None
        for unit in order:
            try:
                await self.greet(client, unit)
                return
            except UnitAwayError:
                return
            except (SilentError, UnreadableError) as error:
                if client.lost.done():
                    raise
                failure = error
        if failure is not None:
            raise failure

    async def greet(self, client: ModbusClient, unit: Unit, deadline: float | None = None) -> None:
        """Take up one unit; raises as :meth:`ask`."""
        await unit.greet(partial(self.ask, client, unit, deadline=deadline), asyncio.get_running_loop().time)

    async def ask(self, client: ModbusClient, unit: Unit, request: Request, deadline: float | None = None) -> bytes:
        """Ask one unit, until ``deadline`` (loop time) at the latest.

        Raises :class:`UnitAwayError` when it does not answer and another one does (or a gateway answers for it),
        ``SilentError`` or ``UnreadableError`` when none does, :class:`CutShortError` when there was too little time,
        and what the client raises otherwise.
        """
        loop = asyncio.get_running_loop()
        within_s = self.answer_s if deadline is None else min(self.answer_s, deadline - loop.time())
        try:
            return await client.ask(request, within_s)
        except ModbusRefusedError as refused:
            if refused.code not in GATEWAY_CODES or len(self.all) == 1:
                raise
            refusal = refusal_of(refused.code)
            unit.missed(request, refusal.quality, refusal.words, loop.time())
            raise UnitAwayError(refusal.words, refusal.quality, refusal.outcome) from None
        except (SilentError, UnreadableError) as error:
            if isinstance(error, SilentError) and within_s < NEARLY_ALL * self.answer_s and not client.lost.done():
                raise CutShortError from None
            quality = BAD_TIMEOUT if isinstance(error, SilentError) else BAD_DECODING
            unit.missed(request, quality, str(error), loop.time())
            if client.lost.done() or not any(each.answering for each in self.all):
                raise
            raise UnitAwayError(str(error), quality, Outcome.UNKNOWN) from None
