"""The simulated pressure monitor PressureMAT with four sensors, and its packets. No input or output and no clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

PORTS = (1, 3, 5, 7)
"""The port of each input P1 to P4."""
PER_PSI = {"psi": 1.0, "bar": 0.0689476, "mbar": 68.9476, "kPa": 6.89476}
DECIMALS = {"psi": 1, "bar": 3, "mbar": 0, "kPa": 1}
NOISE_PSI = 0.02


class PressureMonitor:
    """One monitor (see :class:`simulators.devices.bus.Instrument`). Each truth tells a pressure in psi."""

    def __init__(self, truths: Sequence[Callable[[], float]], unit: str = "psi", seed: str = "") -> None:
        self.silent = False
        self.unit = unit
        self.failed: set[int] = set()
        """Inputs (1 to 4) whose sensor is unplugged."""
        self.damaged: set[int] = set()
        """Inputs (1 to 4) whose packet has a wrong digit."""
        self._truths = tuple(truths)
        self._source = random.Random(seed)  # noqa: S311  noise, not a secret
        self._count = 0

    def hear(self, command: bytes) -> bytes:
        """Carry out one command (without its CR)."""
        match command:
            case b"AZK":
                return self._block()
            case b"AZI":
                return _packet(b",00000,4,PENDOTECH,PMAT4,04,26.01.05,FE00,")
            case _:
                return b""

    def step(self, dt_s: float) -> None:
        """Nothing goes on without being asked."""

    def _block(self) -> bytes:
        self._count = (self._count + 1) % 100_000
        packets = b"".join(self._port(number) for number in range(1, len(self._truths) + 1))
        return b"\x10\x02" + packets + b"\x10\x03"

    def _port(self, number: int) -> bytes:
        psi = self._truths[number - 1]() + self._source.gauss(0.0, NOISE_PSI)
        shown = f"{psi * PER_PSI[self.unit]:11.{DECIMALS[self.unit]}f}"
        if number in self.failed:
            shown = f"{'-----':>11}"
        nothing = f"{0.0:11.{DECIMALS[self.unit]}f}"
        numbers = ",".join((nothing, nothing, shown, shown))
        packet = _packet(f",00000.{PORTS[number - 1]:02d},4,{numbers},{self._count:05d},X,X,X,X,X,".encode("ascii"))
        return packet.replace(b".", b":", 2) if number in self.damaged else packet


def _packet(frame: bytes) -> bytes:
    return b"AZ" + frame + b"%02X" % (-sum(frame) % 256) + b"\r\n"
