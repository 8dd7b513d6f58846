"""Balances that speak Sartorius SBI (Cubis, Entris, Secura, Quintix and older): the weight, and whether it is at rest.

The driver only ever sends ``ESC x2_`` (serial number) and ``ESC P`` (print). ``ESC T``, ``ESC U`` and ``ESC V``, which
tare and zero, are not in it.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from drivers.balance import BalanceDriver, BalanceOptions, BalancePoint, Weight
from drivers.connection import UnreadableError
from drivers.driver import Model
from drivers.framing import LINES
from drivers.sbi_telegram import is_weight, parse_serial_number, weight_of
from drivers.transport import Line
from evcontrol.quality import BAD_DECODING

_PRINT: Final = b"\x1bP\r\n"
_SERIAL_NUMBER: Final = b"\x1bx2_\r\n"


class SbiOptions(BalanceOptions):
    """One balance on its line."""

    unit: Literal["g", "kg", "mg"] | None = None
    """The unit that the balance shows; without it a weight in motion is Bad, because its line has no unit."""
    auto_print: bool = False
    """The balance prints by itself: wait for that, and never send a print command (which would switch it off)."""


class SbiPoint(BalancePoint):
    """Which of a balance's readings a tag is."""


class SbiDriver(BalanceDriver[SbiOptions]):
    """A balance that speaks SBI."""

    options_model: ClassVar[type[Model]] = SbiOptions
    point_model: ClassVar[type[Model]] = SbiPoint
    _seen: str | None = None
    """The unit that the balance showed when it was last at rest."""
    _prints = False
    """Whether weights came between the question for the serial number and its answer."""

    async def _identity(self, line: Line) -> bytes:
        prints = _Prints(line)
        answer = await line.request(_SERIAL_NUMBER, LINES, prints)
        self._prints = prints.heard
        return answer

    def _number_in(self, answer: bytes) -> str | None:
        return parse_serial_number(answer)

    async def _handshake(self, line: Line) -> str:
        words = await super()._handshake(line)
        if self._prints and not self._options.auto_print:
            return f"{words}, and prints by itself: see auto_print"
        return words

    async def _poll(self, line: Line) -> Weight:
        """The weight of now: one that was printed before we asked, by itself or by a key, is never taken for it.

        A balance answers in the order in which it was asked. So the serial number is asked for first: what comes after
        it was printed after the question.
        """
        if self._options.auto_print:
            return self._weight_in(await line.request(_SERIAL_NUMBER, LINES, _After(self._serial_number)))
        number = parse_serial_number(await line.request(_SERIAL_NUMBER, LINES, _Prints(line)))
        if number is None:
            return Weight(BAD_DECODING, reason="unreadable answer")
        if number != self._serial_number:
            raise UnreadableError(f'the serial number was "{self._serial_number}" before, and is now "{number}"')
        return self._weight_in(await line.request(_PRINT, LINES))

    def _weight_in(self, line: bytes) -> Weight:
        weight, self._seen = weight_of(line, self._options.unit, self._seen)
        return weight


class _Prints:
    """Passes over weights that come unasked, and over the rest of one whose beginning came before the question."""

    def __init__(self, line: Line) -> None:
        self.heard = False
        self._line = line
        self._first = True

    def __call__(self, got: bytes) -> bool:
        rest, self._first = self._first and self._line.unasked > 0, False
        if parse_serial_number(got) is not None:
            return False
        weight = is_weight(got)
        self.heard |= weight
        return weight or rest


class _After:
    """Passes over everything up to the serial number, and that itself."""

    def __init__(self, number: str | None) -> None:
        self._number = number
        self._heard = False

    def __call__(self, line: bytes) -> bool:
        before, self._heard = self._heard, self._heard or parse_serial_number(line) == self._number
        return not before
