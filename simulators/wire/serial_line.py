"""A serial line to a simulated instrument that talks in lines: a pseudo-terminal behind a path that stays the same."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

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
        self._master = self._slave = -1
        self._received = bytearray()
        self._skipping = False

    @property
    def plugged(self) -> bool:
        """Whether the port is there."""
        return self._master >= 0

    def plug(self) -> None:
        """Make the port; nothing happens when it is there. OSError when that fails."""
        if self.plugged:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._received.clear()
        self._skipping = False
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Under another name first: who opens the path finds a whole link or none.
        fresh = self.path.with_name(f".{self.path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self.path)

    def unplug(self) -> None:
        """Take the port away: whoever has it open gets an error. Nothing happens when it is not there."""
        if not self.plugged:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self.path.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def send(self, lines: Sequence[str]) -> None:
        """Send lines; lost when the port is not there or nobody takes them."""
        if not lines or not self.plugged:
            return
        data = b"".join(line.encode("latin-1") + CRLF for line in lines)
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return  # nobody reads, and the port's buffer is full: a line without flow control loses it

    def _read(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
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
