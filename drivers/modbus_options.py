"""Options of Modbus devices: of one over TCP, of those on a serial line, and of each unit."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.driver import Model
from drivers.serial_options import SerialOptions

UnitId = Annotated[int, Field(ge=0, le=255)]


class Watchdog(Model):
    """A holding register with the time after which the controller goes to its safe state unless it is fed."""

    address: Annotated[int, Field(ge=0, le=65535)]
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Seconds per count."""
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Seconds of process time."""

    @model_validator(mode="after")
    def _fits_a_register(self) -> Self:
        if not 1 <= self.seconds / self.scale <= 65535:
            raise ValueError("seconds / scale must lie between 1 and 65535: the time goes into one register")
        return self

    @property
    def raw(self) -> int:
        """What the register should hold."""
        return round(self.seconds / self.scale)


class UnitOptions(Model):
    """How one unit is looked after."""

    heartbeat: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Holding register (uint16) of which any change feeds the controller's watchdog."""
    watchdog: Watchdog | None = None
    """Watchdog time that is written on every connect, when the controller does not have it already."""
    start_counter: str | None = None
    """Tag that goes up at each start of the controller."""


class LineOptions(UnitOptions):
    """What all Modbus devices have; the options of a unit are those of ``unit_id``."""

    unit_id: UnitId = 1
    """The unit of points that name none."""
    units: dict[UnitId, UnitOptions] | None = None
    """Other units on the same line, or behind the same gateway."""
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Real seconds within which a scan must end."""
    unit_timeout_s: Annotated[float, Field(gt=0, le=10)] | None = None
    """Real seconds within which every answer must come; half of ``timeout_s`` with several units, else all of it."""
    max_registers: Annotated[int, Field(ge=4, le=125)] = 125
    """Most registers in one request."""
    max_bits: Annotated[int, Field(ge=1, le=2000)] = 2000
    """Most coils or discrete inputs in one read."""
    max_gap: Annotated[int, Field(ge=0, le=120)] = 0
    """Addresses without a tag that one read may pass over, on devices that allow them to be read."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.unit_timeout_s is not None and self.unit_timeout_s > self.timeout_s:
            raise ValueError("unit_timeout_s is longer than timeout_s")
        if self.unit_id in (self.units or ()):
            raise ValueError(f"unit {self.unit_id} is the device's own: its options go beside unit_id")
        return self

    def of_unit(self, unit: int) -> UnitOptions:
        """The options of one unit."""
        return self if unit == self.unit_id else (self.units or {}).get(unit) or UnitOptions()

    def guarding(self, point: Model) -> UnitOptions:
        """The options of the unit that a point lives in, whose watchdog guards it."""
        unit = getattr(point, "unit_id", None)
        return self.of_unit(self.unit_id if unit is None else unit)

    def answer_s(self, units: int) -> float:
        """Real seconds within which every answer must come, with so many units."""
        return self.unit_timeout_s or (self.timeout_s / 2 if units > 1 else self.timeout_s)


class ModbusOptions(LineOptions):
    """A Modbus TCP device, or a gateway to several."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 502


class ModbusRtuOptions(LineOptions, SerialOptions):
    """Devices on a serial line (Modbus over Serial Line V1.02: 19200 baud, even parity)."""

    baudrate: Annotated[int, Field(gt=0)] = 19200
    bytesize: Literal[8] = 8
    parity: Literal["N", "E", "O"] = "E"
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Real seconds within which a scan must end."""
