"""Histories to forward, and the forwarding as it really runs: a process of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from evcontrol.clock import NS, LiveClock
from evcontrol.history.forward import Forwarder
from evcontrol.history.forward_state import ForwardStatus
from evcontrol.history.layout import Gap, file_name, month_of
from evcontrol.history.month import MonthFile
from evcontrol.history.target import Target
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD_DYNAMIC, UNCERTAIN
from evcontrol.signals import Frame, TagTable
from tests.history.influx_gateway import Gateway
from tests.history.plant import START, make_tags

LIMIT_S = 20.0
TOKEN_FILE = "token.txt"
PLANT = "Suite 1, north=A"


def target(data: Path, gateway: Gateway, bucket: str, *, simulated: bool = False, **more: object) -> Target:
    """A target in a hurry, with its token in a file of the data directory."""
    (data / TOKEN_FILE).write_text(f"{gateway.token}\n", encoding="utf-8")
    fields = {"timeout_s": 2.0, "longest_pause_s": 0.2, "batch_lines": 50, **more}
    return Target(
        gateway.url, gateway.org, bucket, PLANT, simulated, token_file=str(data / TOKEN_FILE), **fields  # type: ignore[arg-type]
    )  # fmt: skip


class Story:
    """Writes scans of a small plant into the history of a data directory, as an engine would."""

    def __init__(self, data: Path, *, simulated: bool = False, start: int = START, seed: int = 7) -> None:
        self.tags: TagTable = make_tags()
        self.directory = data / "history"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.t = start
        self._simulated = simulated
        self._random = np.random.default_rng(seed)
        self._file: MonthFile | None = None
        self._month = ""

    def keep(self, items: Iterable[Frame | Gap]) -> None:
        """Commit frames and gaps; a new month has its own file."""
        for item in items:
            month = month_of(item.end if isinstance(item, Gap) else item.t)
            if self._file is None or month != self._month:
                self.close()
                self._month = month
                self._file = MonthFile(self.directory / file_name(month), self.tags, LiveClock(), self._simulated)
            self._file.write([item])

    def scans(self, count: int) -> list[Frame]:
        """So many scans of two groups each, with every kind of value and quality."""
        frames = []
        for _ in range(count):
            self.t += 100_000_000 + int(self._random.integers(0, 1000))
            frames += [self._skid(), self._engine()]
        return frames

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _skid(self) -> Frame:
        quality = self._random.choice([0, 0, 0, GOOD_DYNAMIC, UNCERTAIN, BAD_NOT_CONNECTED], 3)
        value = np.array([self._random.normal(37.0, 0.1), self._random.normal() * 1e-300, self._random.integers(2**53)])
        value[quality == BAD_NOT_CONNECTED] = np.nan
        return self._frame("skid", [0, 1, 2], value, quality)

    def _engine(self) -> Frame:
        words = ["Load", "Concentrate, 3 x", 'said "so"\\', "µL\nand more", ""]
        code = self.tags.code_of(words[int(self._random.integers(len(words)))])
        return self._frame("engine", [3, 4], np.array([self._random.integers(2), code]), np.zeros(2))

    def _frame(self, group: str, index: list[int], value: object, quality: object) -> Frame:
        values, codes = np.asarray(value, np.float64), np.asarray(quality, np.uint32)
        return Frame(self.t, LiveClock().wall(), group, np.array(index, np.int32), values, codes)


@contextmanager
def running(data: Path, to: Target) -> Iterator[tuple[Forwarder, list[ForwardStatus]]]:
    """A forwarder in a thread, with all that it tells; finished at the end."""
    told: list[ForwardStatus] = []
    forwarder = Forwarder(data, to, told.append)
    thread = threading.Thread(target=forwarder.run, daemon=True)
    thread.start()
    try:
        yield forwarder, told
    finally:
        forwarder.finish()
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def forward(data: Path, to: Target) -> Forwarder:
    """Forward all that is there, once."""
    forwarder = Forwarder(data, to)
    forwarder.finish()
    forwarder.run()
    return forwarder


class Worker:
    """The worker process without an engine."""

    def __init__(self, data: Path, to: Target) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evcontrol.history.forward_main", str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        self.say(to.to_json())
        self.statuses: list[ForwardStatus] = []
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def say(self, line: str) -> None:
        """A line on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._end()

    def finish(self) -> int:
        """Ask it to finish, and return its exit status."""
        self.say("finish")
        status = self._process.wait(LIMIT_S)
        self._end()
        return status

    def abandon(self) -> int:
        """Close its standard input, as the end of its engine does, and return its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None
        status = self._process.wait(LIMIT_S)
        self._end()
        return status

    def _end(self) -> None:
        self._hearing.join(LIMIT_S)
        self._process.communicate()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.statuses.append(ForwardStatus.from_json(line))


def until(there: Callable[[], bool], bound_s: float = LIMIT_S) -> None:
    """Wait until something is so; AssertionError when it is not in time."""
    end = time.monotonic() + bound_s
    while not there():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


__all__ = ["NS", "START", "Story", "Worker", "forward", "running", "target", "until"]
