"""Balances on serial lines, whatever they speak: the weight, whether it is at rest, which balance it is.

A driver of a balance only ever asks. None of them has a way to zero or to tare: what stands in a batch record is the
weight that the balance shows, and a tare is a matter of the plant's tags.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from drivers.connection import LinkLostError, LinkRefusedError, Urgency, answer_within
from drivers.device import UNANSWERED, DeviceDriver
from drivers.driver import BoundPoint, Link, Model
from drivers.serial_options import SerialOptions
from drivers.transport import Line, open_line
from evcontrol.clock import Clock
from evcontrol.quality import GOOD, is_bad
from evcontrol.signals import Frame, Tag

GRAMS: Final = {"g": Decimal(1), "kg": Decimal(1000), "mg": Decimal("0.001")}
"""Grams in each unit that a weight may come in."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One answer: grams (None unless the quality is Good), at rest or not, and the reason in words."""

    quality: int
    grams: Decimal | None = None
    stable: bool = False
    reason: str = ""


class BalanceOptions(SerialOptions):
    """One balance on its line."""

    serial_number: str | None = None
    """Serial number of the balance that belongs here; another one is refused."""


class BalanceField(StrEnum):
    """What a balance tells."""

    WEIGHT = "weight"
    """In the tag's unit (g, kg or mg)."""
    STABLE = "stable"
    """1 at rest, 0 in motion."""


class BalancePoint(Model):
    """Which of a balance's readings a tag is."""

    field: BalanceField


O = TypeVar("O", bound=BalanceOptions)  # noqa: E741  (options)


class BalanceDriver(DeviceDriver[Line, O, BalancePoint]):
    """A balance (see :class:`drivers.driver.Driver`); nothing in it can be written.

    ``connect`` opens the line and is replaced for balances in this process (``transport.in_process``). ValueError for
    a weight tag in another unit than g, kg or mg.
    """

    def __init__(
        self,
        name: str,
        options: Model,
        points: Sequence[BoundPoint],
        clock: Clock,
        *,
        connect: Callable[[O], Awaitable[Line]] | None = None,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        super().__init__(name, options, points, clock, on_link=on_link)
        self._factors = [_factor(name, bound.tag, point) for bound, point in zip(points, self._points, strict=True)]
        self.connect: Callable[[O], Awaitable[Line]] = connect or open_line
        self._serial_number: str | None = None

    async def read(self) -> Frame:
        """Ask for the weight once, within the time-out."""
        weight = await self._weight()
        value, quality = self._unread()
        for position, factor in enumerate(self._factors):
            value[position], quality[position] = _reading(weight, factor)
        return self._frame(value, quality)

    # -- what the driver of a balance adds ---------------------------------------------------------------------------

    @abstractmethod
    async def _identity(self, line: Line) -> bytes:
        """Ask for the serial number; whatever answers it."""

    @abstractmethod
    def _number_in(self, answer: bytes) -> str | None:
        """The serial number in that answer."""

    @abstractmethod
    async def _poll(self, line: Line) -> Weight:
        """Ask for the weight of now."""

    # ----------------------------------------------------------------------------------------------------------------

    async def _open(self) -> Line:
        return await self.connect(self._options)

    async def _handshake(self, line: Line) -> str:
        """Ask the balance for its serial number; LinkRefusedError when another one is expected."""
        answer = await answer_within(self._options.timeout_s, self._identity(line))
        number = self._number_in(answer)
        if number is None:
            raise LinkLostError(f"the balance does not tell its serial number: {shown(answer)}")
        expected = self._options.serial_number
        if expected is not None and number != expected:
            raise LinkRefusedError(f'this is the balance with serial number "{number}", not "{expected}"')
        before, self._serial_number = self._serial_number, number
        words = f'serial number "{number}"'
        return words if before in (None, number) else f'{words}: another balance than "{before}" before'

    async def _weight(self) -> Weight:
        try:
            return await self._connection.ask(self._poll, Urgency.READ, self._deadline())
        except UNANSWERED as error:
            return Weight(self._quality_of(error), reason=str(error))


def shown(telegram: bytes) -> str:
    """A telegram for a message, in quotation marks."""
    return repr(telegram.decode("ascii", "backslashreplace"))


def _factor(device: str, tag: Tag, point: BalancePoint) -> Decimal | None:
    """Tag units in a gram; None for the stable flag."""
    if point.field is BalanceField.STABLE:
        return None
    if tag.unit not in GRAMS:
        raise ValueError(f"device {device}, tag {tag.name}: a weight is in g, kg or mg, not {tag.unit!r}")
    return 1 / GRAMS[tag.unit]


def _reading(weight: Weight, factor: Decimal | None) -> tuple[float, int]:
    if weight.grams is None or is_bad(weight.quality):
        return float("nan"), weight.quality
    if factor is None:
        return float(weight.stable), GOOD
    return float(weight.grams * factor) + 0.0, weight.quality  # + 0.0 makes a plain zero of -0.00 g
