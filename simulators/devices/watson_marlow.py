"""The simulated Watson-Marlow pump (520Du, 620Du, 720Du) and its serial commands. No input or output and no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass

PULSES_PER_REV = 10982
"""Of the tachometer, at the output shaft."""
_COMMAND = re.compile(rb"(#|[0-9]{1,2})([A-Z]{2})(.*)")
_SPEED = re.compile(rb"[0-9]{1,3}(?:\.[0-9])?")


@dataclass(frozen=True, slots=True)
class PumpParameters:
    """What is set at the panel of a new pump."""

    model: str = "520Du"
    ml_per_rev: float = 15.84
    head: str = "520R"
    tube: str = "9.6MM"
    max_rpm: float = 220.0
    """Of the head: a higher speed is not taken."""
    default_rpm: float = 220.0
    """The speed after a factory reset."""


class WatsonMarlowPump:
    """One pump. It answers ``RS``, ``RT`` and ``ZY`` alone; every other command is carried out without a word."""

    def __init__(self, address: int, parameters: PumpParameters | None = None) -> None:
        self.address = address
        self.parameters = parameters or PumpParameters()
        self.silent = False
        self.remote = True
        """Whether it is set to be controlled over the line; else it still answers, and obeys its panel only."""
        self.rpm = self.parameters.default_rpm
        self.clockwise = True
        self.running = False
        self.pulses = 0.0

    def hear(self, command: bytes) -> bytes:
        """Carry out one command (without its CR); see :class:`simulators.devices.bus.Instrument`."""
        match = _COMMAND.fullmatch(command)
        if match is None:
            return b""
        everybody = match[1] == b"#"
        if not everybody and int(match[1]) != self.address:
            return b""
        word, argument = match[2], match[3]
        if word in (b"RS", b"RT", b"ZY") and not argument:
            return self._tell(word)
        if self.remote:
            self._obey(word, argument)
        return b""

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""
        if self.running:
            self.pulses += self.rpm / 60.0 * dt_s * PULSES_PER_REV

    def restart(self) -> None:
        """Come back from a loss of power: it stands still, at the speed and the direction that it had."""
        self.running = False

    def reset(self) -> None:
        """Come back with the settings of the factory."""
        self.restart()
        self.rpm, self.clockwise = self.parameters.default_rpm, True

    def take_over(self, **settings: float | bool) -> None:
        """Somebody switches it to its panel, and changes ``rpm``, ``clockwise`` or ``running`` there."""
        self.remote = False
        for name, value in settings.items():
            setattr(self, name, value)

    def hand_back(self) -> None:
        """Switch it back to remote control."""
        self.remote = True

    def _tell(self, word: bytes) -> bytes:
        p = self.parameters
        running = int(self.running)
        if word == b"ZY":
            return f"{running}\r".encode()
        if word == b"RT":
            return f"{int(self.pulses)}\r".encode()
        turn = "CW" if self.clockwise else "CCW"
        status = f"{p.model} {p.ml_per_rev:.2f} {p.head} {p.tube} {self.rpm:.1f} {turn}"
        return f"{status} P/N {self.address} {int(self.pulses)} {running} !\r".encode()

    def _obey(self, word: bytes, argument: bytes) -> None:
        if word == b"SP" and _SPEED.fullmatch(argument):
            rpm = float(argument)
            if rpm <= self.parameters.max_rpm:
                self.rpm = rpm
        elif not argument:
            self._obey_word(word)

    def _obey_word(self, word: bytes) -> None:
        match word:
            case b"GO" | b"ST":
                self.running = word == b"GO"
            case b"RR" | b"RL":
                self.clockwise = word == b"RR"
            case b"RC":
                self.clockwise = not self.clockwise
            case b"SI" | b"SD":
                step = 1.0 if word == b"SI" else -1.0
                self.rpm = min(self.parameters.max_rpm, max(0.0, self.rpm + step))
            case b"TC":
                self.pulses = 0.0
