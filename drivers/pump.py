"""Pumps on a serial line, whatever they speak: their points, and how a command to one is sent and proven.

Every command is followed by a question: a pump has taken it when it says so of itself. None of these pumps has a
watchdog: one that was started runs on when nobody speaks to it any more (``on_silence: runs_on``).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Protocol, Self

from pydantic import Field, model_validator

from drivers.driver import BoundPoint, Model, Outcome, WriteResult
from drivers.multidrop import FAILURES, Bus, MisfitError, Reading
from evcontrol.quality import BAD_DECODING, BAD_OUT_OF_SERVICE, GOOD, is_bad

READBACKS: Final = 3
"""How often a pump is asked whether it has taken a command."""
READBACK_S: Final = 0.05
"""Real time between two of these questions."""
REPEATS: Final = 2
"""How often a pump is asked again for a speed that it has not told twice."""
FLOW_UNITS: Final = {"mL/min": Decimal(1), "mL/h": Decimal(60), "L/min": Decimal("0.001"), "L/h": Decimal("0.06")}
"""Of each, how many are 1 mL/min."""


class PumpField(StrEnum):
    """What a pump tells, and takes."""

    SPEED = "speed"
    """The speed that is set (rpm), also while it stands still."""
    FLOW = "flow"
    """The same as a flow, by the pump's ``ml_per_rev``."""
    RUNNING = "running"
    """1 when it turns (or is to turn), 0 when it stands."""
    DIRECTION = "direction"
    """0 clockwise, 1 counter-clockwise."""
    REMOTE = "remote"
    """1 when it listens to the line, 0 when it listens to its panel."""
    STATE = "state"
    """What the drive does, as its own code."""


SETTABLE: Final = frozenset(PumpField) - {PumpField.STATE}


class PumpSpec(Model):
    """One pump of the line."""

    max_rpm: Annotated[float, Field(gt=0, le=999.9)]
    """Highest speed that may be set: the lower one of drive and head."""
    ml_per_rev: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """mL per revolution of this head with this tube, measured; needed for ``flow``."""


class PumpPoint(Model):
    """What of which pump a tag is."""

    has: ClassVar[frozenset[PumpField]] = frozenset(PumpField)
    """What pumps of this kind tell."""

    address: Annotated[int, Field(ge=1)] = 1
    field: PumpField
    writable: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.field not in self.has:
            raise ValueError(f"these pumps do not tell their {self.field}: {', '.join(sorted(self.has))}")
        if self.writable and self.field not in SETTABLE:
            raise ValueError(f"{self.field} cannot be written")
        return self


@dataclass(frozen=True, slots=True)
class PumpState:
    """What a pump says of itself. None: it does not say it (now)."""

    rpm: Decimal | None = None
    running: bool | None = None
    clockwise: bool | None = None
    remote: bool | None = None
    code: int | None = None
    quality: int = GOOD
    """Of speed, running and direction."""


@dataclass(frozen=True, slots=True)
class Order:
    """One thing that a pump is to do: the field, and what it must then say of itself."""

    field: PumpField
    target: Decimal | bool

    def shown_by(self, state: PumpState) -> bool:
        """Whether the pump is as it was ordered to be."""
        return self.of(state) == self.target

    def of(self, state: PumpState) -> Decimal | bool | None:
        """What the state says of it."""
        told: Mapping[PumpField, Decimal | bool | None] = {
            PumpField.SPEED: state.rpm,
            PumpField.RUNNING: state.running,
            PumpField.DIRECTION: None if state.clockwise is None else not state.clockwise,
            PumpField.REMOTE: state.remote,
        }
        return told[self.field]


class Drive(Protocol):
    """One pump in its own protocol."""

    resolution_rpm: Decimal
    """Steps in which a speed is set."""
    lowest_rpm: Decimal
    """Lowest speed that can be set."""

    async def identify(self, bus: Bus) -> str:
        """See :meth:`drivers.multidrop.Station.identify`."""

    async def state(self, bus: Bus) -> PumpState:
        """Ask what it does."""

    def refusal(self, order: Order, state: PumpState) -> str:
        """Why an order must not be sent to it as it is now; empty when it may."""

    async def command(self, bus: Bus, order: Order, state: PumpState) -> str | None:
        """Send an order; None when the pump says nothing to it, empty when it takes it, else its refusal."""


class PumpStation:
    """A pump at its address (see :class:`drivers.multidrop.Station`)."""

    def __init__(self, drive: Drive, spec: PumpSpec) -> None:
        self._drive = drive
        self._spec = spec
        self._units: dict[PumpField, Decimal] = {}
        self._last_rpm: Decimal | None = None

    def bind(self, device: str, bound: BoundPoint, field: str) -> None:
        """Take a tag; ValueError when its unit is not that of its field."""
        unit, where = bound.tag.unit, f"device {device}, tag {bound.tag.name}"
        if field == PumpField.SPEED and unit != "rpm":
            raise ValueError(f"{where}: a speed is in rpm, not {unit!r}")
        if field == PumpField.FLOW:
            if self._spec.ml_per_rev is None:
                raise ValueError(f"{where}: a flow needs ml_per_rev of its pump")
            if unit not in FLOW_UNITS:
                raise ValueError(f"{where}: a flow is in {', '.join(FLOW_UNITS)}, not {unit!r}")
            per_rpm = Decimal(repr(self._spec.ml_per_rev)) * FLOW_UNITS[unit]
            if self._units.setdefault(PumpField.FLOW, per_rpm) != per_rpm:
                raise ValueError(f"{where}: all flow tags of a pump have the same unit")

    async def identify(self, bus: Bus) -> str:
        """See :class:`drivers.multidrop.Station`."""
        self._last_rpm = None
        return await self._drive.identify(bus)

    async def read(self, bus: Bus) -> Mapping[str, Reading]:
        """Its readings. A speed is a setpoint: one that is another than before counts when the pump says it twice.

        None of these protocols has a check sum, and a speed that lost a figure is still a speed.
        """
        state = await self._drive.state(bus)
        before, tries = self._last_rpm, REPEATS
        while tries and state.rpm not in (None, before):
            before, tries = state.rpm, tries - 1
            state = await self._drive.state(bus)
        sure = state.rpm in (None, before)
        self._last_rpm = state.rpm if sure and not is_bad(state.quality) else None
        return self._readings(state, state.quality if sure else BAD_DECODING)

    def mistake(self, values: Mapping[str, float]) -> tuple[str, str] | None:
        """See :class:`drivers.multidrop.Station`."""
        if PumpField.SPEED in values and PumpField.FLOW in values:
            return PumpField.FLOW, "speed and flow of a pump are the same setting"
        for field, value in values.items():
            try:
                self._order(PumpField(field), value)
            except ValueError as error:
                return field, str(error)
        return None

    def is_urgent(self, values: Mapping[str, float]) -> bool:
        """A stop is."""
        return values.get(PumpField.RUNNING) == 0.0

    async def write(self, bus: Bus, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        """Take over or stop first, start last; after one order that is not confirmed nothing more is sent."""
        results: dict[str, WriteResult] = {}
        try:
            state = await self._drive.state(bus)
        except FAILURES as error:
            if isinstance(error, MisfitError) or not self.is_urgent(values):
                return dict.fromkeys(values, WriteResult(Outcome.REJECTED, f"not sent: {error}"))
            state = PumpState()  # to stop it nothing needs to be known
        stopped = ""
        for field in sorted(values, key=lambda field: _rank(field, values[field])):
            if stopped:
                results[field] = WriteResult(Outcome.REJECTED, f"not sent: {stopped}")
                continue
            results[field], state = await self._obeyed(bus, self._order(PumpField(field), values[field]), state)
            if results[field].outcome is not Outcome.CONFIRMED:
                stopped = f"{field} before it is not confirmed ({results[field].reason})"
        return results

    async def _obeyed(self, bus: Bus, order: Order, before: PumpState) -> tuple[WriteResult, PumpState]:
        if refusal := self._drive.refusal(order, before):
            return WriteResult(Outcome.REJECTED, refusal), before
        try:
            said = await self._drive.command(bus, order, before)
        except FAILURES as error:
            said = f"{error} to the command"
        state = before
        for _ in range(READBACKS):
            try:
                state = await self._drive.state(bus)
            except FAILURES as error:
                return WriteResult(Outcome.UNKNOWN, f"sent, and {error} to the read-back"), before
            if order.shown_by(state):
                return WriteResult(Outcome.CONFIRMED), state
            await asyncio.sleep(READBACK_S)
        return _unproven(order, before, state, said), state

    def _order(self, field: PumpField, value: float) -> Order:
        """ValueError for a value that cannot be sent."""
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a number that can be written")
        if field in (PumpField.SPEED, PumpField.FLOW):
            return Order(PumpField.SPEED, self._rpm(field, value))
        if value not in (0.0, 1.0):
            raise ValueError(f"{value:g} is neither 0 nor 1")
        return Order(field, value == 1.0)

    def _rpm(self, field: PumpField, value: float) -> Decimal:
        rpm = Decimal(repr(value)) / self._units.get(field, Decimal(1))
        lowest, highest = self._drive.lowest_rpm, Decimal(repr(self._spec.max_rpm))
        if not 0 <= rpm <= highest:
            raise ValueError(f"{value:g} is {rpm:.2f} rpm: this pump has 0 to {highest} rpm")
        rounded = rpm.quantize(self._drive.resolution_rpm)
        if not lowest <= rounded <= highest:
            raise ValueError(f"{value:g} is {rpm:.4f} rpm, which this pump can not be set to; stop it by running = 0")
        return abs(rounded)  # of -0.0 the sign would go into the telegram

    def _readings(self, state: PumpState, speed_quality: int) -> dict[str, Reading]:
        told: dict[PumpField, tuple[Decimal | bool | int | None, int]] = {
            PumpField.SPEED: (state.rpm, speed_quality),
            PumpField.RUNNING: (state.running, state.quality),
            PumpField.DIRECTION: (None if state.clockwise is None else not state.clockwise, state.quality),
            PumpField.REMOTE: (state.remote, GOOD),
            PumpField.STATE: (state.code, GOOD),
        }
        if state.rpm is not None and PumpField.FLOW in self._units:
            told[PumpField.FLOW] = state.rpm * self._units[PumpField.FLOW], speed_quality
        elif PumpField.FLOW in self._units:
            told[PumpField.FLOW] = None, speed_quality
        return {field: _reading(value, quality) for field, (value, quality) in told.items()}


def _reading(value: Decimal | bool | int | None, quality: int) -> Reading:
    if value is None or is_bad(quality):
        return math.nan, quality if is_bad(quality) else BAD_OUT_OF_SERVICE
    return float(value), quality


def _unproven(order: Order, before: PumpState, state: PumpState, said: str | None) -> WriteResult:
    """What to make of a pump that does not say what it was told to."""
    kept = order.of(state) == order.of(before)
    words = f"the pump says {_shown(order.of(state))}, not {_shown(order.target)}"
    if said == "":
        return WriteResult(Outcome.UNKNOWN, f"acknowledged, but {words}")
    reason = f"{said}; {words}" if said else words
    return WriteResult(Outcome.REJECTED if kept else Outcome.UNKNOWN, reason)


def _shown(value: Decimal | bool | None) -> str:
    return "nothing" if value is None else str(int(value)) if isinstance(value, bool) else f"{value} rpm"


def _rank(field: str, value: float) -> int:
    """The place of an order among several: a pump is taken over and stopped first, and started last."""
    first = field == PumpField.REMOTE if value == 1.0 else field == PumpField.RUNNING
    last = field == PumpField.RUNNING if value == 1.0 else field == PumpField.REMOTE
    return -1 if first else 1 if last else 0
