"""A Modbus server that others wrote: libmodbus of Debian, in a process of its own, over TCP or on a serial line."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("libmodbus_server.c")
NOTES_SIZE = 1 << 20  # bytes of notes that the server may be ahead of their reader
MISSING = "libmodbus-dev or a C compiler is missing: as root, sh scripts/system-packages python3 tests"


@cache
def built() -> Path:
    """The server, compiled once; skips the test where that cannot be."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip(MISSING)
    folder = tempfile.mkdtemp(prefix="evcontrol-libmodbus-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = Path(folder) / "server"
    made = subprocess.run(
        [compiler, "-O1", "-I/usr/include/modbus", str(SOURCE), "-lmodbus", "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0 and ("modbus.h" in made.stderr or "-lmodbus" in made.stderr):
        pytest.skip(MISSING)
    assert made.returncode == 0, made.stderr
    return program


class Served:
    """A running server; it can be stopped in its tracks, and go on."""

    def __init__(self, program: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdout is not None
        self._notes = self._process.stdout
        self.said = self._notes.readline().decode().strip()
        assert self.said, "the server did not start"
        fcntl.fcntl(self._notes, fcntl.F_SETPIPE_SZ, NOTES_SIZE)
        os.set_blocking(self._notes.fileno(), False)
        self._heard = b""

    @property
    def port(self) -> int:
        """Its TCP port."""
        return int(self.said)

    def heard(self) -> list[str]:
        """The writes that it noted: function, address and values; all that came before the last request it answered."""
        while noted := self._notes.read(NOTES_SIZE):
            self._heard += noted
        return self._heard.decode().splitlines()

    def freeze(self) -> None:
        """It hears nothing and says nothing, and the system still takes connections for it."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout):
            assert end is not None
            end.close()


@contextmanager
def tcp(program: Path) -> Iterator[Served]:
    """A server over TCP."""
    server = Served(program, "tcp")
    try:
        yield server
    finally:
        server.end()


@contextmanager
def rtu(program: Path, unit: int) -> Iterator[tuple[Served, str]]:
    """A server on a serial line, and the path of the line's other end."""
    with cable() as (theirs, ours):
        server = Served(program, "rtu", theirs, str(unit))
        try:
            yield server, ours
        finally:
            server.end()


@contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """Two serial ports that are joined."""
    ends = [os.openpty(), os.openpty()]
    for _, slave in ends:
        tty.setraw(slave)
    masters = [master for master, _ in ends]
    threads = [threading.Thread(target=_carry, args=way, daemon=True) for way in (masters, masters[::-1])]
    for thread in threads:
        thread.start()
    try:
        yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    finally:
        for _, slave in ends:
            os.close(slave)
        for thread in threads:
            thread.join(5)
        for master in masters:
            os.close(master)


def _carry(come: int, go: int) -> None:
    with suppress(OSError):  # both ends are closed
        while data := os.read(come, 4096):
            os.write(go, data)


POINTS: dict[str, dict[str, Any]] = {
    "coil": {"table": "coil", "type": "bool", "address": 3, "writable": True},
    "discrete": {"table": "discrete", "type": "bool", "address": 7},
    "input": {"table": "input", "type": "uint16", "address": 5},
    "holding": {"table": "holding", "type": "int16", "address": 1, "writable": True},
    "last": {"table": "holding", "type": "uint16", "address": 199},
}
READ = {"coil": 1.0, "discrete": 1.0, "input": 1005.0, "holding": 1.0, "last": 199.0}
"""What the points are at first."""
