"""Balances that speak MT-SICS (Mettler-Toledo and compatible): the weight, in grams, and whether it is at rest.

The driver only ever asks: ``I4`` (serial number) and ``SI`` (weight, at once). It never sends a zero, a tare or a
reset (``@``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from drivers.connection import (
    LinkLostError,
    LinkRefusedError,
    Urgency,
    answer_within,
)
from drivers.device import UNANSWERED, DeviceDriver
from drivers.driver import BoundPoint, Link, Model
from drivers.mtsics_telegram import ERRORS, GRAMS, Weight, is_identity, parse_serial_number, parse_weight
from drivers.transport import LineTransport, SerialSettings, open_line
from evcontrol.clock import Clock
from evcontrol.quality import BAD_DECODING, GOOD, is_bad
from evcontrol.signals import Frame, Tag

_SEND_WEIGHT: Final = b"SI"
_SEND_SERIAL_NUMBER: Final = b"I4"


class MtSicsOptions(Model):
    """One balance on its line."""

    port: Annotated[str, Field(min_length=1)]
    """Device path (``/dev/ttyUSB0``, ``COM3``) or ``socket://host:8001``."""
    baudrate: Annotated[int, Field(gt=0)] = 9600
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Real seconds within which every answer must come."""
    serial_number: str | None = None
    """Serial number of the balance that belongs here; another one is refused."""

    @model_validator(mode="after")
    def _socket_has_host_and_port(self) -> MtSicsOptions:
        if self.port.startswith("socket://"):
            host, _, port = self.port.removeprefix("socket://").rstrip("/").rpartition(":")
            if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError("port is not socket://HOST:PORT")
        return self


class BalanceField(StrEnum):
    """What a balance tells."""

    WEIGHT = "weight"
    """In the tag's unit (g, kg or mg)."""
    STABLE = "stable"
    """1 at rest, 0 in motion."""


class MtSicsPoint(Model):
    """Which of a balance's readings a tag is."""

    field: BalanceField


class MtSicsDriver(DeviceDriver[LineTransport, MtSicsOptions, MtSicsPoint]):
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
        connect: Callable[[MtSicsOptions], Awaitable[LineTransport]] | None = None,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        super().__init__(name, options, points, clock, on_link=on_link)
        self._factors = [_factor(name, bound.tag, point) for bound, point in zip(points, self._points, strict=True)]
        self.connect: Callable[[MtSicsOptions], Awaitable[LineTransport]] = connect or _open_line
        self._serial_number: str | None = None
        self._in_step = False

    async def read(self) -> Frame:
        """Ask for the weight once, within the time-out."""
        weight = await self._weight()
        value, quality = self._unread()
        for position, factor in enumerate(self._factors):
            value[position], quality[position] = _reading(weight, factor)
        return self._frame(value, quality)

    async def _open(self) -> LineTransport:
        return await self.connect(self._options)

    async def _handshake(self, line: LineTransport) -> str:
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

    async def _identity(self, line: LineTransport) -> bytes:
        return await line.request(_SEND_SERIAL_NUMBER, lambda got: not is_identity(got) and got not in ERRORS)

    async def _weight(self) -> Weight:
        try:
            return await self._connection.ask(self._poll, Urgency.READ, self._deadline())
        except UNANSWERED as error:
            return Weight(self._quality_of(error), reason=str(error))

    async def _poll(self, line: LineTransport) -> Weight:
        """Ask for the weight; after an unreadable line first get into step again.

        A balance answers in the order in which it was asked, so once it has told its serial number no older weight
        can follow.
        """
        if not self._in_step:
            await line.request(_SEND_SERIAL_NUMBER, lambda got: parse_serial_number(got) is None)
        self._in_step = False
        weight = parse_weight(await line.request(_SEND_WEIGHT, is_identity))
        self._in_step = weight.quality != BAD_DECODING
        return weight


def _factor(device: str, tag: Tag, point: MtSicsPoint) -> Decimal | None:
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


def _shown(line: bytes) -> str:
    return repr(line.decode("ascii", "backslashreplace"))


async def _open_line(options: MtSicsOptions) -> LineTransport:
    return await open_line(
        SerialSettings(options.port, options.baudrate, options.bytesize, options.parity, options.stopbits)
    )
