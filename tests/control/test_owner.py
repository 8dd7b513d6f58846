"""Who owns a tag: ranks, hand-over and hand-back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evcontrol.control.owner import NOBODY, Holder, Owner, Owners

TAGS = st.sampled_from(["U.A", "U.B"])
NAMES = st.sampled_from(["", "x", "y"])
CLAIMS = st.lists(st.tuples(TAGS, st.sampled_from(["operator", "phase", "loop"]), NAMES), max_size=30)


def test_interlock_is_over_operator_over_phase_over_loop():
    assert sorted(Owner, key=lambda owner: owner.rank) == [
        Owner.NONE, Owner.LOOP, Owner.PHASE, Owner.OPERATOR, Owner.INTERLOCK,
    ]  # fmt: skip


def test_a_loop_stands_in_for_its_phase_and_a_person_goes_before_both():
    owners = Owners(lambda *_: None)
    owners.claim("U.A", "", phase="fill")
    owners.claim("U.A", "", loop="PIC")
    assert owners.holder("U.A") == Holder(Owner.LOOP, "PIC")
    owners.claim("U.A", "", operator="anna")
    assert owners.holder("U.A") == Holder(Owner.OPERATOR, "anna")
    owners.release_operators(["U.A", "U.B"], "")
    owners.release_loops(["U.A", "U.B"], "")
    assert owners.holder("U.A") == Holder(Owner.PHASE, "fill")
    owners.give_up("", phase="fill")
    assert owners.holder("U.A") == NOBODY


@given(CLAIMS)
def test_the_told_changes_add_up_to_the_holders(claims):
    told = {"U.A": NOBODY, "U.B": NOBODY}

    def on_change(tag: str, old: Holder, new: Holder, reason: str) -> None:
        assert told[tag] == old != new
        told[tag] = new

    owners = Owners(on_change)
    for tag, kind, name in claims:
        owners.claim(tag, "", **{kind: name})
        assert {tag: owners.holder(tag) for tag in told} == told
