"""Sartorius SBI print lines, read strictly: a line that is not exactly right is no weight.

Source: Sartorius, Cubis MSE operating instructions, "Data Interfaces" (formats with 16 and 22 characters, special and
error codes); Entris II, "Data Output Format".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from drivers.balance import GRAMS, Weight
from evcontrol.quality import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    BAD_DEVICE_FAILURE,
    BAD_OUT_OF_RANGE,
    BAD_OUT_OF_SERVICE,
    GOOD,
    GOOD_DYNAMIC,
)

_FORM: Final = re.compile(rb"([-+ ])( *[0-9]+(?:\.[0-9]*)?) ([A-Za-z/%]{1,3} *| {3})")
"""The last 14 characters, which are the same in both forms: sign, value, space, unit."""
_SHORT: Final = 14
_LONG: Final = 20
_VALUE_WIDTH: Final = 9
_UNIT_WIDTH: Final = 3
_NET: Final = b"N"
_STATUS: Final = b"Stat"

_TEXTS: Final[dict[bytes, tuple[int, str]]] = {
    **dict.fromkeys((b"HIGH", b"H", b"HH"), (BAD_OUT_OF_RANGE, "overload")),
    **dict.fromkeys((b"LOW", b"L", b"LL"), (BAD_OUT_OF_RANGE, "underload")),
    **dict.fromkeys((b"CAL.", b"CAL.EXT.", b"CAL.INT.", b"C"), (BAD_OUT_OF_SERVICE, "the balance is being adjusted")),
    b"APP.ERR": (BAD_DEVICE_FAILURE, "APP.ERR: the application cannot use the weight"),
    b"DIS.ERR": (BAD_OUT_OF_RANGE, "DIS.ERR: the value does not fit into the display"),
    b"PRT.ERR": (BAD_CONFIGURATION, "PRT.ERR: the balance's output is blocked"),
    b"ERR": (BAD_DEVICE_FAILURE, "error"),
}
"""What a line says instead of a weight, without its spaces and in capitals."""
_ERROR: Final = re.compile(rb"ERR\.?([0-9]{1,4})")
_SERIAL_NUMBER: Final = re.compile(
    rb"(?:Ser\.?No\.|S/N:?) *([0-9A-Za-z-]{3,20})|(?=.*[0-9])([0-9A-Za-z-]{6,20})", re.IGNORECASE
)
"""Alone it has at least six characters: the rest of a weight whose beginning was not heard has no more than five."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A weight as it is shown: the number, at rest or not, and the unit (empty while it is not at rest)."""

    value: Decimal
    stable: bool
    unit: str


def parse_line(line: bytes) -> Shown | Weight:
    """Read one line, without its end: what the balance shows, or a Bad weight with the reason; never raises."""
    if len(line) == _LONG and not line.startswith(_STATUS):
        label = line[: _LONG - _SHORT].rstrip()
        shown = _number(line[_LONG - _SHORT :])
        if label != _NET and isinstance(shown, Shown):
            words = label.decode("ascii", "backslashreplace")
            return Weight(BAD_CONFIGURATION, reason=f"the balance prints {words!r}, not the net weight (N)")
        return shown or _text(line)
    return (_number(line) if len(line) == _SHORT else None) or _text(line)


def weight_of(line: bytes, unit: str | None, seen: str | None) -> tuple[Weight, str | None]:
    """The weight in one line, and the unit that the balance was last seen to show (``seen`` before this line).

    A weight in motion comes without its unit: it is in ``unit``, the configured one, unless the balance showed another
    one the last time it was at rest.
    """
    shown = parse_line(line)
    if isinstance(shown, Weight):
        return shown, seen
    if shown.stable:
        return _at_rest(shown, unit), shown.unit
    return _in_motion(shown, unit, seen), seen


def is_weight(line: bytes) -> bool:
    """Whether a line shows a weight, or that it is out of range."""
    shown = parse_line(line)
    return isinstance(shown, Shown) or shown.quality == BAD_OUT_OF_RANGE


def parse_serial_number(line: bytes) -> str | None:
    """The serial number in an answer to ``ESC x2_``; None when there is none."""
    shown = parse_line(line)
    if isinstance(shown, Shown) or shown.quality != BAD_DECODING:
        return None
    match = _SERIAL_NUMBER.fullmatch(line.strip())
    return (match.group(1) or match.group(2)).decode("ascii") if match else None


def _at_rest(shown: Shown, unit: str | None) -> Weight:
    if shown.unit not in GRAMS:
        return Weight(BAD_CONFIGURATION, reason=f"the balance shows {shown.unit}, not g, kg or mg")
    if unit is not None and shown.unit != unit:
        return Weight(BAD_CONFIGURATION, reason=f"the balance shows {shown.unit}, not {unit}")
    return Weight(GOOD, shown.value * GRAMS[shown.unit], stable=True)


def _in_motion(shown: Shown, unit: str | None, seen: str | None) -> Weight:
    if unit is None:
        return Weight(BAD_CONFIGURATION, reason="in motion the balance does not tell its unit: the option unit must")
    if seen not in (None, unit):
        return Weight(BAD_CONFIGURATION, reason=f"at rest the balance showed {seen}, not {unit}")
    return Weight(GOOD_DYNAMIC, shown.value * GRAMS[unit])


def _number(body: bytes) -> Shown | None:
    match = _FORM.fullmatch(body)
    if match is None or len(match.group(2)) != _VALUE_WIDTH or len(match.group(3)) != _UNIT_WIDTH:
        return None
    sign, number, unit = (each.decode("ascii").strip() for each in match.groups())
    if not sign and not unit and "." not in number:
        return None  # as well a serial number
    return Shown(Decimal(sign + number), bool(unit), unit)


def _text(line: bytes) -> Weight:
    words = line.removeprefix(_STATUS).translate(None, b" ").upper()
    if words in _TEXTS:
        quality, reason = _TEXTS[words]
        return Weight(quality, reason=reason)
    if match := _ERROR.fullmatch(words):
        return Weight(BAD_DEVICE_FAILURE, reason=f"error {match.group(1).decode()}")
    return Weight(BAD_DECODING, reason="unreadable answer")
