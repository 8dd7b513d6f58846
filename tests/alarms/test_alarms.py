"""Alarms: the table of ISA-18.2, delays, unknown readings, the journal."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.alarms.states import ACTIVE, BACK, SILENCED, TRANSITIONS, WAITING, AlarmStatus, Happening, follow
from evcontrol.clock import NS
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.store import JournalUnavailableError
from evcontrol.plant.alarm_specs import AlarmSpec, ExpressionTest, LimitTest, OnBad, RateTest
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD, UNCERTAIN_SENSOR_NOT_ACCURATE
from tests.alarms.conftest import START_S, Bench, spec

ANNA = Origin.user("anna", "console-1")
MakeBench = Callable[..., Bench]
UNDELAYED = spec(on_delay_s=0.0, off_delay_s=0.0)

LETTER = {
    AlarmStatus.NORMAL: "A",
    AlarmStatus.UNACKNOWLEDGED: "B",
    AlarmStatus.ACKNOWLEDGED: "C",
    AlarmStatus.RETURNED: "D",
    AlarmStatus.SHELVED: "E",
    AlarmStatus.SUPPRESSED: "F",
    AlarmStatus.OUT_OF_SERVICE: "G",
}
WORD = {
    Happening.RAISED: "active",
    Happening.CLEARED: "clears",
    Happening.ACKNOWLEDGED: "acknowledge",
    Happening.SHELVED: "shelve",
    Happening.UNSHELVED: "unshelve",
    Happening.SUPPRESSED: "suppress",
    Happening.UNSUPPRESSED: "unsuppress",
    Happening.REMOVED: "remove",
    Happening.PUT_BACK: "return",
}
# ISA-18.2 in words: A->B active; B->C acknowledge; B->D clears; C->A clears; D->A acknowledge; D->B re-alarm; E, F and
# G, and from them back to the state that the condition then has (B while it is present, else A). Ours suppresses by
# design from A only.
STANDARD = (
    {
        ("A", "active"): "BB",
        ("B", "acknowledge"): "CC",
        ("B", "clears"): "DD",
        ("C", "clears"): "AA",
        ("D", "acknowledge"): "AA",
        ("D", "active"): "BB",
        ("A", "suppress"): "FF",
        ("E", "unshelve"): "AB",
        ("F", "unsuppress"): "AB",
        ("G", "return"): "AB",
    }
    | {(letter, "shelve"): "EE" for letter in "ABCD"}
    | {(letter, "remove"): "GG" for letter in "ABCDEF"}
)
"""State after, while the condition is absent and while it is present."""


@pytest.mark.parametrize("present", [False, True])
@pytest.mark.parametrize("happening", list(Happening))
@pytest.mark.parametrize("status", list(AlarmStatus))
def test_every_happening_in_every_state_follows_the_standard(
    status: AlarmStatus, happening: Happening, present: bool
) -> None:
    expected = STANDARD.get((LETTER[status], WORD[happening]))
    new = follow(status, happening, present=present)
    assert (None if new is None else LETTER[new]) == (None if expected is None else expected[present])


def test_the_sets_of_states_agree_with_the_table() -> None:
    assert {old for old, what in TRANSITIONS if what is Happening.CLEARED} == ACTIVE
    assert {old for old, what in TRANSITIONS if what is Happening.ACKNOWLEDGED} == WAITING
    assert {old for old, _ in BACK} == SILENCED


DEEDS = {
    "acknowledge": lambda alarms: alarms.acknowledge("U.HIGH", ANNA, ""),
    "shelve": lambda alarms: alarms.shelve("U.HIGH", 600.0, ANNA, "noise"),
    "unshelve": lambda alarms: alarms.unshelve("U.HIGH", ANNA, "again"),
    "remove": lambda alarms: alarms.remove("U.HIGH", ANNA, "probe is out"),
    "return": lambda alarms: alarms.put_back("U.HIGH", ANNA, "probe is in"),
}


def _by_itself(letter: str, present: bool, applies: bool) -> str:
    """What a scan makes of a state."""
    if letter == "F" and applies:
        letter = STANDARD["F", "unsuppress"][present]
    letter = STANDARD.get((letter, "active" if present else "clears"), letter * 2)[present]
    return "F" if letter == "A" and not applies else letter


HIGH, LOW, IDLE = ("scan", 9.0, 100.0), ("scan", 1.0, 100.0), ("scan", 1.0, 0.0)
PATHS = {
    ("A", False): [LOW],
    ("B", True): [HIGH],
    ("C", True): [HIGH, "acknowledge"],
    ("D", False): [HIGH, LOW],
    ("E", False): [LOW, "shelve"],
    ("E", True): [HIGH, "shelve"],
    ("F", False): [IDLE],
    ("G", False): [LOW, "remove"],
    ("G", True): [HIGH, "remove"],
}
"""How each state is reached, with the condition absent and present where it can be either."""
EVENTS = {
    "high": [HIGH],
    "low": [LOW],
    "bad": [("scan", math.nan, 100.0)],
    "idle": [IDLE],
    "the time of shelving is over": [("later", 600.0), LOW],
    "the same while the condition is present": [("later", 600.0), HIGH],
} | {deed: [deed] for deed in DEEDS}


def _do(bench: Bench, step: str | tuple[str, float] | tuple[str, float, float]) -> None:
    if isinstance(step, str):
        DEEDS[step](bench.alarms)
    elif step[0] == "later":
        bench.clock.t += round(step[1] * NS)
    else:
        bench.scan(step[1], BAD_NOT_CONNECTED if math.isnan(step[1]) else GOOD, run=step[-1])


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(("start", "present"), PATHS)
def test_every_event_in_every_state_leads_where_the_standard_says(
    bench: MakeBench, start: str, present: bool, event: str
) -> None:
    it = bench(replace(UNDELAYED, while_="U.RUN > 0 rpm"))
    for step in PATHS[start, present]:
        _do(it, step)
    assert LETTER[AlarmStatus(it.status())] == start
    if event in DEEDS:
        expected = STANDARD.get((start, event))
        if expected is None:
            with pytest.raises(ValueError, match=r"alarm U\.HIGH is"):
                _do(it, event)
        else:
            _do(it, event)
        assert LETTER[AlarmStatus(it.status())] == (start if expected is None else expected[present])
        return
    for step in EVENTS[event]:
        _do(it, step)
    now = {"high": True, "low": False, "idle": False, "bad": present}.get(event, "present" in event)
    applies = event != "idle"
    letter = STANDARD["E", "unshelve"][now] if start == "E" and event.startswith("the") else start
    assert LETTER[AlarmStatus(it.status())] == _by_itself(letter, now, applies)


@settings(max_examples=120, deadline=None)
@given(
    history=st.lists(st.sampled_from(["high", "low", "bad", "idle", *DEEDS]), max_size=30),
    on_bad=st.sampled_from(list(OnBad)),
    declared=st.booleans(),
)
def test_every_history_follows_the_standard(history: list[str], on_bad: OnBad, declared: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        test = LimitTest("U.P", above=True, setpoint=8.0) if declared else UNDELAYED.test
        bench = Bench(
            Path(directory), replace(UNDELAYED, test=test, setpoint_unit="psig", while_="U.RUN > 0 rpm", on_bad=on_bad)
        )
        letter, present, applies = "A", False, True
        for what in history:
            if what in DEEDS:
                expected = STANDARD.get((letter, what))
                if expected is None:
                    with pytest.raises(ValueError, match=r"alarm U\.HIGH is"):
                        DEEDS[what](bench.alarms)
                else:
                    DEEDS[what](bench.alarms)
                    letter = expected[present]
            else:
                quality = BAD_NOT_CONNECTED if what == "bad" else GOOD
                bench.scan(9.0 if what == "high" else 1.0, quality, run=0.0 if what == "idle" else 100.0)
                present = (present or on_bad is OnBad.RAISE) if what == "bad" else what == "high"
                applies = what != "idle"
                letter = _by_itself(letter, present, applies)
            assert LETTER[AlarmStatus(bench.status())] == letter
            assert bench.alarms.is_active("U.HIGH") == (letter in "BC")
        changes = [(e["old"], e["new"]) for e in bench.bodies()]
        assert all(old != new for old, new in changes)
        assert all(a[1] == b[0] for a, b in pairwise(changes))
        bench.journal.close()


def test_a_shelved_alarm_comes_back_by_itself_to_the_state_that_its_condition_has(bench: MakeBench) -> None:
    it = bench(UNDELAYED)
    it.scan(9.0)
    it.alarms.shelve("U.HIGH", 3.0, ANNA, "valve is being changed")
    assert it.alarms.states()[0].until == it.clock.t + 3 * NS
    for _ in range(2):
        it.scan(9.0)
        assert it.status() == "shelved"
    it.scan(9.0)
    assert it.status() == "unacknowledged"
    assert it.alarms.states()[0].until == 0
    it.alarms.shelve("U.HIGH", 1.0, ANNA, "again")
    it.scan(1.0)
    assert it.status() == "normal"
    shelved = it.bodies()[1]
    assert (shelved["new"], shelved["text"]) == ("shelved", "shelved for 3 s: valve is being changed")
    assert (it.events[1].actor, it.events[2].actor) == ("user:anna", "engine")


def test_an_alarm_is_shelved_no_longer_than_the_plant_file_allows(bench: MakeBench) -> None:
    it = bench(UNDELAYED, replace(UNDELAYED, name="U.NEVER", shelve_longest_s=0.0))
    for duration_s in (601.0, 0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="at most 600 s"):
            it.alarms.shelve("U.HIGH", duration_s, ANNA, "noise")
    with pytest.raises(ValueError, match="may not be shelved"):
        it.alarms.shelve("U.NEVER", 1.0, ANNA, "noise")
    assert it.events == []


def test_an_alarm_shelved_before_a_crash_comes_back_at_its_time(bench: MakeBench) -> None:
    it = bench(UNDELAYED)
    it.alarms.restore("U.HIGH", AlarmStatus.SHELVED, START_S * NS, (START_S + 2) * NS)
    it.scan(9.0)
    assert it.status() == "shelved"
    it.scan(9.0)
    assert it.status() == "unacknowledged"


def test_what_nobody_acknowledged_is_not_hidden_by_suppression(bench: MakeBench) -> None:
    it = bench(replace(UNDELAYED, while_="U.RUN > 0 rpm"))
    it.scan(9.0)
    it.scan(9.0, run=0.0)
    assert it.status() == "returned"
    it.alarms.acknowledge("U.HIGH", ANNA, "seen")
    it.scan(9.0, run=0.0)
    assert it.status() == "suppressed"


def test_the_first_of_a_group_is_marked_until_it_clears(bench: MakeBench) -> None:
    both = replace(UNDELAYED, group="feed pressure")
    it = bench(replace(both, test=ExpressionTest("U.P > 20 psig")), replace(both, name="U.OTHER"))
    it.scan(9.0)
    it.scan(30.0)
    assert [state.first_out for state in it.alarms.states()] == [False, True]
    assert [(e["alarm"], e["first_out"]) for e in it.bodies()] == [("U.OTHER", True), ("U.HIGH", False)]
    it.scan(1.0)
    it.scan(30.0)
    assert [state.first_out for state in it.alarms.states()] == [True, False]


def test_several_alarms_are_acknowledged_at_once_and_the_others_are_left(bench: MakeBench) -> None:
    it = bench(
        UNDELAYED,
        replace(UNDELAYED, name="U.TOO", test=ExpressionTest("U.P > 9 psig")),
        replace(UNDELAYED, name="U.FAR", test=ExpressionTest("U.P > 50 psig")),
    )
    it.scan(10.0)
    assert it.alarms.acknowledge_all(["U.FAR", "U.TOO", "U.HIGH"], ANNA, "seen") == ["U.TOO", "U.HIGH"]
    assert [state.state.value for state in it.alarms.states()] == ["acknowledged", "acknowledged", "normal"]
    assert it.alarms.acknowledge_all(["U.HIGH"], ANNA, "") == []


def test_a_thousand_alarms_of_one_scan_are_kept_in_order_and_acknowledged_at_once(bench: MakeBench) -> None:
    specs = [replace(UNDELAYED, name=f"U.A{number:04}", group="flood") for number in range(1000)]
    it = bench(*specs)
    it.scan(9.0)
    assert [e["alarm"] for e in it.bodies()] == [spec.name for spec in specs]
    assert [state.spec.name for state in it.alarms.states() if state.first_out] == ["U.A0000"]
    it.alarms.acknowledge_all([spec.name for spec in specs], ANNA, "pump stopped")
    assert {state.state for state in it.alarms.states()} == {AlarmStatus.ACKNOWLEDGED}
    assert len(it.events) == 2000


def test_an_alarm_is_raised_after_its_delay_and_cleared_after_the_other(bench: MakeBench) -> None:
    it = bench()
    seen = []
    for p in [9.0] * 4 + [1.0] * 6:
        it.scan(p)
        seen.append(it.status())
    assert seen == ["normal"] * 3 + ["unacknowledged"] * 6 + ["returned"]
    assert next(iter(it.alarms.states())).since == (START_S + 10) * NS


def test_a_short_excursion_is_no_alarm_and_a_short_return_clears_none(bench: MakeBench) -> None:
    it = bench()
    for p in (9.0, 9.0, 9.0, 1.0, 9.0, 9.0, 9.0):
        it.scan(p)
    assert it.status() == "normal"
    for p in (9.0, 1.0, 1.0, 1.0, 1.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        it.scan(p)
    assert it.status() == "unacknowledged"


@pytest.mark.parametrize("quality", [BAD_NOT_CONNECTED, UNCERTAIN_SENSOR_NOT_ACCURATE])
def test_a_reading_that_is_not_known_neither_raises_nor_clears(bench: MakeBench, quality: int) -> None:
    it = bench()
    for _ in range(100):
        it.scan(9.0, quality)
    assert it.status() == "normal"
    for _ in range(4):
        it.scan(9.0)
    for _ in range(100):
        it.scan(1.0, quality)
    assert it.status() == "unacknowledged"


def test_time_without_a_reading_does_not_count_as_time_below_the_limit(bench: MakeBench) -> None:
    it = bench(spec(on_delay_s=0.0))
    it.scan(9.0)
    for quality in [GOOD] * 4 + [BAD_NOT_CONNECTED] + [GOOD] * 5:
        it.scan(1.0, quality)
    assert it.status() == "unacknowledged"
    it.scan(1.0)
    assert it.status() == "returned"


def test_a_sensor_that_comes_and_goes_does_not_silence_an_alarm(bench: MakeBench) -> None:
    it = bench()
    for quality in [GOOD, BAD_NOT_CONNECTED] * 3:
        it.scan(9.0, quality)
    assert it.status() == "unacknowledged"


def test_outside_its_only_while_an_alarm_is_not_raised_and_one_that_stood_clears(bench: MakeBench) -> None:
    it = bench(spec(while_="U.RUN > 0 rpm", on_delay_s=0.0, off_delay_s=0.0))
    it.scan(9.0, run=0.0)
    assert it.status() == "suppressed"
    it.scan(9.0)
    assert it.status() == "unacknowledged"
    it.scan(9.0, run_quality=BAD_NOT_CONNECTED)
    assert it.status() == "unacknowledged"
    it.scan(9.0, run=0.0)
    assert it.status() == "returned"


def test_a_condition_with_a_duration_begins_anew_when_it_is_looked_at_again(bench: MakeBench) -> None:
    it = bench(spec(test=ExpressionTest("U.P > 8 psig for 3 s"), while_="U.RUN > 0 rpm", on_delay_s=0.0))
    for run in (100.0, 100.0, 100.0, 0.0, 100.0, 100.0, 100.0):
        it.scan(9.0, run=run)
    assert it.status() == "normal"
    it.scan(9.0)
    assert it.status() == "unacknowledged"


def test_changes_are_journalled_with_value_unit_and_who(bench: MakeBench) -> None:
    it = bench(UNDELAYED)
    it.scan(9.5)
    it.alarms.acknowledge("U.HIGH", ANNA, "valve opened")
    assert [e.kind for e in it.events] == [Kind.ALARM_STATE] * 2
    raised, acknowledged = it.bodies()
    assert raised == {
        "alarm": "U.HIGH",
        "old": "normal",
        "new": "unacknowledged",
        "priority": "high",
        "value": 9.5,
        "unit": "psig",
        "text": "U.P > 8 psig (now 9.5 psig)",
        "until": 0,
        "first_out": False,
    }
    assert (acknowledged["old"], acknowledged["new"]) == ("unacknowledged", "acknowledged")
    assert acknowledged["text"] == "acknowledged: valve opened"
    assert (it.events[1].actor, it.events[1].station) == ("user:anna", "console-1")


def test_an_unknown_alarm_cannot_be_acknowledged(bench: MakeBench) -> None:
    with pytest.raises(KeyError):
        bench().alarms.acknowledge("U.NONE", ANNA, "")


def test_while_the_journal_refuses_alarms_go_on_and_are_journalled_afterwards(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = bench(UNDELAYED)

    def refuse(*_args: object, **_more: object) -> None:
        raise JournalUnavailableError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(it.journal, "append", refuse)
        it.scan(9.0)
        assert it.status() == "unacknowledged"
        with pytest.raises(JournalUnavailableError):
            it.alarms.acknowledge("U.HIGH", ANNA, "")
        it.scan(1.0)
        assert it.status() == "returned"
        assert it.events == []
    it.scan(1.0)
    assert [e["new"] for e in it.bodies()] == ["unacknowledged", "returned"]


def test_the_state_tells_the_condition_with_its_present_values(bench: MakeBench) -> None:
    it = bench()
    it.scan(7.25)
    assert it.alarms.describe("U.HIGH") == "U.P > 8 psig (now 7.25 psig)"


def test_the_first_of_a_group_is_still_marked_after_a_crash(bench: MakeBench) -> None:
    it = bench(replace(UNDELAYED, group="g"), replace(UNDELAYED, name="U.OTHER", group="g"))
    it.alarms.restore("U.HIGH", AlarmStatus.UNACKNOWLEDGED, 17, first_out=True)
    it.scan(9.0)
    assert [state.first_out for state in it.alarms.states()] == [True, False]


def test_an_alarm_from_before_a_crash_still_waits_for_its_acknowledgement(bench: MakeBench) -> None:
    it = bench()
    it.alarms.restore("U.HIGH", AlarmStatus.RETURNED, 17)
    it.scan(1.0)
    assert (it.status(), it.alarms.states()[0].since) == ("returned", 17)
    it.alarms.acknowledge("U.HIGH", ANNA, "seen")
    assert it.status() == "normal"


ADJUSTABLE = spec(
    test=LimitTest("U.P", above=True, setpoint=8.0),
    on_delay_s=0.0,
    off_delay_s=0.0,
    setpoint_unit="psig",
    setpoint_low=4.0,
    setpoint_high=9.0,
)


def test_a_changed_setpoint_is_journalled_and_holds_from_the_next_scan_on(bench: MakeBench) -> None:
    it = bench(ADJUSTABLE)
    it.scan(7.0)
    it.alarms.adjust("U.HIGH", 6.0, ANNA, "fouls early")
    assert it.alarms.states()[0].setpoint == 6.0
    assert it.status() == "normal"
    it.scan(7.0)
    assert it.status() == "unacknowledged"
    changed, raised = it.events
    assert (changed.kind, changed.actor) == (Kind.ALARM_SETPOINT, "user:anna")
    assert changed.body == {
        "alarm": "U.HIGH", "old": 8.0, "new": 6.0, "unit": "psig", "configured": 8.0, "reason": "fouls early",
    }  # fmt: skip
    assert raised.body["text"] == "U.P > 6 psig (now 7 psig)"


@pytest.mark.parametrize(
    ("one", "setpoint", "words"),
    [
        (ADJUSTABLE, 3.9, "may be 4 to 9 psig, not 3.9"),
        (ADJUSTABLE, 9.1, "may be 4 to 9 psig"),
        (ADJUSTABLE, math.nan, "may be 4 to 9 psig"),
        (replace(ADJUSTABLE, setpoint_low=None), 6.0, "may not be changed"),
        (UNDELAYED, 6.0, "may not be changed"),
    ],
)
def test_a_setpoint_stays_within_what_the_plant_file_allows(
    bench: MakeBench, one: AlarmSpec, setpoint: float, words: str
) -> None:
    it = bench(one)
    with pytest.raises(ValueError, match=words):
        it.alarms.adjust("U.HIGH", setpoint, ANNA, "why not")
    assert it.events == []


def test_a_setpoint_that_cannot_be_journalled_is_not_changed(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    it = bench(ADJUSTABLE)

    def refuse(*_args: object, **_more: object) -> None:
        raise JournalUnavailableError("disk full")

    monkeypatch.setattr(it.journal, "append", refuse)
    with pytest.raises(JournalUnavailableError):
        it.alarms.adjust("U.HIGH", 6.0, ANNA, "fouls early")
    assert it.alarms.states()[0].setpoint == 8.0


def test_a_setpoint_from_before_holds_unless_the_plant_file_has_changed(bench: MakeBench) -> None:
    it = bench(ADJUSTABLE, replace(ADJUSTABLE, name="U.NEWER"), replace(ADJUSTABLE, name="U.NARROWER", setpoint_low=7))
    it.alarms.restore_setpoint("U.HIGH", 6.0, 8.0)
    it.alarms.restore_setpoint("U.NEWER", 6.0, 7.5)
    it.alarms.restore_setpoint("U.NARROWER", 6.0, 8.0)
    assert [state.setpoint for state in it.alarms.states()] == [6.0, 8.0, 8.0]
    it.scan(7.0)
    assert [state.state.value for state in it.alarms.states()] == ["unacknowledged", "normal", "normal"]
    told = [(e.body["alarm"], e.body["old"], e.body["new"], e.actor) for e in it.events[:2]]
    assert told == [("U.NEWER", 6.0, 8.0, "engine"), ("U.NARROWER", 6.0, 8.0, "engine")]


def test_a_rate_that_applies_asks_for_scans_that_it_can_see_a_slope_in(bench: MakeBench) -> None:
    rate = RateTest("U.P", 1.0, 60.0, 60.0)
    it = bench(spec(test=rate, while_="U.RUN > 0 rpm", setpoint_unit="psi/min"), spec("U.TOO"))
    it.scan(1.0)
    assert list(it.alarms.longest_scans()) == [("U.HIGH", 15.0)]
    for _ in range(4):
        it.clock.t += 14 * NS
        it.scan(it.clock.t / NS)
    assert it.alarms.is_active("U.HIGH")
    it.scan(1.0, run=0.0)
    assert list(it.alarms.longest_scans()) == []
