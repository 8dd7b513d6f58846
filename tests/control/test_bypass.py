"""Bypassed interlocks: they do not trip for their time, tell what would have tripped, and then do their work again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evcontrol.clock import NS
from evcontrol.control.interlocks import BypassRefusedError
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.replay import PlantView
from tests.control.test_interlocks import SPEC, InterlockBench

ANNA = Origin.user("anna", "console-1")
LONGEST_S = 60.0
BYPASSABLE = replace(SPEC, bypass_longest_s=LONGEST_S)
NAME = SPEC.name


@pytest.fixture
def it(tmp_path: Path) -> Iterator[InterlockBench]:
    bench = InterlockBench(tmp_path / "journal", BYPASSABLE)
    yield bench
    bench.journal.close()


def begin(it: InterlockBench, seconds: float = 5.0) -> None:
    it.interlocks.may_bypass(NAME, seconds)
    until = it.clock.now() + round(seconds * NS)
    asyncio.run(it.interlocks.bypass(NAME, until, seconds, ANNA, "sensor is changed"))


def kinds(it: InterlockBench) -> list[Kind]:
    return [event.kind for event in it.events]


def test_what_trips_meanwhile_is_told_once_and_does_not_trip(it: InterlockBench) -> None:
    begin(it)
    for _ in range(3):
        it.look(12.0)
    assert it.trips == []
    assert not it.gate.locked("U")
    assert "U.TMP > 10 psi" in it.state().passed
    assert kinds(it) == [Kind.INTERLOCK_BYPASSED, Kind.INTERLOCK_PASSED]


def test_it_ends_by_itself_and_trips_in_the_same_scan_when_its_condition_holds(it: InterlockBench) -> None:
    begin(it, 5.0)
    for _ in range(4):
        it.look(12.0)
    assert it.trips == []
    it.look(12.0)
    assert [name for name, _ in it.trips] == [NAME]
    assert it.state().bypass is None
    assert kinds(it)[-2:] == [Kind.INTERLOCK_BYPASS_ENDED, Kind.INTERLOCK_TRIPPED]


def test_a_person_ends_it_and_it_trips_in_the_next_scan(it: InterlockBench) -> None:
    begin(it)
    it.look(12.0)
    it.interlocks.end_bypass(NAME, ANNA, "sensor is changed")
    it.look(12.0)
    assert [name for name, _ in it.trips] == [NAME]
    with pytest.raises(BypassRefusedError, match="is not bypassed"):
        it.interlocks.end_bypass(NAME, ANNA, "again")


def test_what_stands_tripped_stays_locked_until_its_reset_which_the_bypass_allows(it: InterlockBench) -> None:
    it.look(12.0)
    begin(it)
    it.look(12.0)
    assert it.gate.locked("U")
    it.reset()
    it.look(12.0)
    assert not it.gate.locked("U")
    assert len(it.trips) == 1


@pytest.mark.parametrize(
    ("longest_s", "asked_s", "why"), [(0.0, 1.0, "may not be bypassed"), (60.0, 61.0, "60 s at most")]
)
def test_it_is_refused_beyond_what_the_plant_file_allows(
    tmp_path: Path, longest_s: float, asked_s: float, why: str
) -> None:
    bench = InterlockBench(tmp_path / "journal", replace(SPEC, bypass_longest_s=longest_s))
    with pytest.raises(BypassRefusedError, match=why):
        bench.interlocks.may_bypass(NAME, asked_s)
    bench.journal.close()


def test_a_second_bypass_does_not_lengthen_the_first(it: InterlockBench) -> None:
    begin(it)
    with pytest.raises(BypassRefusedError, match="bypassed already by user:anna"):
        it.interlocks.may_bypass(NAME, 5.0)


def test_a_replay_of_the_journal_gives_it_back_with_its_end(it: InterlockBench) -> None:
    begin(it, 5.0)
    standing = PlantView(it.events).bypasses[NAME]
    assert standing.until == it.state().bypass.until  # type: ignore[union-attr]
    it.interlocks.end_bypass(NAME, ANNA, "done")
    assert PlantView(it.events).bypasses == {}


def test_after_a_restart_the_rest_of_its_time_is_left(it: InterlockBench) -> None:
    it.interlocks.restore_bypass(NAME, it.clock.now() + 3 * NS, "user:anna", "sensor is changed")
    it.look(12.0)
    it.look(12.0)
    assert it.trips == []
    it.look(12.0)
    assert [name for name, _ in it.trips] == [NAME]


def test_a_plant_file_that_does_not_allow_it_any_more_ends_it(tmp_path: Path) -> None:
    bench = InterlockBench(tmp_path / "journal", SPEC)
    bench.interlocks.restore_bypass(NAME, bench.clock.now() + 60 * NS, "user:anna", "")
    bench.look(12.0)
    assert [name for name, _ in bench.trips] == [NAME]
    bench.journal.close()
