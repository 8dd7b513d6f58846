"""The served plant as a process of its own: endpoints, speed, faults, and what outlives a kill."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial
from pymodbus.client import ModbusTcpClient

from evcontrol.plant.load import load_plant
from simulators.devices.skid_registers import FQ_STOP, Holding

PROGRAM = """
import asyncio, sys
from pathlib import Path
from simulators.serve import serve

async def main():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ready = lambda _: print("ready", flush=True)
    await serve(Path(sys.argv[1]), reader.read, speed=float(sys.argv[2]), ready=ready)

asyncio.run(main())
"""
PLANT = Path(__file__).parents[2] / "config" / "plants" / "tff.yaml"
FAST = 100.0


class Served:
    """A running process and where its devices are."""

    def __init__(self, data: Path, speed: float = 1.0) -> None:
        self.data = data
        self.file = data / "run" / "simulators.json"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(data), str(speed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.endpoints: dict[str, Any] = json.loads(self.file.read_text())

    @contextmanager
    def skid(self) -> Iterator[ModbusTcpClient]:
        client = ModbusTcpClient("127.0.0.1", port=self.endpoints["devices"]["TFF201"]["port"], timeout=2)
        assert client.connect()
        yield client
        client.close()

    def tell(self, **request: object) -> Any:
        address = ("127.0.0.1", self.endpoints["control"]["port"])
        with socket.create_connection(address, timeout=5) as connection, connection.makefile("rw") as lines:
            lines.write(json.dumps(request) + "\n")
            lines.flush()
            answer = json.loads(lines.readline())
        assert "ok" in answer, answer
        return answer["ok"]

    def truth(self) -> dict[str, Any]:
        truth: dict[str, Any] = self.tell(do="truth")
        return truth

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self._ended()

    def stop(self) -> int:
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
        return self._ended()

    def _ended(self) -> int:
        status = self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return status


def until(there: Callable[[], bool], seconds: float = 20.0) -> None:
    """Ask again and again; every question takes its time on the wire."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "it did not come"


def failing(data: Path) -> subprocess.CompletedProcess[str]:
    """A process that cannot serve."""
    command = [sys.executable, "-c", PROGRAM, str(data), "1"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(speed: float = 1.0) -> Served:
        started.append(Served(tmp_path, speed))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.kill()


def fill(served: Served, ml: float) -> None:
    with served.skid() as skid:
        skid.write_register(Holding.WATCHDOG, 6000)
        skid.write_register(Holding.INLET, 1)
        skid.write_registers(Holding.FQ_STOP_HIGH, FQ_STOP.encode(ml))
        skid.write_register(Holding.P102, 10000)
    until(lambda: bool(served.truth()["totalised_ml"] >= ml - 0.1))
    settled_s = served.truth()["time_s"] + 5.0
    until(lambda: bool(served.truth()["time_s"] > settled_s))


def test_the_endpoints_fit_the_plant_file(serving: Callable[..., Served]) -> None:
    served = serving()
    plant = load_plant(PLANT, served.endpoints)
    assert plant.simulated
    options = {name: device.options.model_dump() for name, device in plant.devices.items()}
    assert options["TFF201"]["port"] == served.endpoints["devices"]["TFF201"]["port"]
    assert options["WT-RET"]["port"] == served.endpoints["devices"]["WT-RET"]["port"]
    for balance in ("WT-RET", "WT-PERM"):
        with serial.Serial(options[balance]["port"], timeout=2, exclusive=True) as port:
            port.write(b"SI\r\n")
            assert port.readline().startswith(b"S ")
    assert served.stop() == 0


def test_an_orderly_end_takes_its_traces_away_and_keeps_the_state(serving: Callable[..., Served]) -> None:
    served = serving(FAST)
    fill(served, 100.0)
    assert served.stop() == 0
    assert not served.file.exists()
    assert list((served.data / "run" / "lines").iterdir()) == []
    state = json.loads((served.data / "simulator" / "state.json").read_text())
    assert state["skid"]["totalised_ml"] == pytest.approx(100.0, abs=0.1)


def test_liquids_outlive_a_kill_and_the_controller_starts_anew(serving: Callable[..., Served]) -> None:
    first = serving(FAST)
    fill(first, 300.0)
    before = first.truth()
    saved = first.data / "simulator" / "state.json"
    until(lambda: bool(json.loads(saved.read_text())["time_s"] > before["time_s"]))
    first.kill()
    assert first.file.exists(), "a killed process cleans nothing up"
    second = serving(FAST)
    after = second.truth()
    assert after["liquids"]["retentate"]["volume_ml"] == pytest.approx(300.0, abs=0.1)
    assert after["liquids"] == before["liquids"]
    assert after["totalised_ml"] == pytest.approx(before["totalised_ml"], abs=1e-6)
    assert after["starts"] == before["starts"] + 1
    assert after["safe"]
    assert all(abs(share) < 1e-9 for share in after["imbalance"].values())
    assert second.endpoints["devices"] == first.endpoints["devices"], "clients find it where it was"
    with serial.Serial(second.endpoints["devices"]["WT-RET"]["port"], timeout=2) as port:
        port.write(b"SI\r\n")
        assert float(port.readline()[4:14]) == pytest.approx(300.0 * 0.998, abs=0.2)
    second.stop()


def test_the_published_speed_holds(serving: Callable[..., Served]) -> None:
    served = serving(1.0)
    segment = {"mono_ns": time.monotonic_ns(), "process_ns": 0, "speed": 200.0}
    (served.data / "run" / "speed.jsonl").write_text(json.dumps(segment) + "\n")
    first, begun = served.truth()["time_s"], time.monotonic()
    until(lambda: time.monotonic() > begun + 0.5)
    passed, real = served.truth()["time_s"] - first, time.monotonic() - begun
    assert passed == pytest.approx(200.0 * real, rel=0.5)
    served.stop()


def test_two_cannot_serve_one_directory(serving: Callable[..., Served]) -> None:
    served = serving()
    second = failing(served.data)
    assert second.returncode != 0
    assert "AlreadyServedError" in second.stderr
    assert served.truth()["time_s"] > 0.0
    served.stop()


def test_faults_by_command(serving: Callable[..., Served]) -> None:
    served = serving()
    port = served.endpoints["devices"]["WT-PERM"]["port"]
    number = served.tell(do="begin", fault={"kind": "balance_unplugged", "balance": "WT-PERM"})
    assert [fault["number"] for fault in served.tell(do="faults")] == [number]
    assert not Path(port).exists()
    served.tell(do="end", number=number)
    served.truth()
    with serial.Serial(port, timeout=2) as line:
        line.write(b"I4\r\n")
        assert line.readline() == b'I4 A "SIM0012001"\r\n'
    served.stop()


def test_a_damaged_state_is_told_and_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "simulator" / "state.json"
    state.parent.mkdir()
    state.write_text('{"time_s": 5}')
    ended = failing(tmp_path)
    assert "StateDamagedError" in ended.stderr.splitlines()[-1]
    assert "move it away" in ended.stderr.splitlines()[-1]
    assert state.read_text() == '{"time_s": 5}'
