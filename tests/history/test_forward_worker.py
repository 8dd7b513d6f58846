"""The worker beside an engine: watched, started again, ended with it, and told of in its tags."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from evcontrol.cli.commands import run
from evcontrol.cli.fault import DONE, WRONG
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.engine import Engine
from evcontrol.history import forward_worker
from evcontrol.history.forward_state import ForwardState, ForwardStatus
from evcontrol.history.forward_worker import ForwardWorker
from evcontrol.history.reader import HistoryReader
from evcontrol.history.target import Target
from evcontrol.plant.load import parse_plant
from tests.history.forwarded import compare
from tests.history.forwarding import LIMIT_S, Story, target, until
from tests.history.forwarding_engine import BUCKET, TAGS, TRIAL, Suite, is_gone, sent, worker_of
from tests.history.influx_gateway import Gateway
from tests.history.influx_server import INFLUXD, NOT_HERE, InfluxServer
from tests.plant.test_influx import PLANT as SMALL
from tests.plant.test_influx import section

pytestmark = pytest.mark.skipif(INFLUXD is None, reason=NOT_HERE)


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

    async def work() -> tuple[ForwardWorker, float]:
        worker = ForwardWorker(data, to)
        worker.start()
        try:
            await main(worker)
        finally:
            begun = time.monotonic()
            await worker.stop()
        return worker, time.monotonic() - begun

    return asyncio.run(work())


async def soon(there: Callable[[], bool]) -> None:
    """Wait until something is so, for a bounded time."""
    async with asyncio.timeout(LIMIT_S):
        while not there():
            await asyncio.sleep(0.02)


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


def test_an_engine_forwards_what_it_keeps_through_an_outage_and_its_own_death_and_never_to_production(
    tmp_path: Path, server: InfluxServer, gateway: Gateway
) -> None:
    suite = Suite(tmp_path, gateway)
    with suite.simulators():
        with suite.engine() as process:
            until(lambda: sent(gateway) >= 2)
            pid = worker_of(process)
            process.kill()
            until(lambda: is_gone(pid), 5.0)
        with suite.engine() as process:
            acknowledged = sent(gateway)
            until(lambda: sent(gateway) > acknowledged)
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
    assert result.gaps == 1
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


def test_a_simulated_plant_without_a_bucket_of_its_own_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    influx = tmp_path / "influx.yaml"
    influx.write_text(section(), encoding="utf-8")
    assert run(["demo", "--influxdb", str(influx), "--out", str(tmp_path / "data")]) == WRONG
    told = f"{influx}:4:11: a simulated plant never writes to 'production': give a simulated_bucket"
    assert capsys.readouterr().err.splitlines() == [f"evcontrol: {told}"]
    assert not (tmp_path / "data").exists()


def test_check_takes_a_file_with_the_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    influx = tmp_path / "influx.yaml"
    influx.write_text(section(simulated_bucket=TRIAL), encoding="utf-8")
    assert run(["check", str(influx)]) == DONE
    assert capsys.readouterr().out == f"{influx}: no mistakes\n"
