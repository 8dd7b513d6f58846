"""The OPC UA driver of the shipped plant on the simulated bioreactor: a process of its own, real sockets."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from drivers.driver import LinkState, Outcome
from drivers.opcua import OpcUaDriver
from evcontrol.clock import LiveClock
from evcontrol.plant.load import load_plant
from evcontrol.quality import is_bad, is_good
from tests.drivers.build import link_is

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "config" / "plants" / "demo.yaml"
BACK_S = 10.0
"""Longest wait for a driver that a fault has ended, with the start of the simulators in it."""


class Simulators:
    """The whole simulated plant as a process of its own."""

    def __init__(self, data: Path) -> None:
        self._where = data / "run" / "simulators.json"
        self._data = data
        self.process: subprocess.Popen[bytes]

    async def start(self) -> dict[str, Any]:
        """Start it; what it tells of itself when it listens."""
        command = [sys.executable, "-m", "evcontrol.cli.main", "simulate", str(PLANT), "--data", str(self._data)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=ROOT)
        async with asyncio.timeout(30):
            while True:
                told = json.loads(self._where.read_text(encoding="utf-8")) if self._where.exists() else {}
                if told.get("pid") == self.process.pid:
                    return dict(told)
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate()


async def until(driver: OpcUaDriver, there: Callable[[dict[str, tuple[float, int]]], bool], within_s: float) -> None:
    names = {bound.tag.index: bound.tag.name for bound in driver._bound}
    result: dict[str, tuple[float, int]] = {}
    try:
        async with asyncio.timeout(within_s):
            while True:
                frame = await driver.read()
                rows = zip(frame.index, frame.value, frame.quality, strict=True)
                result = {names[index]: (float(value), int(quality)) for index, value, quality in rows}
                if there(result):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {within_s:g} s: {driver.link} {result}") from None


def on_bioreactor(folder: Path, test: Callable[[OpcUaDriver, Simulators], Awaitable[None]]) -> None:
    async def main() -> None:
        simulators = Simulators(folder)
        endpoints = await simulators.start()
        try:
            spec = load_plant(PLANT, endpoints).devices["BR101"]
            driver = OpcUaDriver("BR101", spec.options, spec.points, LiveClock())
            await driver.start()
            try:
                await link_is(driver, LinkState.READY, BACK_S)
                await test(driver, simulators)
            finally:
                await driver.stop()
        finally:
            simulators.kill()

    asyncio.run(main())


def test_the_bioreactor_is_read_written_fed_and_found_again_after_it_was_killed(tmp_path: Path) -> None:
    async def test(driver: OpcUaDriver, simulators: Simulators) -> None:
        assert driver.link.reason == ""
        await until(driver, lambda now: not any(is_bad(quality) for _, quality in now.values()), BACK_S)
        assert await driver.feed_watchdog()
        results = await driver.write({"BR101.TT_SP": 36.5, "BR101.DO_SP": 99.0})
        assert results["BR101.TT_SP"].outcome is Outcome.CONFIRMED
        assert results["BR101.DO_SP"].outcome is Outcome.REJECTED
        assert results["BR101.DO_SP"].reason == "the server answered: BadOutOfRange"
        await until(driver, lambda now: now["BR101.TT_SP"][0] == 36.5 and now["BR101.WD_OK"][0] == 1.0, 2.0)
        simulators.kill()
        await until(driver, lambda now: all(is_bad(quality) for _, quality in now.values()), 2.0)
        await simulators.start()
        await until(driver, lambda now: is_good(now["BR101.TT_SP"][1]), BACK_S)
        assert "the device restarted (start counter" in driver.link.reason

    on_bioreactor(tmp_path, test)
