"""Telegrams of Alicat mass flow controllers (ASCII, standard devices), read strictly.

Source: Alicat Scientific, Serial communications primer, rev. 2 (February 2023): data frame and status codes p. 8,
setpoint p. 12, setpoint source p. 17, full-scale values p. 19, manufacturing info p. 21. A unit letter with figures
just behind it (``A32000``) is the old form of a setpoint and can not be made here; nor can the commands to tare
(``V``, ``P``, ``PC``), to choose a gas (``G``, ``GS``), to reset a total (``T``), to hold the valve or to change a
letter (``@``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Final

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Unit letters that a controller can have."""
STATUS_WORDS: Final = frozenset(
    ("ADC", "COM", "EXH", "GTA", "HLD", "LCK", "MOV", "OPL", "OVR", "P2O", "POV", "TMF", "TOV", "VOV")
)
"""What may follow the gas (primer, p. 8)."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,7}(?:\.[0-9]{1,4})?")
_READING: Final = re.compile(r"(?=.{7})[+-][0-9]{1,7}\.[0-9]{1,4}")
"""A reading in a data frame has its sign, and seven characters at least: with one lost it is none."""
_GAS: Final = re.compile(r"[A-Za-z][0-9A-Za-z_.-]{0,11}")
_SETPOINT: Final = re.compile(r"[A-Z]S -?[0-9]{1,6}(?:\.[0-9]{1,4})?\r")
_FIRMWARE: Final = re.compile(r"([0-9]{1,2})v([0-9]{1,2})(?:\.[0-9]+)?(?:-R[0-9]+)?")
_WIDTH: Final = {False: 5, True: 6}
"""Numbers in a data frame, without and with a totaliser."""


class Statistic(IntEnum):
    """Numbers of readings (primer, appendix A)."""

    PRESSURE = 2
    TEMPERATURE = 3
    VOLUMETRIC_FLOW = 4
    MASS_FLOW = 5


@dataclass(frozen=True, slots=True)
class DataFrame:
    """One answer to a unit letter: readings in the units that the controller is set to."""

    unit: str
    pressure: Decimal
    temperature: Decimal
    volumetric_flow: Decimal
    mass_flow: Decimal
    setpoint: Decimal
    total: Decimal | None
    gas: str
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class FullScale:
    """One answer to ``FPF``: the range of a reading, and the unit in which it is told."""

    value: Decimal
    label: str


def ask_frame(unit: str) -> bytes:
    """The unit letter alone."""
    return _command(unit, "")


def ask_full_scale(unit: str, statistic: Statistic) -> bytes:
    """``u FPF n`` (firmware 6v00 and later)."""
    return _command(unit, f"FPF {statistic.value}")


def ask_serial_number(unit: str) -> bytes:
    """``u??M5``."""
    return _command(unit, "??M5")


def ask_firmware(unit: str) -> bytes:
    """``u??M9``."""
    return _command(unit, "??M9")


def ask_setpoint_source(unit: str) -> bytes:
    """``uLSS`` without a mode, which only asks (firmware 10v05 and later: before, ``L`` locks the display)."""
    return _command(unit, "LSS")


def set_setpoint(unit: str, value: Decimal) -> bytes:
    """``uS 15.44``, in the controller's unit; ValueError for a number that this form cannot carry."""
    if not value.is_finite():
        raise ValueError(f"{value} is no setpoint")
    text = f"{value:f}"
    telegram = f"{unit}S {text}\r"
    if not _SETPOINT.fullmatch(telegram):
        raise ValueError(f"{text} is no setpoint for this telegram")
    return _command(unit, f"S {text}")


def parse_frame(line: bytes, *, totaliser: bool) -> DataFrame | None:
    """Read one data frame, of a device with or without a totaliser; None when it is not exactly right."""
    words = _words(line)
    count = _WIDTH[totaliser]
    if words is None or len(words) < count + 2:
        return None
    numbers, gas, status = words[1 : count + 1], words[count + 1], words[count + 2 :]
    if not all(_READING.fullmatch(number) for number in (*numbers[:4], *numbers[5:])) or not _GAS.fullmatch(gas):
        return None
    if not _is_setpoint(numbers[4], like=numbers[3]):
        return None
    if gas in STATUS_WORDS or not STATUS_WORDS.issuperset(status) or len(set(status)) != len(status):
        return None
    values = [Decimal(number) for number in numbers]
    total = values[5] if totaliser else None
    pressure, temperature, volumetric, mass, setpoint = values[:5]
    return DataFrame(words[0], pressure, temperature, volumetric, mass, setpoint, total, gas, frozenset(status))


def parse_full_scale(line: bytes) -> FullScale | None:
    """Read one answer to ``FPF``: unit letter, value, number of the engineering unit, its label."""
    words = _words(line)
    if words is None or len(words) != 4 or not _NUMBER.fullmatch(words[1]) or not words[2].isdigit():
        return None
    return FullScale(abs(Decimal(words[1])), words[3])


def is_identity(line: bytes, unit: str) -> bool:
    """Whether a line answers ``??M5`` to this unit, well or badly."""
    words = line.strip(b"\r\n").split()
    return words[:2] == [unit.encode(), b"M05"] or is_refusal(line)


def parse_serial_number(line: bytes) -> str | None:
    """The number in an answer to ``??M5``; None when there is none."""
    return _labelled(line, "M05", ("Serial", "Number"))


def parse_firmware(line: bytes) -> tuple[int, int] | None:
    """The version in an answer to ``??M9``, such as (10, 5) of ``10v05``; None when there is none."""
    text = _labelled(line, "M09", ("Software", "Revision"))
    match = None if text is None else _FIRMWARE.fullmatch(text.split()[0])
    return None if match is None else (int(match[1]), int(match[2]))


SOURCES: Final[Mapping[str, str]] = {
    "A": "the analog input",
    "S": "the serial line, saved at every change",
    "U": "the serial line, not saved",
}
"""Where the setpoint comes from (primer, p. 17)."""


def parse_setpoint_source(line: bytes) -> str | None:
    """One of the keys of :data:`SOURCES` in an answer to ``LSS``; None when there is none."""
    words = _words(line)
    return words[1] if words is not None and len(words) == 2 and words[1] in SOURCES else None


def is_refusal(line: bytes) -> bool:
    """Whether the controller says that it does not take the command."""
    return line.strip(b"\r\n ") == b"?" or (line.strip(b"\r\n ")[1:].strip() == b"?")


def answers(line: bytes, unit: str, asked: bytes) -> bool:
    """Whether a line can be the answer of this unit: not another's, and not the echo of what we asked."""
    text = line.strip(b"\r\n ")
    if text in (b"", asked.strip()):
        return False
    if b" M05 " in text and b"??M5" not in asked:
        return False
    head, _, rest = text.partition(b" ")
    return not (len(head) == 1 and head.isupper() and rest and head != unit.encode())


def _is_setpoint(text: str, like: str) -> bool:
    """A setpoint has the decimals of its flow, and when it has a sign the width of a reading, too."""
    form = _READING if text[0] in "+-" else _NUMBER
    return form.fullmatch(text) is not None and _decimals(text) == _decimals(like)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _words(line: bytes) -> list[str] | None:
    try:
        words = line.strip(b"\r\n").decode("ascii").split()
    except UnicodeDecodeError:
        return None
    return words if words and len(words[0]) == 1 and words[0] in LETTERS else None


def _labelled(line: bytes, code: str, label: tuple[str, ...]) -> str | None:
    words = _words(line)
    if words is None or words[1:2] != [code] or tuple(words[2 : 2 + len(label)]) != label:
        return None
    return " ".join(words[2 + len(label) :]) or None


def _command(unit: str, text: str) -> bytes:
    if len(unit) != 1 or unit not in LETTERS:
        raise ValueError(f"{unit!r} is no unit letter")
    return f"{unit}{text}\r".encode("ascii")
