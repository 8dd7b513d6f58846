"""The history: readings kept per second, bytes per reading, and how long a trend takes.

Each beside plain SQLite rows, ``(tag, t, value, quality)`` with an index by tag and time and the same fsync, and beside
a server of InfluxDB's protocol where one is installed (InfluxDB 1.x: ``influxd``), with a part of the readings.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import http.client
import os
import sqlite3
import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.engine import PLANT, child, wait_for
from evcontrol.api import endpoint
from evcontrol.clock import NS, LiveClock, VirtualClock, run_virtual
from evcontrol.history.cell_blob import TREND
from evcontrol.history.line import Lines
from evcontrol.history.month import MonthFile
from evcontrol.history.reader import HistoryReader
from evcontrol.history.store import Historian
from evcontrol.signals import FloatArray, Frame, Tag, TagKind, TagTable
from tests.batch.ev_suite import EvSuite
from tests.history.influx_server import INFLUXD, InfluxServer

START = 1_772_323_200 * NS
WIDE_TAGS = 2000
TREND_TAGS = 200
TREND_BUCKETS = 2000
DAY_S = 86_400
SCANS_AT_ONCE = 2_000
MONTH = "2026-03.db"
BUCKET = "bench"
LINES = 500


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, default=24, help="length of the signals whose bytes are counted")
    parser.add_argument("--days", type=int, default=30, help="length of the trend")
    parser.add_argument("--plant-hours", type=float, default=24.0, help="length of the demo plant's own signals")
    parser.add_argument("--only", choices=("keeping", "bytes", "plant", "trend"), help="one part alone")
    parser.add_argument("--scan", type=float, default=60.0, help="seconds between two scans of the trend's readings")
    arguments = parser.parse_args()
    for name, work in (
        ("keeping", keeping),
        ("bytes", lambda data: sizes(data, arguments.hours)),
        ("plant", lambda data: plant(data, arguments.plant_hours)),
        ("trend", lambda data: trends(data, arguments.days, arguments.scan)),
    ):
        if arguments.only not in (None, name):
            continue
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
        beside_influx(data / f"{name} influx", width, frames[:some])


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


def beside_influx(directory: Path, width: int, frames: list[Frame]) -> None:
    """The same as lines over HTTP: what the server spends, and what lies on its disk."""
    if INFLUXD is None:
        print("  InfluxDB            not installed")
        return
    with InfluxServer(directory) as server:
        server.create(BUCKET)
        lines = influx_lines(width, frames)
        used = cpu_of(server)
        for at in range(0, len(lines), LINES):
            post(server, lines[at : at + LINES])
        used = cpu_of(server) - used
    readings = width * len(frames)
    print(f"  InfluxDB 1.x        {readings / used:12,.0f} readings, {len(frames) / used:10,.0f} frames "
          "(its own CPU; making the lines is not counted)")  # fmt: skip


def influx_lines(width: int, frames: Iterable[Frame]) -> list[bytes]:
    """Frames as lines."""
    maker = Lines("bench", simulated=True).frames("group", list(tags_of(width)))
    return [maker.line(f.t, f.value.tolist(), f.quality.tolist(), {})[0] for f in frames]


def post(server: InfluxServer, lines: list[bytes]) -> None:
    """Write lines into the server."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("POST", server.where({"bucket": BUCKET, "precision": "ns"}), b"\n".join(lines))
    answer = connection.getresponse()
    if answer.status != 204:
        raise SystemExit(f"InfluxDB answers {answer.status}: {answer.read()[:200]!r}")
    connection.close()


def cpu_of(server: InfluxServer) -> float:
    """User and system seconds of the server."""
    fields = Path(f"/proc/{server.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


# -- the demo plant's own signals ------------------------------------------------------------------------------------


def plant(data: Path, hours: float) -> None:
    """Bytes per reading over the demo plant's whole batch, a scan a second, with and without a source time for each."""
    kept = {name: Kept(data / name) for name in ("the frame's time", "a source time each")}
    random = np.random.default_rng(3)

    def keep(t: int, wall: int, frames: Sequence[Frame]) -> None:
        for frame in frames:
            source = frame.t - random.gamma(2, 2e6, len(frame.index)).astype(np.int64) // 1_000_000 * 1_000_000
            plain_frame = replace(frame, source_t=None)
            sourced = replace(frame, source_t=frame.source_t if frame.source_t is not None else source)
            for one, what in zip(kept.values(), (plain_frame, sourced), strict=True):
                one.keep(what)

    async def main(clock: VirtualClock) -> int:
        async with EvSuite(data / "engine", clock, speed=1.0) as suite:
            for one in kept.values():
                one.open(suite.plant.tags, clock)
            suite.engine.historian.keep = keep  # type: ignore[method-assign]
            run = await suite.start_batch()
            end = clock.now() + round(hours * 3600 * NS)
            while clock.now() < end and not run.ended:
                await suite.engine.scanner.next_scan()
                await suite.answer_all(run)
            return len(suite.plant.tags)

    (data / "engine").mkdir()
    tags = run_virtual(main)
    for name, one in kept.items():
        print(f"{one.close():6.2f} bytes/reading with {name} ({one.readings / 1e6:.1f} M readings of {tags} tags)")


class Kept:
    """A month file that is sealed as it grows, with how many readings came in."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.readings = 0
        self._directory = directory
        self._waiting: list[Frame] = []
        self._file: MonthFile | None = None

    def open(self, tags: TagTable, clock: VirtualClock) -> None:
        """Begin."""
        self._file = MonthFile(self._directory / MONTH, tags, clock)

    def keep(self, frame: Frame) -> None:
        """Take a frame in."""
        self.readings += len(frame.index)
        self._waiting.append(frame)
        if len(self._waiting) >= 500:
            self._write()

    def close(self) -> float:
        """End, and tell the bytes of all files for each reading."""
        self._write()
        if self._file is not None:
            self._file.close()
        return sum(path.stat().st_size for path in self._directory.iterdir()) / self.readings

    def _write(self) -> None:
        if self._file is not None:
            self._file.write(self._waiting)
            while self._file.seal():
                pass
        self._waiting.clear()


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
    through_api(data, names, START, end)
    influx_trend(data / "influx", some, scans)
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


def through_api(history: Path, names: list[str], start: int, end: int) -> None:
    """The same trend asked of an engine's API by a client on this machine."""
    data = history / "engine"
    (data / "history").mkdir(parents=True)
    (history / MONTH).rename(data / "history" / MONTH)
    with child("simulate", str(PLANT), "--data", str(data), "--until-eof"):
        wait_for(data / "run" / "simulators.json")
        endpoints = str(data / "run" / "simulators.json")
        with child("serve", str(PLANT), "--data", str(data), "--endpoints", endpoints, "--until-eof"):
            wait_for(data / "run" / "endpoint.json")
            where, token = endpoint.find(data)
            asked = urllib.parse.urlencode({"tag": names, "start": start, "end": end, "buckets": TREND_BUCKETS}, True)
            request = urllib.request.Request(f"{where.url}/api/history?{asked}")
            request.add_header("Authorization", f"Bearer {token}")
            taken = []
            for _ in range(8):
                began = time.perf_counter()
                with urllib.request.urlopen(request, timeout=60) as answer:
                    size = len(answer.read())
                taken.append(1e3 * (time.perf_counter() - began))
    print(f"200 tags through the API: {min(taken[1:]):6.1f} ms at best, {statistics.median(taken[1:]):6.1f} in the "
          f"median, {size / 1e6:.1f} MB; the first {taken[0]:.0f} ms")  # fmt: skip


def influx_trend(directory: Path, frames: list[Frame], scans: int) -> None:
    """The same question to InfluxDB with a part of the readings, and how long all of them would take it."""
    if INFLUXD is None:
        return
    with InfluxServer(directory) as server:
        server.create(BUCKET)
        lines = influx_lines(TREND_TAGS, frames)
        for at in range(0, len(lines), LINES):
            post(server, lines[at : at + LINES])
        width = (frames[-1].t - START) // TREND_BUCKETS + 1
        asked = ", ".join(f'{f}("T{i}")' for i in range(TREND_TAGS) for f in ("mean", "min", "max"))
        began = time.perf_counter()
        server.rows(BUCKET, f"SELECT {asked} FROM readings WHERE time >= {START} AND time <= {frames[-1].t} "
                            f"GROUP BY time({width}ns)")  # fmt: skip
        taken = time.perf_counter() - began
    share = len(frames) / scans
    print(f"InfluxDB 1.x: {1e3 * taken:7.0f} ms for 200 tags over {100 * share:.1f} % of the readings")


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
