"""A serial line with several simulated instruments: a pseudo-terminal behind a path that stays the same."""

from __future__ import annotations

from pathlib import Path

from simulators.devices.bus import Bus
from simulators.wire.pty_port import PtyPort


class BusLine:
    """A line on a pseudo-terminal. ``path`` is a symbolic link to it, while the line is plugged."""

    def __init__(self, path: Path, bus: Bus) -> None:
        self.path = path
        self.bus = bus
        self._port = PtyPort(path, self._hear)

    @property
    def plugged(self) -> bool:
        """Whether the port is there."""
        return self._port.plugged

    def plug(self) -> None:
        """Make the port; nothing happens when it is there. OSError when that fails."""
        if not self.plugged:
            self.bus.forget()
            self._port.plug()

    def unplug(self) -> None:
        """Take the port away: whoever has it open gets an error. Nothing happens when it is not there."""
        self._port.unplug()

    def send(self, data: bytes) -> None:
        """Send bytes; lost when the port is not there or nobody takes them."""
        self._port.send(data)

    def _hear(self, data: bytes) -> None:
        self.send(self.bus.hear(data))
