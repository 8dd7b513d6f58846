"""Masterflex drives with a USB port, in their serial communications mode: speed, direction, start and stop.

On connect the driver only asks. It never switches the serial mode on by itself (``RE1``): ``remote`` is a tag that a
person or a phase writes; until then the pump obeys its panel, and everything but ``remote`` is Bad (out of service).
It never stores or restores the drive's configuration. These drives have no watchdog on the serial line: a pump runs on
when nobody speaks to it.

The vendor's own Python client (masterflex-serial) is not used: it waits for ever for an answer, takes any number that
comes as the answer to its question, and needs the abandoned pyserial-asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import Field

from drivers import masterflex_usb_telegram as telegram
from drivers.driver import Model
from drivers.multidrop import Bus, MultidropOptions
from drivers.pump import Drive, Order, PumpField, PumpPoint, PumpSpec, PumpState
from drivers.pump_line import PumpLineDriver
from evcontrol.quality import BAD_OUT_OF_SERVICE

T = TypeVar("T")

_SAID = {
    telegram.Reply.TAKEN: "",
    telegram.Reply.INVALID: "the pump refused: it does not take this command or this value now",
    telegram.Reply.NOT_SERIAL: "the pump is not in its serial mode",
}

Address = Annotated[int, Field(ge=1, le=8)]


class MasterflexUsbOptions(MultidropOptions):
    """A port with its pumps by number."""

    baudrate: Annotated[int, Field(gt=0)] = 115200
    stopbits: Literal[1, 2] = 1
    pumps: Annotated[dict[Address, PumpSpec], Field(min_length=1)]


class MasterflexUsbPoint(PumpPoint):
    """What of which pump a tag is."""

    has: ClassVar[frozenset[PumpField]] = frozenset(PumpField) - {PumpField.STATE}


class MasterflexUsbDrive:
    """One pump in its protocol (see :class:`drivers.pump.Drive`)."""

    resolution_rpm = telegram.RESOLUTION_RPM
    lowest_rpm = telegram.RESOLUTION_RPM

    def __init__(self, address: int) -> None:
        self._address = address

    async def identify(self, bus: Bus) -> str:
        """Ask its status, in which its number is."""
        return "in serial mode" if (await self.state(bus)).remote else "not in serial mode"

    async def state(self, bus: Bus) -> PumpState:
        """Ask its status, and its speed.

        The answer to the second question has no number; it is asked when the first one has been answered.
        """
        await bus.get_into_step(telegram.ask_model(self._address), telegram.ANSWER, telegram.is_model)
        status = await self._asked(bus, telegram.ask_status(self._address), telegram.parse_status)
        rpm = await self._asked(bus, telegram.ask_speed(self._address), telegram.parse_speed) if status else None
        if status is None or rpm is None:
            return PumpState(remote=False, quality=BAD_OUT_OF_SERVICE)
        return PumpState(rpm, status.running, status.clockwise, remote=True)

    def refusal(self, order: Order, state: PumpState) -> str:
        """It obeys in its serial mode only."""
        return "" if state.remote is not False or order.field is PumpField.REMOTE else _SAID[telegram.Reply.NOT_SERIAL]

    async def command(self, bus: Bus, order: Order, state: PumpState) -> str | None:
        """Send an order, which the pump takes or refuses."""
        data = self._telegram(order)
        reply = telegram.parse_reply(
            await bus.ask(data, telegram.ANSWER, lambda got: telegram.is_blank(got) or got == data[:-1])
        )
        if reply is None:
            raise bus.unreadable("unreadable answer")
        return _SAID[reply]

    def _telegram(self, order: Order) -> bytes:
        address, target = self._address, order.target
        if isinstance(target, Decimal):
            return telegram.set_speed(address, target)
        match order.field:
            case PumpField.DIRECTION:
                return telegram.turn(address, clockwise=not target)
            case PumpField.REMOTE:
                return telegram.serial_mode(address, on=target)
            case _:
                return telegram.run(address) if target else telegram.stop(address)

    async def _asked(self, bus: Bus, data: bytes, parse: Callable[[bytes], T | None]) -> T | None:
        """The answer to a question; None when the pump is not in its serial mode."""
        got = await bus.ask(data, telegram.ANSWER, lambda got: self._is_not_mine(got, data))
        if telegram.parse_reply(got) is telegram.Reply.NOT_SERIAL:
            return None
        answer = parse(got)
        if answer is None:
            raise bus.unreadable(f"unreadable answer to {data[:-1].decode()}")
        return answer

    def _is_not_mine(self, got: bytes, asked: bytes) -> bool:
        status = telegram.parse_status(got)
        if status is not None and status.address != self._address:
            return True
        return telegram.is_blank(got) or got == asked[:-1]


class MasterflexUsbDriver(PumpLineDriver[MasterflexUsbOptions, MasterflexUsbPoint]):
    """Pumps on one port (see :class:`drivers.driver.Driver`).

    ValueError for a tag with a unit that its field does not have, and for a flow of a pump without ``ml_per_rev``.
    """

    options_model: ClassVar[type[Model]] = MasterflexUsbOptions
    point_model: ClassVar[type[Model]] = MasterflexUsbPoint

    def _drives(self) -> Mapping[int, tuple[Drive, PumpSpec]]:
        return {address: (MasterflexUsbDrive(address), spec) for address, spec in self._options.pumps.items()}
