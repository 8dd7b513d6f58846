"""Loops on the simulated equipment's process models, through what disturbs them, and how well they did.

A case is a process, its loop's tuning as in the plant file, and a list of disturbances. The controller is ours, or any
other with the same step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from evcontrol.control.pid import Pid, Tuning
from evcontrol.plant.split_range import Span, shares
from simulators.process.gas import AIR_O2, DissolvedGas, GasFlows
from simulators.process.tff import TffProcess

PA_PER_PSI = 6894.757
STEP_S = 0.1
"""Step of the processes."""


class Process(Protocol):
    """What a loop is tried on: the actuator's output in, time passing, the measured value out."""

    def advance(self, output: float, seconds: float) -> None:
        """Give an output and let time pass."""

    @property
    def value(self) -> float:
        """The true process value."""

    @property
    def actuator(self) -> float:
        """Where the actuator is, in units of the output."""


Step = Callable[[float, float, float], float]
"""A controller: process value, setpoint and seconds since the last step to output."""


@dataclass(frozen=True)
class Disturbance:
    """What happens to the process or the setpoint at a time."""

    at_s: float
    name: str
    do: Callable[[Process], None]
    setpoint: float | None = None


@dataclass(frozen=True)
class Case:
    """One loop on one process. ``tolerance`` is that of the process, in its unit; ``noise`` the sensor's sd."""

    name: str
    unit: str
    make: Callable[[], Process]
    tuning: Tuning
    low: float
    high: float
    begin: float
    setpoint: float
    tolerance: float
    noise: float
    scan_s: float
    length_s: float
    disturbances: Sequence[Disturbance]
    setpoint_rate: float = 0.0
    lead: float = math.inf
    """How far the output goes ahead of where the actuator is."""


@dataclass
class Figures:
    """What came out.

    Integral of the absolute error against the setpoint asked for; the actuator's travel per hour; and after each
    disturbance the worst error, overshoot (the largest error on the other side after the worst one) and settling (s
    until it stays within the tolerance).
    """

    iae: float = 0.0
    worst: dict[str, float] = field(default_factory=dict)
    overshoot: dict[str, float] = field(default_factory=dict)
    settled: dict[str, float] = field(default_factory=dict)
    travel_per_h: float = 0.0
    outputs: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)


def ours(case: Case, process: Process) -> Step:
    """Our controller for a case."""
    pid = Pid(case.tuning)
    working = math.nan

    def step(pv: float, setpoint: float, dt: float) -> float:
        nonlocal working
        if math.isnan(working):
            working = pv if case.setpoint_rate else setpoint
            pid.track(case.begin, pv, working)
            return case.begin
        reach = case.setpoint_rate * dt if case.setpoint_rate else math.inf
        working = min(max(setpoint, working - reach), working + reach)
        at = min(case.high, max(case.low, process.actuator))
        return pid.update(pv, working, dt, max(case.low, at - case.lead), min(case.high, at + case.lead))

    return step


def run(case: Case, make: Callable[[Case, Process], Step], seed: int = 1) -> Figures:
    """Run a case with a controller."""
    process, chance, figures = case.make(), random.Random(seed), Figures()
    controller = make(case, process)
    output, setpoint, waiting = case.begin, case.setpoint, list(case.disturbances)
    names = [one.name for one in case.disturbances]
    current, last, since = "start", 0.0, 0
    for number in range(round(case.length_s / case.scan_s)):
        now = number * case.scan_s
        while waiting and waiting[0].at_s <= now:
            one = waiting.pop(0)
            one.do(process)
            figures.overshoot[current] = overshoot(figures.errors[since:])
            setpoint, current, last, since = one.setpoint or setpoint, one.name, now, number
        measured = process.value + chance.gauss(0.0, case.noise)
        new = controller(measured, setpoint, case.scan_s)
        figures.travel_per_h += abs(new - output)
        output = new
        process.advance(output, case.scan_s)
        error = process.value - setpoint
        figures.iae += abs(error) * case.scan_s
        figures.outputs.append(output)
        figures.errors.append(error)
        if abs(error) > case.tolerance:
            figures.settled[current] = now + case.scan_s - last
        figures.worst[current] = max(figures.worst.get(current, 0.0), abs(error))
    figures.overshoot[current] = overshoot(figures.errors[since:])
    figures.travel_per_h *= 3600.0 / case.length_s
    figures.settled |= {name: 0.0 for name in ("start", *names) if name not in figures.settled}
    return figures


def overshoot(errors: Sequence[float]) -> float:
    """The largest error on the other side after the worst one; 0 when it stays on its side."""
    at = max(range(len(errors)), key=lambda i: abs(errors[i]))
    other = -math.copysign(1.0, errors[at])
    return max(0.0, *(other * error for error in errors[at:]))


# -- transmembrane pressure by the retentate valve -------------------------------------------------------------------


class Skid:
    """A skid that filters conditioned medium at a cross-flow, which fouls its membrane meanwhile."""

    LEAST_ML = 600.0

    def __init__(self, feed_ml: float = 1900.0) -> None:
        self.process = TffProcess()
        ledger = self.process.ledger
        ledger.hold_up.add(ledger.feed.take(self.process.parameters.vessels.hold_up_ml))
        ledger.retentate.add(ledger.feed.take(feed_ml))
        self.cross_flow(1200.0)
        self.process.permeate_valve.target = 1.0
        self.advance(100.0, 60.0)

    def cross_flow(self, ml_min: float) -> None:
        """Another speed of the pump."""
        self.process.feed_pump.target = ml_min / self.process.parameters.circuit.displacement_ml_per_rev

    def advance(self, output: float, seconds: float) -> None:
        """``output`` is the retentate valve, % open."""
        self.process.retentate_valve.target = output / 100.0
        ledger = self.process.ledger
        if ledger.retentate.volume_ml < self.LEAST_ML:
            ledger.retentate.add(ledger.buffer.take(self.LEAST_ML / 10.0))
        for _ in range(round(seconds / STEP_S)):
            self.process.advance(STEP_S)

    @property
    def value(self) -> float:
        """Transmembrane pressure, psi."""
        p = self.process
        return ((p.p_feed + p.p_ret) / 2.0 - p.p_perm) / PA_PER_PSI

    @property
    def actuator(self) -> float:
        """The valve's position, % open."""
        return 100.0 * self.process.retentate_valve.position


def _stick(skid: Skid) -> None:
    skid.process.retentate_valve.stuck = True


def _free(skid: Skid) -> None:
    skid.process.retentate_valve.stuck = False


TMP = Case(
    name="TMP by retentate valve (skid)",
    unit="psi",
    make=Skid,
    tuning=Tuning(gain=3.0, ti_s=12.0, td_s=0.0, reverse=False, rate=5.0),
    low=5.0,
    high=100.0,
    begin=100.0,
    setpoint=4.0,
    tolerance=0.5,
    noise=0.03,
    scan_s=1.0,
    length_s=1500.0,
    lead=15.0,
    disturbances=(
        Disturbance(300.0, "cross-flow -20 %", lambda skid: skid.cross_flow(960.0)),  # type: ignore[attr-defined]
        Disturbance(500.0, "fouling", lambda skid: None),
        Disturbance(800.0, "setpoint +1.5 psi", lambda skid: None, 5.5),
        Disturbance(1000.0, "valve sticks, cross-flow back", lambda skid: (_stick(skid), skid.cross_flow(1200.0))),  # type: ignore[arg-type,attr-defined,func-returns-value]
        Disturbance(1120.0, "valve comes free", _free),  # type: ignore[arg-type]
    ),
)

# -- oxygen by gas mixing, split range -------------------------------------------------------------------------------

TOTAL_ML_MIN = 200.0
GASES = (
    Span("n2", 0.0, 50.0, TOTAL_ML_MIN, 0.0),
    Span("air", 0.0, 50.0, 0.0, TOTAL_ML_MIN),
    Span("air", 50.0, 100.0, TOTAL_ML_MIN, 0.0),
    Span("o2", 50.0, 100.0, 0.0, TOTAL_ML_MIN),
)
"""Nitrogen gives way to air, and air to oxygen, at one total flow."""


class Culture:
    """Medium under a head space of 200 mL, with cells that take oxygen up."""

    HEAD_ML = 200.0
    NOT_GASSED = 0.2
    """How far new medium is still from the head space's gas after the gas exchanger."""
    KLA_PER_S = 6.0 / 3600.0

    def __init__(self) -> None:
        self.gas = DissolvedGas(head_o2=5.0, o2=5.0)
        self.uptake_per_s = self.output = 0.0

    def inoculate(self, per_h: float) -> None:
        """Cells that take up so much of the dissolved oxygen in an hour."""
        self.uptake_per_s = per_h / 3600.0

    def exchange(self, share: float) -> None:
        """So much of the medium is exchanged for one that comes from the air through a gas exchanger."""
        self.gas.mix(1.0 - share, self.gas.head_o2 + self.NOT_GASSED * (AIR_O2 - self.gas.head_o2), 0.0)

    def advance(self, output: float, seconds: float) -> None:
        """``output`` is the split range's, 0 to 100."""
        self.output = output
        flows = GasFlows(**shares(GASES, output))
        head_s = self.HEAD_ML / flows.total * 60.0
        self.gas.advance(seconds, flows, head_s, self.KLA_PER_S, self.uptake_per_s)

    @property
    def value(self) -> float:
        """Dissolved oxygen, % O2."""
        return self.gas.o2

    @property
    def actuator(self) -> float:
        """Mass flow controllers follow at once, as far as this loop sees."""
        return self.output


OXYGEN = Case(
    name="O2 by N2/air/O2, split range (bioreactor)",
    unit="%O2",
    make=Culture,
    tuning=Tuning(gain=6.0, ti_s=1500.0, td_s=120.0, reverse=True),
    low=0.0,
    high=100.0,
    begin=12.0,
    setpoint=5.0,
    tolerance=0.3,
    noise=0.02,
    scan_s=10.0,
    length_s=30 * 3600.0,
    setpoint_rate=3.0 / 3600.0,
    disturbances=(
        Disturbance(3 * 3600.0, "inoculation", lambda culture: culture.inoculate(1.5)),  # type: ignore[attr-defined]
        Disturbance(8 * 3600.0, "gas switch to 2 %", lambda culture: None, 2.0),
        Disturbance(14 * 3600.0, "medium exchange, half", lambda culture: culture.exchange(0.5)),  # type: ignore[attr-defined]
        Disturbance(20 * 3600.0, "cells double", lambda culture: culture.inoculate(3.0)),  # type: ignore[attr-defined]
    ),
)

# -- retentate weight by the transfer pump (constant-volume diafiltration) -------------------------------------------


class Diafiltration:
    """A vessel that loses permeate at a flux that fouling takes down, and gets buffer from a pump with a lag of 2 s."""

    def __init__(self) -> None:
        self.weight_g, self.flow, self.permeate = 200.0, 0.0, 140.0
        self.lag_s = 2.0

    def advance(self, output: float, seconds: float) -> None:
        """``output`` is the pump, mL/min."""
        for _ in range(round(seconds / STEP_S)):
            self.flow += (output - self.flow) * (1.0 - math.exp(-STEP_S / self.lag_s))
            self.permeate *= 1.0 - 2e-5
            self.weight_g += (self.flow - self.permeate) / 60.0 * STEP_S

    @property
    def value(self) -> float:
        """Weight, g."""
        return self.weight_g

    @property
    def actuator(self) -> float:
        """The pump's flow, mL/min."""
        return self.flow


def _surge(process: Process) -> None:
    process.permeate *= 1.3  # type: ignore[attr-defined]


WEIGHT = Case(
    name="retentate weight by transfer pump (diafiltration)",
    unit="g",
    make=Diafiltration,
    tuning=Tuning(gain=15.0, ti_s=40.0, td_s=0.0, reverse=True, rate=60.0),
    low=0.0,
    high=400.0,
    begin=0.0,
    setpoint=200.0,
    tolerance=4.0,
    noise=0.1,
    scan_s=1.0,
    length_s=1200.0,
    disturbances=(
        Disturbance(300.0, "permeate +30 %", _surge),
        Disturbance(600.0, "sample of 20 g taken", lambda process: setattr(process, "weight_g", process.value - 20.0)),
    ),
)

CASES = (TMP, OXYGEN, WEIGHT)
