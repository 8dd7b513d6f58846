"""Batches over the API: started, shown, asked, answered, commanded, and signed for after an outage."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from evcontrol.api.client import ApiError, Client
from evcontrol.api.schema import BatchCommand, BatchView, StartBatch
from evcontrol.journal.events import Kind
from tests.api.served import PASSWORD, Served, recipe_text, serve

MODULE = "HF500-1600 SN-0001"


def start(text: str = "", **parameters: str) -> StartBatch:
    return StartBatch(
        recipe=text or recipe_text(), recipe_name="uf.yaml", parameters=parameters, purpose="a test", product=""
    )


async def refused(call: object, status: int, match: str) -> None:
    with pytest.raises(ApiError, match=match) as error:
        await call  # type: ignore[misc]
    assert error.value.status == status


async def until(client: Client, batch: str, there: Callable[[BatchView], bool]) -> BatchView:
    while True:
        view = await client.batch(batch)
        if there(view):
            return view
        await asyncio.sleep(0.01)


def test_a_batch_is_started_shown_asked_and_held(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            view = await client.start_batch(start())
            batch = view.summary.batch
            assert (batch, view.summary.state, view.summary.units) == ("B-0001", "Running", ["TFF201"])
            view = await until(client, batch, lambda v: bool(v.prompts))
            (asked,) = await client.prompts()
            assert asked.prompt == "ultrafiltration/preparation/install_membrane:module 1"
            await refused(client.answer(batch, "x:y", "z"), 409, "not open")
            await refused(client.answer("B-0009", asked.prompt, "z"), 404, "no batch")
            await refused(client.answer(batch, asked.prompt, " "), 409, "needs a text")
            await client.answer(batch, asked.prompt, MODULE, "scanned")
            view = await until(client, batch, lambda v: bool(v.prompts) and v.prompts[0].prompt != asked.prompt)
            await refused(client.answer(batch, asked.prompt, MODULE), 409, "not open")
            held = await client.command_batch(batch, BatchCommand(command="hold", reason="a test"))
            assert held.summary.state in ("Holding", "Held")
            await until(client, batch, lambda v: v.summary.state == "Held")
            assert (await client.snapshot()).units[0].batch == batch
            await client.command_batch(batch, BatchCommand(command="abort"))
            view = await until(client, batch, lambda v: v.summary.state == "Aborted")
            assert [b.state for b in await client.batches()] == ["Aborted"]
        answered = served.events(Kind.PROMPT_ANSWERED)[0]
        assert (answered.actor, answered.body["value"], answered.body["comment"]) == ("user:olivia", MODULE, "scanned")

    serve(tmp_path, work)


def test_a_wrong_recipe_is_refused_with_the_line(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            wrong = start(recipe_text().replace("class: tff", "class: tfff"))
            await refused(client.start_batch(wrong), 422, r"uf\.yaml:9:")
            await refused(client.start_batch(start(tmp="20 psi")), 422, "above its limit")
            await refused(client.start_batch(start("no: recipe")), 422, "uf.yaml")
            assert await client.batches() == []

    serve(tmp_path, work)


def test_one_unit_has_one_batch(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            await client.start_batch(start())
            await refused(client.start_batch(start()), 409, "TFF201 is used by B-0001")

    serve(tmp_path, work)


def test_commands_that_are_not_possible_say_what_is(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client, served.signed_on("quentin") as quentin:
            batch = (await client.start_batch(start())).summary.batch
            await refused(client.command_batch(batch, BatchCommand(command="resume")), 409, "possible: ")
            await refused(client.command_batch(batch, BatchCommand(command="restart")), 422, "reason")
            await refused(client.command_batch(batch, BatchCommand(command="hold", path="a/b")), 404, "no element")
            await refused(client.command_batch("B-0009", BatchCommand(command="hold")), 404, "no batch")
            await refused(quentin.command_batch(batch, BatchCommand(command="hold")), 403, "operate")
            await refused(client.reconciliation(batch), 404, "never away")
            await refused(client.sign_reconciliation(batch, "0" * 64, PASSWORD), 409, "nothing to be signed")

    serve(tmp_path, work)


def test_after_an_outage_the_reconciliation_is_signed_before_restart(tmp_path: Path) -> None:
    async def first(served: Served) -> None:
        async with served.signed_on() as client:
            batch = (await client.start_batch(start())).summary.batch
            await until(client, batch, lambda v: bool(v.prompts))

    async def second(served: Served) -> None:
        served.engine.sessions.sweep()
        async with served.signed_on() as client:
            batch = "B-0001"
            shown = await client.reconciliation(batch)
            assert shown.signed_by == ""
            assert any(item.what == "TFF201.WT_RET" for item in shown.items)
            restart = BatchCommand(command="restart", reason="looked at it")
            await refused(client.command_batch(batch, restart), 409, "not signed")
            await refused(client.sign_reconciliation(batch, shown.shown_hash, "a wrong password"), 403, "wrong")
            await refused(client.sign_reconciliation(batch, "0" * 64, PASSWORD), 409, "look at it again")
            await client.sign_reconciliation(batch, shown.shown_hash, PASSWORD, "all in place")
            assert (await client.reconciliation(batch)).signed_by == "Olivia Operator"
            await refused(client.sign_reconciliation(batch, shown.shown_hash, PASSWORD), 409, "nothing to be signed")
            await client.command_batch(batch, restart)
            await until(client, batch, lambda v: bool(v.prompts))
        (signature,) = served.events(Kind.SIGNATURE)
        assert (signature.body["user"], signature.body["shown_hash"]) == ("olivia", shown.shown_hash)
        assert served.events(Kind.SESSION_DENIED)[-1].body["reason"].startswith("wrong password")

    serve(tmp_path, first)
    (tmp_path / "people.json").unlink()  # the next engine adds its people anew
    serve(tmp_path, second)


def test_a_batch_that_ended_under_another_engine_is_still_shown(tmp_path: Path) -> None:
    async def first(served: Served) -> None:
        async with served.signed_on() as client:
            batch = (await client.start_batch(start())).summary.batch
            await client.command_batch(batch, BatchCommand(command="abort"))
            await until(client, batch, lambda v: v.summary.state == "Aborted")

    async def second(served: Served) -> None:
        async with served.signed_on() as client:
            view = await client.batch("B-0001")
            assert (view.summary.state, view.summary.purpose) == ("Aborted", "a test")
            assert [b.batch for b in await client.batches()] == ["B-0001"]
            assert (await client.snapshot()).batches == []
            await refused(client.command_batch("B-0001", BatchCommand(command="stop")), 409, "before the engine")
            await refused(client.batch("B-0002"), 404, "no batch")

    serve(tmp_path, first)
    (tmp_path / "people.json").unlink()
    serve(tmp_path, second)


def test_report_and_verification_are_made_beside_the_running_engine(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            batch = (await client.start_batch(start())).summary.batch
            await client.command_batch(batch, BatchCommand(command="abort"))
            await until(client, batch, lambda v: v.summary.state == "Aborted")
            made = await client.make_report(batch)
            assert batch in Path(made.file).read_text(encoding="utf-8")
            verdict = await client.verify_record(batch)
            assert (verdict.intact, verdict.faults) == (True, [])
            await refused(client.make_report("B-0009"), 404, "no batch")
            await refused(client.verify_record("B-0009"), 404, "no batch")
        (event,) = served.events(Kind.REPORT_MADE)
        assert (event.actor, event.batch, event.body["sha256"]) == ("user:olivia", batch, made.sha256)

    serve(tmp_path, work)


STORE = """recipe: Store
version: 1.0.0
product: P
procedure:
  - unit_procedure: storage
    steps:
      - phase: store
        with: {storage: -80 C}
"""
STORED = {"Number": 20.0, "Volume": 5.0, "label": "V-0001", "place": "F-3"}


def test_an_answer_that_is_a_signature_needs_the_password_of_who_signs(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            batch = (await client.start_batch(start(STORE))).summary.batch
            while True:
                view = await until(client, batch, lambda v: bool(v.prompts))
                (asked,) = view.prompts
                if asked.meaning:
                    break
                value = next(v for key, v in STORED.items() if key in asked.text)
                await client.answer(batch, asked.prompt, value)
                await until(client, batch, lambda v, a=asked: [p.prompt for p in v.prompts] != [a.prompt])
            assert "labelled and stored" in asked.meaning
            await refused(client.answer(batch, asked.prompt, True), 422, "signature")
            await refused(client.answer(batch, asked.prompt, True, "", "wrong"), 403, "wrong")
            assert [p.prompt for p in (await client.batch(batch)).prompts] == [asked.prompt]
            await client.answer(batch, asked.prompt, True, "done", PASSWORD)
            await until(client, batch, lambda v: v.summary.state == "Complete")
        (signature,) = served.events(Kind.SIGNATURE)
        assert signature.body["meaning"] == asked.meaning
        assert (signature.actor, signature.path) == ("user:olivia", "storage/store")
        assert len(signature.body["shown_hash"]) == 64
        assert served.events(Kind.DENIED) or served.events(Kind.SESSION_DENIED)

    serve(tmp_path, work)
