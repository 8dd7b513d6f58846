"""MT-SICS weight telegrams, read strictly: a line that is not exactly right is no weight.

Source: Mettler-Toledo, MT-SICS Interface Commands reference manual, commands S, SI, I4 and section "Error messages".
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from drivers.balance import GRAMS, Weight
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_OUT_OF_RANGE,
    BAD_WAITING_FOR_INITIAL,
    GOOD,
    GOOD_DYNAMIC,
)

_WEIGHT: Final = re.compile(rb"S ([SD]) ( *[-+]?[0-9]+(?:\.[0-9]+)?) ([A-Za-z%/]{1,5})")
_VALUE_WIDTH: Final = 10
_SERIAL_NUMBER: Final = re.compile(rb'I4 A "([\x20\x21\x23-\x7e]*)"')
_STATES: Final = {
    b"I": (BAD_WAITING_FOR_INITIAL, "the balance cannot weigh now"),
    b"+": (BAD_OUT_OF_RANGE, "overload"),
    b"-": (BAD_OUT_OF_RANGE, "underload"),
}
_ANSWERS: Final = {b" ".join((word, sign)): state for word in (b"S", b"SI") for sign, state in _STATES.items()} | {
    b"ES": (BAD_CONFIGURATION, "the balance does not know the command (ES)"),
    b"ET": (BAD_DECODING, "the command reached the balance damaged (ET)"),
    b"EL": (BAD_CONFIGURATION, "the balance cannot carry out the command (EL)"),
}
ERRORS: Final = frozenset({b"ES", b"ET", b"EL"})


def parse_weight(line: bytes) -> Weight:
    """Read one line, without its end; never raises."""
    match = _WEIGHT.fullmatch(line)
    if match is None:
        quality, reason = _ANSWERS.get(line, (BAD_DECODING, "unreadable answer"))
        return Weight(quality, reason=reason)
    status, number, unit = match.groups()
    if len(number) != _VALUE_WIDTH:
        return Weight(BAD_DECODING, reason="unreadable answer: the weight is not ten characters wide")
    factor = GRAMS.get(unit.decode())
    if factor is None:
        return Weight(BAD_CONFIGURATION, reason=f"the balance shows {unit.decode()}, not g, kg or mg")
    stable = status == b"S"
    return Weight(GOOD if stable else GOOD_DYNAMIC, Decimal(number.decode().strip()) * factor, stable)


def is_identity(line: bytes) -> bool:
    """Whether a line answers ``I4``, well or badly."""
    return line.startswith(b"I4 ")


def parse_serial_number(line: bytes) -> str | None:
    """The serial number in an answer to ``I4``; None when there is none."""
    match = _SERIAL_NUMBER.fullmatch(line)
    return match.group(1).decode("ascii") if match else None
