"""Over real sockets and lines: each interlock of the demo plant is caused at the simulators and reaches its actuators.

What is commanded by hand, and the faults, are chosen so that the interlock of the case is the first to trip. Where the
actuators stand is read at the simulators, in their own process time.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evcontrol.api.picture import Picture
from evcontrol.clock import NS
from evcontrol.plant.load import load_plant
from tests.wire.control_bench import ControlBench, safe_values
from tests.wire.processes import CELL

PLANT = load_plant(CELL)
SKID_SPEED, CULTURE_SPEED = 4.0, 60.0
ANSWER_S = 1.0
"""Real time for the way to a simulator and back on a machine that has other work: ten times what it takes."""
Fault = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One interlock: what is commanded before, and what is wrong at the simulators.

    ``to`` sets a sensor to a reading, as (sensor, tag, reading). ``hand_back``: nothing can be commanded until the
    fault has ended.
    """

    interlock: str
    commands: Mapping[str, float]
    before: Sequence[Fault] = ()
    cause: Sequence[Fault] = ()
    to: tuple[str, str, float] | None = None
    hand_back: bool = False
    tags: Mapping[str, Any] = field(default_factory=dict)


def offset(sensor: str, by: float) -> Fault:
    return {"kind": "sensor_offset", "sensor": sensor, "offset": by}


CIRCULATE = {"TFF201.PCV101_SP": 100.0, "TFF201.P101_SP": 600.0}
FILTER = {**CIRCULATE, "TFF201.XV102": 1.0}
FEED = {"BR101.MED_FROM": 1.0, "BR101.MED_SP": 20.0}
SHEARED = {"BR101.SHEAR_PER_FLOW": 0.01, "BR101.VIABILITY": 0.95}
CASES = (
    Case("TFF201.LOCAL", CIRCULATE, cause=[{"kind": "local_takeover"}], hand_back=True),
    Case("TFF201.HIGH_TMP", CIRCULATE, cause=[offset("PT_RET", 24.0)]),
    Case("TFF201.FEED_PRESSURE", CIRCULATE, cause=[offset("PT_FEED", 30.0)]),
    Case(
        "TFF201.BLOCKED_RETENTATE",
        CIRCULATE,
        cause=[offset("PT_PERM", 8.0), offset("PT_RET", 14.0), offset("FT_FEED", -300.0)],
    ),
    Case("TFF201.LOW_RETENTATE", CIRCULATE, cause=[offset("LT", -60.0)]),
    Case("TFF201.AIR_IN_FEED", CIRCULATE, cause=[{"kind": "sensor_noise", "sensor": "PT_FEED", "deviation": 1.0}]),
    Case("TFF201.PERMEATE_MISMATCH", FILTER, cause=[offset("FT_PERM", 60.0)]),
    Case("TFF201.BALANCE_LOST", FILTER, cause=[{"kind": "balance_unplugged", "balance": "WT-PERM"}]),
    # The level transmitter lies, so that the controller's own switch sees the empty vessel first. The last one.
    Case(
        "TFF201.CONTROLLER_TRIPPED",
        CIRCULATE,
        before=[offset("LT", 30.0)],
        cause=[{"kind": "leak", "line": "retentate", "rate_ml_per_s": 60.0}],
    ),
    Case("BR101.LOCAL", FEED, cause=[{"kind": "station_takeover"}], hand_back=True),
    Case("BR101.OVER_TEMPERATURE", FEED, to=("BR101.TT", "BR101.TT", 39.5)),
    Case("BR101.OXYGEN_LOW", FEED, to=("BR101.AT_DO", "BR101.AT_DO", 0.2)),
    Case("BR101.OVERPRESSURE", FEED, cause=[offset("BR101.PT_HEAD", 200.0)]),
    Case("BR101.LEVEL_HIGH", FEED, to=("BR101.LT", "BR101.LT", 112.0)),
    Case("BR101.LOAD_CELL_LOST", FEED, cause=[{"kind": "station_silent"}], hand_back=True),
    Case(
        "BR101.SHEAR_WITHOUT_VIABILITY",
        {"BR101.CIRC_SP": 200.0},
        tags=SHEARED,
        cause=[offset("BR101-ST.FT_CIRC", 100.0)],
    ),
)
FEW = ("TFF201.HIGH_TMP", "TFF201.BALANCE_LOST")


def test_every_interlock_of_the_plant_has_a_case() -> None:
    assert sorted(case.interlock for case in CASES) == sorted(PLANT.interlocks)


def test_each_of_a_few_interlocks_reaches_its_actuators(tmp_path: Path) -> None:
    run(tmp_path, [case for case in CASES if case.interlock in FEW], SKID_SPEED)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("unit", "speed"), [("TFF201", SKID_SPEED), ("BR101", CULTURE_SPEED)])
def test_every_interlock_reaches_its_actuators(tmp_path: Path, unit: str, speed: float) -> None:
    run(tmp_path, [case for case in CASES if case.interlock.startswith(unit)], speed)


@pytest.mark.full
@pytest.mark.timeout(300)
def test_with_the_engine_killed_the_watchdogs_bring_every_actuator_to_where_it_is_safe(tmp_path: Path) -> None:
    async def story() -> None:
        async with ControlBench(tmp_path / "data", CULTURE_SPEED, CELL) as bench:
            bench.inject(set={"BR101.CONTENT": "cells"})
            await fill_vessel(bench)
            away = {
                **FEED,
                "BR101.CIRC_SP": 200.0,
                "BR101.AGIT_SP": 60.0,
                "BR101.TIC_MODE": 1.0,
                "BR101.PHIC_MODE": 1.0,
            }
            await bench.by_hand(away)
            await bench.by_hand({"TFF201.INLET": 2.0, "TFF201.PCV101_SP": 50.0, "TFF201.P102_SP": 100.0})
            begun = (await bench.truth())["time_s"]
            await bench.kill(bench.engine)
            # What the controller's own safe state is for the rest is the maker's: docs/reference/simulated-*.md.
            ended = await bench.until_at(
                safe_values(PLANT, "TFF201") | safe_values(PLANT, "BR101", "cells", {"BR101.CIRC_SP": 20.0})
            )
            longest = max(
                d.options.watchdog.seconds for d in PLANT.devices.values() if getattr(d.options, "watchdog", None)
            )  # type: ignore[attr-defined]
            assert ended - begun <= longest + CULTURE_SPEED * 10 * ANSWER_S

    asyncio.run(story())


def run(tmp_path: Path, cases: Sequence[Case], speed: float) -> None:
    async def story() -> None:
        async with ControlBench(tmp_path / "data", speed, CELL) as bench:
            bench.inject(set={"BR101.CONTENT": "cells", **SHEARED})
            await (fill_skid(bench) if cases[0].interlock.startswith("TFF201") else fill_vessel(bench))
            for case in cases:
                await trip(bench, case, speed)
            bench.engine.send_signal(signal.SIGTERM)
            await bench.until_gone(bench.engine)

    asyncio.run(story())


async def trip(bench: ControlBench, case: Case, speed: float) -> None:
    """One case: command, cause, see the actuators arrive, put right."""
    spec = PLANT.interlocks[case.interlock]
    for fault in case.before:
        await bench.order({"do": "begin", "fault": fault})
    await bench.by_hand(case.commands)
    causes = list(case.cause)
    if case.to is not None:
        sensor, tag, reading = case.to
        await bench.until(lambda picture: picture.number(tag) is not None)
        causes.append(offset(sensor, reading - (bench.picture.number(tag) or 0.0)))
    for fault in causes:
        await bench.order({"do": "begin", "fault": fault})
    await bench.until(lambda picture: tripped(picture, case.interlock) > 0)
    first = [one.interlock for one in bench.picture.interlocks if one.tripped]
    assert first == [case.interlock]
    since = tripped(bench.picture, case.interlock)
    if case.hand_back:
        await bench.order({"do": "end_all"})
    safe = safe_values(PLANT, spec.unit, "cells" if spec.unit == "BR101" else "default", spec.trip)
    wanted = safe if spec.whole_unit else dict(spec.trip)
    ended = await bench.until_at(wanted)
    if not case.hand_back:
        clock = await process_time(bench)
        took_s = ended + clock - since / NS
        scan_s = max(PLANT.scan_s, PLANT.wire_scan_s * speed)
        device_s = max(PLANT.writes[tag].within_s for tag in wanted)
        told = f"{case.interlock}: {took_s:.1f} s of process time, {took_s / scan_s:.1f} scans\n"
        sys.stderr.write(told)
        assert took_s <= scan_s + device_s + ANSWER_S * speed
    await bench.order({"do": "end_all"})
    if case.interlock == "TFF201.CONTROLLER_TRIPPED":
        await bench.client.command_tag("TFF201.TRIP_RESET", 1.0, "test")
    for one in await bench.client.interlocks():  # the cause of one may trip others a little later
        if one.tripped:
            await bench.reset(one.interlock)
    await bench.client.change_mode(spec.unit, "automatic", "test")
    await bench.until(lambda picture: not tripped(picture, case.interlock))


def tripped(picture: Picture, interlock: str) -> int:
    """Since when (process time, UTC ns); 0 when it is not."""
    return next(one.since if one.tripped else 0 for one in picture.interlocks if one.interlock == interlock)


async def process_time(bench: ControlBench) -> float:
    """The engine's process time less that of the simulators, s."""
    snapshot = await bench.client.snapshot()
    return snapshot.values.t / NS - float((await bench.truth())["time_s"])


async def fill_skid(bench: ControlBench) -> None:
    """Water in the retentate vessel."""
    await bench.by_hand({"TFF201.INLET": 2.0, "TFF201.P102_SP": 1000.0})
    await bench.until(lambda picture: (picture.number("TFF201.LT") or 0.0) > 30.0)
    await bench.by_hand({"TFF201.P102_SP": 0.0, "TFF201.INLET": 0.0})


async def fill_vessel(bench: ControlBench) -> None:
    """Medium in the bioreactor."""
    await bench.by_hand({"BR101.MED_FROM": 1.0, "BR101.MED_SP": 500.0})
    await bench.until(lambda picture: (picture.number("BR101.LT") or 0.0) > 40.0)
    await bench.by_hand({"BR101.MED_SP": 0.0, "BR101.MED_FROM": 0.0})
