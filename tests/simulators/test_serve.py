"""The served plant as a process of its own: endpoints, speed, faults, and what outlives a kill."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from evcontrol.plant.load import load_plant
from simulators.devices.skid_registers import FQ_STOP, Holding
from tests.simulators.served import FAST, Served, failing, until

PLANT = Path(__file__).parents[2] / "config" / "plants" / "tff.yaml"


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
