"""Masterflex drives with the linkable serial interface, several on one line: speed, direction, start and stop.

On connect the driver only asks (``C``, ``I``), unless ``assign_numbers`` lets it number pumps that have lost theirs: a
drive forgets its number with its power, and says ``P?`` to ``ENQ`` until it is given one. It never takes a pump over by
itself: ``remote`` is a tag that a person or a phase writes. It never speaks to all pumps (``P99``), never doses and
never clears a count. These drives have no watchdog: a pump runs on when nobody speaks to it. No maintained library
speaks this protocol (public ones number and take over the pumps when they connect, and hide NAK).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from drivers import masterflex_telegram as telegram
from drivers.connection import LinkLostError, LinkRefusedError
from drivers.driver import Model
from drivers.framing import ACK, NAK, STX_CR, EitherOf, SingleBytes
from drivers.multidrop import Bus, MultidropOptions, NoAnswerError, UnreadableAnswerError
from drivers.pump import Drive, Order, PumpField, PumpPoint, PumpSpec, PumpState
from drivers.pump_line import PumpLineDriver
from drivers.transport import Line
from evcontrol.quality import BAD_DEVICE_FAILURE, GOOD

_ACKNOWLEDGEMENT: Final = EitherOf((SingleBytes(ACK + NAK), STX_CR))
_ERRORS: Final = {
    telegram.CommandError.PARITY: "the command reached it damaged (parity)",
    telegram.CommandError.FRAMING: "the command reached it damaged (framing)",
    telegram.CommandError.OVERRUN: "the command reached it damaged (overrun)",
    telegram.CommandError.INVALID_COMMAND: "it cannot carry out the command now",
    telegram.CommandError.INVALID_DATA: "the value is none that it can be set to",
}

Address = Annotated[int, Field(ge=1, le=89)]


class MasterflexOptions(MultidropOptions):
    """A line with its pumps by number; the first is the nearest to the computer."""

    baudrate: Annotated[int, Field(gt=0)] = 4800
    bytesize: Literal[7, 8] = 7
    parity: Literal["N", "E", "O"] = "O"
    assign_numbers: bool = False
    """Whether pumps that have lost their numbers are given them, where there is no doubt which is which."""
    pumps: Annotated[dict[Address, PumpSpec], Field(min_length=1)]


class MasterflexPoint(PumpPoint):
    """What of which pump a tag is."""


class MasterflexDrive:
    """One pump in its protocol (see :class:`drivers.pump.Drive`)."""

    resolution_rpm = telegram.RESOLUTION_RPM
    lowest_rpm = Decimal(0)

    def __init__(self, address: int) -> None:
        self._address = address

    async def identify(self, bus: Bus) -> str:
        """Ask its status; the drive has no other identity than the number that it was given."""
        status = await self._status(bus)
        return "remote" if status.remote else "local"

    async def state(self, bus: Bus) -> PumpState:
        """Ask its status, and its speed.

        The answer to the second question has no number; it is asked when the first one has been answered.
        """
        status = await self._status(bus)
        speed = await self._speed(bus)
        quality = BAD_DEVICE_FAILURE if status.state in telegram.FAILURES else GOOD
        running = status.state is telegram.State.RUNNING
        return PumpState(speed.rpm, running, speed.clockwise, status.remote, status.state.value, quality)

    def refusal(self, order: Order, state: PumpState) -> str:
        """It obeys in remote only, turns only at a speed above 0, and changes direction only when it stands."""
        if order.field is PumpField.REMOTE or order == Order(PumpField.RUNNING, False):
            return ""
        if state.remote is False:
            return "the pump is in local"
        if order.field is PumpField.RUNNING and not state.rpm:
            return "the speed is 0 rpm: set it first"
        if order.field is PumpField.DIRECTION and state.running and not order.shown_by(state):
            return "the direction can be changed at a standstill only"
        return ""

    async def command(self, bus: Bus, order: Order, state: PumpState) -> str | None:
        """Send an order. A NAK alone proves nothing: some drives say it to a ``G0`` that they carry out.

        A direction goes with the speed that is set, which is asked for once more: there is no check sum.
        """
        if order.field is PumpField.DIRECTION and (await self._speed(bus)).rpm != state.rpm:
            raise bus.unreadable("two answers with different speeds")
        telegram_ = self._telegram(order, state)
        said = telegram.is_acknowledged(await bus.ask(telegram_, _ACKNOWLEDGEMENT, lambda got: got == telegram_[1:-1]))
        if said is None:
            raise bus.unreadable("unreadable answer")
        if said:
            return ""
        error = (await self._status(bus)).error
        return f"the pump refused: {_ERRORS.get(error, 'it does not say why')}"

    def _telegram(self, order: Order, state: PumpState) -> bytes:
        address, target = self._address, order.target
        clockwise = state.clockwise is not False
        if isinstance(target, Decimal):
            return telegram.set_speed(address, target, clockwise=clockwise)
        match order.field:
            case PumpField.DIRECTION:
                return telegram.set_speed(address, state.rpm or Decimal(0), clockwise=not target)
            case PumpField.REMOTE:
                return telegram.take_over(address) if target else telegram.hand_back(address)
            case _:
                return telegram.run(address) if target else telegram.halt(address)

    async def _speed(self, bus: Bus) -> telegram.Speed:
        """The answer has no number: to be asked when a status has come."""
        speed = telegram.parse_speed(await bus.ask(telegram.ask_speed(self._address), STX_CR, self._is_echo))
        if speed is None:
            raise bus.unreadable("unreadable answer to S")
        return speed

    async def _status(self, bus: Bus) -> telegram.Status:
        """The first telegram that is a status of this pump, or is none at all."""
        await bus.get_into_step(telegram.ask_revolutions(self._address), STX_CR, telegram.is_revolutions)
        got = await bus.ask(telegram.ask_status(self._address), STX_CR, self._is_not_mine)
        status = telegram.parse_status(got)
        if status is None:
            raise bus.unreadable("unreadable answer to I")
        return status

    def _is_not_mine(self, got: bytes) -> bool:
        status = telegram.parse_status(got)
        if status is not None:
            return status.address != self._address
        # What answers another question can be late; an echo is what we said ourselves.
        return self._is_echo(got) or telegram.is_revolutions(got)

    def _is_echo(self, got: bytes) -> bool:
        questions = (telegram.ask_status, telegram.ask_speed, telegram.ask_revolutions)
        return got in {ask(self._address)[1:-1] for ask in questions}


class MasterflexDriver(PumpLineDriver[MasterflexOptions, MasterflexPoint]):
    """Pumps on one line (see :class:`drivers.driver.Driver`).

    ValueError for a tag with a unit that its field does not have, and for a flow of a pump without ``ml_per_rev``.
    """

    options_model: ClassVar[type[Model]] = MasterflexOptions
    point_model: ClassVar[type[Model]] = MasterflexPoint
    silence_s = 0.005
    _doubt = ""
    """Why it cannot be told which pump is which, as long as that is so."""

    def _drives(self) -> Mapping[int, tuple[Drive, PumpSpec]]:
        return {address: (MasterflexDrive(address), spec) for address, spec in self._options.pumps.items()}

    async def _handshake(self, line: Line) -> str:
        """Number the pumps that have lost their numbers, when that is wanted; then see who is there."""
        words = await self._number(Bus(line, self._options.answer_s)) if self._options.assign_numbers else ""
        words = words or self._doubt
        try:
            found = await super()._handshake(line)
        except LinkLostError as error:
            if self._doubt:
                raise LinkRefusedError(f"{self._doubt}; {error}") from error
            raise
        return f"{words}; {found}" if words else found

    async def _number(self, bus: Bus) -> str:
        """Give numbers to pumps that have none; what was done.

        Pumps say ``P?`` one after the other, the nearest first. So either all of ours have lost their numbers, and get
        them in the order of the options; or one has, and gets the one that is missing. Everything else is left alone.
        """
        pumps = list(self._options.pumps)
        missing = [address for address in pumps if not await self._is_there(bus, address)]
        if not missing:
            self._doubt = ""
        if not missing or not await self._asks_for_a_number(bus):
            return ""
        if missing == pumps:
            return await self._number_all(bus, pumps)
        if len(missing) > 1:
            self._doubt = f"pumps without a number: which are {_listed(missing)} cannot be told"
            return self._doubt
        given = await self._told(bus, telegram.give_number(missing[0]))
        return f"number given to pump {missing[0]}" if given else ""

    async def _number_all(self, bus: Bus, pumps: Sequence[int]) -> str:
        """First numbers that none of ours has; only when as many as there should be have taken one, their own.

        With one switched off the next one would get its number, and be taken for it for ever.
        """
        spare = [number for number in reversed(telegram.ADDRESSES) if number not in pumps]
        given: list[int] = []
        while len(given) <= len(pumps) and await self._asks_for_a_number(bus):
            if not await self._told(bus, telegram.give_number(spare[len(given)])):
                break
            given.append(spare[len(given)])
        if len(given) != len(pumps):
            self._doubt = (
                f"{len(given)} pumps asked for a number, not {len(pumps)}: which is which cannot be told "
                f"(they have the numbers {_listed(given)} now; switch all of them off and on together)"
            )
            return self._doubt
        self._doubt = ""
        for number, address in zip(given, pumps, strict=True):
            if not await self._told(bus, telegram.change_number(number, address)):
                return f"pump {number} does not take the number {address}"
        return f"numbers given to pumps {_listed(pumps)}"

    async def _told(self, bus: Bus, command: bytes) -> bool:
        """Whether a pump acknowledges."""
        try:
            return telegram.is_acknowledged(await bus.ask(command, _ACKNOWLEDGEMENT)) is True
        except NoAnswerError:
            return False

    async def _is_there(self, bus: Bus, address: int) -> bool:
        try:
            await MasterflexDrive(address).identify(bus)
        except (NoAnswerError, UnreadableAnswerError):
            return False
        return True

    async def _asks_for_a_number(self, bus: Bus) -> bool:
        try:
            return telegram.parse_unnumbered(await bus.ask(telegram.ENQ, STX_CR)) is not None
        except NoAnswerError:
            return False


def _listed(addresses: Sequence[int]) -> str:
    return ", ".join(str(address) for address in addresses)
