"""Forced values: in place of readings, marked, for a time, and never beside a batch on real equipment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evcontrol.acquisition.forced import LONGEST_S, ForcedValues, ForceRefusedError
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scanner
from evcontrol.clock import NS
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.store import Journal, read_events
from evcontrol.plant.model import OnSilence, Plant, WriteSpec
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD, GOOD_LOCAL_OVERRIDE, ne107
from evcontrol.signals import Frame, make_frame
from tests.control.bench import HandClock

TESTER = Origin.user("tom", "bench")


class Bench:
    """A plant's forced values before a hand-made scan."""

    def __init__(self, plant: Plant, directory: Path) -> None:
        self.plant, self.directory, self.clock = plant, directory, HandClock()
        self.journal = Journal(directory, self.clock)
        self.busy: list[str] = []
        self.forced = ForcedValues(plant, self.journal, self.clock, lambda: self.busy)
        self.image = ProcessImage(plant.tags, plant.internal)
        self.scanner = Scanner(plant, {}, self.image, self.clock)
        self.scanner.overlay = self.forced.apply

    def read(self, value: float, quality: int = GOOD) -> Frame:
        """What is left of a reading of the weight."""
        t = self.clock.now()
        return self.forced.apply([make_frame(t, t, "scale", [(0, value, quality), (1, 5.0, GOOD)])], t)[0]

    def told(self, kind: Kind) -> list[str]:
        return [event.body["reason"] for event in read_events(self.directory) if event.kind is kind]


@pytest.fixture
def bench(plant: Plant, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**changes: object) -> Bench:
        made.append(Bench(replace(plant, **changes), tmp_path / f"journal{len(made)}"))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.journal.close()


Make = Callable[..., Bench]


def test_a_forced_value_stands_in_place_of_what_is_read_and_its_quality_says_so(bench: Make) -> None:
    it = bench()
    before = it.read(7.0)
    it.forced.force("U.W", 500.0, 60.0, TESTER, "does the alarm come")
    for frame in (it.read(7.0), it.read(0.0, BAD_NOT_CONNECTED)):
        assert list(frame.value) == [500.0, 5.0]
        assert list(frame.quality) == [GOOD_LOCAL_OVERRIDE, GOOD]
    assert list(before.value) == [7.0, 5.0]
    assert ne107(GOOD_LOCAL_OVERRIDE).value == "function check"


def test_it_ends_at_its_time_or_by_a_person_and_both_are_journalled(bench: Make) -> None:
    it = bench()
    it.forced.force("U.W", 500.0, 60.0, TESTER, "first")
    it.clock.t += 60 * NS
    assert it.read(7.0).value[0] == 7.0
    it.forced.force("U.W", 600.0, 60.0, TESTER, "second")
    it.forced.end("U.W", TESTER, "seen")
    assert it.read(7.0).value[0] == 7.0
    assert it.forced.standing() == []
    assert it.told(Kind.VALUE_FORCED) == ["first", "second"]
    assert it.told(Kind.VALUE_FORCE_ENDED) == ["its time is over", "seen"]
    with pytest.raises(ForceRefusedError, match="is not forced"):
        it.forced.end("U.W", TESTER, "again")


@pytest.mark.parametrize(
    ("tag", "value", "duration_s", "match"),
    [
        ("U.TWICE", 1.0, 60.0, "not read from a device"),
        ("U.NOTE", 1.0, 60.0, "not read from a device"),
        ("U.P", 1.0, 60.0, "is an actuator"),
        ("U.W", 1001.0, 60.0, "outside 0 to 1000 g"),
        ("U.W", float("nan"), 60.0, "outside 0 to 1000 g"),
        ("U.W", 1.0, LONGEST_S + 1, "for up to 28800 s"),
        ("U.W", 1.0, 0.0, "for up to 28800 s"),
    ],
)
def test_what_cannot_be_forced_is_refused(bench: Make, tag: str, value: float, duration_s: float, match: str) -> None:
    it = bench(writes={"U.P": WriteSpec(0.0, 100.0, OnSilence.STAYS, 0.01)})
    with pytest.raises(ForceRefusedError, match=match):
        it.forced.force(tag, value, duration_s, TESTER, "try")
    assert it.read(7.0).value[0] == 7.0
    assert it.told(Kind.VALUE_FORCED) == []


def test_beside_a_batch_values_are_forced_on_simulated_equipment_alone(bench: Make) -> None:
    for simulated in (True, False):
        it = bench(simulated=simulated)
        it.busy = ["B-0001"]
        if simulated:
            it.forced.force("U.W", 1.0, 60.0, TESTER, "try")
            continue
        with pytest.raises(ForceRefusedError, match="B-0001 has not ended"):
            it.forced.force("U.W", 1.0, 60.0, TESTER, "try")
