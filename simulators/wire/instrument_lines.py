"""The serial lines of single instruments, each on a pseudo-terminal of its device's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from simulators.instruments import OnLine
from simulators.wire.bus_line import BusLine

PLAIN: Final = {"bytesize": 8, "parity": "N"}
"""A pseudo-terminal has neither 7 bits nor parity, and Linux refuses to set them a second time."""


class InstrumentLines:
    """All of them. ``plugged`` tells of each whether its cable is in."""

    def __init__(
        self, folder: Path, instruments: Mapping[str, OnLine], plugged: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._instruments = dict(instruments)
        self._lines = {name: BusLine(folder / name, one.bus) for name, one in instruments.items()}
        self._plugged = plugged

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """Options of each device."""
        return {
            name: {"port": str(line.path), **PLAIN, **self._instruments[name].options}
            for name, line in self._lines.items()
        }

    def keep_up(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds of process time pass, and say what was said meanwhile. OSError without ports."""
        for name, line in self._lines.items():
            one = self._instruments[name]
            one.step(dt_s)
            if self._plugged(name):
                line.plug()
            else:
                line.unplug()
            line.send(one.bus.told(one.stream()))

    def unplug(self) -> None:
        """Take every port away."""
        for line in self._lines.values():
            line.unplug()
