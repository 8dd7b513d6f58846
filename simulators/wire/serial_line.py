"""A serial line to a simulated instrument that talks in lines: a pseudo-terminal behind a path that stays the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from simulators.wire.pty_port import PtyPort

CRLF: Final = b"\r\n"
MAX_LINE: Final = 128
"""Bytes without an end of line after which the instrument answers a transmission error and waits for the next end."""
TRANSMISSION_ERROR: Final = "ET"


class SerialLine:
    """One instrument on a pseudo-terminal. ``path`` is a symbolic link to it, while the line is plugged.

    Nothing of the instrument knows whether anybody has opened the port; as on a real line, half a line that one
    client left is completed by the next one, and what nobody reads is lost.
    """

    def __init__(self, path: Path, reply: Callable[[str], Sequence[str]]) -> None:
        """``reply`` answers one line (without its end); an OSError that it raises is silence."""
        self.path = path
        self._reply = reply
        self._port = PtyPort(path, self._hear)
        self._received = bytearray()
        self._skipping = False

    @property
    def plugged(self) -> bool:
        """Whether the port is there."""
        return self._port.plugged

    def plug(self) -> None:
        """Make the port; nothing happens when it is there. OSError when that fails."""
        if not self.plugged:
            self._received.clear()
            self._skipping = False
            self._port.plug()

    def unplug(self) -> None:
        """Take the port away: whoever has it open gets an error. Nothing happens when it is not there."""
        self._port.unplug()

    def send(self, lines: Sequence[str]) -> None:
        """Send lines; lost when the port is not there or nobody takes them."""
        self._port.send(b"".join(line.encode("latin-1") + CRLF for line in lines))

    def _hear(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(CRLF)) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + len(CRLF)]
            self._take(line)
        if len(self._received) > MAX_LINE:
            del self._received[:-1]  # the last byte may be half an end of line
            if not self._skipping:
                self.send([TRANSMISSION_ERROR])
            self._skipping = True

    def _take(self, line: bytes) -> None:
        if self._skipping:
            self._skipping = False
            return
        if len(line) > MAX_LINE:
            self.send([TRANSMISSION_ERROR])
            return
        try:
            lines = self._reply(line.decode("latin-1"))
        except OSError:
            return  # the instrument is not reached: silence
        self.send(lines)
