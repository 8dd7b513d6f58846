"""Quality of a reading as OPC UA status codes (OPC 10000-4, 7.39; OPC 10000-8, Annex A) and NAMUR NE 107 states.

A code is a uint32: the two top bits are the severity, the next fourteen the reason. Good, Uncertain and Bad order as
numbers do, so the worst of several is their maximum.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

QualityArray = npt.NDArray[np.uint32]

GOOD: Final = 0x0000_0000
GOOD_LOCAL_OVERRIDE: Final = 0x0096_0000
# Not in the OPC UA table: a weight in motion is right, only not at rest (MT-SICS "S D"). Northbound it is plain Good.
GOOD_DYNAMIC: Final = 0x00F0_0000

UNCERTAIN: Final = 0x4000_0000
UNCERTAIN_INITIAL: Final = 0x4092_0000
UNCERTAIN_SENSOR_NOT_ACCURATE: Final = 0x4093_0000
UNCERTAIN_RANGE_EXCEEDED: Final = 0x4094_0000
UNCERTAIN_SUBSTITUTE: Final = 0x4091_0000

BAD: Final = 0x8000_0000
BAD_INTERNAL: Final = 0x8002_0000
BAD_DECODING: Final = 0x8007_0000
BAD_TIMEOUT: Final = 0x800A_0000
BAD_CONFIGURATION: Final = 0x8089_0000
BAD_NOT_CONNECTED: Final = 0x808A_0000
BAD_DEVICE_FAILURE: Final = 0x808B_0000
BAD_SENSOR_FAILURE: Final = 0x808C_0000
BAD_OUT_OF_SERVICE: Final = 0x808D_0000
BAD_WAITING_FOR_INITIAL: Final = 0x8032_0000
BAD_NO_COMMUNICATION: Final = 0x8031_0000
BAD_STALE: Final = 0x80A0_0000  # Not in the OPC UA table: no fresh reading within scan plus time-out.
BAD_OUT_OF_RANGE: Final = 0x803C_0000

_REASONS: Final[dict[int, str]] = {
    GOOD: "good",
    GOOD_LOCAL_OVERRIDE: "forced by hand",
    GOOD_DYNAMIC: "in motion",
    UNCERTAIN: "uncertain",
    UNCERTAIN_INITIAL: "not yet settled",
    UNCERTAIN_SENSOR_NOT_ACCURATE: "sensor not accurate",
    UNCERTAIN_RANGE_EXCEEDED: "outside the instrument's range",
    UNCERTAIN_SUBSTITUTE: "substituted value",
    BAD: "bad",
    BAD_INTERNAL: "internal error",
    BAD_DECODING: "unreadable reply",
    BAD_TIMEOUT: "no answer in time",
    BAD_CONFIGURATION: "wrong configuration",
    BAD_NOT_CONNECTED: "not connected",
    BAD_DEVICE_FAILURE: "device failure",
    BAD_SENSOR_FAILURE: "sensor failure",
    BAD_OUT_OF_SERVICE: "out of service",
    BAD_WAITING_FOR_INITIAL: "no reading yet",
    BAD_NO_COMMUNICATION: "no communication",
    BAD_STALE: "stale",
    BAD_OUT_OF_RANGE: "outside the tag's range",
}

_SEVERITY_MASK: Final = 0xC000_0000


class Severity(StrEnum):
    """The three severities that a person sees."""

    GOOD = "Good"
    UNCERTAIN = "Uncertain"
    BAD = "Bad"


class Ne107(StrEnum):
    """Device states after NAMUR NE 107."""

    NORMAL = "normal"
    FAILURE = "failure"
    FUNCTION_CHECK = "function check"
    OUT_OF_SPECIFICATION = "out of specification"
    MAINTENANCE_REQUIRED = "maintenance required"


def severity(code: int) -> Severity:
    """Severity of one status code; the reserved bit pattern 11 counts as Bad."""
    if code >= BAD:
        return Severity.BAD
    return Severity.UNCERTAIN if code & _SEVERITY_MASK else Severity.GOOD


def is_good(code: int) -> bool:
    """Whether the code is Good, with or without a sub-status."""
    return code < UNCERTAIN


def is_bad(code: int) -> bool:
    """Whether the value behind the code must not be used."""
    return code >= BAD


def reason(code: int) -> str:
    """The sub-status in words, for operators; an unknown one is given as its hexadecimal code."""
    known = _REASONS.get(code & 0xFFFF_0000)
    return known if known is not None else f"status 0x{code:08X}"


def text(code: int) -> str:
    """Severity and reason as one short text, such as ``Bad: not connected``."""
    if code == GOOD:
        return Severity.GOOD.value
    words, why = severity(code).value, reason(code)
    return words if why == words.lower() else f"{words}: {why}"


def worst(codes: Iterable[int]) -> int:
    """The worst of several codes (the highest number); Good when there is none."""
    return max(codes, default=GOOD)


def ne107(code: int) -> Ne107:
    """The NE 107 state that a status code stands for."""
    if code & 0xFFFF_0000 in (GOOD_LOCAL_OVERRIDE, UNCERTAIN_SUBSTITUTE, BAD_OUT_OF_SERVICE):
        return Ne107.FUNCTION_CHECK
    return {
        Severity.GOOD: Ne107.NORMAL,
        Severity.UNCERTAIN: Ne107.OUT_OF_SPECIFICATION,
        Severity.BAD: Ne107.FAILURE,
    }[severity(code)]


def good_mask(codes: QualityArray) -> npt.NDArray[np.bool_]:
    """Which of an array of codes are Good."""
    return codes < UNCERTAIN
