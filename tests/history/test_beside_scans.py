"""A backlog that is caught up and a reader of years delay no scan of the engine that runs beside them."""

from __future__ import annotations

import urllib.parse
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pytest

from evcontrol.api import endpoint
from evcontrol.api.series import Series, unpack_series
from evcontrol.clock import NS, LiveClock
from evcontrol.history.layout import file_name, month_of
from evcontrol.history.month import MonthFile
from evcontrol.history.reader import HistoryReader
from evcontrol.plant.load import load_plant
from evcontrol.signals import Frame, Tag, TagKind, TagTable
from tests.cli.processes import PLANT, evcontrol
from tests.history.forwarded import compare
from tests.history.forwarding import until
from tests.history.forwarding_engine import TRIAL, Suite
from tests.history.influx_gateway import Gateway
from tests.history.influx_server import INFLUXD, NOT_HERE, InfluxServer

HOUR_S = 3600
DAY_S = 24 * HOUR_S
MONTH_S = 30 * DAY_S
SCANS_A_SECOND = 10
"""Ten times those of the shipped plant."""
PIECE = 3000
STEP_NS = 300 * NS
"""Between two scans of the months."""


def keep(data: Path, tags: Sequence[Tag], start: int, end: int, step: int) -> int:
    """Write scans of all tags into the history, as a simulated engine would; how many there are."""
    table = TagTable(
        Tag(tag.name, i, tag.unit, tag.kind, tag.low, tag.high, tag.description, tag.labels)
        for i, tag in enumerate(tags)
    )
    index, good = np.arange(len(tags), dtype=np.int32), np.zeros(len(tags), np.uint32)
    random, step_word = np.random.default_rng(5), table.code_of("Concentrate")
    rest = np.array([float(step_word) if tag.kind is TagKind.TEXT else 0.0 for tag in tags])
    analog = np.array([tag.kind is TagKind.ANALOG for tag in tags])
    (data / "history").mkdir(parents=True, exist_ok=True)
    times = range(start, end, step)
    for month, in_month in groupby(times, key=month_of):
        with closing(MonthFile(data / "history" / file_name(month), table, LiveClock(), True)) as file:
            while piece := list(islice(in_month, PIECE)):
                noise = random.normal(37.0, 0.1, (len(piece), len(tags))).astype(np.float32).astype(np.float64)
                values = np.where(analog, noise, rest)
                file.write(Frame(t, t, "plant", index, values[i], good) for i, t in enumerate(piece))
                while file.seal():
                    pass
    return len(times)


def holes(data: Path, start: int) -> tuple[int, int, int]:
    """Scans that the engine made since ``start``, those it left out, and the longest time between two in ns."""
    reader, now = HistoryReader(data / "history"), LiveClock().now()
    missed = reader.raw(["SYS.SCANS_MISSED"], start, now)["SYS.SCANS_MISSED"]
    return len(missed), int(np.nanmax(missed.v)), int(np.diff(missed.t).max())


def assert_none_missed(data: Path, start: int, at_least: int) -> str:
    """No scan was left out; what was seen, in words."""
    scans, missed, longest = holes(data, start)
    told = f"{scans} scans, {missed} left out, at most {longest / 1e6:.0f} ms from one to the next"
    assert missed == 0, told
    assert longest < 3 * NS // SCANS_A_SECOND, told
    assert scans > at_least, told
    return told


@pytest.mark.skipif(INFLUXD is None, reason=NOT_HERE)
@pytest.mark.parametrize("hours", [1, pytest.param(24, marks=pytest.mark.full)])
@pytest.mark.timeout(1200)
def test_hours_of_backlog_are_caught_up_without_a_missed_scan(tmp_path: Path, hours: int) -> None:
    data = tmp_path / "data"
    data.mkdir()
    tags, now = list(load_plant(PLANT).tags), LiveClock().now()
    with InfluxServer(tmp_path / "influx") as server, Gateway(server) as gateway:
        server.create(TRIAL)
        suite = Suite(data, gateway, scans_a_second=SCANS_A_SECOND)
        with suite.simulators():
            backlog = keep(data, tags, now - hours * HOUR_S * NS, now, NS)
            begun = LiveClock().now()
            with suite.engine() as process:
                until(lambda: _lines(gateway) > backlog + 100 and _scans(data, begun) > 30, 600.0)
                took = (LiveClock().now() - begun) / NS
                assert process.stdin is not None
                process.stdin.close()
                process.stdin = None
                assert process.wait(30.0) == 0
        told = assert_none_missed(data, begun, 20)
        result = compare(data, server, TRIAL, simulated=True)
    assert result.differences == []
    print(f"{hours} h ({backlog} scans of {len(tags)} tags) caught up in {took:.1f} s: {told}")  # noqa: T201


def _scans(data: Path, begun: int) -> int:
    return len(HistoryReader(data / "history").raw(["SYS.SCANS_MISSED"], begun, 2**62)["SYS.SCANS_MISSED"])


def _lines(gateway: Gateway) -> int:
    return sum(len(write.lines) for write in list(gateway.writes) if write.status == 204)


@pytest.mark.parametrize("months", [1, pytest.param(12, marks=pytest.mark.full)])
@pytest.mark.timeout(1200)
def test_a_reader_of_months_delays_no_scan(tmp_path: Path, months: int) -> None:
    data = tmp_path / "data"
    data.mkdir()
    suite = Suite(data, None, scans_a_second=SCANS_A_SECOND)
    tags, now = [Tag(f"T{i}", i, "degC", TagKind.ANALOG, 0.0, 100.0) for i in range(200)], LiveClock().now()
    with suite.simulators():
        start = now - months * MONTH_S * NS
        readings = keep(data, tags, start, now, STEP_NS) * len(tags)
        begun = LiveClock().now()
        with suite.engine():
            found = ask(data, [tag.name for tag in tags], start, now, 2000)
            whole = ("history", "export", "--data", str(data), "--tag", "T7", "--out", str(tmp_path / "t7.csv"))
            done = evcontrol(*whole)
            until(lambda: _scans(data, begun) > 30)
        told = assert_none_missed(data, begun, 20)
    assert done.returncode == 0, done.stderr
    assert len(found) == len(tags)
    assert all(len(one.t) > 700 and 36.0 < min(one.low) < max(one.high) < 38.0 for one in found)
    print(f"{readings / 1e6:.0f} M readings looked at: {told}")  # noqa: T201


def ask(data: Path, tags: Sequence[str], start: int, end: int, buckets: int) -> list[Series]:
    """A trend from the engine's API."""
    where, token = endpoint.find(data)
    query = urllib.parse.urlencode({"tag": tags, "start": start, "end": end, "buckets": buckets}, doseq=True)
    request = urllib.request.Request(f"{where.url}/api/history?{query}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return unpack_series(answer.read())
