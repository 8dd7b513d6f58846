"""PendoTECH PressureMAT monitors: the pressures of their up to four single-use sensors.

The driver only ever sends ``AZK`` (send measured values), never ``AZZ`` (clear) or ``AZP`` (program).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from drivers.connection import LinkLostError, Urgency, answer_within
from drivers.device import UNANSWERED, DeviceDriver
from drivers.driver import BoundPoint, Link, Model
from drivers.framing import DLE_FRAMES
from drivers.pendotech_telegram import START, Channel, Pressure, parse_block
from drivers.serial_options import SerialOptions
from drivers.transport import Line, open_line
from evcontrol.clock import Clock
from evcontrol.quality import BAD_CONFIGURATION, BAD_DECODING, BAD_OUT_OF_RANGE, is_good
from evcontrol.signals import Frame, Tag
from evcontrol.units.convert import compatible, convert
from evcontrol.units.unit import UnitError

_SEND_MEASURED: Final = b"AZK\r\n"
_LONGEST: Final = 1024
"""Bytes of four packets, and as many again."""


class PendotechOptions(SerialOptions):
    """One monitor on its line."""

    timeout_s: Annotated[float, Field(gt=0, le=10)] = 0.7
    unit: Literal["psi", "bar", "mbar", "kPa"] = "psi"
    """What the monitor is set to show; its answers do not tell."""
    low_psi: float = -10.0
    """Range of the sensors, against the atmosphere."""
    high_psi: float = 60.0
    checksum: bool = True
    """Whether the packets' checksums must be right."""

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if not self.low_psi < self.high_psi:
            raise ValueError("low_psi is not below high_psi")
        return self


class PendotechPoint(Model):
    """Which input of the monitor a tag is."""

    channel: Channel


class PendotechDriver(DeviceDriver[Line, PendotechOptions, PendotechPoint]):
    """A monitor (see :class:`drivers.driver.Driver`); nothing in it can be written.

    ``connect`` opens the line and is replaced for monitors in this process (``transport.in_process_bytes``). The
    sensors measure against the atmosphere: a tag is in a unit of gauge pressure (psig) or, as a difference to the
    atmosphere, in one of pressure (psi). ValueError for a tag in any other.
    """

    options_model: ClassVar[type[Model]] = PendotechOptions
    point_model: ClassVar[type[Model]] = PendotechPoint

    def __init__(
        self,
        name: str,
        options: Model,
        points: Sequence[BoundPoint],
        clock: Clock,
        *,
        connect: Callable[[PendotechOptions], Awaitable[Line]] | None = None,
        on_link: Callable[[Link], None] | None = None,
    ) -> None:
        super().__init__(name, options, points, clock, on_link=on_link)
        self.connect: Callable[[PendotechOptions], Awaitable[Line]] = connect or open_line
        self._to_tags = [_to_tag(name, bound.tag, self._options.unit) for bound in points]

    async def read(self) -> Frame:
        """Ask for all channels once, within the time-out."""
        value, quality = self._unread()
        try:
            pressures = await self._connection.ask(self._poll, Urgency.READ, self._deadline())
        except UNANSWERED as error:
            quality[:] = self._quality_of(error)
            return self._frame(value, quality)
        for position, (point, to_tag) in enumerate(zip(self._points, self._to_tags, strict=True)):
            pressure = pressures[point.channel]
            quality[position] = pressure.quality
            if is_good(pressure.quality):
                value[position] = to_tag(pressure.value)
        return self._frame(value, quality)

    async def _open(self) -> Line:
        return await self.connect(self._options)

    async def _handshake(self, line: Line) -> str:
        """Ask for the channels; LinkLostError when what comes is none of a monitor's."""
        pressures = await answer_within(self._options.timeout_s, self._poll(line))
        readable = [channel for channel, one in pressures.items() if one.quality not in _NOT_READ]
        if not readable:
            raise LinkLostError("what answers is no PressureMAT, or a damaged line")
        return f"channels {', '.join(readable)}"

    async def _poll(self, line: Line) -> Mapping[Channel, Pressure]:
        block = await line.request(_SEND_MEASURED, DLE_FRAMES, lambda got: START not in got, _LONGEST)
        pressures = parse_block(block, checked=self._options.checksum)
        return {channel: self._in_range(one) for channel, one in pressures.items()}

    def _in_range(self, pressure: Pressure) -> Pressure:
        if not is_good(pressure.quality):
            return pressure
        psi = convert(pressure.value, self._options.unit, "psi")
        if self._options.low_psi <= psi <= self._options.high_psi:
            return pressure
        return Pressure(BAD_OUT_OF_RANGE, reason=f"{psi:g} psi is beyond the sensor's range")


_NOT_READ: Final = (BAD_DECODING, BAD_CONFIGURATION)


def _to_tag(device: str, tag: Tag, unit: str) -> Callable[[float], float]:
    """Monitor's unit into the tag's."""
    try:
        if compatible(tag.unit, unit):
            return lambda value: convert(value, unit, tag.unit)
        if compatible(tag.unit, "psig"):
            return lambda value: convert(convert(value, unit, "psi"), "psig", tag.unit)
    except UnitError as error:
        raise ValueError(f"device {device}, tag {tag.name}: {error}") from error
    raise ValueError(
        f"device {device}, tag {tag.name}: a pressure is in a unit such as psig, barg, psi, bar, mbar or kPa,"
        f" not {tag.unit!r}"
    )
