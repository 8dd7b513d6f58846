"""Declared kinds of alarms: each against its expression or a plain model, and what a Bad input does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.acquisition.derived import Rate
from evcontrol.acquisition.image import ProcessImage
from evcontrol.alarms.describe import as_expression, describe, in_words
from evcontrol.alarms.watch import Watch
from evcontrol.clock import NS
from evcontrol.expression import Reading, Symbol, compile_condition
from evcontrol.plant.alarm_specs import (
    AlarmSpec,
    AlarmTest,
    BadQualityTest,
    DeviationTest,
    DiscrepancyTest,
    ExpressionTest,
    LimitTest,
    OnBad,
    RateTest,
    StaleTest,
    StateTest,
    WatchdogTest,
)
from evcontrol.plant.model import RateSpec
from evcontrol.quality import BAD_NOT_CONNECTED, BAD_SENSOR_FAILURE, BAD_STALE, GOOD, UNCERTAIN, is_good
from evcontrol.signals import Tag, TagKind, TagTable, make_frame
from tests.alarms.conftest import spec

TAGS = TagTable(
    [
        Tag("U.P", 0, "psig", TagKind.ANALOG, 0, 60),
        Tag("U.SP", 1, "psig", TagKind.ANALOG, 0, 60),
        Tag("U.MODE", 2, "", TagKind.ENUM, 0, 2, labels=("off", "auto", "by hand")),
        Tag("U.CMD", 3, "", TagKind.DISCRETE, 0, 1, labels=("shut", "open")),
        Tag("U.FB", 4, "", TagKind.DISCRETE, 0, 1, labels=("shut", "open")),
        Tag("U.RUN", 5, "rpm", TagKind.ANALOG, 0, 500),
    ]
)
SYMBOLS = {tag.name: Symbol(tag.name, tag.unit, tag.labels) for tag in TAGS}
START_S = 1_000


def declared(test: AlarmTest, **changes: object) -> AlarmSpec:
    """An alarm without delays."""
    fields: dict[str, object] = {"on_delay_s": 0.0, "off_delay_s": 0.0, "setpoint_unit": "psig"}
    return spec("U.A", test, **(fields | changes))


class Eye:
    """Alarms that look at an image whose readings a test sets, a scan each second."""

    def __init__(self, *specs: AlarmSpec) -> None:
        self.image = ProcessImage(TAGS)
        self.watch = Watch(specs, SYMBOLS, self.image)
        self.t = START_S * NS
        self.real = 0

    def scan(self, *readings: tuple[str, float, int] | tuple[str, float], real_s: float = 1.0) -> list[bool]:
        """What of the alarms is present after a scan with these readings; the others come as they were."""
        self.t += NS
        self.real += round(real_s * NS)
        rows = [(TAGS[r[0]].index, float(r[1]), int(r[2]) if len(r) > 2 else GOOD) for r in readings]
        self.image.apply(make_frame(self.t, self.t, "g", rows))
        self.watch.update(self.t, self.real)
        return [bool(present) for present in self.watch.present]


QUALITIES = st.sampled_from([GOOD, GOOD, GOOD, UNCERTAIN, BAD_NOT_CONNECTED, BAD_SENSOR_FAILURE])
SCANS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 4.0, 5.0, 5.5, 6.0, 9.0]), QUALITIES,
        st.sampled_from([0.0, 4.5, 5.0, 8.0]), QUALITIES,
        st.sampled_from([0.0, 1.0, 2.0]), QUALITIES,
        st.sampled_from([0.0, 100.0]), QUALITIES,
    ),
    max_size=25,
)  # fmt: skip
WITH_WORDS = [
    LimitTest("U.P", True, 5.0),
    LimitTest("U.P", False, 5.0),
    DeviationTest("U.P", "U.SP", 0.5),
    StateTest("U.MODE", ("auto",)),
    StateTest("U.MODE", ("off", "by hand")),
    BadQualityTest("U.P"),
    BadQualityTest("U.P", or_uncertain=True),
]


def as_units(test: AlarmTest) -> str:
    return "psi" if isinstance(test, DeviationTest) else "psig"


@settings(max_examples=150, deadline=None)
@given(
    scans=SCANS,
    on_s=st.sampled_from([0.0, 2.0]),
    off_s=st.sampled_from([0.0, 3.0]),
    on_bad=st.sampled_from(list(OnBad)),
    while_=st.sampled_from(["", "U.RUN > 0 rpm"]),
)
def test_a_declared_kind_is_what_its_expression_is(
    scans: list[tuple[float, ...]], on_s: float, off_s: float, on_bad: OnBad, while_: str
) -> None:
    specs = [
        declared(test, on_delay_s=on_s, off_delay_s=off_s, on_bad=on_bad, while_=while_, setpoint_unit=as_units(test))
        for test in WITH_WORDS
    ]
    words = [replace(one, test=ExpressionTest(as_expression(one, one.setpoint))) for one in specs]
    eye = Eye(*specs, *words)
    for p, pq, sp, spq, mode, modeq, run, runq in scans:
        found = eye.scan(("U.P", p, pq), ("U.SP", sp, spq), ("U.MODE", mode, modeq), ("U.RUN", run, runq))  # type: ignore[arg-type]
        assert found[: len(specs)] == found[len(specs) :]


class Model:
    """Delays and Bad inputs of one alarm, told plainly: one second a scan."""

    def __init__(self, one: AlarmSpec) -> None:
        self.one, self.present, self.true_s, self.false_s, self.was = one, False, None, 0, False
        self.true_s: int | None

    def scan(self, state: bool | None, looking: bool | None) -> bool:
        if looking is False:
            state = False
        elif state is None:
            counts = {OnBad.HOLD: False, OnBad.RAISE: True, OnBad.NEVER_CLEAR: self.was}
            state = True if counts[self.one.on_bad] else None
        self.was = self.was if state is None else state
        if looking is None and state is True:
            state = None
        if state is False:
            self.true_s, self.false_s = None, self.false_s + 1
            self.present = self.present and self.false_s - 1 < self.one.off_delay_s
            return self.present
        self.false_s = 0
        self.true_s = self.true_s + 1 if self.true_s is not None else 0 if state else None
        self.present = self.present or (state is True and (self.true_s or 0) >= self.one.on_delay_s)
        return self.present


TRUTHS = st.lists(st.tuples(st.sampled_from([True, False, None]), st.sampled_from([True, True, False, None])))


@settings(max_examples=200, deadline=None)
@given(TRUTHS, st.integers(0, 4), st.integers(0, 4), st.sampled_from(list(OnBad)))
def test_delays_and_bad_inputs_follow_the_plain_model(
    truths: list[tuple[bool | None, bool | None]], on_s: int, off_s: int, on_bad: OnBad
) -> None:
    one = declared(
        LimitTest("U.P", True, 5.0), on_delay_s=float(on_s), off_delay_s=float(off_s), on_bad=on_bad,
        while_="U.RUN > 0 rpm",
    )  # fmt: skip
    eye, model = Eye(one), Model(one)
    for state, looking in truths:
        p = ("U.P", 9.0 if state else 1.0, BAD_NOT_CONNECTED if state is None else GOOD)
        run = ("U.RUN", float(bool(looking)), BAD_NOT_CONNECTED if looking is None else GOOD)
        assert eye.scan(p, run) == [model.scan(state, looking)]


def test_a_limit_has_a_deadband_and_forgets_it_while_it_does_not_apply() -> None:
    eye = Eye(
        declared(LimitTest("U.P", True, 8.0, 1.0)),
        declared(LimitTest("U.P", False, 8.0, 1.0)),
        declared(LimitTest("U.P", True, 8.0, 1.0), while_="U.RUN > 0 rpm"),
    )
    eye.scan(("U.RUN", 100.0))
    high = [(8.0, False), (8.1, True), (7.5, True), (7.0, False), (7.5, False)]
    assert [eye.scan(("U.P", p))[0] for p, _ in high] == [present for _, present in high]
    low = [(8.0, False), (7.9, True), (8.5, True), (9.0, False), (8.5, False)]
    eye.scan(("U.P", 20.0))
    assert [eye.scan(("U.P", p))[1] for p, _ in low] == [present for _, present in low]
    assert eye.scan(("U.P", 8.2))[2]
    assert not eye.scan(("U.RUN", 0.0))[2]
    assert not eye.scan(("U.P", 7.5), ("U.RUN", 100.0))[2]


def test_a_reading_that_is_lost_within_the_deadband_comes_back_to_it() -> None:
    eye = Eye(declared(LimitTest("U.P", True, 8.0, 1.0)))
    eye.scan(("U.P", 9.0))
    assert eye.scan(("U.P", 0.0, BAD_NOT_CONNECTED)) == [True]
    assert eye.scan(("U.P", 7.5)) == [True]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 60.0), QUALITIES), min_size=1, max_size=40))
def test_the_slope_of_a_rate_alarm_is_that_of_a_derived_tag(readings: list[tuple[float, int]]) -> None:
    eye = Eye(declared(RateTest("U.P", 30.0, 8.0, 60.0)), declared(RateTest("U.SP", 1.0, 20.0, 1.0)))
    rate = Rate(RateSpec("U.P", 8.0, 60.0))
    for value, quality in readings:
        usable = Reading(value, quality if is_good(quality) else BAD_NOT_CONNECTED)
        eye.scan(("U.P", value, quality))
        wanted = rate.update(eye.t, usable)
        slope = eye.watch.slope(0)
        assert slope == pytest.approx(wanted.value if is_good(wanted.quality) else float("nan"), nan_ok=True, abs=1e-6)
    assert eye.watch.slope(1) != eye.watch.slope(1)


def test_a_rate_is_an_alarm_up_and_down_and_a_long_window_stays_small() -> None:
    eye = Eye(declared(RateTest("U.P", 6.0, 600.0, 60.0)))
    found = [eye.scan(("U.P", 10.0 + 0.05 * second))[0] for second in range(700)]
    assert not any(found)
    for second in range(700):
        found.append(eye.scan(("U.P", 45.0 - 0.2 * second))[0])
    assert found[-1]
    assert eye.watch.slope(0) == pytest.approx(-12.0, rel=0.02)


STUCK = DiscrepancyTest("U.CMD", "U.FB", 0.0, 5.0)


def test_a_valve_that_does_not_follow_is_an_alarm_after_its_travel_and_one_that_does_is_none() -> None:
    eye = Eye(declared(STUCK, on_bad=OnBad.NEVER_CLEAR))
    assert not any(eye.scan(("U.CMD", 0.0), ("U.FB", 0.0))[0] for _ in range(10))
    assert not any(eye.scan(("U.CMD", 1.0))[0] for _ in range(3))
    assert not any(eye.scan(("U.FB", 1.0))[0] for _ in range(20))
    found = [eye.scan(("U.CMD", 0.0))[0] for _ in range(6)]
    assert found == [False] * 4 + [True] * 2
    assert eye.scan(("U.FB", 1.0, BAD_NOT_CONNECTED)) == [True]
    assert eye.scan(("U.FB", 0.0)) == [False]


def test_a_valve_on_its_way_is_not_stuck_and_one_that_stops_halfway_is() -> None:
    eye = Eye(declared(DiscrepancyTest("U.SP", "U.P", 2.0, 4.0)))
    eye.scan(("U.SP", 10.0), ("U.P", 10.0))
    moving = [eye.scan(("U.SP", 60.0), ("U.P", 10.0 + 3.0 * second))[0] for second in range(12)]
    assert not any(moving)
    halfway = [eye.scan(("U.P", 43.5 + 0.5 * (second % 2)))[0] for second in range(8)]
    assert halfway[-1]
    assert eye.scan(("U.P", 59.0)) == [False]


def test_a_command_has_three_scans_to_be_confirmed_however_long_they_are() -> None:
    eye = Eye(declared(replace(STUCK, travel_s=0.5)))
    eye.scan(("U.CMD", 0.0), ("U.FB", 0.0))
    assert [eye.scan(("U.CMD", 1.0))[0] for _ in range(3)] == [False, False, True]


def test_a_pump_that_only_tells_whether_it_runs_must_run_for_every_command_above_0() -> None:
    eye = Eye(declared(DiscrepancyTest("U.RUN", "U.FB", 0.0, 3.0, runs=True)))
    assert not any(eye.scan(("U.RUN", 40.0), ("U.FB", 1.0))[0] for _ in range(9))
    assert [eye.scan(("U.RUN", 0.0))[0] for _ in range(4)][-1]


@pytest.mark.parametrize("quality", [BAD_STALE, BAD_NOT_CONNECTED])
def test_a_tag_without_news_is_stale_and_a_broken_sensor_is_not(quality: int) -> None:
    eye = Eye(declared(StaleTest("U.P", 3.0)), declared(BadQualityTest("U.P")))
    eye.scan(("U.P", 5.0))
    assert not any(eye.scan(("U.P", 5.0, BAD_SENSOR_FAILURE))[0] for _ in range(9))
    assert [eye.scan(("U.P", 5.0, quality)) for _ in range(4)] == [[False, True]] * 3 + [[True, True]]
    assert eye.scan(("U.P", 5.0)) == [False, False]
    assert [eye.scan()[0] for _ in range(4)] == [False] * 3 + [True]


def test_a_counter_that_stands_still_is_an_alarm_and_so_is_one_that_cannot_be_read() -> None:
    eye = Eye(declared(WatchdogTest("U.P", 3.0)))
    assert not any(eye.scan(("U.P", float(count)))[0] for count in range(9))
    assert [eye.scan(("U.P", 8.0))[0] for _ in range(4)] == [False] * 3 + [True]
    assert eye.scan(("U.P", 9.0)) == [False]
    assert [eye.scan(("U.P", 10.0 + c, BAD_STALE))[0] for c in range(4)] == [False] * 3 + [True]


def test_silence_is_measured_in_real_time_as_time_outs_are() -> None:
    eye = Eye(declared(WatchdogTest("U.P", 3.0)), declared(StaleTest("U.P", 3.0)))
    eye.scan(("U.P", 1.0), real_s=0.01)
    assert not any(any(eye.scan(real_s=0.01)) for _ in range(100))
    assert eye.scan(real_s=3.0) == [True, True]


@pytest.mark.parametrize(
    ("on_bad", "raised", "cleared"),
    [(OnBad.HOLD, False, False), (OnBad.RAISE, True, False), (OnBad.NEVER_CLEAR, False, False)],
)
def test_what_a_bad_input_does_is_chosen_for_each_alarm(on_bad: OnBad, raised: bool, cleared: bool) -> None:
    eye = Eye(declared(LimitTest("U.P", True, 8.0), on_bad=on_bad))
    eye.scan(("U.P", 1.0))
    assert eye.scan(("U.P", 1.0, BAD_NOT_CONNECTED)) == [raised]
    eye.scan(("U.P", 9.0))
    assert eye.scan(("U.P", 9.0, BAD_NOT_CONNECTED)) == [not cleared]
    assert eye.scan(("U.P", 1.0)) == [False]


def test_what_was_true_when_its_input_was_lost_is_raised_after_its_delay_only_where_that_is_chosen() -> None:
    begun = [declared(LimitTest("U.P", True, 8.0), on_delay_s=3.0, on_bad=on_bad) for on_bad in OnBad]
    eye = Eye(*begun)
    eye.scan(("U.P", 9.0))
    for _ in range(5):
        found = eye.scan(("U.P", 9.0, BAD_NOT_CONNECTED))
    assert dict(zip(OnBad, found, strict=True)) == {
        OnBad.HOLD: False, OnBad.RAISE: True, OnBad.NEVER_CLEAR: True,
    }  # fmt: skip


def test_a_new_setpoint_holds_from_the_next_scan_on() -> None:
    eye = Eye(declared(LimitTest("U.P", True, 8.0)), declared(LimitTest("U.P", True, 8.0)))
    assert eye.scan(("U.P", 7.0)) == [False, False]
    eye.watch.set_setpoint(1, 6.0)
    assert eye.scan(("U.P", 7.0)) == [False, True]


@pytest.mark.parametrize(
    ("test", "unit", "words"),
    [
        (LimitTest("U.P", True, 8.0), "psig", "U.P > 8 psig (now 9 psig)"),
        (DeviationTest("U.P", "U.SP", 0.5), "psi", "abs(U.P - U.SP) > 0.5 psi (now 1 psi; U.P 9 psig, U.SP 8 psig)"),
        (StateTest("U.MODE", ("by hand",)), "", 'U.MODE = "by hand" (now by hand)'),
        (BadQualityTest("U.P"), "", "U.P is Bad (now Good)"),
        (RateTest("U.P", 6.0, 60.0, 60.0), "psi/min", "U.P changes by more than 6 psi/min over 60 s (now 12 psi/min)"),
        (STUCK, "", "U.FB does not follow U.CMD within 5 s (now U.CMD open, U.FB Bad: not connected)"),
        (StaleTest("U.FB", 3.0), "s", "U.FB has had no news for 3 s (now Bad: not connected)"),
        (WatchdogTest("U.P", 3.0), "s", "U.P has not moved for 3 s (now 9 psig)"),
    ],
)
def test_an_alarm_tells_what_it_looks_at_with_the_present_readings(test: AlarmTest, unit: str, words: str) -> None:
    eye = Eye()
    eye.scan(("U.P", 9.0), ("U.SP", 8.0), ("U.MODE", 2.0), ("U.CMD", 1.0), ("U.FB", 1.0, BAD_NOT_CONNECTED))
    one = declared(test, setpoint_unit=unit)
    condition = in_words(one, one.setpoint, SYMBOLS)
    if condition is not None:
        assert condition.describe(eye.image.resolve) == words
    else:
        assert describe(one, one.setpoint, 12.0, SYMBOLS, eye.image.resolve) == words


READINGS = st.tuples(st.sampled_from(["U.P", "U.RUN", "U.MODE"]), st.sampled_from([0.0, 1.0, 6.0]), QUALITIES)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(READINGS, max_size=2), max_size=25))
def test_a_condition_that_is_asked_only_when_a_reading_changes_is_what_it_is_when_always_asked(
    scans: list[list[tuple[str, float, int]]],
) -> None:
    texts = [
        "U.P > 5 psig",
        "U.P > 5 psig and not U.RUN > 0 rpm",
        "rising(U.P > 5 psig) or U.MODE = auto",
        "U.P > 5 psig for 2 s",
        "votes(2, U.P > 5 psig for 2 s, bad(U.RUN), U.MODE = off)",
    ]
    eye = Eye(*(declared(ExpressionTest(text)) for text in texts))
    every = [compile_condition(text, SYMBOLS) for text in texts]
    present = [False] * len(texts)
    for readings in scans:
        found = eye.scan(*readings)
        for place, condition in enumerate(every):
            state = condition.update(eye.image.resolve, eye.t)
            present[place] = present[place] if state is None else state
        assert found == present


@pytest.mark.parametrize(
    ("text", "remembers"),
    [
        ("U.P > 5 psig", False),
        ("not (U.P > 5 psig and bad(U.RUN))", False),
        ("not (U.P > 5 psig for 2 s)", True),
        ("U.RUN > 0 rpm or rising(U.P > 5 psig)", True),
        ("votes(1, U.P > 5 psig for 2 s, bad(U.RUN))", True),
    ],
)
def test_only_conditions_on_time_or_on_what_was_are_asked_every_scan(text: str, remembers: bool) -> None:
    assert compile_condition(text, SYMBOLS).remembers is remembers
