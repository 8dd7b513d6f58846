"""The register of recipes as the journal tells of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evcontrol.journal.events import Event, Kind
from evcontrol.journal.recipes import APPROVED, DRAFT, IN_REVIEW, RETIRED, RecipeRegister

CHANGES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([IN_REVIEW, APPROVED, DRAFT, RETIRED])))


def event(seq: int, recipe: str, new: str, old: str) -> Event:
    if new == IN_REVIEW:
        body = {
            "hash": recipe,
            "name": "R",
            "version": recipe,
            "product": "P",
            "file": "r.yaml",
            "text": "",
            "reason": "",
        }
        return Event(seq, seq, seq, Kind.RECIPE_SUBMITTED, "user:a", "s", "", "", body)
    return Event(seq, seq, seq, Kind.RECIPE_STATE, "user:q", "s", "", "",
                 {"hash": recipe, "old": old, "new": new, "reason": ""})  # fmt: skip


@given(CHANGES)
def test_a_version_is_in_the_state_that_was_told_last(changes: list[tuple[str, str]]) -> None:
    register, states, approved = RecipeRegister(), dict[str, str](), list[str]()
    for seq, (recipe, new) in enumerate(changes):
        if new != IN_REVIEW and recipe not in states:
            continue
        register.apply(event(seq, recipe, new, states.get(recipe, DRAFT)))
        states[recipe] = new
        if new == APPROVED:
            approved.append(recipe)
    assert {view.hash: view.state for view in register} == states
    assert [register.state_of(recipe) for recipe in "xyz"] == [DRAFT] * 3
    assert {view.hash for view in register if view.was_approved} == set(approved)
    # The product is to be qualified again as soon as a second version of its recipe was approved.
    changed = [one for number, one in enumerate(approved) if set(approved[: number + 1]) - {one}]
    assert register.to_requalify == ({"P": changed[-1]} if changed else {})


def test_a_requalification_is_over_until_the_next_change() -> None:
    register = RecipeRegister()
    for seq, (recipe, new) in enumerate([("a", IN_REVIEW), ("a", APPROVED), ("b", IN_REVIEW), ("b", APPROVED)]):
        register.apply(event(seq, recipe, new, ""))
    assert register.to_requalify == {"P": "b"}
    body = {"product": "P", "hash": "b", "reason": ""}
    register.apply(Event(9, 9, 9, Kind.PRODUCT_REQUALIFIED, "user:q", "s", "", "", body))
    assert register.to_requalify == {}
    register.apply(event(10, "c", IN_REVIEW, ""))
    register.apply(event(11, "c", APPROVED, IN_REVIEW))
    assert register.to_requalify == {"P": "c"}
