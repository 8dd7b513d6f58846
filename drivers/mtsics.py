"""Balances that speak MT-SICS (Mettler-Toledo and compatible): the weight, in grams, and whether it is at rest.

The driver only ever asks: ``I4`` (serial number) and ``SI`` (weight, at once). It never sends a zero, a tare or a
reset (``@``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final

from drivers.connection import (
    Connection,
    LinkLostError,
    LinkRefusedError,
    NotSentError,
    SilentError,
    UnreadableError,
    Urgency,
    answer_within,
)
from drivers.driver import BoundPoint, Link, LinkState, Model, Outcome, WriteResult
from drivers.framing import LINES
from drivers.mtsics_telegram import ERRORS, GRAMS, Weight, is_identity, parse_serial_number, parse_weight
from drivers.serial_options import SerialOptions
from drivers.transport import Line, open_line
from evcontrol.clock import Clock
from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_NOT_CONNECTED, BAD_TIMEOUT, GOOD, is_bad
from evcontrol.signals import Frame, make_frame

_SEND_WEIGHT: Final = b"SI\r\n"
_SEND_SERIAL_NUMBER: Final = b"I4\r\n"


class MtSicsOptions(SerialOptions):
    """One balance on its line."""

    serial_number: str | None = None
    """Serial number of the balance that belongs here; another one is refused."""


class BalanceField(StrEnum):
    """What a balance tells."""

    WEIGHT = "weight"
    """In the tag's unit (g, kg or mg)."""
    STABLE = "stable"
    """1 at rest, 0 in motion."""


class MtSicsPoint(Model):
    """Which of a balance's readings a tag is."""

    field: BalanceField


class MtSicsDriver:
    """A balance (see :class:`drivers.driver.Driver`); nothing in it can be written.

    ``connect`` opens the line and is replaced for balances in this process (``transport.in_process``). ValueError for
    a weight tag in another unit than g, kg or mg.
    """

    options_model: ClassVar[type[Model]] = MtSicsOptions
    point_model: ClassVar[type[Model]] = MtSicsPoint

    def __init__(
        self,
        name: str,
        options: Model,
        points: Sequence[BoundPoint],
        clock: Clock,
        *,
        connect: Callable[[MtSicsOptions], Awaitable[Line]] | None = None,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        if not isinstance(options, MtSicsOptions):
            raise TypeError(f"device {name}: options are {type(options).__name__}, not MtSicsOptions")
        self._name = name
        self._options = options
        self._clock = clock
        self._points = [(bound.tag.index, _factor(name, bound)) for bound in points]
        self._tags = frozenset(bound.tag.name for bound in points)
        self.connect: Callable[[MtSicsOptions], Awaitable[Line]] = connect or open_line
        self.on_link = on_link
        self._serial_number: str | None = None
        self._in_step = False
        self._connection: Connection[Line] = Connection(
            clock, self._open, self._handshake, options.timeout_s, self._tell_link
        )

    @property
    def name(self) -> str:
        """The device's name in the plant file."""
        return self._name

    @property
    def link(self) -> Link:
        """How the connection is now; the reason of a READY link names the balance."""
        return self._connection.link

    async def start(self) -> None:
        """Begin connecting in the background; returns at once."""
        self._connection.start()

    async def stop(self) -> None:
        """Close the line."""
        await self._connection.stop()

    async def read(self) -> Frame:
        """Ask for the weight once, within the time-out."""
        weight = await self._weight()
        readings = [(index, *_reading(weight, factor)) for index, factor in self._points]
        return make_frame(self._clock.now(), self._clock.wall(), self._name, readings)

    async def write(self, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        """Refuse: a balance takes no values."""
        for tag in values:
            if tag not in self._tags:
                raise KeyError(f"device {self._name} has no tag {tag}")
        return dict.fromkeys(values, WriteResult(Outcome.REJECTED, "a balance takes no values"))

    async def feed_watchdog(self) -> bool:
        """Nothing to feed."""
        return False

    async def _open(self) -> Line:
        return await self.connect(self._options)

    def _tell_link(self, link: Link) -> None:
        if self.on_link is not None:
            self.on_link(link)

    async def _handshake(self, line: Line) -> str:
        """Ask the balance for its serial number; LinkRefusedError when another one is expected."""
        self._in_step = False
        answer = await answer_within(self._options.timeout_s, self._identity(line))
        number = parse_serial_number(answer)
        if number is None:
            raise LinkLostError(f"the balance does not tell its serial number: {_shown(answer)}")
        expected = self._options.serial_number
        if expected is not None and number != expected:
            raise LinkRefusedError(f'this is the balance with serial number "{number}", not "{expected}"')
        before, self._serial_number = self._serial_number, number
        self._in_step = True
        words = f'serial number "{number}"'
        return words if before in (None, number) else f'{words}: another balance than "{before}" before'

    async def _identity(self, line: Line) -> bytes:
        return await line.request(_SEND_SERIAL_NUMBER, LINES, lambda got: not is_identity(got) and got not in ERRORS)

    async def _weight(self) -> Weight:
        deadline = asyncio.get_running_loop().time() + self._options.timeout_s
        try:
            return await self._connection.ask(self._poll, Urgency.READ, deadline)
        except UnreadableError as error:
            return Weight(BAD_DECODING, reason=str(error))
        except SilentError as error:
            return Weight(BAD_TIMEOUT, reason=str(error))
        except LinkLostError as error:
            return Weight(BAD_NOT_CONNECTED, reason=str(error))
        except NotSentError as error:
            refused = self.link.state is LinkState.REFUSED
            busy = self._connection.ready
            quality = BAD_CONFIGURATION if refused else BAD_TIMEOUT if busy else BAD_NOT_CONNECTED
            return Weight(quality, reason=str(error))

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


def _factor(device: str, bound: BoundPoint) -> Decimal | None:
    """Tag units in a gram; None for the stable flag."""
    if not isinstance(bound.point, MtSicsPoint):
        raise TypeError(f"device {device}, tag {bound.tag.name}: not an MtSicsPoint")
    if bound.point.field is BalanceField.STABLE:
        return None
    if bound.tag.unit not in GRAMS:
        raise ValueError(f"device {device}, tag {bound.tag.name}: a weight is in g, kg or mg, not {bound.tag.unit!r}")
    return 1 / GRAMS[bound.tag.unit]


def _reading(weight: Weight, factor: Decimal | None) -> tuple[float, int]:
    if weight.grams is None or is_bad(weight.quality):
        return float("nan"), weight.quality
    if factor is None:
        return float(weight.stable), GOOD
    return float(weight.grams * factor) + 0.0, weight.quality  # + 0.0 makes a plain zero of -0.00 g


def _shown(line: bytes) -> str:
    return repr(line.decode("ascii", "backslashreplace"))
