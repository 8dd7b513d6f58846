"""The life of recipes: four eyes, signatures, no step outside the table, and states that are what replay gives."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcontrol.access.people import AccessError, People, Person
from evcontrol.access.permission import permissions_of
from evcontrol.access.session import Session
from evcontrol.batch.approval import RecipeApproval
from evcontrol.clock import VirtualClock, run_virtual
from evcontrol.journal.events import Kind, Origin
from evcontrol.journal.recipes import APPROVED, DRAFT, IN_REVIEW, RecipeRegister
from evcontrol.journal.replay import PlantView
from evcontrol.journal.store import Journal, read_events
from evcontrol.plant.load import load_plant
from evcontrol.procedure.context import Rooms
from evcontrol.procedure.life_cycle import NEXT, Decision, LifeCycleError
from evcontrol.yaml_source import SourceError

PLANT = load_plant(Path(__file__).parents[2] / "config" / "plants" / "tff.yaml")
TEXT = """recipe: Load
version: 1.0.0
product: EV
units: {tff: {class: tff}}
on: [{failure: yes, do: hold}]
procedure:
  - unit_procedure: short
    unit: tff
    steps:
      - {phase: install_membrane, with: {module_type: HF500-1600}}
      - {phase: load, with: {mass: 200 g}}
"""
NEWER = TEXT.replace("1.0.0", "1.1.0").replace("200 g", "250 g")
OTHER = TEXT.replace("recipe: Load", "recipe: Fill").replace("product: EV", "product: filled EV")
TEXTS = (TEXT, NEWER, OTHER)
PASSWORD = "a long pass phrase"
ROLES = {"anna": "quality", "ben": "quality", "eve": "engineer"}


class Everyone:
    """People whose passwords cost no time."""

    def get(self, user: str) -> Person | None:
        return Person(user, user.capitalize(), (ROLES[user],), False) if user in ROLES else None

    def check(self, user: str, password: str) -> Person:
        if password != PASSWORD:
            raise AccessError("wrong user name or password")
        return cast("Person", self.get(user))

    async def aside(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)


class Desk:
    """Recipes over a journal of their own."""

    def __init__(self, data: Path, clock: VirtualClock) -> None:
        self.data, self.people, self.view = data, Everyone(), PlantView()
        journal = Journal(data, clock)
        journal.subscribe(self.view.apply)
        rooms = SimpleNamespace(plant=PLANT, journal=journal, clock=clock, view=self.view)
        self.approval = RecipeApproval(cast("People", self.people), cast("Rooms", rooms))

    async def submit(self, text: str, user: str = "eve") -> str:
        return (await self.approval.submit(text, "load.yaml", "it is better", Origin.user(user, "station 1"))).hash

    async def decide(self, decision: Decision, content: str, user: str = "anna", password: str = PASSWORD) -> None:
        session = Session(user, user.capitalize(), (ROLES[user],), permissions_of([ROLES[user]]), "station 1")
        await self.approval.decide(content, decision, session, password, "reviewed")

    def bodies(self, kind: Kind) -> list[dict[str, Any]]:
        return [dict(event.body) for event in read_events(self.data) if event.kind is kind]

    def states(self) -> dict[str, str]:
        return {text: self.view.recipes.state_of(hash_of(text)) for text in TEXTS}


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def tell(data: Path, story: Callable[[Desk], Awaitable[None]]) -> None:
    async def main(clock: VirtualClock) -> None:
        await story(Desk(data, clock))

    run_virtual(main)


def test_an_approval_is_signed_and_the_journal_keeps_the_text(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        content = await desk.submit(TEXT)
        await desk.decide(Decision.APPROVE, content)
        assert desk.view.recipes.state_of(content) == APPROVED
        (signature,), (submitted,) = desk.bodies(Kind.SIGNATURE), desk.bodies(Kind.RECIPE_SUBMITTED)
        assert (signature["user"], signature["subject"]) == ("anna", "recipe Load 1.0.0")
        assert (submitted["text"], submitted["hash"]) == (TEXT, hash_of(TEXT))

    tell(tmp_path, story)


def test_who_handed_it_in_cannot_approve_it_and_a_wrong_password_approves_nothing(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        content = await desk.submit(TEXT, "ben")
        with pytest.raises(AccessError, match="another person signs it"):
            await desk.decide(Decision.APPROVE, content, "ben")
        with pytest.raises(AccessError, match="password"):
            await desk.decide(Decision.APPROVE, content, "anna", "a guess")
        with pytest.raises(AccessError, match="may not sign"):
            await desk.decide(Decision.APPROVE, content, "eve")
        assert desk.view.recipes.state_of(content) == IN_REVIEW
        assert desk.bodies(Kind.SIGNATURE) == []

    tell(tmp_path, story)


def test_a_recipe_with_mistakes_is_not_handed_in(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(SourceError, match=r"load\.yaml:11:"):
            await desk.submit(TEXT.replace("200 g", "200 psi"))
        assert list(desk.view.recipes) == []

    tell(tmp_path, story)


def test_the_way_in_which_lines_end_makes_no_other_version(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert await desk.submit("\ufeff" + TEXT.replace("\n", "\r\n").rstrip()) == hash_of(TEXT)
        assert [view.text for view in desk.view.recipes] == [TEXT]
        with pytest.raises(LifeCycleError, match="submit is not possible"):
            await desk.submit(TEXT)

    tell(tmp_path, story)


def test_what_was_decided_while_the_password_was_checked_counts(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        content = await desk.submit(TEXT)
        plain = desk.people.aside

        async def slow(work: Callable[..., Any], *arguments: Any) -> Any:
            desk.people.aside = plain  # type: ignore[method-assign]
            await desk.decide(Decision.REJECT, content, "ben")
            await desk.submit(TEXT, "anna")
            return work(*arguments)

        desk.people.aside = slow  # type: ignore[method-assign]
        with pytest.raises(LifeCycleError, match="approve is not possible"):
            await desk.decide(Decision.APPROVE, content)  # anna's own by now
        assert desk.view.recipes.state_of(content) == IN_REVIEW

    tell(tmp_path, story)


STEPS = st.tuples(st.sampled_from(Decision), st.sampled_from(TEXTS), st.sampled_from(["anna", "ben"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=25))
def test_any_sequence_keeps_to_the_table_and_to_four_eyes_and_replays(steps: list[tuple[Decision, str, str]]) -> None:
    async def story(desk: Desk) -> None:
        expected, by = dict.fromkeys(TEXTS, DRAFT), dict[str, str]()
        for decision, text, user in steps:
            new = NEXT.get((expected[text], decision))
            taken = new is not None and (decision is not Decision.APPROVE or by[text] != user)
            count = len(list(read_events(desk.data)))
            try:
                if decision is Decision.SUBMIT:
                    await desk.submit(text, user)
                else:
                    await desk.decide(decision, hash_of(text), user)
            except (LifeCycleError, AccessError, KeyError):
                assert not taken
                assert len(list(read_events(desk.data))) == count
            else:
                assert taken
                by[text] = user if decision is Decision.SUBMIT else by[text]
                if new == APPROVED and text is not OTHER:
                    expected |= {one: "retired" for one in (TEXT, NEWER) if expected[one] == APPROVED}
                expected[text] = cast("str", new)
            assert desk.states() == expected
        again = RecipeRegister()
        for event in read_events(desk.data):
            again.apply(event)
        assert list(again) == list(desk.view.recipes)
        assert again.to_requalify == desk.view.recipes.to_requalify
        signed = [kind for kind in (event.kind for event in read_events(desk.data)) if kind is Kind.SIGNATURE]
        told = [body for body in desk.bodies(Kind.RECIPE_STATE) if "takes its place" not in body["reason"]]
        assert len(signed) == len(told)

    with tempfile.TemporaryDirectory() as data:
        tell(Path(data), story)
