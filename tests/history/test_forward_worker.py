"""The worker beside an engine: watched, started again, ended with it, and told of in its tags."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.engine import Engine
from evcontrol.history import forward_worker
from evcontrol.history.forward_state import ForwardState, ForwardStatus
from evcontrol.history.forward_worker import ForwardWorker
from evcontrol.history.reader import HistoryReader
from evcontrol.history.target import Target
from evcontrol.plant.load import parse_plant
from tests.cli.processes import PLANT, evcontrol, started
from tests.cli.processes import until as until_file
from tests.history.forwarded import compare
from tests.history.forwarding import LIMIT_S, Story, target, until
from tests.history.influx_gateway import Gateway
from tests.history.influx_server import INFLUXD, NOT_HERE, InfluxServer
from tests.plant.test_influx import PLANT as SMALL
from tests.plant.test_influx import section

pytestmark = pytest.mark.skipif(INFLUXD is None, reason=NOT_HERE)
BUCKET, TRIAL = "production", "trial"
TAGS = """
  SYS.FORWARD_STATE: {internal: true, kind: enum, labels: [off, starting, forwarding, waiting, refused, stopped]}
  SYS.FORWARD_REASON: {internal: true, kind: text}
  SYS.FORWARD_LAG: {internal: true, unit: s, low: 0, high: 100000}
  SYS.FORWARD_RATE: {internal: true, unit: 1/s, low: 0, high: 100000}
  SYS.FORWARD_QUARANTINE: {internal: true, kind: integer, low: 0, high: 1000000}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    with InfluxServer(tmp_path_factory.mktemp("influx")) as running:
        running.create(BUCKET)
        running.create(TRIAL)
        yield running


@pytest.fixture
def gateway(server: InfluxServer) -> Iterator[Gateway]:
    with Gateway(server) as gateway:
        yield gateway


def with_worker(
    data: Path, to: Target, main: Callable[[ForwardWorker], Awaitable[None]]
) -> tuple[ForwardWorker, float]:
    """Do something while a worker runs; the worker, and how long it took to end."""

    async def run() -> tuple[ForwardWorker, float]:
        worker = ForwardWorker(data, to)
        worker.start()
        try:
            await main(worker)
        finally:
            begun = time.monotonic()
            await worker.stop()
        return worker, time.monotonic() - begun

    return asyncio.run(run())


async def soon(there: Callable[[], bool]) -> None:
    """Wait until something is so, for a bounded time."""
    async with asyncio.timeout(LIMIT_S):
        while not there():
            await asyncio.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_worker_that_was_killed_is_started_again_and_goes_on(
    tmp_path: Path, server: InfluxServer, gateway: Gateway
) -> None:
    story = Story(tmp_path)
    story.keep(story.scans(10))
    seen: list[ForwardStatus] = []

    async def main(worker: ForwardWorker) -> None:
        await soon(lambda: worker.status.lines == 25)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        await soon(lambda: worker.status.state is ForwardState.STOPPED)
        seen.append(worker.status)
        assert worker.lag_s >= 0.0
        story.keep(story.scans(10))
        await soon(lambda: worker.status.lines == 25 and worker.status.oldest is None)

    worker, took = with_worker(tmp_path, target(tmp_path, gateway, BUCKET), main)
    story.close()
    assert seen[0].reason == f"the worker ended with status -{signal.SIGKILL}"
    assert seen[0].oldest is not None
    assert took < 5.0
    assert worker.pid is None
    assert compare(tmp_path, server, BUCKET, simulated=False).differences == []


def test_a_hung_worker_is_killed_and_started_again(
    tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward_worker, "SILENT_S", 3.0)

    async def main(worker: ForwardWorker) -> None:
        await soon(lambda: worker.pid is not None)
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await soon(lambda: worker.status.state is ForwardState.STOPPED)
        assert worker.status.reason == "the worker was hung"
        await soon(lambda: worker.pid not in (None, first))
        assert is_gone(first)

    (tmp_path / "history").mkdir()
    with_worker(tmp_path, target(tmp_path, gateway, BUCKET), main)


def test_it_ends_in_bounded_time_though_the_server_hangs(
    tmp_path: Path, server: InfluxServer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward_worker, "FINISH_S", 1.0)
    story = Story(tmp_path)
    story.keep(story.scans(10))
    story.close()

    async def main(worker: ForwardWorker) -> None:
        await soon(lambda: worker.status.oldest is not None)

    server.hang()
    try:
        worker, took = with_worker(tmp_path, target(tmp_path, gateway, BUCKET, timeout_s=60.0), main)
    finally:
        server.go_on()
    assert took < 5.0
    assert worker.pid is None


def test_an_engine_in_virtual_time_forwards_nothing(tmp_path: Path) -> None:
    plant = parse_plant(SMALL + TAGS + section(simulated_bucket=TRIAL), "p", {"simulated": True, "devices": {}})

    async def main(clock: VirtualClock) -> Engine:
        engine = Engine(plant, tmp_path, clock)
        await engine.start()
        await engine.scanner.next_scan()
        await engine.stop("test")
        return engine

    engine = run_virtual(main)
    assert plant.target is not None
    assert engine.forwarding is None
    assert engine.image.text("SYS.FORWARD_STATE") == "off"
    assert not (tmp_path / "forward.db").exists()


# -- the real engine, on simulated equipment ---------------------------------------------------------------------------


@contextmanager
def engine(data: Path, gateway: Gateway) -> Iterator[subprocess.Popen[str]]:
    """An engine with its simulators, told by a file where to forward to."""
    (data / "word").write_text(gateway.token, encoding="utf-8")
    plant, influx = data / "plant.yaml", data / "influx.yaml"
    plant.write_text(PLANT.read_text(encoding="utf-8").replace("\ntags:\n", f"\ntags:{TAGS}", 1), encoding="utf-8")
    keys = {"url": gateway.url, "org": gateway.org, "bucket": BUCKET, "simulated_bucket": TRIAL, "longest_pause": "1 s"}
    influx.write_text(section(**keys, token_env=None, token_file=str(data / "word")), encoding="utf-8")
    where = data / "run" / "simulators.json"
    with started("simulate", str(plant), "--data", str(data), "--until-eof") as simulators:
        until_file(where.exists, simulators)
        options = ("--data", str(data), "--endpoints", str(where), "--influxdb", str(influx), "--until-eof")
        with started("serve", str(plant), *options) as process:
            until_file((data / "run" / "endpoint.json").exists, process)
            yield process


def sent(gateway: Gateway) -> int:
    """How many requests the server has acknowledged."""
    return sum(write.status == 204 for write in gateway.writes)


def worker_of(process: subprocess.Popen[str]) -> int:
    """The process id of an engine's worker."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (pid,) = (int(c) for c in children if "forward_main" in Path(f"/proc/{c}/cmdline").read_text())
    return pid


def test_an_engine_forwards_what_it_keeps_through_an_outage_and_never_to_production(
    tmp_path: Path, server: InfluxServer, gateway: Gateway
) -> None:
    with engine(tmp_path, gateway) as process:
        until(lambda: sent(gateway) >= 3)
        server.kill()
        failed = len(gateway.writes)
        until(lambda: len(gateway.writes) >= failed + 4)
        server.start()
        acknowledged = sent(gateway)
        until(lambda: sent(gateway) >= acknowledged + 3)
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        assert process.wait(LIMIT_S) == 0
    result = compare(tmp_path, server, TRIAL, simulated=True)
    assert result.differences == []
    assert result.readings > 300
    assert gateway.buckets() == {TRIAL}
    assert server.rows(BUCKET, "SHOW SERIES WHERE simulated = 'true'") == []
    history = HistoryReader(tmp_path / "history")
    span = history.span()
    assert span is not None
    states = {word for _, word in history.texts("SYS.FORWARD_STATE", *span)}
    assert states >= {"forwarding", "waiting"}
    lags = history.raw(["SYS.FORWARD_LAG", "SYS.FORWARD_RATE"], *span)
    assert np.nanmax(lags["SYS.FORWARD_LAG"].v) > 0.3
    assert np.nanmax(lags["SYS.FORWARD_RATE"].v) > 0.0
    log = (tmp_path / "log" / "engine.log").read_text(encoding="utf-8")
    assert '"state": "waiting"' in log
    assert gateway.token not in log
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "word":
            assert gateway.token.encode() not in path.read_bytes(), path


def test_the_worker_of_a_killed_engine_ends_too(tmp_path: Path, gateway: Gateway) -> None:
    with engine(tmp_path, gateway) as process:
        until(lambda: sent(gateway) >= 1)
        pid = worker_of(process)
        process.kill()
        until(lambda: is_gone(pid), 5.0)


def test_a_simulated_plant_without_a_bucket_of_its_own_is_refused_before_anything_starts(tmp_path: Path) -> None:
    influx = tmp_path / "influx.yaml"
    influx.write_text(section(), encoding="utf-8")
    done = evcontrol("demo", "--influxdb", str(influx), "--out", str(tmp_path / "data"))
    assert done.returncode == 1
    told = f"{influx}:4:11: a simulated plant never writes to 'production': give a simulated_bucket"
    assert done.stderr.splitlines() == [f"evcontrol: {told}"]
    assert not (tmp_path / "data").exists()


def test_check_takes_a_file_with_the_section(tmp_path: Path) -> None:
    influx = tmp_path / "influx.yaml"
    influx.write_text(section(simulated_bucket=TRIAL), encoding="utf-8")
    done = evcontrol("check", str(influx))
    assert (done.returncode, done.stdout) == (0, f"{influx}: no mistakes\n")
