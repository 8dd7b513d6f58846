"""Loops above loops, ratios, setpoint ramps and split ranges: bumpless, and never wound up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from evcontrol.control.gate import CommandRefusedError
from evcontrol.control.loop import LoopMode
from evcontrol.control.loops import Loops
from evcontrol.journal.events import ENGINE, Kind
from evcontrol.plant.model import FailureAction, LoopAction, LoopSpec, OnSilence, WriteSpec
from evcontrol.plant.split_range import Span
from evcontrol.quality import BAD_NOT_CONNECTED
from tests.control.bench import Bench

LEVEL = LoopSpec(
    "U.LIC", "U", "V.LEVEL", "U.FIC", LoopAction.REVERSE, 40.0, 60.0, 0.0, 0.0, 100.0, 0.0, 1000.0, 0.0, 2.0,
    FailureAction.VALUE, 0.0,
)  # fmt: skip
FLOW = LoopSpec(
    "U.FIC", "U", "U.PUMP", "U.VALVE", LoopAction.REVERSE, 0.05, 5.0, 0.0, 0.0, 1000.0, 0.0, 100.0, 0.0, 2.0,
    FailureAction.VALUE, 0.0,
)  # fmt: skip
PUMP = {"U.PUMP": WriteSpec(0.0, 3000.0, OnSilence.CONTROLLER_WATCHDOG, 0.01)}


class Cascade(Bench):
    """A tank filled through a valve: the level's loop sets the flow's setpoint."""

    def __init__(self, directory: Path, *specs: LoopSpec) -> None:
        super().__init__(directory, {spec.name: spec for spec in specs}, {}, PUMP)
        self.loops = Loops(self.plant, self.image, self.gate, self.journal, self.clock)
        self.valve, self.flow, self.level, self.drain, self.lost = 30.0, 300.0, 50.0, 300.0, False
        self.choked = 1000.0

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            level = (0.0, BAD_NOT_CONNECTED) if self.lost else self.level
            self.loops.evaluate(self.scan(V_LEVEL=level, PUMP=self.flow, VALVE=self.valve))
            self.valve = self.gate.outputs.get("U.VALVE", [self.valve])[-1]
            self.flow += (min(self.choked, 10.0 * self.valve) - self.flow) * 0.5
            self.level += (self.flow - self.drain) / 600.0

    def state(self, loop: str):  # type: ignore[no-untyped-def]
        return next(state for state in self.loops.states() if state.spec.name == loop)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Cascade]]:
    made: list[Cascade] = []

    def bench(*specs: LoopSpec) -> Cascade:
        made.append(Cascade(tmp_path / f"journal{len(made)}", *(specs or (LEVEL, FLOW))))
        return made[-1]

    yield bench
    for it in made:
        it.journal.close()


Make = Callable[..., Cascade]


def running(make: Make) -> Cascade:
    it = make()
    it.step()
    it.loops.start("U.LIC", 50.0, ENGINE)
    it.step(3)
    return it


def test_starting_the_upper_loop_starts_the_lower_one_where_it_stands_and_moves_nothing(make: Make) -> None:
    it = running(make)
    assert it.state("U.FIC").mode is LoopMode.CASCADE
    assert it.state("U.LIC").mode is LoopMode.AUTOMATIC
    assert it.gate.outputs["U.VALVE"] == pytest.approx([30.0] * 3, abs=0.01)


def test_the_level_is_held_through_a_larger_drain(make: Make) -> None:
    it = running(make)
    it.drain = 600.0
    it.step(1200)
    assert it.level == pytest.approx(50.0, abs=0.2)
    assert it.state("U.FIC").working == pytest.approx(600.0, abs=10.0)


def test_setpoints_that_a_loop_sets_are_no_journal(make: Make) -> None:
    it = running(make)
    before = len(it.told(Kind.LOOP_CHANGED))
    it.drain = 500.0
    it.step(100)
    assert len(it.told(Kind.LOOP_CHANGED)) == before


def test_the_lower_loop_takes_no_setpoint_from_others_meanwhile(make: Make) -> None:
    it = running(make)
    with pytest.raises(ValueError, match=r"U\.LIC sets its setpoint: stop that first"):
        it.loops.change("U.FIC", 100.0, ENGINE)
    with pytest.raises(CommandRefusedError, match=r"U\.LIC sets its setpoint"):
        it.loops.start("U.FIC", 100.0, ENGINE)


def test_when_the_upper_loop_stops_the_lower_one_keeps_its_last_setpoint(make: Make) -> None:
    it = running(make)
    it.drain = 450.0
    it.step(300)
    last = it.state("U.FIC").working
    it.loops.stop("U.LIC", ENGINE, "by hand from here")
    it.step()
    state = it.state("U.FIC")
    assert (state.mode, state.setpoint) == (LoopMode.AUTOMATIC, pytest.approx(last))
    it.loops.change("U.FIC", 400.0, ENGINE)


def test_when_the_lower_loop_stops_the_upper_one_tracks_and_takes_over_bumplessly_again(make: Make) -> None:
    it = running(make)
    it.loops.stop("U.FIC", ENGINE, "by hand")
    it.step(60)
    assert it.state("U.LIC").mode is LoopMode.TRACKING
    it.valve, it.gate.outputs["U.VALVE"] = 30.0, []
    it.flow = 300.0
    it.loops.start("U.LIC", 50.0, ENGINE)
    it.step(3)
    assert it.gate.outputs["U.VALVE"][0] == pytest.approx(30.0)


def test_a_lower_loop_at_its_limit_winds_the_upper_one_not_up(make: Make) -> None:
    it = running(make)
    it.choked, it.drain = 350.0, 500.0
    it.step(1800)
    assert it.level < 48.0
    assert it.state("U.FIC").saturated == 1
    it.choked = 1000.0
    it.drain = 100.0
    it.step(600)
    it.drain = 300.0
    it.step(900)
    assert it.level == pytest.approx(50.0, abs=1.0)


def test_a_level_that_is_lost_takes_its_failure_action_and_is_not_integrated(make: Make) -> None:
    it = running(make)
    it.lost = True
    it.step(120)
    assert it.state("U.LIC").mode is LoopMode.FAILED
    assert it.state("U.FIC").working == pytest.approx(0.0)
    it.lost, it.level = False, 50.0
    it.step(1200)
    assert it.level == pytest.approx(50.0, abs=1.0)


def test_a_ratio_follows_what_it_is_a_share_of(make: Make) -> None:
    it = make(replace(FLOW, ratio_of="V.LEVEL", setpoint_high=20.0))
    it.step()
    it.loops.start("U.FIC", 6.0, ENGINE)
    it.drain = it.flow
    it.step(120)
    assert it.flow == pytest.approx(6.0 * it.level, rel=0.02)
    it.lost = True
    it.step(3)
    assert it.state("U.FIC").mode is LoopMode.FAILED


def test_a_ramp_brings_the_setpoint_in_force_evenly_from_where_the_value_is(make: Make) -> None:
    it = make(replace(FLOW, setpoint_rate=5.0))
    it.step()
    it.loops.start("U.FIC", 500.0, ENGINE)
    in_force = []
    for _ in range(60):
        it.step()
        in_force.append(it.state("U.FIC").working)
    assert in_force[0] == pytest.approx(300.0)
    assert all(later - earlier <= 5.0 + 1e-9 for earlier, later in pairwise(in_force))
    assert in_force[-1] == pytest.approx(500.0)
    assert it.state("U.FIC").setpoint == 500.0


def test_a_split_range_drives_one_actuator_after_the_other_and_takes_over_where_they_stand(make: Make) -> None:
    split = (Span("U.VALVE", 0.0, 50.0, 0.0, 100.0), Span("U.PUMP", 50.0, 100.0, 0.0, 2000.0))
    it = make(replace(FLOW, pv="V.LEVEL", output="", split=split, gain=2.0, setpoint_high=100.0))
    it.flow, it.valve = 0.0, 30.0
    it.loops.evaluate(it.scan(V_LEVEL=50.0, PUMP=0.0, VALVE=30.0))
    it.loops.start("U.FIC", 50.0, ENGINE)
    it.loops.evaluate(it.scan(V_LEVEL=50.0, PUMP=0.0, VALVE=30.0))
    assert it.gate.outputs == {"U.VALVE": [30.0], "U.PUMP": [0.0]}
    for _ in range(200):
        valve, pump = it.gate.outputs["U.VALVE"][-1], it.gate.outputs["U.PUMP"][-1]
        it.loops.evaluate(it.scan(V_LEVEL=40.0, PUMP=pump, VALVE=valve))
    assert (it.gate.outputs["U.VALVE"][-1], it.gate.outputs["U.PUMP"][-1]) == (100.0, 2000.0)
    first_pump = next(i for i, value in enumerate(it.gate.outputs["U.PUMP"]) if value > 0.0)
    assert it.gate.outputs["U.VALVE"][first_pump] == 100.0
