"""The simulated Alicat mass flow controller and its ASCII commands. No input or output and no clock."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

GASES = {0: "Air", 1: "Ar", 4: "CO2", 7: "He", 8: "N2", 11: "O2"}
"""By number (primer, appendix C); a controller has many more."""
LAG_S = 0.2
"""Time constant with which the flow follows its setpoint."""
OVER_RANGE = 1.28
"""Times full scale, beyond which a flow is told as over range."""
AMBIENT_PSIA, AMBIENT_C = 14.70, 25.0
STANDARD_PSIA, STANDARD_K = 14.696, 298.15
_INTEGER = re.compile(rb"[0-9]{1,6}")
_SETPOINT = re.compile(rb" ?(-?[0-9]{1,6}(?:\.[0-9]{1,4})?)")
_FULL_SCALES = {
    2: ("160.00", "10", "PSIA"),
    3: ("+0085.0", "2", "`C"),
}


@dataclass(frozen=True, slots=True)
class ControllerParameters:
    """What a controller was ordered with."""

    full_scale: float = 20.0
    label: str = "SLPM"
    gas: int = 0
    serial: str = "SIM000001"
    firmware: str = "10v20.0-R24"
    totaliser: bool = False
    source: str = "U"
    """Where its setpoint comes from: A the analog input, S the line (saved at every change), U the line (not saved)."""


class MassFlowController:
    """One controller. ``saves`` counts what was written to its non-volatile memory."""

    def __init__(self, unit: str = "A", parameters: ControllerParameters | None = None) -> None:
        self.unit = unit
        self.parameters = parameters or ControllerParameters()
        self.silent = False
        self.gas = self.parameters.gas
        self.source = self.parameters.source
        self.setpoint = 0.0
        self.flow = 0.0
        self.supply = True
        """Whether there is gas before its valve."""
        self.held: float | None = None
        """The flow at which its valve is held."""
        self.locked = False
        self.refuses = False
        """Whether it takes no setpoint, whatever it is."""
        self.words: set[str] = set()
        """Status words that a tester wants it to tell besides its own."""
        self.saves = 0
        self._saved = 0.0
        self._total = 0.0

    def hear(self, command: bytes) -> bytes:
        """Carry out one command (without its CR); see :class:`simulators.devices.bus.Instrument`."""
        if command[:1].upper() != self.unit.encode():
            return b""
        return self._carry_out(command[1:].upper())

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""
        wanted = self.setpoint if self.held is None else self.held
        goal = wanted if self.supply else 0.0
        self.flow += (goal - self.flow) * (1.0 - math.exp(-dt_s / LAG_S))
        self._total += self.flow / 60.0 * dt_s

    def restart(self) -> None:
        """Come back from a loss of power: a setpoint that was saved is there again, any other is 0."""
        self.setpoint = self._saved if self.source == "S" else 0.0
        self.flow, self.held = 0.0, None

    def take_over(self, **settings: float) -> None:
        """Somebody changes ``setpoint`` or ``gas`` at its panel."""
        for name, value in settings.items():
            setattr(self, name, value)

    def _carry_out(self, text: bytes) -> bytes:
        if not text:
            return self._frame()
        if _INTEGER.fullmatch(text):
            return self._set(float(text) / 64000.0 * self.parameters.full_scale)
        if text[:1] == b"S" and (match := _SETPOINT.fullmatch(text[1:])):
            return self._set(float(match[1]))
        if text[:1] == b"G" and _INTEGER.fullmatch(text[1:].strip()):
            return self._choose(int(text[1:]))
        return self._asked(text)

    def _asked(self, text: bytes) -> bytes:
        p = self.parameters
        plain = {
            b"??M4": f"M04 Model Number MC-{p.full_scale:g}{p.label}-D",
            b"??M5": f"M05 Serial Number {p.serial}",
            b"??M9": f"M09 Software Revision {p.firmware}",
        }
        if text in plain:
            return f"{self.unit} {plain[text]}\r".encode()
        major = int(p.firmware.partition("v")[0])
        if text.startswith(b"FPF ") and major >= 6:
            return self._full_scale(text[4:])
        if text[:3] == b"LSS" and major >= 10:
            return self._setpoint_source(text[3:].strip().decode("ascii", "replace"))
        return self._act(text)

    def _act(self, text: bytes) -> bytes:
        match text:
            case b"HP" | b"HC":
                self.held = self.flow if text == b"HP" else 0.0
            case b"C":
                self.held = None
            case b"L" | b"U":
                self.locked = text == b"L"
            case b"T":
                self._total = 0.0
            case b"V" | b"P" | b"PC":
                self.saves += 1
            case _:
                return b"?\r"
        return self._frame()

    def _set(self, value: float) -> bytes:
        if self.refuses or not 0.0 <= value <= self.parameters.full_scale:
            return b"?\r"
        if self.source != "A":
            self.setpoint = value
            if self.source == "S":
                self._saved = value
                self.saves += 1
        return self._frame()

    def _choose(self, gas: int) -> bytes:
        if gas not in GASES:
            return b"?\r"
        self.gas = gas
        self.saves += 1
        return self._frame()

    def _setpoint_source(self, mode: str) -> bytes:
        if mode:
            if mode not in "ASU" or len(mode) != 1:
                return b"?\r"
            self.source = mode
            self.saves += 1
        return f"{self.unit} {self.source}\r".encode()

    def _full_scale(self, statistic: bytes) -> bytes:
        p = self.parameters
        flows = {5: p.label, 4: p.label.removeprefix("S"), 37: p.label}
        number = int(statistic) if _INTEGER.fullmatch(statistic) else 0
        if number in flows:
            return f"{self.unit} {p.full_scale:+.{self._decimals}f} 7 {flows[number]}\r".encode()
        if number in _FULL_SCALES:
            return f"{self.unit} {' '.join(_FULL_SCALES[number])}\r".encode()
        return b"?\r"

    @property
    def _decimals(self) -> int:
        """As many as leave room for full scale in six figures with the point."""
        return max(1, 4 - max(0, int(math.log10(self.parameters.full_scale))))

    def _frame(self) -> bytes:
        top = OVER_RANGE * self.parameters.full_scale
        words = set(self.words)
        if self.flow > top:
            words |= {"MOV", "VOV"}
        if self.held is not None:
            words.add("HLD")
        if self.locked:
            words.add("LCK")
        mass = min(self.flow, top)
        volume = mass * STANDARD_PSIA / AMBIENT_PSIA * (AMBIENT_C + 273.15) / STANDARD_K
        numbers = [f"{AMBIENT_PSIA:+07.2f}", f"{AMBIENT_C:+07.2f}", self._flow(volume), self._flow(mass)]
        numbers.append(self._flow(self.setpoint).lstrip("+0"))
        if numbers[-1].startswith("."):
            numbers[-1] = f"0{numbers[-1]}"
        if self.parameters.totaliser:
            numbers.append(f"{self._total:+011.2f}")
        return " ".join((self.unit, *numbers, f"{GASES[self.gas]:>6}".strip(), *sorted(words))).encode() + b"\r"

    def _flow(self, value: float) -> str:
        return f"{value:+07.{self._decimals}f}"
