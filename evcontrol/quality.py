"""Quality of a reading as OPC UA status codes (OPC 10000-4, 7.39; OPC 10000-8, Annex A) and NAMUR NE 107 states.

A code is a uint32: the two top bits are the severity, the next fourteen the reason. Good, Uncertain and Bad order as
numbers do, so the worst of several is their maximum.

Reasons that OPC UA does not have lie in a block of their own, of which its table uses none; :func:`opc_ua` gives the
code of the table that says most of the same.
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
BAD_OUT_OF_RANGE: Final = 0x803C_0000

# Not in the OPC UA table: no fresh reading within scan plus time-out, and what the plant's sensor checks find.
BAD_STALE: Final = 0xBF00_0000
UNCERTAIN_FROZEN: Final = 0x7F01_0000
UNCERTAIN_JUMPED: Final = 0x7F02_0000
UNCERTAIN_CONTRADICTED: Final = 0x7F03_0000
UNCERTAIN_IMPLAUSIBLE: Final = 0x7F04_0000
UNCERTAIN_EXPIRED: Final = 0x7F05_0000
BAD_FROZEN: Final = 0xBF01_0000
BAD_JUMPED: Final = 0xBF02_0000
BAD_CONTRADICTED: Final = 0xBF03_0000
BAD_IMPLAUSIBLE: Final = 0xBF04_0000

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
    BAD_OUT_OF_RANGE: "outside the tag's range",
    BAD_STALE: "stale",
    UNCERTAIN_FROZEN: "frozen",
    UNCERTAIN_JUMPED: "jumped",
    UNCERTAIN_CONTRADICTED: "contradicted by another sensor",
    UNCERTAIN_IMPLAUSIBLE: "outside what is plausible",
    UNCERTAIN_EXPIRED: "too old",
    BAD_FROZEN: "frozen",
    BAD_JUMPED: "jumped",
    BAD_CONTRADICTED: "contradicted by another sensor",
    BAD_IMPLAUSIBLE: "outside what is plausible",
    # What else a server may say of a value (OPC 10000-8, 6.3.2 and Annex A; OPC 10000-4, 7.38.2; OPC 10000-6, A.2).
    0x002D_0000: "subscription transferred",
    0x002F_0000: "sampled more slowly: the server is overloaded",
    0x0030_0000: "clamped",
    0x00A7_0000: "communication event",
    0x00A8_0000: "the server shuts down",
    0x00AA_0000: "time-out that is not critical",
    0x00BA_0000: "results may be incomplete",
    0x00DC_0000: "edited",
    0x00E0_0000: "a value that it depends on has changed",
    0x00EB_0000: "fewer good sources than there are",
    0x0401_0000: "cascade: initialised",
    0x0402_0000: "cascade: asks for initialisation",
    0x0403_0000: "cascade: not invited",
    0x0404_0000: "cascade: not selected",
    0x0407_0000: "fault state active",
    0x0408_0000: "fault state asked for",
    0x0409_0000: "cascade",
    0x408F_0000: "no communication, last usable value",
    0x4090_0000: "last usable value",
    0x4095_0000: "too few good sources",
    0x40A4_0000: "too few good values in the average",
    0x40C0_0000: "not all nodes are available",
    0x40DE_0000: "the unit has changed and the value has not",
    0x40E2_0000: "a value that it depends on is not taken over yet",
    0x40F2_0000: "above the allowed range",
    0x40F3_0000: "below the allowed range",
    0x4208_0000: "transducer in manual",
    0x4209_0000: "simulated value",
    0x420A_0000: "calibration fault",
    0x420F_0000: "may be wrongly configured",
    0x8001_0000: "unexpected error",
    0x8003_0000: "the device is out of memory",
    0x8004_0000: "resource not available",
    0x8005_0000: "communication error",
    0x8006_0000: "the server cannot encode the value",
    0x8008_0000: "message beyond the limits",
    0x8009_0000: "unknown response",
    0x800B_0000: "service not supported",
    0x800C_0000: "the server is shutting down",
    0x800D_0000: "server not connected",
    0x800E_0000: "the server has stopped",
    0x8010_0000: "too many operations in one request",
    0x8011_0000: "unknown data type",
    0x8013_0000: "security checks failed",
    0x801A_0000: "certificate not trusted",
    0x801F_0000: "access denied",
    0x8020_0000: "identity token invalid",
    0x8021_0000: "identity token rejected",
    0x8022_0000: "secure channel not valid",
    0x8025_0000: "session not valid",
    0x8026_0000: "session closed",
    0x8027_0000: "session not activated",
    0x8028_0000: "subscription not valid",
    0x8033_0000: "node id not valid",
    0x8034_0000: "no such node",
    0x8035_0000: "no such attribute",
    0x8036_0000: "index range not valid",
    0x8037_0000: "no data in the index range",
    0x8038_0000: "data encoding not valid",
    0x8039_0000: "data encoding not supported",
    0x803A_0000: "not readable",
    0x803B_0000: "not writable",
    0x803D_0000: "not supported",
    0x803E_0000: "not found",
    0x803F_0000: "object deleted",
    0x8040_0000: "not implemented",
    0x8041_0000: "monitoring mode not valid",
    0x8042_0000: "monitored item not valid",
    0x8043_0000: "filter not valid",
    0x8044_0000: "filter not supported",
    0x8045_0000: "filter not allowed",
    0x8056_0000: "too many sessions",
    0x805F_0000: "node is no variable",
    0x806B_0000: "no such view",
    0x8073_0000: "writing is not supported",
    0x8074_0000: "wrong data type",
    0x8077_0000: "too many subscriptions",
    0x8079_0000: "no subscription",
    0x807D_0000: "the server is too busy",
    0x8084_0000: "request interrupted",
    0x8085_0000: "request timed out",
    0x8086_0000: "secure channel closed",
    0x808E_0000: "deadband not valid",
    0x809B_0000: "no data",
    0x809D_0000: "data lost",
    0x809E_0000: "data not available",
    0x80AC_0000: "connection rejected",
    0x80AD_0000: "disconnected by the server",
    0x80AE_0000: "connection closed",
    0x80AF_0000: "not possible in this state",
    0x80B1_0000: "no data available now",
    0x80B2_0000: "waiting for the device's response",
    0x80B3_0000: "operation abandoned",
    0x80B8_0000: "request too large",
    0x80B9_0000: "response too large",
    0x80D6_0000: "no average: its inputs are not valid",
    0x80DB_0000: "too many monitored items",
    0x80E1_0000: "the unit has changed and the device has not",
    0x80E3_0000: "a value that it depends on is not in the device",
    0x80E4_0000: "request not allowed",
    0x80E6_0000: "security mode insufficient",
    0x80E9_0000: "locked by another client",
    0x80EC_0000: "must be locked first",
    0x80EE_0000: "the server has no resources now",
    0x80F0_0000: "no value",
    0x810E_0000: "licence expired",
    0x810F_0000: "licence limits exceeded",
    0x8110_0000: "no licence",
    0x8112_0000: "numeric overflow",
    0x8113_0000: "request not complete",
}

_OPC_UA: Final[dict[int, int]] = {
    GOOD_DYNAMIC: GOOD,
    BAD_STALE: BAD_NO_COMMUNICATION,
    UNCERTAIN_EXPIRED: 0x4090_0000,  # last usable value
    **dict.fromkeys(
        (UNCERTAIN_FROZEN, UNCERTAIN_JUMPED, UNCERTAIN_CONTRADICTED, UNCERTAIN_IMPLAUSIBLE),
        UNCERTAIN_SENSOR_NOT_ACCURATE,
    ),
    **dict.fromkeys((BAD_FROZEN, BAD_JUMPED, BAD_CONTRADICTED, BAD_IMPLAUSIBLE), BAD_SENSOR_FAILURE),
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


def opc_ua(code: int) -> int:
    """The code of OPC UA's own table that stands for ``code``: itself, unless it is one of ours."""
    return _OPC_UA.get(code & 0xFFFF_0000, code)


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
