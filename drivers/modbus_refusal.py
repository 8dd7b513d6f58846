"""What the exception codes of Modbus say, and what they make of readings and writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from drivers.driver import Outcome
from evcontrol.quality import BAD_CONFIGURATION, BAD_DEVICE_FAILURE, BAD_NO_COMMUNICATION


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an exception code says, what it makes of a reading and of a write."""

    words: str
    quality: int
    outcome: Outcome = Outcome.REJECTED


REFUSALS: Final[Mapping[int, Refusal]] = {
    1: Refusal("illegal function", BAD_CONFIGURATION),
    2: Refusal("illegal address", BAD_CONFIGURATION),
    3: Refusal("illegal value", BAD_CONFIGURATION),
    4: Refusal("device failure", BAD_DEVICE_FAILURE),
    5: Refusal("accepted, and still at work on it", BAD_DEVICE_FAILURE, Outcome.UNKNOWN),
    6: Refusal("device busy", BAD_DEVICE_FAILURE),
    7: Refusal("negative acknowledgement", BAD_DEVICE_FAILURE),
    8: Refusal("memory parity error", BAD_DEVICE_FAILURE),
    10: Refusal("the gateway has no path to the device", BAD_NO_COMMUNICATION),
    11: Refusal("the device behind the gateway does not answer", BAD_NO_COMMUNICATION, Outcome.UNKNOWN),
}
"""Exception codes (Modbus Application Protocol V1.1b3, 7)."""

SPLIT_CODES: Final = frozenset({2, 3})
"""Refusals that one address among many can cause."""
GATEWAY_CODES: Final = frozenset({10, 11})
"""Refusals by a gateway, for a unit that it does not reach."""


def refusal_of(code: int) -> Refusal:
    """What an exception code says; one that is not in the standard is a device failure, whatever it has done."""
    return REFUSALS.get(code) or Refusal(f"exception {code}", BAD_DEVICE_FAILURE, Outcome.UNKNOWN)
