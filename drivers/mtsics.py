"""Balances that speak MT-SICS (Mettler-Toledo and compatible): the weight, in grams, and whether it is at rest.

The driver only ever asks: ``I4`` (serial number) and ``SI`` (weight, at once). It never sends a zero, a tare or a
reset (``@``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from drivers.balance import BalanceDriver, BalanceField, BalanceOptions, BalancePoint, Weight
from drivers.driver import Model
from drivers.framing import LINES
from drivers.mtsics_telegram import ERRORS, is_identity, parse_serial_number, parse_weight
from drivers.transport import Line
from evcontrol.quality import BAD_DECODING

__all__ = ["BalanceField", "MtSicsDriver", "MtSicsOptions", "MtSicsPoint"]

_SEND_WEIGHT: Final = b"SI\r\n"
_SEND_SERIAL_NUMBER: Final = b"I4\r\n"


class MtSicsOptions(BalanceOptions):
    """One balance on its line."""


class MtSicsPoint(BalancePoint):
    """Which of a balance's readings a tag is."""


class MtSicsDriver(BalanceDriver[MtSicsOptions]):
    """A balance that speaks MT-SICS."""

    options_model: ClassVar[type[Model]] = MtSicsOptions
    point_model: ClassVar[type[Model]] = MtSicsPoint
    _in_step = False

    def _probing(self) -> Callable[[Line], Awaitable[object]]:
        return self._identity

    async def _identity(self, line: Line) -> bytes:
        self._in_step = False
        answer = await line.request(_SEND_SERIAL_NUMBER, LINES, lambda got: not is_identity(got) and got not in ERRORS)
        self._in_step = parse_serial_number(answer) is not None
        return answer

    def _number_in(self, answer: bytes) -> str | None:
        return parse_serial_number(answer)

    async def _poll(self, line: Line) -> Weight:
        """Ask for the weight; after an unreadable line first get into step again.

        A balance answers in the order in which it was asked, so once it has told its serial number no older weight
        can follow.
        """
        if not self._in_step:
            await line.request(_SEND_SERIAL_NUMBER, LINES, lambda got: parse_serial_number(got) is None)
        self._in_step = False
        weight = parse_weight(await line.request(_SEND_WEIGHT, LINES, is_identity))
        self._in_step = weight.quality != BAD_DECODING
        return weight
