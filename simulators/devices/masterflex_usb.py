"""The simulated Masterflex drive with a USB port. No input or output and no clock."""

from __future__ import annotations

import re

TAKEN, INVALID, NOT_SERIAL = b"*\r\n", b"#\r\n", b"~\r\n"
_COMMAND = re.compile(rb"([1-8])([A-Z]{1,2}|[#(])([0-9]*)")
_FIGURES = 6


class UsbPump:
    """One drive. Until ``RE1`` it obeys its panel, and says ``~`` to everything else."""

    def __init__(self, address: int = 1, max_rpm: float = 600.0, model: str = "77220-00") -> None:
        self.address = address
        self.max_rpm = max_rpm
        self.model = model
        self.silent = False
        self.serial = False
        """Whether it is in its serial mode."""
        self.rpm = 100.0
        self.clockwise = True
        self.running = False
        self.revolutions = 0.0

    def hear(self, command: bytes) -> bytes:
        """Carry out one command (without its CR); see :class:`simulators.devices.bus.Instrument`."""
        match = _COMMAND.fullmatch(command)
        if match is None:
            return INVALID if command[:1] == str(self.address).encode() else b""
        if int(match[1]) != self.address:
            return b""
        word, argument = match[2], match[3]
        if word == b"RE":
            return self._enable(argument)
        if not self.serial:
            return NOT_SERIAL
        return self._carry_out(word, argument)

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass."""
        if self.running:
            self.revolutions += self.rpm / 60.0 * dt_s

    def restart(self) -> None:
        """Come back from a loss of power: it stands still, out of its serial mode, at 100 rpm."""
        self.serial, self.running, self.rpm, self.clockwise = False, False, 100.0, True

    def take_over(self, **settings: float | bool) -> None:
        """Somebody leaves the serial mode at its panel and changes ``rpm``, ``clockwise`` or ``running`` there."""
        self.serial = False
        for name, value in settings.items():
            setattr(self, name, value)

    def _enable(self, argument: bytes) -> bytes:
        if argument not in (b"0", b"1"):
            return INVALID
        self.serial = argument == b"1"
        return TAKEN

    def _carry_out(self, word: bytes, argument: bytes) -> bytes:
        if word == b"R" and argument:
            return self._set_speed(argument)
        if argument:
            return INVALID
        told = {
            b"RC": f"{self.address},{int(self.running)},{int(not self.clockwise)}",
            b"R": f"{self.rpm:.2f}",
            b"RB": f"{self.revolutions:.2f}",
            b"#": f"{self.model} 2",
        }
        return f"{told[word]}\r\n".encode() if word in told else self._obey(word)

    def _obey(self, word: bytes) -> bytes:
        match word:
            case b"H" | b"I":
                self.running = word == b"H"
            case b"J" | b"K":
                self.clockwise = word == b"J"
            case _:
                return INVALID
        return TAKEN

    def _set_speed(self, argument: bytes) -> bytes:
        rpm = int(argument) / 100.0
        if len(argument) != _FIGURES or not 0.0 < rpm <= self.max_rpm:
            return INVALID
        self.rpm = rpm
        return TAKEN
