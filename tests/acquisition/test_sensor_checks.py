"""Sensor checks: what they find, what they do not take for a fault, and what becomes of the qualities behind them."""

from __future__ import annotations

import dataclasses
import math
import timeit
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import BoundPoint
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.sensor_checks import QUALITY, SensorChecks
from evcontrol.clock import NS
from evcontrol.expression import Symbol
from evcontrol.plant.model import DerivedSpec, DeviceSpec, Plant, RateSpec
from evcontrol.plant.sensor_checks import (
    CheckSpec,
    CheckState,
    ContradictionTest,
    Doubt,
    FrozenTest,
    ImplausibleTest,
    JumpTest,
    SensorTest,
)
from evcontrol.quality import (
    BAD_FROZEN,
    BAD_NOT_CONNECTED,
    GOOD,
    GOOD_DYNAMIC,
    UNCERTAIN_CONTRADICTED,
    UNCERTAIN_FROZEN,
    UNCERTAIN_IMPLAUSIBLE,
    UNCERTAIN_INITIAL,
    UNCERTAIN_JUMPED,
    severity,
)
from evcontrol.signals import Frame, Tag, TagKind, TagTable, make_frame
from tests.acquisition.conftest import Point

STATES = tuple(state.value for state in CheckState)
LOST = (math.nan, BAD_NOT_CONNECTED)
Given = float | tuple[float, int]


def a_plant(*checks: CheckSpec) -> Plant:
    """Two sensors on one device, a rate of the first, a mode of the engine's own, and the state of a check."""
    tags = TagTable(
        [
            Tag("U.A", 0, "g", TagKind.ANALOG, 0, 1000),
            Tag("U.B", 1, "g", TagKind.ANALOG, 0, 1000),
            Tag("U.RATE", 2, "g/min", TagKind.ANALOG, -1000, 1000),
            Tag("U.MODE", 3, "", TagKind.ENUM, 0, 1, labels=("still", "moving")),
            Tag("U.CHECK", 4, "", TagKind.ENUM, 0, 3, labels=STATES),
        ]
    )
    points = (BoundPoint(tags["U.A"], Point()), BoundPoint(tags["U.B"], Point()))
    return Plant(
        name="test",
        text="",
        hash="",
        scan_s=1.0,
        wire_scan_s=0.05,
        simulated=True,
        devices={"plc": DeviceSpec("plc", "fake", Point(), points, 0.5)},
        tags=tags,
        writes={},
        derived=(DerivedSpec("U.RATE", rate=RateSpec("U.A", 10.0, 60.0)),),
        internal=frozenset({"U.MODE", "U.CHECK"}),
        units={},
        loops={},
        interlocks={},
        alarms={},
        checks={check.name: check for check in checks},
        symbols={t.name: Symbol(t.name, t.unit, t.labels) for t in tags},
    )


def a_check(test: SensorTest, *tags: str, while_: str = "", doubt: Doubt = Doubt.UNCERTAIN) -> CheckSpec:
    return CheckSpec("U.SENSOR", "U", tags or ("U.A",), test, doubt, while_, "U.CHECK", "", "")


class Bench:
    """Scans with readings given by hand."""

    def __init__(self, check: CheckSpec, scan_s: float = 1.0) -> None:
        self.plant = a_plant(check)
        self.image = ProcessImage(self.plant.tags, self.plant.internal)
        self.image.set_internal("U.MODE", "moving")
        self.checks = SensorChecks(self.plant, self.image)
        self.told: list[tuple[tuple[str, ...], str]] = []
        self.checks.on_doubt = lambda spec, tags, text: self.told.append((tags, text))
        self.scan_s = scan_s
        self.t = 1_000 * NS

    def scan(self, a: Given | None = None, b: Given | None = None) -> int:
        """One scan with readings of A and B (None: it does not answer); the quality of A then."""
        self.t += round(self.scan_s * NS)
        given = [(i, *(r if isinstance(r, tuple) else (r, GOOD))) for i, r in enumerate((a, b)) if r is not None]
        for frame in self.checks.apply([make_frame(self.t, self.t, "plc", given)], self.t):
            self.image.apply(frame)
        return self.quality("U.A")

    def scans(self, values: Iterable[Given], b: Given | None = None) -> list[int]:
        return [self.scan(value, b) for value in values]

    def quality(self, tag: str) -> int:
        return self.image.reading(tag).quality

    @property
    def state(self) -> CheckState:
        [report] = self.checks.states()
        assert self.image.text("U.CHECK") == report.state.value
        return report.state


# -- frozen ------------------------------------------------------------------------------------------------------------

FROZEN = FrozenTest(within=0.0, over_s=60.0, readings=20)


@pytest.mark.parametrize("scan_s", [0.1, 1.0, 72.0])
def test_a_noisy_signal_that_does_not_change_at_all_is_frozen_at_any_speed(scan_s: float) -> None:
    bench = Bench(a_check(FROZEN), scan_s)
    found = bench.scans([5.0] * (math.ceil(60.0 / scan_s) + 30))
    first = found.index(UNCERTAIN_FROZEN)
    assert all(quality == GOOD for quality in found[:first])
    assert all(quality == UNCERTAIN_FROZEN for quality in found[first:])
    assert first == max(math.ceil(60.0 / scan_s), 19)
    assert bench.state is CheckState.FAILED
    assert bench.image.reading("U.A").value == 5.0


def test_it_is_good_again_with_the_first_reading_that_moves() -> None:
    bench = Bench(a_check(FROZEN))
    bench.scans([5.0] * 70)
    assert bench.scan(5.1) == GOOD
    assert [bool(tags) for tags, _ in bench.told] == [True, False]
    assert "U.A: no change of more than 0 g within 60 s" in bench.told[0][1]
    assert bench.state is CheckState.GOOD


def test_a_band_as_wide_as_allowed_is_frozen_and_a_slow_ramp_is_not() -> None:
    check = a_check(FrozenTest(within=0.5, over_s=60.0, readings=20))
    assert UNCERTAIN_FROZEN in Bench(check).scans([5.0 + 0.5 * (i % 2) for i in range(70)])
    assert UNCERTAIN_FROZEN not in Bench(check).scans([5.0 + 0.01 * i for i in range(300)])


@pytest.mark.parametrize("gap", [LOST, None], ids=["bad", "no answer"])
def test_a_gap_never_counts_as_frozen(gap: Given | None) -> None:
    bench = Bench(a_check(FROZEN))
    found = [bench.scan(gap if i % 19 == 18 else 5.0) for i in range(400)] if gap else []
    assert UNCERTAIN_FROZEN not in found
    bench = Bench(a_check(FROZEN))
    bench.scan(5.0)
    for _ in range(18):
        bench.scan(None)
    bench.t += 3600 * NS
    assert bench.scan(5.0) == GOOD


def test_a_reading_that_was_lost_is_unknown_and_begins_anew() -> None:
    bench = Bench(a_check(FROZEN))
    bench.scans([5.0] * 70)
    assert bench.scan(LOST) == BAD_NOT_CONNECTED
    assert bench.state is CheckState.UNKNOWN
    assert bench.scan(5.0) == GOOD
    assert bench.state is CheckState.GOOD


def test_a_balance_in_motion_keeps_its_own_word_until_it_is_doubted() -> None:
    bench = Bench(a_check(FROZEN))
    found = bench.scans([(5.0, GOOD_DYNAMIC)] * 70)
    assert (found[0], found[-1]) == (GOOD_DYNAMIC, UNCERTAIN_FROZEN)


PAIRED = FrozenTest(within=0.5, over_s=30.0, readings=20, partner="U.B", partner_by=10.0)


def test_a_sensor_is_frozen_when_its_partner_moves_and_it_does_not_follow() -> None:
    bench = Bench(a_check(PAIRED))
    bench.scans([5.0] * 500, b=100.0)
    assert bench.state is CheckState.GOOD
    moves = [bench.scan(5.0, 100.0 + i) for i in range(60)]
    assert moves[:40] == [GOOD] * 40
    assert moves[-1] == UNCERTAIN_FROZEN
    assert "although U.B moved" in bench.told[0][1]


def test_a_sensor_that_follows_late_but_in_time_is_not_frozen() -> None:
    bench = Bench(a_check(PAIRED))
    bench.scans([5.0] * 500, b=100.0)
    found = [bench.scan(5.0 + max(0, i - 25), 100.0 + i) for i in range(500)]
    assert set(found) == {GOOD}


def test_with_a_bad_partner_it_is_unknown_and_says_so_and_keeps_what_it_found() -> None:
    bench = Bench(a_check(PAIRED))
    bench.scan(5.0, 100.0)
    bench.scans([5.0] * 200, b=LOST)
    assert bench.state is CheckState.UNKNOWN
    assert bench.quality("U.A") == GOOD
    for i in range(60):
        bench.scan(5.0, 100.0 + i)
    assert bench.state is CheckState.FAILED
    assert bench.scan(5.0, LOST) == UNCERTAIN_FROZEN
    assert bench.state is CheckState.UNKNOWN
    assert bench.scan(7.0, 160.0) == GOOD


# -- jump --------------------------------------------------------------------------------------------------------------

JUMP = JumpTest(noise=0.5, per_s=2.0, hold_s=10.0)


@pytest.mark.parametrize("scan_s", [0.1, 1.0, 30.0])
def test_what_is_possible_is_no_jump_at_any_speed_and_more_is(scan_s: float) -> None:
    bench = Bench(a_check(JUMP), scan_s)
    step = 2.0 * scan_s
    assert set(bench.scans([step * i for i in range(50)])) == {GOOD}
    assert bench.scan(step * 49 + step + 0.6) == UNCERTAIN_JUMPED


def test_after_a_jump_the_tag_is_doubted_for_the_hold_time() -> None:
    bench = Bench(a_check(JUMP))
    bench.scans([5.0] * 5)
    found = bench.scans([50.0] * 12)
    assert found == [UNCERTAIN_JUMPED] * 10 + [GOOD] * 2


def test_what_is_possible_grows_with_a_gap() -> None:
    bench = Bench(a_check(JUMP))
    bench.scan(5.0)
    bench.scans([LOST] * 9)
    assert bench.scan(24.0) == GOOD
    bench.scans([LOST] * 3)
    assert bench.scan(60.0) == UNCERTAIN_JUMPED


# -- contradiction -----------------------------------------------------------------------------------------------------


def differs(over_s: float = 5.0) -> ContradictionTest:
    return ContradictionTest("abs(U.A - U.B) > 2 g", over_s)


def test_two_that_contradict_each_other_are_both_doubted_and_good_again_when_they_agree() -> None:
    bench = Bench(a_check(differs(), "U.A", "U.B"))
    assert [bench.scan(10.0, 13.0) for _ in range(6)] == [GOOD] * 5 + [UNCERTAIN_CONTRADICTED]
    assert bench.quality("U.B") == UNCERTAIN_CONTRADICTED
    assert bench.told[0][0] == ("U.A", "U.B")
    assert bench.scan(10.0, 11.0) == GOOD
    assert bench.quality("U.B") == GOOD


def test_a_contradiction_with_a_bad_partner_is_unknown_and_the_time_begins_anew() -> None:
    bench = Bench(a_check(differs()))
    for _ in range(4):
        bench.scan(10.0, 13.0)
    assert bench.scan(10.0, LOST) == GOOD
    assert bench.state is CheckState.UNKNOWN
    assert [bench.scan(10.0, 13.0) for _ in range(6)] == [GOOD] * 5 + [UNCERTAIN_CONTRADICTED]


def test_a_doubted_sensor_is_judged_by_what_it_delivers_also_through_derived_tags() -> None:
    bench = Bench(a_check(ContradictionTest("U.RATE > 30 g/min", 0.0), doubt=Doubt.BAD))
    found = bench.scans([float(i) for i in range(10)])
    assert math.isnan(bench.image.reading("U.A").value)
    assert severity(found[-1]) == "Bad"
    assert bench.scans([10.0] * 12)[-1] == GOOD


# -- implausible, and what all have in common --------------------------------------------------------------------------


def test_outside_what_is_plausible_for_long_enough() -> None:
    bench = Bench(a_check(ImplausibleTest(1.0, 9.0, 3.0)))
    assert bench.scans([5, 10, 10, 5, 10, 10, 10, 10, 5]) == [GOOD] * 7 + [UNCERTAIN_IMPLAUSIBLE, GOOD]
    assert Bench(a_check(ImplausibleTest(1.0, math.inf, 0.0))).scan(0.5) == UNCERTAIN_IMPLAUSIBLE


def test_it_looks_only_while_it_is_told_to() -> None:
    bench = Bench(a_check(FROZEN, while_="U.MODE = moving"))
    bench.image.set_internal("U.MODE", "still")
    assert set(bench.scans([5.0] * 200)) == {GOOD}
    assert bench.state is CheckState.OFF
    bench.image.set_internal("U.MODE", "moving")
    assert bench.scans([5.0] * 60)[-1] == GOOD
    assert bench.scan(5.0) == UNCERTAIN_FROZEN
    bench.image.set_internal("U.MODE", "still")
    assert bench.scan(5.0) == GOOD


def test_bad_takes_the_value_away_and_a_worse_word_of_the_device_stays() -> None:
    bench = Bench(a_check(FROZEN, doubt=Doubt.BAD))
    assert bench.scans([5.0] * 61)[-1] == BAD_FROZEN
    assert math.isnan(bench.image.reading("U.A").value)
    bench = Bench(a_check(FROZEN))
    assert bench.scans([(5.0, UNCERTAIN_INITIAL)] * 61)[-1] == UNCERTAIN_FROZEN


def test_every_test_has_a_word_of_its_own() -> None:
    assert len(set(QUALITY.values())) == len(QUALITY) == 8
    for (_, doubt), code in QUALITY.items():
        assert severity(code).value.lower() == doubt.value


def test_a_plant_without_checks_keeps_its_frames() -> None:
    plant = dataclasses.replace(a_plant(), checks={})
    frames = [make_frame(1, 1, "plc", [(0, 5.0, GOOD)])]
    assert SensorChecks(plant, ProcessImage(plant.tags, plant.internal)).apply(frames, 1) is frames


values = st.lists(st.sampled_from([LOST, None, 5.0, 5.0, 5.0, 5.1]), max_size=80)


@settings(max_examples=60, deadline=None)
@given(values, st.sampled_from([0.5, 1.0, 7.0]))
def test_frozen_is_found_exactly_when_the_last_readings_say_so(given: Sequence[Given | None], scan_s: float) -> None:
    """Against the plain definition: the unbroken run of equal readings up to now is long enough, in time and number."""
    bench = Bench(a_check(FrozenTest(0.0, 10.0, 4)), scan_s)
    for n, reading in enumerate(given):
        bench.scan(reading)
        if reading is None:
            continue
        run = [(i, r) for i, r in enumerate(given[: n + 1]) if r is not None]
        length, first = 0, n
        for i, r in reversed(run):
            if r != reading or r == LOST:
                break
            length, first = length + 1, i
        frozen = reading != LOST and length >= 4 and (n - first) * scan_s >= 10.0
        assert (bench.quality("U.A") == UNCERTAIN_FROZEN) is frozen


def test_five_hundred_checks_cost_little_of_a_scan() -> None:
    tags = TagTable([Tag(f"U.T{i}", i, "g", TagKind.ANALOG, 0, 1000) for i in range(500)])
    points = tuple(BoundPoint(tag, Point()) for tag in tags)
    checks = {f"U.C{i}": a_check(FROZEN, f"U.T{i}") for i in range(500)}
    plant = dataclasses.replace(
        a_plant(),
        tags=tags,
        devices={"plc": DeviceSpec("plc", "fake", Point(), points, 0.5)},
        derived=(),
        internal=frozenset(),
        checks={name: dataclasses.replace(c, name=name, state_tag="") for name, c in checks.items()},
        symbols={},
    )
    it = SensorChecks(plant, ProcessImage(tags))
    index, quality = np.arange(500, dtype=np.int32), np.zeros(500, dtype=np.uint32)
    scan = iter(range(10**9))

    def one() -> None:
        t = next(scan) * NS
        it.apply([Frame(t, t, "plc", index, np.full(500, float(t % 7)), quality)], t)

    assert min(timeit.repeat(one, number=5, repeat=5)) / 5 < 0.05
