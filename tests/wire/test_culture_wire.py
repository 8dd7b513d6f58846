"""A culture on the real protocols: OPC UA, Modbus and files, with an engine that goes away for hours of process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.wire.processes import CELL, Processes

CULTURE = """recipe: Culture
version: 1.0.0
product: P
units:
  br: {class: bioreactor}
procedure:
  - unit_procedure: culture
    unit: br
    steps:
      - phase: prepare
        with: {volume: 1000 mL}
      - phase: inoculate
      - phase: hypoxia
        with: {oxygen: 2 %O2, ramp: 20 %O2/h}
      - phase: shear
        with: {shear: 1.5 dyn/cm2, steps: "1"}
      - phase: expand
        with: {time: 12 h}
"""
HOURS_S = 2 * 3600.0


async def _cells_outlive_their_engine(data: Path) -> None:
    async with Processes(data, speed=1440.0, plant=CELL) as cell:
        await cell.start_batch(CULTURE)
        await cell.until_running("expand")
        await cell.until(lambda picture: (picture.number("BR101.AT_DO") or 99.0) < 2.5)
        await cell.kill(cell.engine)
        before = await cell.truth()
        while (away := await cell.truth())["time_s"] < before["time_s"] + HOURS_S:
            await asyncio.sleep(0.05)
        culture, was = away["BR101"], before["BR101"]
        # Its own controllers kept the cells: warm, under air, with a gentle recirculation.
        assert culture["cells"]["viability"] == pytest.approx(was["cells"]["viability"], abs=0.02)
        assert culture["cells"]["viable"] >= 0.99 * was["cells"]["viable"]
        assert culture["surroundings"]["temperature_degc"] == pytest.approx(37.0, abs=0.5)
        assert culture["surroundings"]["o2_percent"] > 15.0
        assert culture["surroundings"]["stress"] < 0.5

        await cell.start_engine()
        assert (await cell.client.batch(cell.batch)).summary.state == "Held"
        shown = await cell.client.reconciliation(cell.batch)
        assert shown.outage_s >= HOURS_S
        assert any("BR101.WT_VESSEL" in item.what for item in shown.items)
        # It has looked before it wrote: nothing was commanded but towards the safe state.
        await cell.sign()
        await cell.command("restart")
        await cell.until_state("Complete")
        assert (cell.picture.number("BR101.AT_DO") or 99.0) < 3.0
        assert (await cell.truth())["BR101"]["cells"]["viability"] > 0.9


@pytest.mark.timeout(180)
def test_two_hours_without_an_engine_cost_no_cells(tmp_path: Path) -> None:
    asyncio.run(_cells_outlive_their_engine(tmp_path / "data"))
