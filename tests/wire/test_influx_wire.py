"""What InfluxDB holds after a batch on the whole process cell is the local history, though it was away meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.history.forwarded import compare
from tests.history.forwarding import forward, target
from tests.history.influx_gateway import Gateway
from tests.history.influx_server import NOT_HERE, InfluxServer
from tests.wire.processes import CELL, EV_BATCH, Processes
from tests.wire.test_culture_wire import CULTURE

BUCKET = "ev-simulated"
AWAY_S = 4.0
"""Real time without the server: more than an hour of process."""
pytestmark = pytest.mark.skipif(shutil.which("influxd") is None, reason=NOT_HERE)


async def _forwarded(directory: Path, recipe: str, pause_in: str, bound_s: float, **parameters: str) -> None:
    data, section = directory / "data", directory / "influxdb.yaml"
    token = directory / "token.txt"
    with InfluxServer(directory / "influxdb") as server, Gateway(server) as gateway:
        server.create(BUCKET)
        token.write_text(gateway.token)
        section.write_text(
            f"influxdb:\n  url: {gateway.url}\n  org: {gateway.org}\n  bucket: production\n"
            f"  simulated_bucket: {BUCKET}\n  token_file: {token}\n"
        )
        async with Processes(data, speed=1440.0, plant=CELL, serve=("--influxdb", str(section))) as cell:
            await cell.start_batch(recipe, **parameters)
            await cell.until_running(pause_in)
            server.kill()
            await asyncio.sleep(AWAY_S)
            server.start()
            await cell.until_state("Complete", bound_s=bound_s)
            cell.engine.send_signal(signal.SIGTERM)
            status, last = await cell.ended(cell.engine)
            assert status == 0, last
        rest = replace(target(data, gateway, BUCKET, simulated=True), plant="EV process cell")
        forward(data, rest)  # what the engine wrote last, as its next start would
        found = compare(data, server, BUCKET, simulated=True)
        assert found.differences == []
        assert found.readings > 20_000
        assert gateway.buckets() == {BUCKET}


@pytest.mark.timeout(240)
def test_a_culture_is_forwarded_whole_though_the_server_was_away(tmp_path: Path) -> None:
    asyncio.run(_forwarded(tmp_path, CULTURE.replace("time: 12 h", "time: 6 h"), "expand", 90.0))


@pytest.mark.full
@pytest.mark.timeout(500)
def test_a_whole_batch_is_forwarded_whole_though_the_server_was_away(tmp_path: Path) -> None:
    recipe = EV_BATCH.read_text(encoding="utf-8")
    short = {"expansion_time": "8 h", "conditioning_time": "14 h", "interval": "7 h"}
    asyncio.run(_forwarded(tmp_path, recipe, "expand", 420.0, **short))
