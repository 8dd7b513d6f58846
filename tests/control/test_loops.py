"""Loops: bumpless, within their limits, and what they do when a reading or the actuator is not theirs to use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from drivers.driver import Outcome
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scanner
from evcontrol.clock import Clock, VirtualClock, run_virtual
from evcontrol.control.gate import CommandRefusedError, Gate, SafeReport
from evcontrol.control.interlocks import Interlocks, ResetRefusedError
from evcontrol.control.loop import LoopMode, LoopState
from evcontrol.control.loops import Loops
from evcontrol.control.owner import Mode, Owner
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.journal.store import Journal, JournalUnavailableError
from evcontrol.plant.model import FailureAction, InterlockSpec, LoopAction, LoopSpec
from evcontrol.quality import BAD_NOT_CONNECTED, UNCERTAIN_SENSOR_NOT_ACCURATE
from tests.control.bench import Bench, Device, make_plant

ANNA = Origin.user("anna", "console-1")
BAD = (0.0, BAD_NOT_CONNECTED)
Reading = float | tuple[float, int]
SPEC = LoopSpec(
    name="U.PIC",
    unit="U",
    pv="U.TMP",
    output="U.VALVE",
    action=LoopAction.DIRECT,
    gain=3.0,
    ti_s=12.0,
    td_s=0.0,
    setpoint_low=0.5,
    setpoint_high=8.0,
    output_low=5.0,
    output_high=100.0,
    output_rate=5.0,
    max_scan_s=2.0,
    on_bad=FailureAction.VALUE,
    on_bad_value=100.0,
)


class LoopBench(Bench):
    """A bench with one loop; the valve reads back in the scan after the output was given."""

    def __init__(self, directory: Path, spec: LoopSpec) -> None:
        super().__init__(directory, {spec.name: spec}, {})
        self.loops = Loops(self.plant, self.image, self.gate, self.journal, self.clock)
        self.valve = 60.0

    def step(
        self, tmp: float | tuple[float, int], *, after_s: float = 1.0, valve: tuple[float, int] | None = None
    ) -> float:
        """One scan with the loop's step; the position of the valve after it."""
        self.loops.evaluate(self.scan(after_s, TMP=tmp, VALVE=self.valve if valve is None else valve))
        self.valve = self.outputs[-1] if self.outputs else self.valve
        return self.valve

    @property
    def outputs(self) -> list[float]:
        return self.gate.outputs.get("U.VALVE", [])

    @property
    def state(self) -> LoopState:
        return self.loops.states()[0]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., LoopBench]]:
    made: list[LoopBench] = []

    def make(spec: LoopSpec = SPEC) -> LoopBench:
        made.append(LoopBench(tmp_path / f"journal{len(made)}", spec))
        return made[-1]

    yield make
    for it in made:
        it.journal.close()


MakeBench = Callable[..., LoopBench]


def started(it: LoopBench, setpoint: float = 5.0, tmp: float = 5.0) -> LoopBench:
    it.step(tmp)
    it.loops.start("U.PIC", setpoint, ENGINE, batch="B-0001", path="filtration/concentrate")
    it.step(tmp)
    return it


def test_a_loop_starts_from_where_its_actuator_stands(bench: MakeBench) -> None:
    it = bench()
    it.valve = 37.5
    started(it, setpoint=2.0, tmp=5.0)
    assert it.outputs == [37.5]
    assert it.state.mode is LoopMode.AUTOMATIC
    it.step(5.0)
    assert it.outputs[1] == pytest.approx(37.5 + 3.0 * 3.0 / 12.0)


def test_before_its_start_a_loop_sends_nothing(bench: MakeBench) -> None:
    it = bench()
    it.step(5.0)
    assert it.outputs == []
    assert it.state.mode is LoopMode.OFF
    assert it.state.setpoint is None


def test_in_closed_loop_it_follows_the_continuous_controller(bench: MakeBench) -> None:
    """A valve that closes raises the pressure, with a lag of 20 s: against the same loop integrated by scipy."""
    lag_s, per_percent = 20.0, -0.1
    it = bench(replace(SPEC, output_rate=0.0, max_scan_s=0.1))
    it.valve, tmp, dt = 60.0, 3.0, 0.1
    it.plant = replace(it.plant, scan_s=dt)
    it.loops = Loops(it.plant, it.image, it.gate, it.journal, it.clock)
    it.step(tmp, after_s=dt)
    it.loops.start("U.PIC", 3.0, ENGINE)
    it.step(tmp, after_s=dt)
    it.loops.change("U.PIC", 5.0, ENGINE)
    sampled = [tmp]
    for _ in range(1500):
        valve = it.step(tmp, after_s=dt)
        steady = 3.0 + per_percent * (valve - 60.0)
        tmp = steady + (tmp - steady) * float(np.exp(-dt / lag_s))
        sampled.append(tmp)

    def loop(t: float, x: np.ndarray) -> list[float]:
        valve = 60.0 + 3.0 * (x[0] - 5.0) + x[1]
        return [(3.0 + per_percent * (valve - 60.0) - x[0]) / lag_s, 3.0 / 12.0 * (x[0] - 5.0)]

    times = np.arange(len(sampled)) * dt
    exact = solve_ivp(loop, (0.0, times[-1]), [3.0, 0.0], t_eval=times, rtol=1e-8).y[0]
    assert np.max(np.abs(np.array(sampled) - exact)) < 0.02
    assert sampled[-1] == pytest.approx(5.0, abs=0.02)


def test_output_limit_rate_and_lowered_limit_hold(bench: MakeBench) -> None:
    it = started(bench(), setpoint=0.5, tmp=5.0)
    valves = [it.step(50.0) for _ in range(20)]
    assert valves[:8] == [65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 100.0]
    assert max(valves) == 100.0
    it.loops.change("U.PIC", None, ANNA, "spare the membrane", limit_high=90.0)
    assert [it.step(50.0) for _ in range(3)] == [95.0, 90.0, 90.0]
    assert it.state.limit_high == 90.0


def test_the_same_scan_twice_makes_one_step(bench: MakeBench) -> None:
    it = started(bench())
    scan = it.scan(TMP=6.0, VALVE=60.0)
    it.loops.evaluate(scan)
    it.loops.evaluate(scan)
    assert len(it.outputs) == 2


def test_after_a_gap_the_loop_goes_on_as_after_its_longest_scan(bench: MakeBench) -> None:
    at_most, after_gap = started(bench()), started(bench())
    assert at_most.step(6.0, after_s=2.0) == after_gap.step(6.0, after_s=600.0)


def test_a_bad_process_value_sends_the_failure_value_at_once(bench: MakeBench) -> None:
    it = started(bench())
    assert it.step(BAD) == 100.0
    assert it.state.mode is LoopMode.FAILED
    assert it.state.note == "U.TMP Bad: not connected"
    assert it.state.output is None


def test_a_loop_that_fails_to_safe_sends_the_safe_value_and_goes_on_from_there(bench: MakeBench) -> None:
    it = started(bench(replace(SPEC, on_bad=FailureAction.SAFE, on_bad_value=0.0)))
    assert [it.step(BAD) for _ in range(3)] == [100.0, 100.0, 100.0]
    assert it.state.mode is LoopMode.FAILED
    assert it.step(5.0) == 100.0


def test_a_frozen_loop_keeps_its_last_output_and_goes_on_without_a_bump(bench: MakeBench) -> None:
    it = started(bench(replace(SPEC, on_bad=FailureAction.FREEZE)))
    last = it.step(6.0)
    sent = len(it.outputs)
    for _ in range(50):
        it.step(BAD)
    assert len(it.outputs) == sent
    assert it.step(2.0) == last
    assert it.state.mode is LoopMode.AUTOMATIC
    assert it.step(2.0) == pytest.approx(last - 3.0 * 3.0 / 12.0)


def test_after_a_failure_value_the_loop_goes_on_from_the_actuator(bench: MakeBench) -> None:
    it = started(bench())
    for _ in range(5):
        it.step(BAD)
    assert it.step(5.0) == 100.0
    assert it.step(4.0) == pytest.approx(100.0 - 3.0 - 3.0 / 12.0)


def test_an_uncertain_process_value_is_used(bench: MakeBench) -> None:
    it = started(bench())
    assert it.step((6.0, UNCERTAIN_SENSOR_NOT_ACCURATE)) > 60.0
    assert it.state.mode is LoopMode.AUTOMATIC


def test_a_loop_that_cannot_see_its_actuator_sends_nothing_until_it_does(bench: MakeBench) -> None:
    it = bench()
    it.step(5.0, valve=BAD)
    it.loops.start("U.PIC", 5.0, ENGINE)
    it.step(5.0, valve=BAD)
    assert it.outputs == []
    assert it.state.note == "U.VALVE Bad: not connected"
    it.valve = 42.0
    assert it.step(5.0) == 42.0


def test_while_the_actuator_is_not_its_own_the_loop_follows_it_and_takes_it_back_without_a_bump(
    bench: MakeBench,
) -> None:
    it = started(bench())
    it.gate.lock("U", "U.HIGH_TMP")
    sent = len(it.outputs)
    for _ in range(20):
        it.step(8.0, valve=(20.0, 0))
    assert len(it.outputs) == sent
    assert it.state.mode is LoopMode.TRACKING
    assert it.state.note == "U.VALVE is in the hands of interlock U.HIGH_TMP"
    it.gate.unlock("U", "U.HIGH_TMP")
    assert it.step(8.0, valve=(20.0, 0)) == 20.0


@pytest.mark.parametrize("setpoint", [0.4, 8.1, -1.0, float("nan"), float("inf")])
def test_a_setpoint_out_of_range_is_refused_and_nothing_changes(bench: MakeBench, setpoint: float) -> None:
    it = bench()
    with pytest.raises(ValueError, match=r"outside 0\.5 to 8 psi"):
        it.loops.start("U.PIC", setpoint, ENGINE)
    assert it.state.mode is LoopMode.OFF
    started(it)
    told = len(it.events)
    with pytest.raises(ValueError, match=r"outside 0\.5 to 8 psi"):
        it.loops.change("U.PIC", setpoint, ANNA)
    assert it.state.setpoint == 5.0
    assert len(it.events) == told


def test_an_output_limit_beyond_that_of_the_plant_is_refused(bench: MakeBench) -> None:
    with pytest.raises(ValueError, match=r"output limit 120 is outside 5 to 100 %open"):
        bench().loops.start("U.PIC", 5.0, ENGINE, limit_high=120.0)


def test_a_loop_that_is_off_has_no_setpoint_to_change(bench: MakeBench) -> None:
    with pytest.raises(ValueError, match="does not run"):
        bench().loops.change("U.PIC", 5.0, ANNA)


def test_a_speed_too_high_for_the_tuning_is_refused(bench: MakeBench) -> None:
    it = bench()
    it.clock.speed = 40.0
    it.loops.start("U.PIC", 5.0, ENGINE)
    it.loops.stop("U.PIC", ENGINE, "")
    it.clock.speed = 41.0
    with pytest.raises(ValueError, match="lower the speed"):
        it.loops.start("U.PIC", 5.0, ENGINE)


def test_start_change_failure_and_stop_are_journalled_and_nothing_else(bench: MakeBench) -> None:
    it = started(bench())
    for tmp in (5.0, 6.0, 7.0):
        it.step(tmp)
    it.loops.change("U.PIC", 6.0, ANNA, "fouling")
    for reading in (BAD, BAD, 6.0, 6.0):
        it.step(reading)
    it.loops.stop("U.PIC", ENGINE, "end of phase")
    events = it.told(Kind.LOOP_CHANGED)
    assert {e.kind for e in it.events} == {Kind.LOOP_CHANGED, Kind.OWNER_CHANGED}
    assert [(e.actor, e.body["mode"], e.body["setpoint"], e.body["reason"]) for e in events] == [
        ("engine", "automatic", 5.0, ""),
        ("user:anna", "automatic", 6.0, "fouling"),
        ("loop", "failed", 6.0, "U.TMP Bad: not connected"),
        ("loop", "automatic", 6.0, "in automatic again"),
        ("engine", "off", 6.0, "end of phase"),
    ]
    assert {(e.batch, e.path, e.body["unit"]) for e in events} == {("B-0001", "filtration/concentrate", "psi")}


def test_starting_a_loop_that_runs_gives_it_the_new_values(bench: MakeBench) -> None:
    it = started(bench())
    it.loops.start("U.PIC", 6.0, ENGINE, batch="B-0001", path="filtration/wash", limit_high=80.0)
    assert (it.state.setpoint, it.state.limit_high, it.state.mode) == (6.0, 80.0, LoopMode.AUTOMATIC)
    assert it.events[-1].path == "filtration/wash"


def test_a_loop_whose_actuator_was_taken_away_gets_it_back_by_another_start(bench: MakeBench) -> None:
    it = started(bench())
    it.gate.release("U.VALVE")
    it.step(8.0)
    assert it.state.mode is LoopMode.TRACKING
    it.loops.start("U.PIC", 5.0, ENGINE)
    it.step(8.0)
    assert it.state.mode is LoopMode.AUTOMATIC


def test_a_loop_does_not_start_while_an_interlock_has_its_actuator(bench: MakeBench) -> None:
    it = bench()
    it.gate.lock("U", "U.HIGH_TMP")
    with pytest.raises(CommandRefusedError, match=r"U\.HIGH_TMP"):
        it.loops.start("U.PIC", 5.0, ENGINE)
    assert it.state.mode is LoopMode.OFF
    assert it.told(Kind.LOOP_CHANGED) == []


def test_a_stopped_loop_sends_nothing_and_gives_its_actuator_back(bench: MakeBench) -> None:
    it = started(bench())
    it.loops.stop_unit("U", ENGINE, "held")
    sent = len(it.outputs)
    it.step(8.0)
    assert len(it.outputs) == sent
    assert it.gate.holder("U.VALVE").owner is Owner.NONE
    told = len(it.events)
    it.loops.stop("U.PIC", ENGINE, "again")
    assert len(it.events) == told


def test_without_a_journal_no_loop_starts_but_each_stops(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    it = bench()

    def refuse(*_args: object, **_more: object) -> None:
        raise JournalUnavailableError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(it.journal, "append", refuse)
        with pytest.raises(JournalUnavailableError):
            it.loops.start("U.PIC", 5.0, ENGINE)
        assert it.state.mode is LoopMode.OFF
        assert it.gate.holder("U.VALVE").owner is Owner.NONE
    started(it)
    monkeypatch.setattr(it.journal, "append", refuse)
    it.loops.stop("U.PIC", ENGINE, "held")
    assert it.state.mode is LoopMode.OFF


class Running:
    """Device, scanner, gate, loop and interlock together, as the engine joins them."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        trip = InterlockSpec("U.HIGH_TMP", "U", "U.TMP > 10 psi", "", 2.0, True, "", "", "")
        plant = make_plant({SPEC.name: SPEC}, {trip.name: trip})
        self.device = Device("plc", plant.tags, clock)
        drivers = {"plc": self.device}
        image = ProcessImage(plant.tags, plant.internal)
        self.journal = Journal(directory, clock)
        self.scanner = Scanner(plant, drivers, image, clock)
        self.gate = Gate(plant, drivers, image, self.journal, clock, self.scanner.next_scan)
        self.loops = Loops(plant, image, self.gate, self.journal, clock)
        self.interlocks = Interlocks(plant, image, self.gate, self.journal, clock)
        self.interlocks.on_trip = self._make_safe
        self.scanner.stages = [self.interlocks.evaluate, self.loops.evaluate, self.gate.on_scan]
        self.scanner.after = [self.gate.flush_modulating]
        self.failures: list[str] = []
        self.scanner.on_failure = lambda name, error: self.failures.append(f"{name}: {error}")
        self.safe: asyncio.Task[SafeReport] | None = None

    def _make_safe(self, spec: InterlockSpec, cause: str) -> None:
        self.loops.stop_unit(spec.unit, ENGINE, cause)
        self.safe = asyncio.create_task(self.gate.make_safe(spec.unit, cause))

    async def scans(self, count: int) -> None:
        for _ in range(count):
            await self.scanner.next_scan()

    @property
    def mode(self) -> LoopMode:
        return self.loops.states()[0].mode


def test_with_scanner_gate_and_a_process_it_settles_hands_over_and_gives_way_to_a_trip(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        it = Running(tmp_path, clock)
        scanning = asyncio.create_task(it.scanner.run())
        await it.scans(2)
        it.loops.start("U.PIC", 5.0, ENGINE)
        await it.scans(200)
        assert it.device.values["U.TMP"] == pytest.approx(5.0, abs=0.02)
        assert it.device.written[0] == 60.0
        assert max(abs(b - a) for a, b in pairwise(it.device.written)) <= 5.0 + 1e-9

        await it.gate.set_mode("U", Mode.SEMI_AUTOMATIC, ANNA, "look at the valve")
        result = await it.gate.command("U.VALVE", 70.0, ANNA, "open it by hand")
        assert result.outcome is Outcome.CONFIRMED
        await it.scans(10)
        assert it.mode is LoopMode.TRACKING
        assert it.device.values["U.VALVE"] == 70.0
        by_hand = len(it.device.written)
        await it.gate.set_mode("U", Mode.AUTOMATIC, ANNA, "done")
        await it.scans(3)
        assert it.device.written[by_hand] == 70.0
        await it.scans(200)
        assert it.mode is LoopMode.AUTOMATIC
        assert it.device.values["U.TMP"] == pytest.approx(5.0, abs=0.02)

        await it.gate.set_mode("U", Mode.SEMI_AUTOMATIC, ANNA, "look at the valve again")
        await it.gate.command("U.VALVE", 65.0, ANNA, "a little by hand")
        await it.scans(10)
        assert it.mode is LoopMode.TRACKING
        by_hand = len(it.device.written)
        it.gate.hand_back("U.VALVE", ANNA, "seen")
        with pytest.raises(CommandRefusedError, match=r"not held by hand: it is in the hands of loop U\.PIC"):
            it.gate.hand_back("U.VALVE", ANNA, "again")
        await it.scans(3)
        assert it.mode is LoopMode.AUTOMATIC
        assert it.device.written[by_hand] == 65.0
        assert max(abs(b - a) for a, b in pairwise(it.device.written[by_hand:])) <= 5.0 + 1e-9
        await it.gate.set_mode("U", Mode.AUTOMATIC, ANNA, "done")
        await it.scans(200)

        it.device.lost = {"U.TMP"}
        await it.scans(2)
        assert it.mode is LoopMode.FAILED
        assert it.device.values["U.VALVE"] == 100.0
        it.device.lost = set()
        await it.scans(200)
        assert it.device.values["U.TMP"] == pytest.approx(5.0, abs=0.02)

        it.device.disturbance = 100.0
        await it.scans(3)
        assert it.safe is not None
        assert (await it.safe).complete
        assert it.mode is LoopMode.OFF
        await it.scans(5)
        assert it.device.values["U.VALVE"] == 100.0
        with pytest.raises(ResetRefusedError):
            await it.interlocks.reset("U.HIGH_TMP", ANNA, "too early")
        it.device.disturbance = 0.0
        await it.scans(100)
        await it.interlocks.reset("U.HIGH_TMP", ANNA, "line opened")
        it.gate.release_safe("U")
        it.loops.start("U.PIC", 5.0, ENGINE)
        await it.scans(200)
        assert it.device.values["U.TMP"] == pytest.approx(5.0, abs=0.02)
        assert it.failures == []
        scanning.cancel()
        await it.gate.close()
        it.journal.close()

    run_virtual(main)
