"""The whole EV equipment as a process of its own, on its real protocols."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from evcontrol.plant.load import load_plant
from simulators.devices.bioreactor_nodes import NAMESPACE, Status
from simulators.devices.station_registers import HOLDING, STOPS, Holding
from simulators.wire.nta_folder import HEAD
from tests.simulators.served import Served, failing, until

PLANT = Path(__file__).parents[2] / "config" / "plants" / "demo.yaml"
EV = 1
SPEED = 200.0


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(speed: float = SPEED) -> Served:
        started.append(Served(tmp_path, speed, EV))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.kill()


def opc(served: Served, work: Callable[[Callable[[str], Any]], Awaitable[Any]]) -> Any:
    """Do something as an OPC UA client."""

    async def whole() -> Any:
        async with asyncio.timeout(30.0), Client(served.endpoints["devices"]["BR101"]["url"], timeout=5) as client:
            index = await client.get_namespace_index(NAMESPACE)
            return await work(lambda name: client.get_node(ua.NodeId(f"BR101.{name}", index)))

    return asyncio.run(whole())


def read(served: Served, name: str) -> Any:
    return opc(served, lambda node: node(name).read_value())


def put(served: Served, **setpoints: float) -> None:
    with served.skid("BR101-ST") as station:
        for name, value in setpoints.items():
            which = Holding[name]
            assert not station.write_register(which, round(value / HOLDING[which].scale)).isError(), name


def inoculated(served: Served) -> None:
    """Half a litre of medium, and cells in it."""
    with served.skid("BR101-ST") as station:
        station.write_register(Holding.WATCHDOG, 65535)
        station.write_registers(STOPS["MED"].address, STOPS["MED"].encode(500.0))
    put(served, MED_FROM=2, MED_SP=500.0, CIRC_SP=100.0)
    until(lambda: bool(served.truth()["BR101"]["level"] >= 0.4999))
    served.tell(do="inoculate", viable=2e8)


def test_the_endpoints_fit_the_plant_file_and_everything_answers(serving: Callable[..., Served]) -> None:
    served = serving()
    plant = load_plant(PLANT, served.endpoints)
    assert plant.simulated
    assert list(served.endpoints["devices"]) == ["BR101", "BR101-ST", "TFF201", "WT-RET", "WT-PERM", "NTA301"]
    assert read(served, "TT_SP") == 37.0
    for name in ("TFF201", "BR101-ST"):
        with served.skid(name) as client:
            assert client.read_holding_registers(0, count=1).registers == [0]
    assert served.stop() == 0


def test_cells_and_ports_outlive_a_kill_and_the_controllers_start_safely(serving: Callable[..., Served]) -> None:
    first = serving()
    inoculated(first)

    async def hypoxia(node: Callable[[str], Any]) -> None:
        await node("DO_SP").write_value(2.0)
        await node("DOIC_MODE").write_value(ua.Variant(2, ua.VariantType.Int32))

    opc(first, hypoxia)
    before = first.truth()
    saved = first.data / "simulator" / "state.json"
    until(lambda: bool(json.loads(saved.read_text())["time_s"] > before["time_s"]))
    first.kill()
    second = serving()
    after = second.truth()
    assert second.endpoints["devices"] == first.endpoints["devices"], "clients find it where it was"
    cells = after["BR101"]["cells"]
    assert cells["viable"] == pytest.approx(before["BR101"]["cells"]["viable"], rel=0.05)
    assert cells["viable"] > 1.9e8
    assert after["BR101"]["controller"]["starts"] == before["BR101"]["controller"]["starts"] + 1
    assert after["BR101"]["controller"]["safe"]
    assert read(second, "DOIC_MODE") == 1
    assert (read(second, "TIC_MODE"), read(second, "DO_SP")) == (1, 2.0)
    assert all(abs(share) < 1e-9 for share in after["imbalance"].values())
    second.stop()


def test_the_watchdog_counts_process_time_and_keeps_the_cells(serving: Callable[..., Served]) -> None:
    served = serving()
    inoculated(served)

    async def fed(node: Callable[[str], Any]) -> None:
        await node("WD_TIME").write_value(600.0)
        await node("HEARTBEAT").write_value(ua.Variant(1, ua.VariantType.UInt32))

    opc(served, fed)
    begun = served.truth()["time_s"]
    until(lambda: bool(served.truth()["BR101"]["controller"]["trips"]))
    assert served.truth()["time_s"] - begun >= 550.0
    until(lambda: read(served, "TRIP_WATCHDOG") is True)
    assert read(served, "SAFE") is True
    assert served.truth()["BR101"]["cells"]["viability"] > 0.93
    served.stop()


def test_local_refuses_writes_until_it_is_handed_back(serving: Callable[..., Served]) -> None:
    served = serving()
    number = served.tell(do="begin", fault={"kind": "bioreactor_takeover", "setpoints": {"TT_SP": 36.0}})

    async def tried(node: Callable[[str], Any]) -> int:
        try:
            await node("TT_SP").write_value(35.0)
        except ua.UaStatusCodeError as error:
            return int(error.code)
        return int(Status.GOOD)

    assert opc(served, tried) == Status.BAD_USER_ACCESS_DENIED
    until(lambda: bool(read(served, "TT_SP") == 36.0))
    served.tell(do="end", number=number)
    assert opc(served, tried) == Status.GOOD
    served.stop()


def test_the_counter_takes_worklists_and_writes_exports(serving: Callable[..., Served]) -> None:
    served = serving(1000.0)
    folders = {name: Path(path) for name, path in served.endpoints["devices"]["NTA301"].items()}
    fresh = folders["worklists"] / ".new"
    fresh.write_text(f"{HEAD}\n7,S-000007,beads,100,1\n")
    fresh.replace(folders["worklists"] / "worklist-7.csv")
    until((folders["worklists"] / "done" / "worklist-7.csv").exists)
    assert any("ExperimentSummary" in path.name for path in folders["exports"].iterdir())
    served.stop()


def test_the_state_of_another_plant_is_left_alone(serving: Callable[..., Served]) -> None:
    served = serving()
    served.stop()
    state = (served.data / "simulator" / "state.json").read_text()
    ended = failing(served.data, plant=0)
    assert "of other devices" in ended.stderr.splitlines()[-1]
    assert (served.data / "simulator" / "state.json").read_text() == state
