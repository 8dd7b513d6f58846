"""Disk space held back so that events of safety still land when the disk is full."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

STEP: Final = 1 << 14
"""Bytes given free at a time: little, since any other writer on the disk may take what is free."""


class Reserve:
    """A file of ``size`` allocated bytes, given up piece by piece and built again when there is room."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._held = path.stat().st_size if path.exists() else 0
        if self._held > size:
            os.truncate(path, size)
            self._held = size

    @property
    def whole(self) -> bool:
        """Whether all of it is held."""
        return self._held == self._size

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    def build(self) -> None:
        """Allocate what is missing. Raises OSError when there is no room; what was held stays held."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            if self._size:
                os.posix_fallocate(fd, 0, self._size)
            self._held = self._size
        except OSError:
            os.ftruncate(fd, self._held)
            raise
        finally:
            os.close(fd)

    def probe(self) -> None:
        """Show that there is room beside it for as much again. Raises OSError when there is none."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            os.posix_fallocate(fd, 0, 2 * self._size + STEP)
        finally:
            os.ftruncate(fd, self._held)
            os.close(fd)

    def give(self, at_least: int) -> bool:
        """Free at least so many bytes, or the rest; False when nothing was left. Raises OSError."""
        if self._held == 0:
            return False
        rest = max(0, self._held - max(STEP, at_least))
        os.truncate(self._path, rest)
        self._held = rest
        return True
