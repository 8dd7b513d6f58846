"""Single instruments are served on their own lines, beside a plant or alone, by the names of their drivers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import LinkState
from evcontrol.quality import BAD_NOT_CONNECTED, BAD_TIMEOUT, GOOD, GOOD_DYNAMIC
from simulators.ev_plant import EvPlant
from simulators.fault_models import FaultError
from simulators.faults import parse_fault
from simulators.instruments import MAKERS, PRESSURES_PSI, VESSEL_G
from simulators.plant import DEVICES, BenchPlant, TffPlant
from simulators.serve import PlantServer, plant_for, unserved
from tests.drivers.serial_rig import Reader, reader

POINTS: Mapping[str, dict[str, tuple[dict[str, Any], str]]] = {
    "sartorius-sbi": {"V": ({"field": "weight"}, "g")},
    "pendotech-pressuremat": {"V": ({"channel": "P1"}, "psig")},
}
OPTIONS: Mapping[str, dict[str, Any]] = {
    "sartorius-sbi": {"unit": "kg", "serial_number": "31801165"},
    "pendotech-pressuremat": {"unit": "mbar"},
}
NEAR: Mapping[str, float] = {"sartorius-sbi": VESSEL_G, "pendotech-pressuremat": PRESSURES_PSI[0]}


def served(
    folder: Path,
    drivers: dict[str, str],
    test: Callable[[PlantServer, dict[str, Any]], Awaitable[None]],
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    async def main() -> None:
        kind = plant_for(drivers)
        assert kind is not None
        async with asyncio.timeout(30), PlantServer(folder, plant=kind(), drivers=drivers, options=options) as server:
            run = asyncio.create_task(server.run())
            try:
                await test(server, json.loads((folder / "run" / "simulators.json").read_text())["devices"])
            finally:
                run.cancel()
                await asyncio.wait((run,))

    asyncio.run(main())


async def reading(one: Reader, until: Callable[[tuple[float, int]], bool]) -> tuple[float, int]:
    while True:
        found = (await one.read())["V"]
        if until(found):
            return found
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("driver", [name for name in MAKERS if name in POINTS])
def test_an_instrument_is_served_alone_by_the_name_of_its_driver(driver: str, tmp_path: Path) -> None:
    async def test(_server: PlantServer, endpoints: dict[str, Any]) -> None:
        assert list(endpoints) == ["X1"]
        one = reader(driver, POINTS[driver], **OPTIONS[driver] | endpoints["X1"])
        await one.driver.start()
        await one.until(LinkState.READY)
        value, _ = await reading(one, lambda found: found[1] in (GOOD, GOOD_DYNAMIC))
        assert value == pytest.approx(NEAR[driver], rel=0.3)
        await one.driver.stop()

    served(tmp_path, {"X1": driver}, test, {"X1": OPTIONS[driver]})


def test_a_tester_can_spoil_the_line_of_an_instrument(tmp_path: Path) -> None:
    async def test(server: PlantServer, endpoints: dict[str, Any]) -> None:
        one = reader("sartorius-sbi", POINTS["sartorius-sbi"], unit="g", timeout_s=0.4, **endpoints["X1"])
        await one.driver.start()
        await reading(one, lambda found: found[1] in (GOOD, GOOD_DYNAMIC))
        number = server.faults.begin(parse_fault({"kind": "instrument_line", "device": "X1", "fault": "half"}))
        await reading(one, lambda found: found[1] == BAD_TIMEOUT)
        server.faults.end(number)
        await reading(one, lambda found: found[1] in (GOOD, GOOD_DYNAMIC))
        with pytest.raises(FaultError, match="no single instrument 'X2'"):
            server.faults.begin(parse_fault({"kind": "instrument_line", "device": "X2", "fault": "half"}))
        await one.driver.stop()

    served(tmp_path, {"X1": "sartorius-sbi"}, test)


def test_a_plant_s_balance_may_be_a_sartorius_with_a_monitor_beside_it(tmp_path: Path) -> None:
    async def test(server: PlantServer, endpoints: dict[str, Any]) -> None:
        assert set(endpoints) == {*DEVICES, "PT1"}
        assert endpoints["WT-RET"]["serial_number"] == "SIM0006001"
        one = reader("sartorius-sbi", POINTS["sartorius-sbi"], unit="g", **endpoints["WT-RET"])
        await one.driver.start()
        await one.until(LinkState.READY)
        load = server.plant.process.retentate_g
        await reading(one, lambda found: found[0] == pytest.approx(load, abs=0.1))
        server.plant.balance_links["WT-RET"].plugged = False
        await reading(one, lambda found: found[1] == BAD_NOT_CONNECTED)
        server.plant.balance_links["WT-RET"].plugged = True
        await reading(one, lambda found: found[1] in (GOOD, GOOD_DYNAMIC))
        await one.driver.stop()

    served(tmp_path, {**DEVICES, "WT-RET": "sartorius-sbi", "PT1": "pendotech-pressuremat"}, test)


def test_a_line_of_pumps_is_made_as_the_plant_file_describes_it() -> None:
    line = MAKERS["watson-marlow"]("P1", {"pumps": {"7": {"max_rpm": 220.0}}})
    assert line.bus.hear(b"7ZY\r") == b"0\r"
    assert line.bus.hear(b"1ZY\r") == b""


def test_which_plant_is_served() -> None:
    assert plant_for(TffPlant.devices) is TffPlant
    assert plant_for(EvPlant.devices) is EvPlant
    assert plant_for({**EvPlant.devices, "PT1": "pendotech-pressuremat"}) is EvPlant
    assert plant_for({"PT1": "pendotech-pressuremat"}) is BenchPlant
    assert plant_for({"WT-RET": "mt-sics"}) is None
    assert unserved(TffPlant, {**DEVICES, "WT-PERM": "modbus-tcp"}) == {"WT-PERM": "modbus-tcp"}
    assert unserved(TffPlant, {}) == dict(DEVICES)
