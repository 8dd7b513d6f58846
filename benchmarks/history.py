"""The history: readings kept per second, bytes per reading, and how long a trend takes; each beside plain SQLite rows.

Plain rows are ``(tag, t, value, quality)`` with an index by tag and time, written ahead with the same fsync.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from evcontrol.clock import NS, LiveClock
from evcontrol.history.cell_blob import TREND
from evcontrol.history.month import MonthFile
from evcontrol.history.reader import HistoryReader
from evcontrol.history.store import Historian
from evcontrol.signals import FloatArray, Frame, Tag, TagKind, TagTable

START = 1_772_323_200 * NS
WIDE_TAGS = 2000
TREND_TAGS = 200
TREND_BUCKETS = 2000
DAY_S = 86_400
SCANS_AT_ONCE = 2_000
MONTH = "2026-03.db"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, default=24, help="length of the signals whose bytes are counted")
    parser.add_argument("--days", type=int, default=30, help="length of the trend")
    parser.add_argument("--scan", type=float, default=60.0, help="seconds between two scans of the trend's readings")
    arguments = parser.parse_args()
    for name, work in (
        ("keeping", keeping),
        ("bytes", lambda data: sizes(data, arguments.hours)),
        ("trend", lambda data: trends(data, arguments.days, arguments.scan)),
    ):
        print(f"-- {name}")
        with tempfile.TemporaryDirectory(prefix="evcontrol-bench-") as directory:
            work(Path(directory))


# -- keeping -----------------------------------------------------------------------------------------------------------


def keeping(data: Path) -> None:
    """Readings on the disk per second of one core: frames of many tags, and frames of one."""
    for name, width, scans in (("wide", WIDE_TAGS, 3000), ("one tag", 1, 200_000)):
        frames = list(noisy(width, scans))
        print(f"frames of {width} tags, a second of one core:")
        used = append(data / f"{name} appended", width, frames)
        print(f"  appended            {width * scans / used:12,.0f} readings, {scans / used:10,.0f} frames")
        used, sealed = asyncio.run(keep(data / name, width, frames))
        print(f"  appended and sealed {width * scans / used:12,.0f} readings, {scans / used:10,.0f} frames "
              f"({100 * sealed:.0f} % of them sealed)")  # fmt: skip
        some = max(20, scans // 20)
        used = plain(data / f"{name}.db", frames[:some])
        print(f"  plain rows          {width * some / used:12,.0f} readings, {some / used:10,.0f} frames")


def append(directory: Path, width: int, frames: list[Frame]) -> float:
    """CPU seconds until all of it is on the disk as it came."""
    directory.mkdir()
    file = MonthFile(directory / MONTH, tags_of(width), LiveClock())
    gc.collect()
    used = time.process_time()
    for at in range(0, len(frames), SCANS_AT_ONCE):
        file.write(frames[at : at + SCANS_AT_ONCE])
    used = time.process_time() - used
    file.close()
    return used


async def keep(directory: Path, width: int, frames: list[Frame]) -> tuple[float, float]:
    """CPU seconds until all of it is on the disk and most of it sealed, and how much of it was."""
    historian = Historian(directory, tags_of(width), LiveClock(), buffer_frames=10**9)
    gc.collect()
    used = time.process_time()
    for at in range(0, len(frames), SCANS_AT_ONCE):
        for frame in frames[at : at + SCANS_AT_ONCE]:
            historian.keep(frame.t, frame.wall, [frame])
        await historian.flush()
    used = time.process_time() - used
    if historian.trouble:
        raise SystemExit(historian.trouble)
    await historian.close()
    with closing(sqlite3.connect(directory / MONTH)) as db:
        (hot,) = db.execute("SELECT count(*) FROM frames").fetchone()
    return used, 1 - hot / len(frames)


def plain(path: Path, frames: Iterable[Frame]) -> float:
    """CPU seconds for the same in plain rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE readings (tag INTEGER, t INTEGER, value REAL, quality INTEGER)")
        db.execute("CREATE INDEX by_tag ON readings (tag, t)")
        used = time.process_time()
        every = list(frames)
        for at in range(0, len(every), 100):
            db.execute("BEGIN")
            for frame in every[at : at + 100]:
                rows = zip(
                    frame.index.tolist(), [frame.t] * len(frame.index), frame.value.tolist(), frame.quality.tolist(),
                    strict=True,
                )  # fmt: skip
                db.executemany("INSERT INTO readings VALUES (?, ?, ?, ?)", rows)
            db.execute("COMMIT")
        return time.process_time() - used


# -- bytes -------------------------------------------------------------------------------------------------------------


def sizes(data: Path, hours: int) -> None:
    """Bytes of all files per reading, with the frame's time and with a source time for each reading."""
    scans = hours * 3600
    for name, sourced in (("the frame's time", False), ("a source time each", True)):
        directory = data / name
        directory.mkdir()
        signals = Signals()
        file = MonthFile(directory / MONTH, signals.tags, LiveClock())
        first = None
        for frames in signals.scans(scans, sourced):
            first = first or frames
            for i in range(0, len(frames), 100):
                file.write(frames[i : i + 100])
                file.seal()
        file.close()
        size = sum(path.stat().st_size for path in directory.iterdir())
        print(f"{size / (scans * len(signals.tags)):6.2f} bytes/reading with {name} ({size / 1e6:.1f} MB)")
        if not sourced and first is not None:
            plain(data / "plain.db", first)
            rows = len(first) * len(signals.tags)
            print(f"{(data / 'plain.db').stat().st_size / rows:6.2f} bytes/reading in plain rows")


class Signals:
    """Noisy signals as instruments deliver them: a bioreactor's float32, a skid's 16-bit registers, balances' digits.

    Levels, noise and resolution are those of the demo plant's instruments.
    """

    FLOATS = 24
    REGISTERS = 24
    BALANCES = 4
    STATES = 8

    def __init__(self) -> None:
        kinds = [TagKind.ANALOG] * (self.FLOATS + self.REGISTERS + self.BALANCES) + [TagKind.DISCRETE] * self.STATES
        self.tags = TagTable(Tag(f"T{i}", i, "", kind, 0.0, 1.0) for i, kind in enumerate(kinds))
        self._random = np.random.default_rng(11)

    def scans(self, count: int, sourced: bool) -> Iterator[list[Frame]]:
        """Scans a second apart, some hundred at once; times jitter as those of a real scan do."""
        width = len(self.tags)
        index = np.arange(width, dtype=np.int32)
        good = np.zeros(width, dtype=np.uint32)
        level = self._random.uniform(1, 60, width)
        for at in range(0, count, 500):
            n = min(500, count - at)
            values = self._values(level, n)
            level = level + values[-1] * 0
            t = START + (at + np.arange(n)) * NS + self._random.gamma(2, 150_000, n).astype(np.int64)
            wall = t + self._random.gamma(2, 400_000, n).astype(np.int64)
            source = t[:, None] - self._random.gamma(2, 2e6, (n, width)).astype(np.int64) // 1_000_000 * 1_000_000
            yield [
                Frame(int(t[i]), int(wall[i]), "unit", index, values[i], good, source[i] if sourced else None)
                for i in range(n)
            ]

    def _values(self, level: FloatArray, n: int) -> FloatArray:
        drift = np.cumsum(self._random.normal(0, 2e-4, (n, len(level))), axis=0) * level
        level += drift[-1]
        v: FloatArray = level + drift + self._random.normal(0, 1.5e-3, (n, len(level))) * level
        f, r, b = self.FLOATS, self.FLOATS + self.REGISTERS, self.FLOATS + self.REGISTERS + self.BALANCES
        v[:, :f] = v[:, :f].astype(np.float32)
        v[:, f:r] = np.rint(v[:, f:r] * 100) * 1 / 100
        v[:, r:b] = np.rint(v[:, r:b] * 10) / 10
        v[:, b:] = np.arange(n)[:, None] // 200 % 2
        return v


# -- trend -------------------------------------------------------------------------------------------------------------


def trends(data: Path, days: int, scan_s: float) -> None:
    """Milliseconds for a long trend of many tags, and for one tag of it."""
    tags = tags_of(TREND_TAGS)
    scans = round(days * DAY_S / scan_s)
    file = MonthFile(data / MONTH, tags, LiveClock())
    began = time.perf_counter()
    some: list[Frame] = []
    for at in range(0, scans, SCANS_AT_ONCE):
        frames = list(noisy(TREND_TAGS, min(SCANS_AT_ONCE, scans - at), at, round(scan_s * NS)))
        some = some or frames
        for i in range(0, len(frames), 200):
            file.write(frames[i : i + 200])
            file.seal()
    file.close()
    print(f"{scans * TREND_TAGS / 1e6:.0f} M readings written in {time.perf_counter() - began:.0f} s")
    reader, end = HistoryReader(data), START + days * DAY_S * NS
    names = tags.names()
    for name, wanted in (("200 tags", names), ("one tag", names[:1])):
        taken, cpu = [], []
        for _ in range(7):
            began, used = time.perf_counter(), time.process_time()
            found = reader.trend(wanted, START, end, TREND_BUCKETS, TREND)
            taken.append(1e3 * (time.perf_counter() - began))
            cpu.append(1e3 * (time.process_time() - used))
        parts = len(next(iter(found.values())).t)
        best, median = min(taken), statistics.median(taken)
        print(f"{name:8} {days} days in {parts} buckets: {best:6.1f} ms at best, {median:6.1f} in the median; "
              f"{statistics.median(cpu):6.1f} ms of CPU")  # fmt: skip
    plain(data / "plain.db", some)
    with closing(sqlite3.connect(data / "plain.db")) as db:
        began = time.perf_counter()
        width = (some[-1].t - START) // TREND_BUCKETS + 1
        db.execute(
            f"SELECT tag, (t - {START}) / {width}, min(value), max(value), avg(value) FROM readings GROUP BY 1, 2"
        ).fetchall()
        taken_s = time.perf_counter() - began
    share = len(some) / scans
    print(f"plain rows: {1e3 * taken_s / share:7.0f} ms for 200 tags (from {100 * share:.1f} % of the readings)")


def tags_of(count: int) -> TagTable:
    """So many analog tags."""
    return TagTable(Tag(f"T{i}", i, "", TagKind.ANALOG, 0.0, 1.0) for i in range(count))


def noisy(width: int, scans: int, first: int = 0, step: int = NS // 10) -> Iterator[Frame]:
    """Frames of float32 noise."""
    random = np.random.default_rng(first)
    index, good = np.arange(width, dtype=np.int32), np.zeros(width, dtype=np.uint32)
    pool = (37 + random.normal(0, 0.05, (min(scans, 1000), width))).astype(np.float32).astype(np.float64)
    for i in range(scans):
        t = START + (first + i) * step
        yield Frame(t, t + 1_000_000, "group", index, pool[i % len(pool)], good)


if __name__ == "__main__":
    main()
