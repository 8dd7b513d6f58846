"""Watson-Marlow 520Du, 620Du and 720Du pumps, up to 16 on one RS485 line: speed, direction, start and stop.

On connect the driver only asks (``ZY``, ``RS``). It never speaks to all pumps at once (``#``), never doses and never
clears a count. These pumps answer nothing to a command, so each one is followed by ``RS`` within the write. They have
no watchdog on the serial line: a pump runs on when nobody speaks to it. No maintained library speaks this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from drivers import watson_marlow_telegram as telegram
from drivers.driver import Model
from drivers.multidrop import Bus, MisfitError, MultidropOptions
from drivers.pump import Drive, Order, PumpField, PumpPoint, PumpSpec, PumpState
from drivers.pump_line import PumpLineDriver


class WatsonMarlowPump(PumpSpec):
    """One pump, and what must be set at its panel."""

    model: str | None = None
    """Drive as it names itself, such as ``520Du``."""
    head: str | None = None
    """Such as ``520R``."""
    tube: str | None = None
    """Such as ``9.6MM``."""


Address = Annotated[int, Field(ge=1, le=16)]


class WatsonMarlowOptions(MultidropOptions):
    """A line with its pumps by number."""

    stopbits: Literal[1, 2] = 2
    pumps: Annotated[dict[Address, WatsonMarlowPump], Field(min_length=1)]


class WatsonMarlowPoint(PumpPoint):
    """What of which pump a tag is."""

    has: ClassVar[frozenset[PumpField]] = frozenset(
        (PumpField.SPEED, PumpField.FLOW, PumpField.RUNNING, PumpField.DIRECTION)
    )


class WatsonMarlowDrive:
    """One pump in its protocol (see :class:`drivers.pump.Drive`)."""

    resolution_rpm = telegram.RESOLUTION_RPM
    lowest_rpm = Decimal(0)

    def __init__(self, address: int, spec: WatsonMarlowPump) -> None:
        self._address = address
        self._spec = spec

    async def identify(self, bus: Bus) -> str:
        """Ask its status, in which drive, head and tube are named."""
        status = await self._status(bus)
        return f"{status.model} {status.head} {status.tube}"

    async def state(self, bus: Bus) -> PumpState:
        """Ask its status; MisfitError when drive, head or tube are other ones."""
        status = await self._status(bus)
        return PumpState(status.rpm, status.running, status.direction == telegram.CLOCKWISE)

    def refusal(self, order: Order, state: PumpState) -> str:
        """Nothing is refused here."""
        return ""

    async def command(self, bus: Bus, order: Order, state: PumpState) -> str | None:
        """Send an order, to which the pump says nothing."""
        address, target = self._address, order.target
        if isinstance(target, Decimal):
            await bus.send(telegram.set_speed(address, target))
        elif order.field is PumpField.DIRECTION:
            await bus.send(telegram.turn(address, telegram.COUNTER_CLOCKWISE if target else telegram.CLOCKWISE))
        else:
            await bus.send(telegram.run(address) if target else telegram.stop(address))
        return None

    async def _status(self, bus: Bus) -> telegram.Status:
        asked = telegram.ask_running(self._address)
        await bus.get_into_step(asked, telegram.RunningFraming(), telegram.is_running_answer)
        line = await bus.ask(
            telegram.ask_status(self._address),
            telegram.StatusFraming(),
            lambda got: not telegram.answers(got, self._address),
        )
        status = telegram.parse_status(line)
        if status is None:
            raise bus.unreadable("unreadable answer to RS")
        told = {"model": status.model, "head": status.head, "tube": status.tube}
        for name, shown in told.items():
            expected = getattr(self._spec, name)
            if expected is not None and shown != expected:
                raise MisfitError(f"its {name} is {shown}, not {expected}")
        return status


class WatsonMarlowDriver(PumpLineDriver[WatsonMarlowOptions, WatsonMarlowPoint]):
    """Pumps on one line (see :class:`drivers.driver.Driver`).

    ValueError for a tag with a unit that its field does not have, and for a flow of a pump without ``ml_per_rev``.
    """

    options_model: ClassVar[type[Model]] = WatsonMarlowOptions
    point_model: ClassVar[type[Model]] = WatsonMarlowPoint
    silence_s = 0.01
    """Between consecutive commands (505Di user manual, note 6 on control codes)."""

    def _drives(self) -> Mapping[int, tuple[Drive, PumpSpec]]:
        return {address: (WatsonMarlowDrive(address, spec), spec) for address, spec in self._options.pumps.items()}
