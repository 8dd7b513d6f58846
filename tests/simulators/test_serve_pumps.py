"""Pumps and gas controllers are served as a plant file describes them, found by its drivers, disturbed by testers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from drivers.driver import Driver, LinkState, Outcome
from drivers.registry import driver_type
from evcontrol.clock import LiveClock
from evcontrol.plant.load import parse_plant
from evcontrol.plant.model import DeviceSpec
from evcontrol.quality import BAD_TIMEOUT, is_bad
from simulators.fault_models import FaultError
from simulators.faults import parse_fault
from simulators.instrument_faults import InstrumentOffFault, InstrumentPanelFault, InstrumentRestartFault
from simulators.line_faults import InstrumentLineFault
from simulators.serve import PlantServer, plant_for
from tests.simulators.manual import REFERENCE, table

HOW_TO = (REFERENCE.parent / "how-to" / "connect-pumps.md").read_text(encoding="utf-8")
PLANTS = re.findall(r"^```yaml\n(.*?)^```$", HOW_TO, re.MULTILINE | re.DOTALL)


class Served:
    """The drivers of a plant file on its simulated lines."""

    def __init__(self, server: PlantServer, text: str) -> None:
        self.server = server
        endpoints = server.endpoints()
        for options in endpoints["devices"].values():
            options |= {"answer_s": 0.8, "timeout_s": 3.0}  # a busy machine is slow
        plant = parse_plant(text, "example.yaml", endpoints)
        self.specs: dict[str, DeviceSpec] = dict(plant.devices)
        self.drivers: dict[str, Driver] = {
            name: driver_type(spec.driver)(name, spec.options, spec.points, LiveClock())
            for name, spec in self.specs.items()
        }

    async def ready(self) -> None:
        for driver in self.drivers.values():
            while driver.link.state is not LinkState.READY:
                await asyncio.sleep(0.01)

    async def readings(self) -> dict[str, tuple[float, int]]:
        found = {}
        for name, driver in self.drivers.items():
            frame = await driver.read()
            tags = [bound.tag.name for bound in self.specs[name].points]
            for tag, value, quality in zip(tags, frame.value, frame.quality, strict=True):
                found[tag] = (float(value), int(quality))
        return found

    def begin(self, kind: str, **fields: Any) -> int:
        return self.server.faults.begin(parse_fault({"kind": kind} | fields))


def served(folder: Path, text: str, test: Callable[[Served], Awaitable[None]]) -> None:
    async def main() -> None:
        plain = parse_plant(text, "example.yaml")
        names = {name: spec.driver for name, spec in plain.devices.items()}
        options = {name: spec.options.model_dump(mode="json") for name, spec in plain.devices.items()}
        kind = plant_for(names)
        assert kind is not None
        async with asyncio.timeout(60), PlantServer(folder, plant=kind(), drivers=names, options=options) as server:
            run = asyncio.create_task(server.run())
            there = Served(server, text)
            try:
                for driver in there.drivers.values():
                    await driver.start()
                await there.ready()
                await test(there)
            finally:
                for driver in there.drivers.values():
                    await driver.stop()
                run.cancel()
                await asyncio.wait((run,))

    asyncio.run(main())


@pytest.mark.parametrize("text", PLANTS, ids=lambda text: text.splitlines()[0])
def test_the_plants_of_the_how_to_are_simulated_as_they_stand(text: str, tmp_path: Path) -> None:
    async def test(there: Served) -> None:
        readings = await there.readings()
        assert not {tag for tag, (_, quality) in readings.items() if is_bad(quality)}

    served(tmp_path, text, test)


def test_what_is_written_arrives(tmp_path: Path) -> None:
    async def test(there: Served) -> None:
        written = await there.drivers["PUMPS"].write({"BENCH.P1_SP": 792.0, "BENCH.P1_RUN": 1.0})
        written = {**written, **await there.drivers["GAS"].write({"BENCH.N2_SP": 1.5})}
        assert {result.outcome for result in written.values()} == {Outcome.CONFIRMED}
        while (readings := await there.readings())["BENCH.FT_N2"][0] < 1.49:
            await asyncio.sleep(0.05)
        assert readings["BENCH.P1_SP"][0] == pytest.approx(792.0)
        assert readings["BENCH.P1_RUN"][0] == 1.0

    served(tmp_path, PLANTS[1], test)


def test_testers_switch_one_off_restart_it_and_take_it_over_at_its_panel(tmp_path: Path) -> None:
    async def test(there: Served) -> None:
        off = there.begin("instrument_off", device="PUMPS", place=2)
        readings = await there.readings()
        assert (readings["BENCH.P2_RUN"][1], is_bad(readings["BENCH.P1_RUN"][1])) == (BAD_TIMEOUT, False)
        there.server.faults.end(off)
        panel = there.begin("instrument_panel", device="PUMPS", place=1, settings={"rpm": 20.0, "running": True})
        readings = await there.readings()
        assert readings["BENCH.P1_SP"][0] == pytest.approx(20 * 15.84)
        assert readings["BENCH.P1_RUN"][0] == 1.0
        there.server.faults.end(panel)
        there.begin("instrument_restart", device="PUMPS", place=1)
        assert (await there.readings())["BENCH.P1_RUN"][0] == 0.0
        assert not is_bad((await there.readings())["BENCH.P2_RUN"][1])
        there.begin("instrument_panel", device="GAS", place=2, settings={"gas": 8})
        assert is_bad((await there.readings())["BENCH.FT_CO2"][1])

    served(tmp_path, PLANTS[0], test)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "instrument_off", "device": "OTHER"}, "no single instrument 'OTHER'"),
        ({"kind": "instrument_off", "device": "PUMPS", "place": 3}, "no instrument 3 on the line of PUMPS: it has 2"),
        ({"kind": "instrument_panel", "device": "GAS", "settings": {"rpm": 1}}, "no setting rpm"),
    ],
)
def test_a_fault_that_cannot_be_is_told(fault: dict[str, Any], words: str, tmp_path: Path) -> None:
    async def test(there: Served) -> None:
        with pytest.raises(FaultError, match=words):
            there.server.faults.begin(parse_fault(fault))

    served(tmp_path, PLANTS[0], test)


@pytest.mark.parametrize("page", ["simulated-pumps.md", "simulated-gas-controllers.md"])
def test_every_fault_of_an_instrument_is_in_the_manual_with_its_fields(page: str) -> None:
    kinds = (InstrumentLineFault, InstrumentOffFault, InstrumentRestartFault, InstrumentPanelFault)
    told = {
        kind: re.sub(r" \([^)]*\)", "", fields).split(", ")
        for kind, fields, _ in table(page, "Kind", "Fields", "What happens")
    }
    assert {kind: set(fields) for kind, fields in told.items()} == {
        get_args(kind.model_fields["kind"].annotation)[0]: set(kind.model_fields) - {"kind"} for kind in kinds
    }
