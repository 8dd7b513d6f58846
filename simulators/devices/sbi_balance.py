"""The simulated Sartorius balance: what it prints, and its SBI commands. No input or output and no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulators.devices.balance import Balance

PRINT_S = 0.2
"""How often it prints by itself, when it does."""
GRAMS = {"g": 1.0, "kg": 1000.0, "mg": 0.001, "lb": 453.59237}
_COMMAND = re.compile(rb"\x1b(?:[A-Z]|[a-z][0-9]?_)")


@dataclass(slots=True)
class SbiSettings:
    """What is set in the balance's menu."""

    long: bool = True
    """Lines of 22 characters with their ID, or of 16 without."""
    unit: str = "g"
    auto_print: bool = False
    toggles: bool = False
    """A print command switches the printing by itself off and on, as on some models."""


class SbiBalance:
    """One balance around a weighing cell (see :class:`simulators.devices.bus.Instrument`)."""

    def __init__(self, cell: Balance, settings: SbiSettings | None = None) -> None:
        self.cell = cell
        self.settings = settings or SbiSettings()
        self.silent = False
        self.text = ""
        """What is shown instead of a weight, such as ``Err 54`` or ``Cal.Ext.``; empty: the weight."""
        self._next_print_s = PRINT_S
        self._time_s = 0.0

    def hear(self, command: bytes) -> bytes:
        """Carry out one command (from its ESC on); what it does not know it passes over."""
        match command:
            case b"\x1bP":
                return self._asked_to_print()
            case b"\x1bx1_":
                return self._told("", self.cell.parameters.model)
            case b"\x1bx2_":
                return self._told("SerNo.", self.cell.parameters.serial)
            case b"\x1bx3_":
                return self._told("", "00-39-21")
            case b"\x1bT" | b"\x1bU":
                self.cell.reply("TI")
            case b"\x1bV":
                self.cell.reply("ZI")
        return b""

    def stream(self) -> bytes:
        """What it has printed by itself since the last call."""
        due = self.settings.auto_print and not self.silent and self._time_s >= self._next_print_s
        if not due:
            return b""
        self._next_print_s = self._time_s + PRINT_S
        return self._line()

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass for the printing; who has the cell steps it."""
        self._time_s += dt_s

    def _asked_to_print(self) -> bytes:
        if not self.settings.toggles:
            return self._line()
        self.settings.auto_print = not self.settings.auto_print
        self._next_print_s = self._time_s
        return self.stream()

    def _line(self) -> bytes:
        out_of_range = self.cell.out_of_range
        if self.text or out_of_range:
            text = self.text or {"+": "High", "-": "Low"}[out_of_range]
            return self._told("Stat", text)
        unit = self.settings.unit if self.cell.stable else ""
        value = self.cell.net_g / GRAMS[self.settings.unit]
        decimals = {"g": 2, "kg": 5, "mg": 0, "lb": 5}[self.settings.unit]
        sign = "-" if value < 0 else "+"
        body = f"{sign}{abs(value):9.{decimals}f} {unit:<3}"
        return ((f"{'N':<6}" if self.settings.long else "") + body).encode("ascii") + b"\r\n"

    def _told(self, label: str, text: str) -> bytes:
        line = f"{label:<6}{text:>12}  " if self.settings.long else f"{text:>14}"
        return line.encode("ascii") + b"\r\n"


def cut_sbi(received: bytes) -> tuple[bytes, bytes] | None:
    """Commands: ESC and a letter, or ESC, a small letter, a digit and an underline; their ends may be missing."""
    match = _COMMAND.search(received)
    if match is None:
        return None
    return match.group(), received[match.end() :].lstrip(b"\r\n")
