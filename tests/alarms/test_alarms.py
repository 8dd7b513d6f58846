"""Alarms: the table of ISA-18.2, delays, unknown readings, the journal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.alarms.states import ACTIVE, TRANSITIONS, WAITING, AlarmStatus, Happening
from evcontrol.clock import NS
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.store import JournalUnavailableError
from evcontrol.quality import BAD_NOT_CONNECTED, GOOD, UNCERTAIN_SENSOR_NOT_ACCURATE
from tests.alarms.conftest import START_S, Bench, spec

ANNA = Origin.user("anna", "console-1")
MakeBench = Callable[..., Bench]
UNDELAYED = spec(on_delay_s=0.0, off_delay_s=0.0)

# DOMAIN of ISA-18.2 in words: A->B active; B->C acknowledge; B->D clears; C->A clears; D->A acknowledge; D->B re-alarm.
STANDARD = {
    ("A", "active"): "B",
    ("B", "acknowledge"): "C",
    ("B", "clears"): "D",
    ("C", "clears"): "A",
    ("D", "acknowledge"): "A",
    ("D", "active"): "B",
}
LETTER = {
    AlarmStatus.NORMAL: "A",
    AlarmStatus.UNACKNOWLEDGED: "B",
    AlarmStatus.ACKNOWLEDGED: "C",
    AlarmStatus.RETURNED: "D",
}
WORD = {Happening.RAISED: "active", Happening.CLEARED: "clears", Happening.ACKNOWLEDGED: "acknowledge"}


def test_the_table_is_that_of_the_standard() -> None:
    assert {(LETTER[old], WORD[what]): LETTER[new] for (old, what), new in TRANSITIONS.items()} == STANDARD


def test_the_sets_of_states_agree_with_the_table() -> None:
    assert {old for old, what in TRANSITIONS if what is Happening.CLEARED} == ACTIVE
    assert {old for old, what in TRANSITIONS if what is Happening.ACKNOWLEDGED} == WAITING


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["high", "low", "bad", "acknowledge"]), max_size=25))
def test_every_history_follows_the_standard(history: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), UNDELAYED)
        letter, present = "A", False
        for what in history:
            if what == "acknowledge":
                expected = STANDARD.get((letter, "acknowledge"))
                if expected is None:
                    with pytest.raises(ValueError, match="nothing to acknowledge"):
                        bench.alarms.acknowledge("U.HIGH", ANNA, "")
                else:
                    bench.alarms.acknowledge("U.HIGH", ANNA, "")
                    letter = expected
            else:
                bench.scan(9.0 if what == "high" else 1.0, BAD_NOT_CONNECTED if what == "bad" else GOOD)
                present = present if what == "bad" else what == "high"
                letter = STANDARD.get((letter, "active" if present else "clears"), letter)
            assert LETTER[AlarmStatus(bench.status())] == letter
        changes = [(e["old"], e["new"]) for e in bench.bodies()]
        assert all(old != new for old, new in changes)
        assert all(a[1] == b[0] for a, b in pairwise(changes))
        bench.journal.close()


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
    assert it.status() == "normal"
    it.scan(9.0)
    assert it.status() == "unacknowledged"
    it.scan(9.0, run_quality=BAD_NOT_CONNECTED)
    assert it.status() == "unacknowledged"
    it.scan(9.0, run=0.0)
    assert it.status() == "returned"


def test_a_condition_with_a_duration_begins_anew_when_it_is_looked_at_again(bench: MakeBench) -> None:
    it = bench(spec(when="U.P > 8 psig for 3 s", while_="U.RUN > 0 rpm", on_delay_s=0.0))
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
    assert [s.value_text for s in it.alarms.states()] == ["U.P > 8 psig (now 7.25 psig)"]


def test_an_alarm_from_before_a_crash_still_waits_for_its_acknowledgement(bench: MakeBench) -> None:
    it = bench()
    it.alarms.restore("U.HIGH", AlarmStatus.RETURNED, 17)
    it.scan(1.0)
    assert (it.status(), it.alarms.states()[0].since) == ("returned", 17)
    it.alarms.acknowledge("U.HIGH", ANNA, "seen")
    assert it.status() == "normal"
