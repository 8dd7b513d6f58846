"""Driver and simulated counter together, over the same folders."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from drivers.driver import LinkState, Outcome
from drivers.nta_watch import State
from evcontrol.clock import LiveClock
from simulators.devices.nta_counter import NtaCounter
from simulators.process.nta import SampleProperties
from simulators.wire.nta_folder import Layout, NtaFolder
from tests.drivers.build import link_is
from tests.drivers.nta_rig import Rig

WHAT = {"pool": SampleProperties(4e11), "diluent": SampleProperties(2e6)}


@pytest.mark.parametrize("layout", Layout)
def test_requests_are_measured_and_their_results_read(tmp_path: Path, layout: Layout) -> None:
    async def main() -> None:
        counter = NtaCounter(WHAT.__getitem__)
        folder = NtaFolder(counter, tmp_path / "worklists", tmp_path / "exports", layout)
        folder.open()
        rig = Rig(tmp_path, LiveClock(), instrument=layout.value)

        async def instrument() -> None:
            while True:
                await asyncio.sleep(0.005)
                counter.step(2.0)
                folder.poll()

        running = asyncio.create_task(instrument())
        try:
            await rig.driver.start()
            await link_is(rig.driver, LinkState.READY, 5)
            seen = []
            assert await rig.ask(1, 11, kind=2, dilution=1.0) == (Outcome.CONFIRMED, "")
            assert await rig.ask(2, 12) == (Outcome.CONFIRMED, "")
            while not seen or seen[-1] != State.DONE:
                found = await rig.read()
                if not seen or found["state"] != seen[-1]:
                    seen.append(found["state"])
                await asyncio.sleep(0.005)
            assert seen[-2:] == [State.MEASURING, State.DONE]
            assert State.FAILED not in seen
            assert found["result_request"] == 2.0
            assert found["conc_stock"] == pytest.approx(4e11, rel=0.2)
            assert found["quarantined"] == 0.0
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await rig.driver.stop()

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main()

    asyncio.run(bounded())
