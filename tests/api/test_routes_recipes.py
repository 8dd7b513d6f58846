"""The life of a recipe over the API: handed in, approved by somebody else, taken for a GMP batch, retired."""

from __future__ import annotations

from pathlib import Path

from evcontrol.api.schema import StartBatch
from evcontrol.journal.events import Kind
from evcontrol.journal.recipes import APPROVED, IN_REVIEW, RETIRED
from evcontrol.journal.replay import PlantView
from evcontrol.journal.store import read_events
from tests.api.served import PASSWORD, Served, recipe_text, serve
from tests.api.test_routes_batches import refused, start

TEXT = recipe_text()
NEXT = TEXT.replace("version: ", "version: 9.", 1)


def gmp(text: str = TEXT) -> StartBatch:
    return start(text).model_copy(update={"kind": "gmp"})


def test_a_gmp_batch_needs_an_approved_recipe_and_a_training_batch_says_what_it_is(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as author, served.signed_on("quentin") as quality:
            await refused(author.start_batch(gmp()), 409, "is not approved but draft")
            view = await author.submit_recipe(TEXT, "uf.yaml", "first version")
            assert (view.state, view.submitted_by, view.requalify) == (IN_REVIEW, "user:olivia", False)
            await refused(author.start_batch(gmp()), 409, "is not approved but in review")
            await refused(author.submit_recipe(TEXT, "uf.yaml", "again"), 409, "submit is not possible")
            await refused(author.decide_recipe(view.hash, "approve", "fine", PASSWORD), 403, "approve")
            await refused(quality.decide_recipe(view.hash, "approve", "fine", "wrong password"), 403, "password")
            await refused(quality.decide_recipe(view.hash, "retire", "old", PASSWORD), 409, "retire is not possible")
            await refused(quality.decide_recipe(view.hash[:7], "approve", "x", PASSWORD), 404, "no single version")
            assert (await quality.decide_recipe(view.hash[:8], "approve", "fine", PASSWORD)).state == APPROVED
            made = (await author.start_batch(gmp())).summary
            assert (made.kind, made.recipe_state) == ("gmp", "approved")
            assert (await author.recipe(view.hash)).text == TEXT
        signed = [event.body for event in served.events(Kind.SIGNATURE)]
        assert [(body["user"], body["comment"]) for body in signed] == [("quentin", "fine")]

    serve(tmp_path, work)


def test_a_batch_on_simulated_equipment_is_training_unless_it_is_said(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            made = (await client.start_batch(start())).summary
            assert (made.kind, made.recipe_state) == ("training", "draft")
            assert [one.kind for one in await client.batches()] == ["training"]

    serve(tmp_path, work)


def test_a_batch_on_real_equipment_is_gmp_unless_it_is_said(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        object.__setattr__(served.plant, "simulated", False)
        async with served.signed_on() as client:
            await refused(client.start_batch(start()), 409, "a GMP batch needs an approved recipe")
            assert served.events(Kind.BATCH_CREATED) == []
            training = start().model_copy(update={"kind": "training"})
            assert (await client.start_batch(training)).summary.kind == "training"

    serve(tmp_path, work)


def test_a_new_version_takes_the_place_of_the_old_one_and_its_product_is_to_be_qualified_again(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as author, served.signed_on("quentin") as quality:
            old = (await author.submit_recipe(TEXT, "uf.yaml", "first")).hash
            await quality.decide_recipe(old, "approve", "fine", PASSWORD)
            await refused(author.submit_recipe(TEXT + "# x\n", "uf.yaml", "same number"), 409, "another version")
            new = (await author.submit_recipe(NEXT, "uf.yaml", "second")).hash
            assert (await quality.decide_recipe(new, "approve", "better", PASSWORD)).requalify
            found = {view.hash: view for view in await author.recipes()}
            assert (found[old].state, found[new].state) == (RETIRED, APPROVED)
            assert "takes its place" in found[old].changes[-1].reason
            await refused(author.start_batch(gmp()), 409, "is not approved but retired")
            product = found[new].product
            await refused(quality.requalified("something else", "done", PASSWORD), 409, "does not wait")
            await refused(author.requalified(product, "done", PASSWORD), 403, "approve")
            await quality.requalified(product, "three batches within limits", PASSWORD)
            assert not any(view.requalify for view in await author.recipes())
            await refused(quality.requalified(product, "again", PASSWORD), 409, "does not wait")
        replayed = PlantView(read_events(tmp_path / "journal")).recipes
        assert [(view.hash, view.state) for view in replayed] == [(old, RETIRED), (new, APPROVED)]

    serve(tmp_path, work)


def test_what_was_rejected_is_a_draft_again_and_a_wrong_recipe_is_not_taken(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as author, served.signed_on("quentin") as quality:
            wrong = TEXT.replace("phase: flush", "phase: flsuh")
            await refused(author.submit_recipe(wrong, "uf.yaml", "x"), 422, "did you mean 'flush'")
            version = (await author.submit_recipe(TEXT, "uf.yaml", "first")).hash
            await quality.decide_recipe(version, "reject", "say why 4 psi", PASSWORD)
            await author.submit_recipe(TEXT, "uf.yaml", "it is said now")
            (view,) = await author.recipes()
            assert [(c.old, c.new) for c in view.changes] == [
                ("draft", "in review"), ("in review", "draft"), ("draft", "in review"),
            ]  # fmt: skip
            await refused(quality.submit_recipe(NEXT, "uf.yaml", "x"), 403, "author")

    serve(tmp_path, work)


def test_who_handed_a_recipe_in_cannot_approve_it(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        served.engine.people.add("both", "Bo Both", ["quality", "supervisor"], PASSWORD)
        async with served.signed_on("both") as client:
            version = (await client.submit_recipe(TEXT, "uf.yaml", "mine")).hash
            await refused(client.decide_recipe(version, "approve", "fine", PASSWORD), 403, "another person signs")
            assert (await client.recipes())[0].state == IN_REVIEW

    serve(tmp_path, work)
