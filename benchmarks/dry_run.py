"""A whole batch in virtual time: how fast a rehearsal is, and which room the time goes to.

Three runs of the shipped EV batch on the demo's plant, with gate, journal and history on: the whole of it, with the
scans that the wires of the demo have; a stretch with a scan a second; and the models of the equipment alone over the
same steps, which is what a rehearsal cannot do without. The budget per room comes from looking a thousand times a
second of CPU at which room's code is at work (what a library does is its caller's).
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from evcontrol.cli.demo_script import load_script
from evcontrol.cli.dry_run import Operator
from evcontrol.cli.rehearsal import Rehearsal
from evcontrol.cli.shipped import shipped
from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.plant.load import load_plant
from evcontrol.procedure.phase import FASTEST
from simulators.ev_plant import EvPlant

ROOT = Path(__file__).resolve().parents[1]
LOOK_S = 0.001
LEAST_SHARE = 0.005
ROOMS = ("evcontrol", "drivers", "simulators")
WHOLE_H = 72.0
EVERY_SECOND = 20.0
"""The demo's wires scan 20 times a second: at this multiple a scan is a second of process."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0, help="process time of the stretch with a scan a second")
    arguments = parser.parse_args()
    plant = load_plant(shipped("plants/demo.yaml"))
    print(
        f"{len(plant.tags)} tags, {len(plant.loops)} loops, {len(plant.alarms)} alarms, "
        f"{len(plant.interlocks)} interlocks; CPU seconds of one core"
    )
    whole = measure(FASTEST, 1000.0)
    print(f"the whole batch, scans as on the wires: {whole}")
    whole.print_budget()
    stretch = measure(EVERY_SECOND, arguments.hours)
    print(f"a scan a second: {stretch}")
    print(f"  72 h of that: {WHOLE_H / stretch.hours * stretch.cpu_s:.0f} s")
    stretch.print_budget()
    alone = models_alone(stretch.steps)
    times = stretch.cpu_s / alone
    print(f"the models alone over the same steps: {alone:.1f} s; the rehearsal takes {times:.1f} times that")


class Measured:
    """One rehearsal: its scans and steps, hours of process, CPU seconds, and where those went."""

    def __init__(self) -> None:
        self.scans = 0
        self.hours = 0.0
        self.cpu_s = 0.0
        self.steps: list[float] = []
        self.looks: Counter[str] = Counter()

    def __str__(self) -> str:
        each = 1000.0 * self.cpu_s / self.scans
        return f"{self.hours:.1f} h of process, {self.scans} scans, {self.cpu_s:.1f} s, {each:.2f} ms a scan"

    def print_budget(self) -> None:
        """What each room takes of a scan."""
        for room, count in self.looks.most_common():
            share = count / self.looks.total()
            if share >= LEAST_SHARE:
                print(f"  {room:28}{share:6.1%} {1000.0 * self.cpu_s * share / self.scans:8.3f} ms a scan")


def measure(speed: float, hours: float) -> Measured:
    """Rehearse the shipped batch at most so many hours, at so many times the time of the wires."""
    found = Measured()
    recipe = shipped("recipes/ev-batch.yaml")

    async def main(clock: VirtualClock) -> None:
        async with Rehearsal(shipped("plants/demo.yaml"), data, clock, speed=speed) as rehearsal:
            last = begun = clock.now()

            def step() -> None:
                nonlocal last
                found.steps.append((clock.now() - last) / NS)
                last = clock.now()

            rehearsal.each_step.append(step)
            with looking(found.looks):
                cpu = time.process_time()
                await Operator(rehearsal, load_script()).run(recipe.read_text(), recipe.name, {}, hours)
                found.cpu_s = time.process_time() - cpu
            found.hours = (clock.now() - begun) / NS / 3600.0
            found.scans = rehearsal.engine.scanner.latest.seq

    with tempfile.TemporaryDirectory(prefix="evcontrol-bench-") as directory:
        data = Path(directory)
        run_virtual(main)
    return found


def models_alone(steps: list[float]) -> float:
    """CPU seconds that the simulated equipment needs for such steps when nobody asks it anything."""
    equipment = EvPlant()
    begun = time.process_time()
    for seconds in steps:
        equipment.step(seconds)
    return time.process_time() - begun


@contextmanager
def looking(into: Counter[str]) -> Iterator[None]:
    """Look every so often which room is at work."""

    def look(_number: int, frame: FrameType | None) -> None:
        into[_room(frame)] += 1

    before: Callable[[int, FrameType | None], Any] | int | None = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, LOOK_S, LOOK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _room(frame: FrameType | None) -> str:
    while frame is not None:
        if room := _room_of(frame.f_code.co_filename):
            return room
        frame = frame.f_back
    return "asyncio and the clock"


@cache
def _room_of(file: str) -> str:
    path = Path(file)
    if not path.is_relative_to(ROOT):
        return ""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == ROOMS[0] and parts[1] not in ("clock", "cli"):
        return "/".join(parts[:2])
    return parts[0] if parts[0] in ROOMS[1:] else ""


if __name__ == "__main__":
    main()
