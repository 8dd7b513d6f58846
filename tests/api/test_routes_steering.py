"""Steering a batch over the API: steps and breakpoints by operators, jumps and parameters signed by supervisors."""

from pathlib import Path

from evcontrol.api.schema import BatchCommand
from evcontrol.journal.events import Kind
from tests.api.served import PASSWORD, Served, recipe_text, serve
from tests.api.test_routes_batches import refused, start, until

OPERATOR = "oscar"
LOAD = "ultrafiltration/filtration/load"
LIVE = recipe_text().replace("  tmp: {value:", "  tmp: {live: yes, value:")


def test_single_steps_and_breakpoints(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client, served.signed_on("quentin") as quentin:
            batch = (await client.start_batch(start())).summary.batch
            await until(client, batch, lambda v: bool(v.prompts))
            view = await client.change_stepping(batch, True, [LOAD], "a first run")
            assert (view.single_step, view.breakpoints) == (True, [LOAD])
            await refused(client.change_stepping(batch, False, ["a/b"], "x"), 409, "no element 'a/b'")
            await refused(client.step(batch, LOAD + "x"), 404, "no element")
            await refused(client.step(batch, "ultrafiltration"), 409, "does not stand")
            await refused(quentin.change_stepping(batch, False, [], "x"), 403, "operate")
            assert not (await client.change_stepping(batch, False, [], "enough")).single_step
        told = [event.body for event in served.events(Kind.STEPPING_CHANGED)]
        assert [body["reason"] for body in told] == ["a first run", "enough"]

    serve(tmp_path, work)


def test_a_jump_is_signed_and_needs_a_held_batch(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on(OPERATOR) as client, served.signed_on() as boss:
            batch = (await client.start_batch(start())).summary.batch
            await until(client, batch, lambda v: bool(v.prompts))
            await refused(boss.jump(batch, LOAD, "by hand", PASSWORD), 409, "hold it before a jump")
            await client.command_batch(batch, BatchCommand(command="hold"))
            await until(client, batch, lambda v: v.summary.state == "Held")
            await refused(client.jump(batch, LOAD, "by hand", PASSWORD), 403, "steer")
            await refused(boss.jump(batch, LOAD, "by hand", "wrong password"), 403, "password")
            await boss.jump(batch, LOAD, "by hand", PASSWORD)
            await until(client, batch, lambda v: all(e.state != "Stopping" for e in v.elements))
            assert [e.state for e in (await client.batch(batch)).elements if e.path.endswith("preparation")] == [
                "Stopped"
            ]
        (jumped,) = served.events(Kind.BATCH_JUMPED)
        assert jumped.body["to"] == LOAD
        assert [event.body["subject"] for event in served.events(Kind.SIGNATURE)] == [f"jump to {LOAD} of {batch}"]

    serve(tmp_path, work)


def test_a_live_parameter_is_changed_within_its_limits(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on(OPERATOR) as client, served.signed_on() as boss:
            batch = (await client.start_batch(start(LIVE))).summary.batch
            view = await boss.change_parameter(batch, "tmp", "3.5 psi", "the flux falls", PASSWORD)
            assert view.parameters["tmp"] == "3.5 psi"
            await refused(boss.change_parameter(batch, "tmp", "20 psi", "more", PASSWORD), 422, "above its limit")
            await refused(boss.change_parameter(batch, "diavolumes", "7 DV", "more", PASSWORD), 409, "not live")
            await refused(client.change_parameter(batch, "tmp", "3 psi", "less", PASSWORD), 403, "steer")
            await refused(boss.change_parameter("B-0009", "tmp", "3 psi", "less", PASSWORD), 404, "no batch")

    serve(tmp_path, work)


def test_a_revision_is_shown_then_signed(tmp_path: Path) -> None:
    new = recipe_text().replace("value: 6 DV", "value: 7 DV")

    async def work(served: Served) -> None:
        async with served.signed_on(OPERATOR) as client, served.signed_on() as boss:
            batch = (await client.start_batch(start())).summary.batch
            plan = await client.plan_revision(batch, new, "new.yaml")
            assert (plan.revision, plan.changes, plan.obstacles) == (
                1, ["parameter diavolumes: value 6 DV -> 7 DV"], [],
            )  # fmt: skip
            signed = (batch, new, "new.yaml", plan.shown_hash, "still salty", PASSWORD)
            await refused(client.revise(*signed), 403, "steer")
            await refused(boss.revise(batch, new, "new.yaml", "0" * 64, "x", PASSWORD), 409, "look at it again")
            await refused(boss.revise(batch, new + "x: y", "new.yaml", plan.shown_hash, "x", PASSWORD), 422, "x")
            await refused(boss.revise(*signed[:-1], "wrong password"), 403, "password")
            view = await boss.revise(*signed)
            assert (view.summary.revision, view.parameters["diavolumes"]) == (1, "7 DV")
            again = await client.plan_revision(batch, new, "new.yaml")
            assert again.obstacles == ["it runs with this very text"]
            await refused(client.plan_revision("B-0009", new, "new.yaml"), 404, "no batch")
        assert [event.body["subject"] for event in served.events(Kind.SIGNATURE)] == [f"revision 1 of {batch}"]

    serve(tmp_path, work)


def test_a_freeze_and_its_end(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client, served.signed_on("quentin") as quentin:
            batch = (await client.start_batch(start())).summary.batch
            await until(client, batch, lambda v: bool(v.prompts))
            assert (await client.freeze(batch, "a look")).frozen == "a look"
            await refused(client.freeze(batch, "again"), 409, "is frozen")
            await refused(quentin.thaw(batch, "x"), 403, "operate")
            assert (await client.thaw(batch, "clear")).frozen == ""
            await refused(client.thaw(batch, "again"), 409, "is not frozen")

    serve(tmp_path, work)
