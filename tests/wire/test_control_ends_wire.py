"""Over real sockets: in whatever way control ends while a pump runs, the skid goes to its safe state.

Where the actuators stand is read at the simulators; the time is that of the plant file: ``safe_within`` while the
engine lives, the watchdog of the controller when it does not.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.modbus_options import ModbusOptions
from evcontrol.api.client import ApiError
from evcontrol.journal.store import read_events
from evcontrol.plant.load import load_plant
from tests.wire.control_bench import ControlBench, safe_values
from tests.wire.processes import CELL, PLANT, SHORT

SPEED = 4.0
SKID = load_plant(PLANT)
SAFE = safe_values(SKID, "TFF201")
START_S = 10.0
"""Real time that an engine has to start, of which a plant file says nothing."""
TRAVEL_S = max(SKID.writes[tag].within_s for tag in SAFE)
"""Process time that the slowest actuator has."""


def watchdog_s() -> float:
    options = SKID.devices["TFF201"].options
    assert isinstance(options, ModbusOptions)
    assert options.watchdog is not None
    return options.watchdog.seconds


@dataclass(frozen=True)
class Way:
    """A way in which control ends: what is done, and whether the engine lives on to make the skid safe.

    ``more_s`` is real time beyond what the plant file states.
    """

    name: str
    end: Callable[[ControlBench], Awaitable[None]]
    lives: bool = True
    state: str = ""
    more_s: float = 0.0


async def stop(bench: ControlBench) -> None:
    await bench.command("stop")


async def abort(bench: ControlBench) -> None:
    await bench.command("abort")


async def phase_fails(bench: ControlBench) -> None:
    await bench.begin("balance_unplugged", balance="WT-RET")


async def wrong_recipe(bench: ControlBench) -> None:
    with pytest.raises(ApiError):
        await bench.start_batch(SHORT.replace("vcf: 3 x", "vcf: 3 psi"))
    await bench.command("stop")


def injected(what: str) -> Callable[[ControlBench], Awaitable[None]]:
    async def inject(bench: ControlBench) -> None:
        bench.inject(fail=what)

    return inject


def signalled(number: signal.Signals) -> Callable[[ControlBench], Awaitable[None]]:
    async def send(bench: ControlBench) -> None:
        bench.engine.send_signal(number)

    return send


async def died_and_came_back(bench: ControlBench) -> None:
    """While nobody looks, a hand at the panel leaves the pump running; the next engine looks, and stops it."""
    await bench.kill(bench.engine)
    await bench.until_at(SAFE)
    taken = await bench.begin("local_takeover", setpoints={"P102": 500, "INLET": 2})
    await bench.order({"do": "end", "number": taken})
    await bench.start_engine()


WAYS = (
    Way("stop", stop, state="Stopped"),
    Way("abort", abort, state="Aborted"),
    Way("a phase that fails", phase_fails, state="Held"),
    Way("an exception in a phase", injected("phase"), state="Held"),
    Way("an exception in a loop", injected("loop"), state="Held"),
    Way("an exception in a driver", injected("driver")),
    Way("a recipe error", wrong_recipe, state="Stopped"),
    Way("Ctrl-C", signalled(signal.SIGINT)),
    Way("SIGTERM", signalled(signal.SIGTERM)),
    Way("a blocked event loop", injected("block"), lives=False),
    Way("SIGKILL", signalled(signal.SIGKILL), lives=False),
    Way("the next start", died_and_came_back, more_s=START_S),
)
FEW = ("an exception in a loop", "SIGKILL")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "way", [pytest.param(w, id=w.name, marks=[] if w.name in FEW else [pytest.mark.full]) for w in WAYS]
)
def test_the_skid_goes_to_its_safe_state(tmp_path: Path, way: Way) -> None:
    async def story() -> None:
        async with ControlBench(tmp_path / "data", SPEED) as bench:
            await bench.start_batch()
            await bench.until_running("load")
            await bench.until(lambda picture: picture.number("TFF201.P102_SP") not in (None, 0.0))
            begun = asyncio.get_running_loop().time()
            await way.end(bench)
            unit_s = SKID.units["TFF201"].safe_within_s + TRAVEL_S / SPEED
            bound_s = unit_s if way.lives else watchdog_s() / SPEED + TRAVEL_S / SPEED
            await bench.until_at(SAFE, bound_s + way.more_s)
            took_s = asyncio.get_running_loop().time() - begun
            sys.stderr.write(f"{way.name}: {took_s:.2f} s, stated {bound_s:.2f} s\n")
            if way.state:
                await bench.until_state(way.state)

    asyncio.run(story())


@pytest.mark.full
@pytest.mark.timeout(180)
def test_with_one_device_hung_the_rest_is_made_safe_and_what_is_not_reached_is_named(tmp_path: Path) -> None:
    async def story() -> tuple[int, str]:
        async with ControlBench(tmp_path / "data", 1.0, CELL) as bench:
            await bench.by_hand({"BR101.MED_FROM": 1.0, "BR101.MED_SP": 20.0})
            await bench.by_hand({"BR101.DOIC_MODE": 1.0})
            await bench.by_hand({"TFF201.INLET": 2.0, "TFF201.P102_SP": 100.0})
            await bench.begin("station_silent")
            bench.engine.send_signal(signal.SIGTERM)
            ended = await bench.ended(bench.engine)
            await bench.until_at(SAFE | {"BR101.DOIC_MODE": 0.0})
            return ended

    status, line = asyncio.run(story())
    assert status == 1
    assert "BR101.MED_SP" in line
    events = [event for event in read_events(tmp_path / "data" / "journal") if event.kind == "safe.state"]
    assert any("BR101.MED_SP" in str(event.body["not_reached"]) for event in events)
