"""A serial port that somebody can open: a pseudo-terminal behind a path that stays the same."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable
from pathlib import Path


class PtyPort:
    """The instrument's end of a port. ``path`` is a symbolic link to the other end, while it is plugged.

    Nothing of the instrument knows whether anybody has opened the port; what nobody reads is lost.
    """

    def __init__(self, path: Path, heard: Callable[[bytes], None]) -> None:
        """``heard`` takes the bytes that come."""
        self.path = path
        self._heard = heard
        self._master = self._slave = -1

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

    def send(self, data: bytes) -> None:
        """Send bytes; lost when the port is not there or nobody takes them."""
        if not data or not self.plugged:
            return
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return  # nobody reads, and the port's buffer is full: a line without flow control loses it

    def _read(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
        self._heard(data)
