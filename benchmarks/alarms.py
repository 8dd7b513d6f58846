"""Alarms evaluated per scan: declared kinds as arrays, beside the same alarms one by one as expressions, in one run.

Both look at the same noisy image of as many tags, with the journal on. Every declared alarm has its expression, so that
both must be in the same states at the end, which is checked. Then one scan in which half of them are raised at once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.alarms.alarms import Alarms
from evcontrol.alarms.describe import as_expression
from evcontrol.clock import NS, LiveClock
from evcontrol.journal.store import Journal
from evcontrol.plant.alarm_specs import AlarmSpec, ExpressionTest
from evcontrol.plant.load import parse_plant
from evcontrol.plant.model import Plant
from evcontrol.signals import FloatArray, Frame

START = 1_000 * NS
HEAD = """name: A plant of alarms
scan: 1 s
wire_scan: 50 ms
devices: {}
units:
  U: {class: test, content_tag: U.CONTENT, safe_states: {default: {}}, safe_within: 2 s}
tags:
  U.CONTENT: {internal: true, kind: enum, labels: [empty, full]}
"""
KINDS = (
    "high: {{tag: {tag}, setpoint: 60 psig}}",
    "low: {{tag: {tag}, setpoint: 40 psig}}",
    "high: {{tag: {tag}, setpoint: 58 psig}}",
    "deviation: {{tag: {tag}, from: {other}, setpoint: 20 psi}}",
    "bad_quality: {{tag: {tag}}}",
)
WORDS = (
    "on_delay: 3 s, off_delay: 3 s, class: product, severity: minor, respond_within: 1 h, "
    "description: d, cause: c, consequence: q, corrective_action: a"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alarms", type=int, default=2_000)
    parser.add_argument("--scans", type=int, default=300)
    arguments = parser.parse_args()
    measure(arguments.alarms, arguments.scans)


def measure(alarms: int, scans: int) -> None:
    """Both ways over the same scans."""
    plant = parse_plant(plant_text(alarms), "plant.yaml")
    noise = np.random.default_rng(1).normal(50.0, 3.0, (scans, alarms))
    flood = np.full((1, alarms), 99.0)
    declared, state, flooded = run(plant, noise, flood)
    one_by_one, same, flooded_too = run(in_words(plant), noise, flood)
    if state != same:
        raise SystemExit("the two ways do not agree")
    print(f"{alarms} alarms over {alarms} tags, {scans} scans; CPU ms per scan, median and p99")
    for name, times in (("as arrays", declared), ("as expressions", one_by_one)):
        print(f"{name:15} {np.median(times):8.3f} {np.percentile(times, 99):8.3f}")
    print(f"expressions over arrays: {np.median(one_by_one) / np.median(declared):.1f}")
    raised = state.count("unacknowledged")
    print(f"one scan that raises {raised} and journals it: {flooded:.0f} ms, as expressions {flooded_too:.0f} ms")


def run(plant: Plant, noise: FloatArray, flood: FloatArray) -> tuple[FloatArray, list[str], float]:
    """Milliseconds of each scan, the states at the end, and the milliseconds of the flood's scan."""
    image = ProcessImage(plant.tags, plant.internal)
    index = np.arange(1, len(plant.tags), dtype=np.int32)
    quality = np.zeros(len(index), dtype=np.uint32)
    with tempfile.TemporaryDirectory(prefix="evcontrol-bench-") as directory:
        journal = Journal(Path(directory), LiveClock())
        alarms = Alarms(plant, image, journal, LiveClock())
        times = []
        for number, values in enumerate([*noise, *[flood[0]] * 4]):
            t = START + number * NS
            frame = Frame(t, t, "g", index, values, quality)
            scan = Scan(number, t, t, (frame,), image.apply(frame))
            begun = time.thread_time()
            alarms.evaluate(scan)
            times.append(1000.0 * (time.thread_time() - begun))
        journal.close()
    return np.array(times[: len(noise)]), [one.state.value for one in alarms.states()], times[-1]


def plant_text(alarms: int) -> str:
    """A plant with so many tags, and an alarm on each."""
    tags = "".join(f"  U.P{n}: {{internal: true, unit: psig, low: 0, high: 100}}\n" for n in range(alarms))
    looks = (KINDS[n % len(KINDS)].format(tag=f"U.P{n}", other=f"U.P{(n + 1) % alarms}") for n in range(alarms))
    return HEAD + tags + "alarms:\n" + "".join(f"  U.A{n}: {{{look}, {WORDS}}}\n" for n, look in enumerate(looks))


def in_words(plant: Plant) -> Plant:
    """The same plant with every alarm as an expression."""

    def worded(spec: AlarmSpec) -> AlarmSpec:
        return replace(spec, test=ExpressionTest(as_expression(spec, spec.setpoint)))

    return replace(plant, alarms={name: worded(spec) for name, spec in plant.alarms.items()})


if __name__ == "__main__":
    main()
