"""Arbitration of units: one batch at a time, the first that asked first, and no circle told that is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evcontrol.procedure.allocation import Allocation

BATCHES = ("B-1", "B-2", "B-3")
UNITS = ("U1", "U2", "U3")


@given(st.lists(st.tuples(st.sampled_from(["ask", "release", "scan"]), st.sampled_from(BATCHES))))
def test_a_unit_goes_to_the_first_that_still_asks_and_to_one_only(moves: list[tuple[str, str]]) -> None:
    allocation, has, scan = Allocation(), "", 0
    asked: dict[str, int] = {}
    for move, batch in moves:
        if move == "scan":
            allocation.on_scan()
            scan += 1
            asked = {one: when for one, when in asked.items() if scan - when <= 3}
        elif move == "release" and batch == has:
            allocation.release(batch, "U1")
            has = ""
        elif move == "ask" and batch != has:
            asked[batch] = scan
            first = next(iter(asked))
            told = allocation.ask(batch, "U1", True)
            assert (told == "") == (not has and first == batch), told
            if not told:
                allocation.take(batch, "U1")
                del asked[batch]
                has = batch
        assert allocation.owner("U1") == has


@given(
    st.dictionaries(st.sampled_from(UNITS), st.sampled_from(BATCHES)),
    st.lists(st.tuples(st.sampled_from(BATCHES), st.sampled_from(UNITS), st.booleans())),
)
def test_a_circle_is_told_where_nobody_in_it_can_go_on(
    owners: dict[str, str], asking: list[tuple[str, str, bool]]
) -> None:
    allocation = Allocation()
    for unit, batch in owners.items():
        allocation.take(batch, unit)
    places = {(batch, unit): stands for batch, unit, stands in asking if owners.get(unit) != batch}
    for (batch, unit), stands in places.items():
        allocation.ask(batch, unit, stands)

    def reaches(batch: str, unit: str, goal: str, seen: frozenset[str]) -> bool:
        owner = owners.get(unit, "")
        if not places.get((batch, unit)) or not owner or owner in seen:
            return False
        return owner == goal or any(reaches(owner, one, goal, seen | {owner}) for one in UNITS)

    for batch, unit in places:
        assert bool(allocation.deadlock(batch, unit)) == reaches(batch, unit, batch, frozenset())
