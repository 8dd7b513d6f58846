"""The register tables of the simulated skid, as docs/reference/simulated-skid.md shows them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from simulators.devices.registers import Form, Register, Setpoint

INPUT: Final = {
    register.name: register
    for register in (
        Register(0, "PT_FEED", Form.INT16, 0.01, "psig"),
        Register(1, "PT_RET", Form.INT16, 0.01, "psig"),
        Register(2, "PT_PERM", Form.INT16, 0.01, "psig"),
        Register(3, "FT_FEED", Form.UINT16, 0.1, "mL/min"),
        Register(4, "FT_PERM", Form.UINT16, 0.01, "mL/min"),
        Register(5, "FT_IN", Form.UINT16, 0.1, "mL/min"),
        Register(6, "CT", Form.FLOAT32_CDAB, 1.0, "mS/cm"),
        Register(8, "TT", Form.INT16, 0.01, "degC"),
        Register(9, "LT", Form.UINT16, 0.01, "%v/v"),
        Register(10, "P101_SPEED", Form.UINT16, 0.1, "rpm"),
        Register(11, "PCV101_POS", Form.UINT16, 0.01, "%open"),
        Register(12, "STATUS"),
        Register(13, "TRIPS"),
        Register(14, "FQ_IN", Form.UINT32_ABCD, 0.01, "mL"),
        Register(16, "HEARTBEAT_ECHO"),
        Register(17, "STARTS"),
        Register(18, "WATCHDOG_LEFT", Form.UINT16, 0.1, "s"),
        Register(19, "INLET_ACTUAL"),
        Register(20, "OUTLET_ACTUAL"),
    )
}
INPUT_WORDS: Final = 21


STATUS_P101: Final = 1
STATUS_P102: Final = 2
STATUS_REMOTE: Final = 4
STATUS_FED: Final = 8
STATUS_TRIP: Final = 16
STATUS_SAFE: Final = 32
TRIP_PRESSURE: Final = 1
TRIP_LEVEL: Final = 2
TRIP_WATCHDOG: Final = 4


class Holding(IntEnum):
    """Addresses of the holding registers."""

    HEARTBEAT = 0
    WATCHDOG = 1
    P101 = 2
    P102 = 3
    PCV101 = 4
    INLET = 5
    OUTLET = 6
    FQ_STOP_HIGH = 7
    FQ_STOP_LOW = 8
    TRIP_LIMIT = 9
    COMMAND = 10


HOLDING: Final = {
    Holding.HEARTBEAT: Setpoint(0, 0xFFFF, 0),
    Holding.WATCHDOG: Setpoint(10, 6000, 100, scale=0.1, unit="s"),
    Holding.P101: Setpoint(0, 30000, 0, safe=0, scale=0.1, unit="mL/min"),
    Holding.P102: Setpoint(0, 10000, 0, safe=0, scale=0.1, unit="mL/min"),
    Holding.PCV101: Setpoint(0, 10000, 10000, safe=10000, scale=0.01, unit="%open"),
    Holding.INLET: Setpoint(0, 5, 0, safe=0),
    Holding.OUTLET: Setpoint(0, 2, 0, safe=0),
    Holding.FQ_STOP_HIGH: Setpoint(0, 0xFFFF, 0),
    Holding.FQ_STOP_LOW: Setpoint(0, 0xFFFF, 0),
    Holding.TRIP_LIMIT: Setpoint(100, 4000, 3000, scale=0.01, unit="psig"),
    Holding.COMMAND: Setpoint(0, 1, 0),
}
DEFAULTS: Final = [HOLDING[address].default for address in Holding]
FQ_STOP: Final = Register(7, "FQ_IN_STOP", Form.UINT32_ABCD, 0.01, "mL")
