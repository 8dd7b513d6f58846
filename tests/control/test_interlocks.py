"""Interlocks: when they trip, what stands in the journal, and who may reset them when."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.clock import NS
from evcontrol.control.interlocks import Interlocks, InterlockState, ResetRefusedError
from evcontrol.journal.events import Kind, Origin
from evcontrol.plant.model import InterlockSpec
from evcontrol.quality import BAD_NOT_CONNECTED
from tests.control.bench import START_S, Bench

ANNA = Origin.user("anna", "console-1")
BAD = (0.0, BAD_NOT_CONNECTED)
SPEC = InterlockSpec(
    name="U.HIGH_TMP",
    unit="U",
    when="U.TMP > 10 psi",
    while_="U.PUMP > 0 mL/min",
    tolerance_s=2.0,
    latched=True,
    description="",
    consequence="",
    corrective_action="",
)
ALWAYS = replace(SPEC, name="U.VALVE_SHUT", when="U.VALVE < 1 %open", while_="")
OTHER_UNIT = replace(SPEC, name="V.EMPTY", unit="V", when="V.LEVEL < 2 %v/v", while_="")


class InterlockBench(Bench):
    """A bench with interlocks, pump running, everything in order unless the test says otherwise."""

    def __init__(self, directory: Path, *specs: InterlockSpec) -> None:
        super().__init__(directory, {}, {s.name: s for s in specs})
        self.interlocks = Interlocks(self.plant, self.image, self.gate, self.journal, self.clock)
        self.trips: list[tuple[str, str]] = []
        self.interlocks.on_trip = lambda spec, cause: self.trips.append((spec.name, cause))

    def look(
        self,
        tmp: float | tuple[float, int] = 5.0,
        *,
        pump: float | tuple[float, int] = 500.0,
        valve: float | tuple[float, int] = 50.0,
        level: float = 50.0,
    ) -> None:
        self.interlocks.evaluate(self.scan(TMP=tmp, PUMP=pump, VALVE=valve, V_LEVEL=level))

    def state(self, name: str = "U.HIGH_TMP") -> InterlockState:
        return next(s for s in self.interlocks.states() if s.spec.name == name)

    def reset(self, name: str = "U.HIGH_TMP") -> None:
        asyncio.run(self.interlocks.reset(name, ANNA, "line opened"))


MakeBench = Callable[..., InterlockBench]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[MakeBench]:
    made: list[InterlockBench] = []

    def make(*specs: InterlockSpec) -> InterlockBench:
        made.append(InterlockBench(tmp_path / f"journal{len(made)}", *(specs or (SPEC,))))
        return made[-1]

    yield make
    for it in made:
        it.journal.close()


def test_a_true_condition_trips_in_the_same_scan(bench: MakeBench) -> None:
    it = bench()
    it.look(9.9)
    assert it.trips == []
    it.look(12.0)
    assert it.trips == [("U.HIGH_TMP", "U.TMP > 10 psi (now 12 psi)")]
    assert it.gate.locked("U")
    assert it.state().tripped
    assert it.state().since == (START_S + 2) * NS
    assert [(e.kind, e.actor) for e in it.events] == [(Kind.INTERLOCK_TRIPPED, "interlock")]
    assert [e.body for e in it.events] == [
        {"interlock": "U.HIGH_TMP", "cause": "U.TMP > 10 psi (now 12 psi)", "first_out": True}
    ]


def test_a_trip_is_told_once(bench: MakeBench) -> None:
    it = bench()
    for _ in range(10):
        it.look(12.0)
    assert len(it.trips) == len(it.events) == 1


def test_a_bad_input_trips_after_the_tolerance_and_is_named(bench: MakeBench) -> None:
    it = bench()
    it.look()
    it.look(BAD)
    it.look(BAD)
    assert it.trips == []
    it.look(BAD)
    assert it.trips == [("U.HIGH_TMP", "not known for 2 s: U.TMP > 10 psi unknown: U.TMP Bad: not connected")]


def test_a_bad_input_that_returns_in_time_does_not_trip(bench: MakeBench) -> None:
    it = bench()
    for reading in (5.0, BAD, BAD, 5.0, BAD, BAD, 5.0):
        it.look(reading)
    assert it.trips == []


def test_outside_its_only_while_it_does_not_look_and_begins_anew_afterwards(bench: MakeBench) -> None:
    it = bench(replace(SPEC, when="U.TMP > 10 psi for 2 s"))
    it.look(12.0)
    it.look(12.0)
    it.look(12.0, pump=0.0)
    assert not it.state().watching
    it.look(12.0)
    it.look(12.0)
    assert it.trips == []
    it.look(12.0)
    assert len(it.trips) == 1


def test_a_bad_input_outside_its_only_while_is_of_no_account(bench: MakeBench) -> None:
    it = bench()
    for _ in range(10):
        it.look(BAD, pump=0.0)
    it.look(BAD)
    it.look(BAD)
    assert it.trips == []
    it.look(BAD)
    assert len(it.trips) == 1


def test_an_only_while_that_is_not_known_any_more_counts_as_true(bench: MakeBench) -> None:
    it = bench()
    it.look(5.0, pump=0.0)
    it.look(12.0, pump=BAD)
    assert len(it.trips) == 1


def test_before_the_first_readings_nothing_trips(bench: MakeBench) -> None:
    it = bench()
    for _ in range(10):
        it.look(BAD, pump=BAD)
    assert it.trips == []
    it.look(12.0, pump=500.0)
    assert len(it.trips) == 1


def test_without_only_while_a_bad_input_trips_even_if_it_was_never_good(bench: MakeBench) -> None:
    it = bench(ALWAYS)
    for _ in range(3):
        it.look(valve=BAD)
    assert len(it.trips) == 1


def test_a_trip_stays_when_its_cause_is_gone_until_a_person_resets_it(bench: MakeBench) -> None:
    it = bench()
    it.look(12.0)
    for _ in range(5):
        it.look(5.0, pump=0.0)
    assert it.state().tripped
    it.reset()
    assert not it.state().tripped
    assert not it.gate.locked("U")
    assert (it.events[-1].kind, it.events[-1].actor) == (Kind.INTERLOCK_RESET, "user:anna")
    assert it.events[-1].body == {"interlock": "U.HIGH_TMP", "reason": "line opened"}


@pytest.mark.parametrize("reading", [12.0, BAD])
def test_a_reset_is_refused_while_it_would_trip_again(bench: MakeBench, reading: float | tuple[float, int]) -> None:
    it = bench()
    it.look(12.0)
    it.look(reading)
    with pytest.raises(ResetRefusedError, match=r"U\.HIGH_TMP cannot be reset: .*U\.TMP > 10 psi") as refused:
        it.reset()
    assert "\n" not in str(refused.value)
    assert it.state().tripped
    assert it.gate.locked("U")


def test_what_is_not_tripped_cannot_be_reset(bench: MakeBench) -> None:
    with pytest.raises(ResetRefusedError, match="not tripped"):
        bench().reset()
    with pytest.raises(KeyError):
        bench().reset("U.NONE")


def test_after_a_reset_it_trips_again(bench: MakeBench) -> None:
    it = bench()
    it.look(12.0)
    it.look(5.0)
    it.reset()
    it.look(12.0)
    assert len(it.trips) == 2
    assert it.state().first_out


def test_a_batch_goes_on_only_when_the_cause_is_mended_though_the_pump_stands(bench: MakeBench) -> None:
    it = bench()
    it.look(12.0)
    it.look(11.0, pump=0.0)
    assert it.interlocks.reset_unit("U", ANNA, "restart") == ["U.HIGH_TMP: U.TMP > 10 psi (now 11 psi)"]
    assert it.state().tripped
    it.look(BAD, pump=0.0)
    assert len(it.interlocks.reset_unit("U", ANNA, "restart")) == 1
    it.look(0.0, pump=0.0)
    assert it.interlocks.reset_unit("U", ANNA, "restart") == []
    assert not it.state().tripped
    assert it.events[-1].kind is Kind.INTERLOCK_RESET


def test_the_interlocks_of_a_unit_are_reset_together_or_not_at_all(bench: MakeBench) -> None:
    it = bench(SPEC, ALWAYS, OTHER_UNIT)
    it.look(12.0, valve=0.0, level=0.0)
    it.look(5.0, valve=0.0, level=50.0)
    assert [line.partition(":")[0] for line in it.interlocks.reset_unit("U", ANNA, "restart")] == ["U.VALVE_SHUT"]
    assert it.state("U.HIGH_TMP").tripped
    it.look(5.0, valve=50.0)
    assert it.interlocks.reset_unit("U", ANNA, "restart") == []
    assert [s.spec.name for s in it.interlocks.states() if s.tripped] == ["V.EMPTY"]
    assert (it.gate.locked("U"), it.gate.locked("V")) == (False, True)


def test_the_first_out_is_marked_until_all_are_reset(bench: MakeBench) -> None:
    it = bench(SPEC, ALWAYS, OTHER_UNIT)
    it.look(12.0)
    it.look(5.0, valve=0.0, level=0.0)
    marked = {s.spec.name: s.first_out for s in it.interlocks.states()}
    assert marked == {"U.HIGH_TMP": True, "U.VALVE_SHUT": False, "V.EMPTY": True}
    it.reset("U.HIGH_TMP")
    assert it.state("U.HIGH_TMP").first_out
    it.look()
    it.reset("U.VALVE_SHUT")
    assert not it.state("U.HIGH_TMP").first_out
    it.look(5.0, valve=0.0)
    assert it.state("U.VALVE_SHUT").first_out


def test_what_is_not_latched_resets_itself(bench: MakeBench) -> None:
    it = bench(replace(SPEC, latched=False))
    it.look(12.0)
    assert it.gate.locked("U")
    it.look(BAD)
    assert it.state().tripped
    it.look(5.0)
    assert not it.state().tripped
    assert not it.gate.locked("U")
    assert [e.kind for e in it.events] == [Kind.INTERLOCK_TRIPPED, Kind.INTERLOCK_RESET]


def test_a_trip_from_before_a_crash_is_taken_over_locked_and_must_be_reset(bench: MakeBench) -> None:
    it = bench()
    it.interlocks.restore("U.HIGH_TMP", "U.TMP > 10 psi (now 12 psi)", 17, True)
    assert (it.trips, it.events) == ([], [])
    assert it.gate.locked("U")
    with pytest.raises(ResetRefusedError):
        it.reset()
    it.look(BAD, pump=BAD)
    with pytest.raises(ResetRefusedError):
        it.reset()
    it.look(5.0)
    assert (it.state().cause, it.state().since, it.state().first_out) == ("U.TMP > 10 psi (now 12 psi)", 17, True)
    it.reset()
    assert not it.state().tripped


readings = st.lists(st.tuples(st.sampled_from([5.0, 12.0, None]), st.sampled_from([0.0, 500.0, None])), max_size=40)


@settings(max_examples=80, deadline=None)
@given(readings)
def test_every_history_trips_when_the_rule_says(history: list[tuple[float | None, float | None]]) -> None:
    """The rule from the whole history: true at once, unknown for 2 s, unless the pump is known to stand."""
    with tempfile.TemporaryDirectory() as directory:
        it = InterlockBench(Path(directory), SPEC)
        seen, unknown = False, 0
        expected = False
        for tmp, pump in history:
            it.look(BAD if tmp is None else tmp, pump=BAD if pump is None else pump)
            seen = seen or pump is not None
            watching = seen and pump != 0.0
            unknown = unknown + 1 if watching and tmp is None else 0
            expected = expected or (watching and (tmp == 12.0 or unknown > 2))
            assert it.state().tripped is expected
        assert len(it.trips) == int(expected)
        it.journal.close()
