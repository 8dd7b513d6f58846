"""The life of a recipe: every decision in every state."""

from itertools import product

import pytest

from evcontrol.journal.recipes import APPROVED, DRAFT, IN_REVIEW, RETIRED
from evcontrol.procedure.life_cycle import MEANINGS, NEXT, Decision, LifeCycleError, after_decision

STATES = (DRAFT, IN_REVIEW, APPROVED, RETIRED)


@pytest.mark.parametrize(("state", "decision"), list(product(STATES, Decision)))
def test_a_decision_leads_where_the_table_says_or_is_refused(state: str, decision: Decision) -> None:
    if (state, decision) in NEXT:
        assert after_decision(state, decision, "R 1") == NEXT[state, decision]
    else:
        with pytest.raises(LifeCycleError, match=f"R 1 is {state}: {decision} is not possible"):
            after_decision(state, decision, "R 1")


def test_nothing_is_approved_without_a_review_and_every_decision_after_it_is_signed() -> None:
    assert [state for (state, _), new in NEXT.items() if new == APPROVED] == [IN_REVIEW]
    assert set(MEANINGS) == set(Decision) - {Decision.SUBMIT}
