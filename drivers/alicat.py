"""Alicat mass flow controllers (standard devices: MC, MCS, MCR and their kin), up to 26 on one line.

On connect the driver only asks: serial number, firmware, ranges and units, where the setpoint comes from. It never
tares, never chooses a gas, never resets a total and never sends the old form of a setpoint (a letter and figures). The
gas stands in every answer and is compared with the one of the plant file each time; it is not asked for by the command
``G``, which would choose one.

Of controllers that save each setpoint in their non-volatile memory (``LSS S``) the driver takes no setpoints, unless
``saved_setpoint`` says that this is wanted. These controllers have no watchdog: the flow runs on when nobody speaks to
them.

The maintained libraries are not used. ``alicat`` (0.9) throws the status words for over-range away, guesses the layout
of an answer from its length, reads the serial port in the event loop, and reconnects by itself; ``alicatlib`` (0.3)
brings its own serial handling (anyio), where ours has to share, capture and time the line.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from drivers import alicat_telegram as telegram
from drivers.alicat_telegram import DataFrame, Statistic
from drivers.driver import BoundPoint, Model, Outcome, WriteResult
from drivers.framing import CR_LINES
from drivers.multidrop import (
    FAILURES,
    Bus,
    MisfitError,
    MultidropDriver,
    MultidropOptions,
    Reading,
    Station,
)
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DEVICE_FAILURE,
    GOOD,
    GOOD_LOCAL_OVERRIDE,
    UNCERTAIN_RANGE_EXCEEDED,
    UNCERTAIN_SENSOR_NOT_ACCURATE,
    is_bad,
    worst,
)

LSS_SINCE: Final = (10, 5)
"""Firmware from which on the source of the setpoint can be asked for."""
READS_A_CHECK: Final = 20
"""After how many readings ranges, units and the setpoint's source are asked for again: no data frame tells them."""


class GasField(StrEnum):
    """What a controller tells."""

    MASS_FLOW = "mass_flow"
    """In standard (or normal) volume, as the controller is set."""
    VOLUMETRIC_FLOW = "volumetric_flow"
    PRESSURE = "pressure"
    """Absolute."""
    TEMPERATURE = "temperature"
    SETPOINT = "setpoint"
    """Of the mass flow."""
    TOTAL = "total"
    """Of the totaliser, in the volume of the mass flow."""
    HELD = "held"
    """1 while the valve is held or open by itself and does not follow the setpoint."""
    LOCKED = "locked"
    """1 while the buttons at the controller are locked."""


_FLOWS: Final = {
    **{label: {"mL/min": 1.0, "L/min": 1e-3} for label in ("SCCM", "NCCM", "CCM")},
    **{label: {"mL/min": 1e3, "L/min": 1.0} for label in ("SLPM", "NLPM", "LPM")},
}
_PSI: Final = {"psi": 1.0, "kPa": 6.894757293168, "bar": 0.06894757293168, "mbar": 68.94757293168}
_UNITS: Final[Mapping[Statistic, Mapping[str, Mapping[str, float]]]] = {
    Statistic.MASS_FLOW: _FLOWS,
    Statistic.VOLUMETRIC_FLOW: _FLOWS,
    Statistic.PRESSURE: {
        "PSIA": _PSI,
        "kPaA": {unit: factor / _PSI["kPa"] for unit, factor in _PSI.items()},
        "barA": {unit: factor / _PSI["bar"] for unit, factor in _PSI.items()},
    },
    Statistic.TEMPERATURE: {"`C": {"degC": 1.0}},
}
"""By label of the controller's unit: units that a tag may have, and how many of them are one of the controller's."""
_STATISTICS: Final = {
    GasField.MASS_FLOW: Statistic.MASS_FLOW,
    GasField.SETPOINT: Statistic.MASS_FLOW,
    GasField.TOTAL: Statistic.MASS_FLOW,
    GasField.VOLUMETRIC_FLOW: Statistic.VOLUMETRIC_FLOW,
    GasField.PRESSURE: Statistic.PRESSURE,
    GasField.TEMPERATURE: Statistic.TEMPERATURE,
}
_PER_MINUTE: Final = {"mL": "mL/min", "L": "L/min"}
"""A total is in the volume of the flow."""
_FLOW_FIELDS: Final = (GasField.MASS_FLOW, GasField.VOLUMETRIC_FLOW)
_WORDS: Final[Mapping[str, tuple[int, tuple[GasField, ...]]]] = {
    "MOV": (UNCERTAIN_RANGE_EXCEEDED, (GasField.MASS_FLOW,)),
    "VOV": (UNCERTAIN_RANGE_EXCEEDED, (GasField.VOLUMETRIC_FLOW,)),
    "POV": (UNCERTAIN_RANGE_EXCEEDED, (GasField.PRESSURE,)),
    "P2O": (UNCERTAIN_SENSOR_NOT_ACCURATE, (GasField.PRESSURE,)),
    "TOV": (UNCERTAIN_RANGE_EXCEEDED, (GasField.TEMPERATURE,)),
    "TMF": (UNCERTAIN_SENSOR_NOT_ACCURATE, (GasField.TOTAL,)),
    "OVR": (UNCERTAIN_RANGE_EXCEEDED, (GasField.TOTAL,)),
    "HLD": (GOOD_LOCAL_OVERRIDE, (GasField.SETPOINT,)),
    "EXH": (GOOD_LOCAL_OVERRIDE, (GasField.SETPOINT,)),
    "GTA": (GOOD_LOCAL_OVERRIDE, (GasField.SETPOINT,)),
    "ADC": (BAD_DEVICE_FAILURE, tuple(_STATISTICS)),
}
"""What a status word makes of which readings; OPL, COM and LCK make nothing of them."""
_HELD: Final = frozenset(("HLD", "EXH", "GTA"))


class GasController(Model):
    """One controller, and what must be set in it."""

    gas: Annotated[str, StringConstraints(min_length=1)]
    """Its gas by the name that it shows, such as ``N2``; another one is refused."""
    full_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Its range, in ``unit``; another one is refused."""
    unit: Literal["SCCM", "SLPM", "NCCM", "NLPM"]
    """The unit of its mass flow, as the controller is set; another one is refused."""
    serial_number: str | None = None
    totaliser: bool = False
    """Whether a total stands in its answers (an option of the controller)."""
    saved_setpoint: bool = False
    """Whether setpoints may be written that the controller saves at every change, which wears its memory."""


Letter = Annotated[str, StringConstraints(pattern="^[A-Z]$")]


class AlicatOptions(MultidropOptions):
    """A line with its controllers by letter."""

    baudrate: Annotated[int, Field(gt=0)] = 19200
    controllers: Annotated[dict[Letter, GasController], Field(min_length=1)]


class AlicatPoint(Model):
    """What of which controller a tag is."""

    address: Letter = "A"
    field: GasField
    writable: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.writable and self.field is not GasField.SETPOINT:
            raise ValueError(f"{self.field} cannot be written: only setpoint can")
        return self


class GasStation:
    """A controller at its letter (see :class:`drivers.multidrop.Station`)."""

    def __init__(self, letter: str, spec: GasController) -> None:
        self._letter = letter
        self._spec = spec
        self._tag_units: dict[GasField, str] = {}
        self._factors: dict[GasField, float] = {}
        self._firmware: tuple[int, int] | None = None
        self._source: str | None = None
        self._last: DataFrame | None = None
        self._reads = 0

    def bind(self, device: str, bound: BoundPoint, field: str) -> None:
        """Take a tag; ValueError when its field is not there, or cannot be in its unit."""
        field = GasField(field)
        where = f"device {device}, tag {bound.tag.name}"
        if field is GasField.TOTAL and not self._spec.totaliser:
            raise ValueError(f"{where}: controller {self._letter} has no totaliser in the options")
        if field not in _STATISTICS:
            return
        unit = self._tag_units.setdefault(field, bound.tag.unit)
        if unit != bound.tag.unit:
            raise ValueError(f"{where}: all {field} tags of a controller have the same unit")
        known = {unit for units in _UNITS[_STATISTICS[field]].values() for unit in units}
        if field is GasField.TOTAL:
            known = set(_PER_MINUTE)
        if unit not in known:
            raise ValueError(f"{where}: a {field.replace('_', ' ')} is in {', '.join(sorted(known))}, not {unit!r}")

    async def identify(self, bus: Bus) -> str:
        """Ask who it is, and in which ranges and units it tells what the plant has tags for."""
        self._last = None
        serial = await self._serial_number(bus)
        if self._spec.serial_number not in (None, serial):
            raise MisfitError(f"its serial number is {serial or 'not told'}, not {self._spec.serial_number}")
        self._firmware = telegram.parse_firmware(await self._ask(bus, telegram.ask_firmware(self._letter)))
        await self._check(bus)
        frame = self._last = await self._frame(bus)
        if frame.gas != self._spec.gas:
            raise MisfitError(f"its gas is {frame.gas}, not {self._spec.gas}")
        words = f"serial number {serial}" if serial else "serial number not told"
        return f"{words}, {frame.gas}, setpoint from {telegram.SOURCES.get(self._source or '', 'a source not told')}"

    async def read(self, bus: Bus) -> Mapping[str, Reading]:
        """Its readings. A setpoint that is another than before counts when it is told twice: there is no check sum."""
        before, frame = self._last, await self._frame(bus)
        self._reads += 1
        if self._reads % READS_A_CHECK == 0 or (before is not None and _decimals(before) != _decimals(frame)):
            await self._check(bus)
        if before is None or frame.setpoint != before.setpoint:
            again = await self._frame(bus)
            if again.setpoint != frame.setpoint:
                raise bus.unreadable("two answers with different setpoints")
            frame = again
        self._last = frame
        return self._readings(frame)

    def mistake(self, values: Mapping[str, float]) -> tuple[str, str] | None:
        """See :class:`drivers.multidrop.Station`."""
        value = values[GasField.SETPOINT]
        if not math.isfinite(value):
            return GasField.SETPOINT, f"{value} is not a number that can be written"
        factor = self._factors.get(GasField.SETPOINT)
        if factor is not None and not 0 <= value / factor <= self._spec.full_scale * (1 + 1e-9):
            highest = self._spec.full_scale * factor
            return GasField.SETPOINT, f"{value:g} is beyond 0 to {highest:g}, the range of controller {self._letter}"
        return None

    def is_urgent(self, values: Mapping[str, float]) -> bool:
        """Nothing is: a setpoint is sent only to the right controller with the right gas."""
        return False

    async def write(self, bus: Bus, values: Mapping[str, float]) -> Mapping[str, WriteResult]:
        """Send the setpoint, and see that the controller has it."""
        result = await self._written(bus, values[GasField.SETPOINT] / self._factors[GasField.SETPOINT])
        return {GasField.SETPOINT: result}

    async def _written(self, bus: Bus, value: float) -> WriteResult:
        before = self._last
        if before is None:
            return WriteResult(Outcome.REJECTED, "not sent: the controller has not been read yet")
        if refusal := self._refusal(before):
            return WriteResult(Outcome.REJECTED, refusal)
        exponent = before.setpoint.as_tuple().exponent
        wanted = Decimal(repr(value)).quantize(Decimal(1).scaleb(int(exponent)))
        try:
            answer = await self._ask(bus, telegram.set_setpoint(self._letter, wanted))
            refused = telegram.is_refusal(answer)
            after = self._last = await self._frame(bus)
        except FAILURES as error:
            return WriteResult(Outcome.UNKNOWN, f"sent, and {error}")
        words = f"its setpoint is {after.setpoint}, not {wanted}"
        if refused and after.setpoint == before.setpoint:
            return WriteResult(Outcome.REJECTED, "the controller refused (?)")
        return WriteResult(Outcome.CONFIRMED) if after.setpoint == wanted else WriteResult(Outcome.UNKNOWN, words)

    def _refusal(self, frame: DataFrame) -> str:
        if frame.gas != self._spec.gas:
            return f"its gas is {frame.gas}, not {self._spec.gas}"
        if self._source == "A":
            return "its setpoint comes from the analog input"
        if self._source != "U" and not self._spec.saved_setpoint:
            known = "saves" if self._source == "S" else "may save"
            return f"it {known} each setpoint in its memory, which wears out: send LSS U once, or set saved_setpoint"
        return ""

    async def _check(self, bus: Bus) -> None:
        """Ask for what somebody may have changed at the controller, and no data frame tells."""
        for statistic in sorted({Statistic.MASS_FLOW} | {_STATISTICS[field] for field in self._tag_units}):
            self._take_unit(statistic, await self._full_scale(bus, statistic))
        self._source = await self._setpoint_source(bus)

    async def _serial_number(self, bus: Bus) -> str | None:
        """Asked first of all: its answer cannot be mistaken for any other, and brings the line into step."""
        asked = telegram.ask_serial_number(self._letter)
        answer = await bus.ask(asked, CR_LINES, lambda got: not telegram.is_identity(got, self._letter))
        return telegram.parse_serial_number(answer)

    async def _ask(self, bus: Bus, data: bytes) -> bytes:
        if not bus.in_step:
            await self._serial_number(bus)
        return await bus.ask(data, CR_LINES, lambda got: not telegram.answers(got, self._letter, data))

    async def _frame(self, bus: Bus) -> DataFrame:
        line = await self._ask(bus, telegram.ask_frame(self._letter))
        frame = telegram.parse_frame(line, totaliser=self._spec.totaliser)
        if frame is None or frame.unit != self._letter:
            raise bus.unreadable("unreadable data frame")
        return frame

    async def _full_scale(self, bus: Bus, statistic: Statistic) -> telegram.FullScale:
        answer = await self._ask(bus, telegram.ask_full_scale(self._letter, statistic))
        if telegram.is_refusal(answer):
            raise MisfitError("it does not tell its ranges and units (firmware before 6v00, or no standard device)")
        told = telegram.parse_full_scale(answer)
        if told is None:
            raise bus.unreadable("unreadable full scale")
        return told

    async def _setpoint_source(self, bus: Bus) -> str | None:
        if self._firmware is None or self._firmware < LSS_SINCE:
            return None
        return telegram.parse_setpoint_source(await self._ask(bus, telegram.ask_setpoint_source(self._letter)))

    def _take_unit(self, statistic: Statistic, told: telegram.FullScale) -> None:
        if statistic is Statistic.MASS_FLOW:
            expected = f"{self._spec.full_scale:g} {self._spec.unit}"
            if told.label != self._spec.unit or not math.isclose(float(told.value), self._spec.full_scale):
                raise MisfitError(f"its range is {float(told.value):g} {told.label}, not {expected}")
        units = _UNITS[statistic].get(told.label, {})
        for field, unit in self._tag_units.items():
            if _STATISTICS[field] is not statistic:
                continue
            factor = units.get(_PER_MINUTE.get(unit, unit))
            if factor is None:
                raise MisfitError(f"it tells its {field.replace('_', ' ')} in {told.label}")
            self._factors[field] = factor

    def _readings(self, frame: DataFrame) -> dict[str, Reading]:
        told: dict[GasField, Decimal | None] = {
            GasField.MASS_FLOW: frame.mass_flow,
            GasField.VOLUMETRIC_FLOW: frame.volumetric_flow,
            GasField.PRESSURE: frame.pressure,
            GasField.TEMPERATURE: frame.temperature,
            GasField.SETPOINT: frame.setpoint,
            GasField.TOTAL: frame.total,
        }
        readings: dict[str, Reading] = {
            field: self._reading(field, value, frame)
            for field, value in told.items()
            if value is not None and field in self._factors
        }
        readings[GasField.HELD] = float(bool(frame.words & _HELD)), GOOD
        readings[GasField.LOCKED] = float("LCK" in frame.words), GOOD
        return readings

    def _reading(self, field: GasField, value: Decimal, frame: DataFrame) -> Reading:
        quality = worst(how for word, (how, fields) in _WORDS.items() if word in frame.words and field in fields)
        if frame.gas != self._spec.gas and field in (*_FLOW_FIELDS, GasField.SETPOINT, GasField.TOTAL):
            quality = BAD_CONFIGURATION
        return (math.nan, quality) if is_bad(quality) else (float(value) * self._factors[field] + 0.0, quality)


def _decimals(frame: DataFrame) -> tuple[object, ...]:
    numbers = (frame.pressure, frame.temperature, frame.volumetric_flow, frame.mass_flow)
    return tuple(number.as_tuple().exponent for number in numbers)


class AlicatDriver(MultidropDriver[AlicatOptions, AlicatPoint]):
    """Controllers on one line (see :class:`drivers.driver.Driver`).

    ValueError for a tag whose unit its field cannot have, and for a total of a controller without totaliser.
    """

    options_model: ClassVar[type[Model]] = AlicatOptions
    point_model: ClassVar[type[Model]] = AlicatPoint
    silence_s = 0.005
    """A controller waits for 3.5 characters of silence (2 ms) after each command."""

    def _stations(self) -> Mapping[Hashable, Station]:
        return {letter: GasStation(letter, spec) for letter, spec in self._options.controllers.items()}

    def _place(self, position: int) -> tuple[Hashable, str]:
        point = self._points[position]
        return point.address, point.field
