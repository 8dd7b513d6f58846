"""How long a take-over may stay without effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evcontrol.clock import NS
from evcontrol.expression import Reading
from evcontrol.plant.load import load_plant
from evcontrol.procedure.context import HoldRequiredError
from evcontrol.procedure.takeover import TakeOver
from evcontrol.quality import GOOD

PLANT = load_plant(Path(__file__).parents[2] / "config" / "plants" / "tff.yaml")


@pytest.mark.parametrize(("scan_s", "within_s"), [(0.5, 10.0), (12.0, 60.0)])
def test_it_has_ten_seconds_and_at_least_five_scans(scan_s: float, within_s: float) -> None:
    """The house is stood in for: what never has an effect cannot be had of the simulated skid."""
    clock = SimpleNamespace(t=0)
    clock.now = lambda: clock.t
    image = SimpleNamespace(reading=lambda name: Reading(float(name.endswith("TRIP_WATCHDOG")), GOOD))
    waited: list[float] = []

    async def write(why: str, **values: float) -> None:
        assert why.startswith("take over")

    async def until(done: Any, *, tolerance_s: float, unless: Callable[[], bool]) -> None:
        while not unless():
            clock.t += NS
        waited.append(clock.t / NS)

    context = SimpleNamespace(scan_s=scan_s, write=write, until=until)
    rooms = SimpleNamespace(plant=PLANT, clock=clock, image=image)
    with pytest.raises(HoldRequiredError, match="it is still so that"):
        asyncio.run(TakeOver(rooms).take(context, "TFF201"))
    assert waited == [within_s]
