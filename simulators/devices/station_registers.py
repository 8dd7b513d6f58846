"""The register tables of the simulated gas and pump station, as docs/reference/simulated-station.md shows them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from simulators.devices.registers import Form, Register, Setpoint

INPUT: Final = {
    register.name: register
    for register in (
        Register(0, "F_AIR", Form.UINT16, 0.01, "mL/min"),
        Register(1, "F_N2", Form.UINT16, 0.01, "mL/min"),
        Register(2, "F_CO2", Form.UINT16, 0.01, "mL/min"),
        Register(3, "F_O2", Form.UINT16, 0.01, "mL/min"),
        Register(4, "FT_MED", Form.UINT16, 0.01, "mL/min"),
        Register(5, "FT_HARV", Form.UINT16, 0.01, "mL/min"),
        Register(6, "FT_CIRC", Form.UINT16, 0.01, "mL/min"),
        Register(7, "FT_CLAR", Form.UINT16, 0.01, "mL/min"),
        Register(8, "FQ_MED", Form.UINT32_ABCD, 0.01, "mL"),
        Register(10, "FQ_HARV", Form.UINT32_ABCD, 0.01, "mL"),
        Register(12, "FQ_CLAR", Form.UINT32_ABCD, 0.01, "mL"),
        Register(14, "WT_VESSEL", Form.FLOAT32_CDAB, 1.0, "g"),
        Register(16, "WT_MEDX", Form.FLOAT32_CDAB, 1.0, "g"),
        Register(18, "WT_MEDP", Form.FLOAT32_CDAB, 1.0, "g"),
        Register(20, "WT_POOL", Form.FLOAT32_CDAB, 1.0, "g"),
        Register(22, "WT_CLAR", Form.FLOAT32_CDAB, 1.0, "g"),
        Register(24, "PT_FILT", Form.INT16, 0.01, "psig"),
        Register(25, "FILT_BP", Form.INT16, 0.01, "psig"),
        Register(26, "FILT_STATE"),
        Register(27, "STATUS"),
        Register(28, "TRIPS"),
        Register(29, "ST_STARTS"),
        Register(30, "ST_WD_LEFT", Form.UINT16, 0.1, "s"),
        Register(31, "MED_FROM_ACT"),
        Register(32, "HARV_TO_ACT"),
        Register(33, "HEARTBEAT_ECHO"),
    )
}
INPUT_WORDS: Final = 34

STATUS_REMOTE: Final = 1
STATUS_WD_OK: Final = 2
STATUS_TRIP: Final = 4
STATUS_SAFE: Final = 8
STATUS_CIRC_RUN: Final = 16
STATUS_LINK: Final = 32
TRIP_WATCHDOG: Final = 1


class FilterState(IntEnum):
    """What the filter's integrity test does."""

    IDLE = 0
    TESTING = 1
    DONE = 2


class Holding(IntEnum):
    """Addresses of the holding registers."""

    HEARTBEAT = 0
    WATCHDOG = 1
    MED_SP = 2
    HARV_SP = 3
    CLAR_SP = 4
    CIRC_SP = 5
    MED_FROM = 6
    HARV_TO = 7
    FQ_MED_STOP_HIGH = 8
    FQ_MED_STOP_LOW = 9
    FQ_HARV_STOP_HIGH = 10
    FQ_HARV_STOP_LOW = 11
    FQ_CLAR_STOP_HIGH = 12
    FQ_CLAR_STOP_LOW = 13
    FILT_TEST = 14
    ST_TRIP_RESET = 15


CIRC_BASE: Final = 2000
"""Circulation in the safe state, raw: 20 mL/min keeps cells in fibres supplied."""

HOLDING: Final = {
    Holding.HEARTBEAT: Setpoint(0, 0xFFFF, 0),
    Holding.WATCHDOG: Setpoint(10, 0xFFFF, 600, scale=0.1, unit="s"),
    Holding.MED_SP: Setpoint(0, 50000, 0, safe=0, scale=0.01, unit="mL/min"),
    Holding.HARV_SP: Setpoint(0, 50000, 0, safe=0, scale=0.01, unit="mL/min"),
    Holding.CLAR_SP: Setpoint(0, 50000, 0, safe=0, scale=0.01, unit="mL/min"),
    Holding.CIRC_SP: Setpoint(0, 40000, 0, scale=0.01, unit="mL/min"),
    Holding.MED_FROM: Setpoint(0, 2, 0, safe=0),
    Holding.HARV_TO: Setpoint(0, 2, 0, safe=0),
    Holding.FQ_MED_STOP_HIGH: Setpoint(0, 0xFFFF, 0),
    Holding.FQ_MED_STOP_LOW: Setpoint(0, 0xFFFF, 0),
    Holding.FQ_HARV_STOP_HIGH: Setpoint(0, 0xFFFF, 0),
    Holding.FQ_HARV_STOP_LOW: Setpoint(0, 0xFFFF, 0),
    Holding.FQ_CLAR_STOP_HIGH: Setpoint(0, 0xFFFF, 0),
    Holding.FQ_CLAR_STOP_LOW: Setpoint(0, 0xFFFF, 0),
    Holding.FILT_TEST: Setpoint(0, 1, 0, safe=0),
    Holding.ST_TRIP_RESET: Setpoint(0, 1, 0),
}
DEFAULTS: Final = [HOLDING[address].default for address in Holding]

STOPS: Final = {
    "MED": Register(Holding.FQ_MED_STOP_HIGH, "FQ_MED_STOP", Form.UINT32_ABCD, 0.01, "mL"),
    "HARV": Register(Holding.FQ_HARV_STOP_HIGH, "FQ_HARV_STOP", Form.UINT32_ABCD, 0.01, "mL"),
    "CLAR": Register(Holding.FQ_CLAR_STOP_HIGH, "FQ_CLAR_STOP", Form.UINT32_ABCD, 0.01, "mL"),
}
"""Where each pump's totaliser stop lies."""
SETPOINTS: Final = {
    "MED": Holding.MED_SP,
    "HARV": Holding.HARV_SP,
    "CLAR": Holding.CLAR_SP,
    "CIRC": Holding.CIRC_SP,
}
"""The register of each pump's flow."""
