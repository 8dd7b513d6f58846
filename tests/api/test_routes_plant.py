"""The plant over the API: the snapshot, commands by hand, modes, loops and interlocks."""

from pathlib import Path

import pytest

from drivers.driver import Link, LinkState
from evcontrol.api.client import ApiError, Client
from evcontrol.api.picture import Picture
from evcontrol.api.schema import LoopChange
from evcontrol.journal.events import Kind
from evcontrol.journal.store import JournalUnavailableError
from tests.api.served import Served, serve

UNIT = "TFF201"


async def refused(call: object, status: int, match: str) -> None:
    with pytest.raises(ApiError, match=match) as error:
        await call  # type: ignore[misc]
    assert error.value.status == status


async def by_hand(client: Client) -> None:
    await client.change_mode(UNIT, "manual", "a test by hand")


def test_the_snapshot_shows_the_whole_plant(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.client() as client:
            shown = await client.snapshot()
        assert [tag.name for tag in shown.tags] == served.plant.tags.names()
        assert len(shown.values.i) == len(shown.tags)
        assert {link.device: link.state for link in shown.links} == dict.fromkeys(served.plant.devices, "ready")
        assert [(unit.unit, unit.mode, unit.batch) for unit in shown.units] == [(UNIT, "automatic", "")]
        assert {owner.owner for owner in shown.owners} == {""}
        assert len(shown.interlocks) == len(served.plant.interlocks)
        assert shown.status.simulated
        picture = Picture(shown)
        assert picture.text("TFF201.WT_RET").endswith(" g")
        assert picture.text("TFF201.CONTENT") == "empty"
        assert picture.text("TFF201.XV102") == "closed"

    serve(tmp_path, work)


def test_a_command_by_hand_is_proven_and_its_owner_shown(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            await refused(client.command_tag("TFF201.PCV101_SP", 60.0, "a test"), 409, "automatic mode")
            await by_hand(client)
            reply = await client.command_tag("TFF201.PCV101_SP", 60.0, "a test")
            assert (reply.outcome, reply.read_back) == ("confirmed", 60.0)
            owners = {owner.tag: owner for owner in (await client.snapshot()).owners}
            assert owners["TFF201.PCV101_SP"].owner == "operator"
            assert owners["TFF201.PCV101_SP"].holder == "user:olivia"
        intents = [e for e in served.events(Kind.COMMAND_INTENT) if e.body["tag"] == "TFF201.PCV101_SP"]
        assert (intents[-1].actor, intents[-1].station, intents[-1].body["why"]) == (
            "user:olivia",
            "station 1",
            "a test",
        )

    serve(tmp_path, work)


def test_commands_that_cannot_be_are_refused_with_a_reason(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            await by_hand(client)
            await refused(client.command_tag("TFF201.NOTHING", 1.0, "a test"), 404, "no tag")
            await refused(client.command_tag("TFF201.WT_RET", 1.0, "a test"), 409, "not a tag that can be written")
            await refused(client.command_tag("TFF201.PCV101_SP", 101.0, "a test"), 409, "PCV101_SP")
            await refused(client.change_mode("TFF9", "manual", "a test"), 404, "no unit")
            await refused(client.change_mode(UNIT, "sideways", "a test"), 422, "no mode")
        assert len(served.events(Kind.COMMAND_REFUSED)) == 2

    serve(tmp_path, work)


def test_a_loop_is_started_changed_and_stopped_by_a_person(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            loop = "TFF201.WIC_RET"
            await refused(
                client.change_loop(loop, LoopChange(mode="auto", setpoint=100.0, reason="a test")), 409, "automatic"
            )
            await client.change_mode(UNIT, "semi-automatic", "a test by hand")
            await refused(client.change_loop(loop, LoopChange(mode="auto", reason="a test")), 422, "setpoint")
            await refused(client.change_loop("X.Y", LoopChange(mode="manual", reason="a test")), 404, "no loop")
            await refused(
                client.change_loop(loop, LoopChange(mode="auto", setpoint=1e6, reason="a test")), 409, "outside"
            )
            started = await client.change_loop(loop, LoopChange(mode="auto", setpoint=0.0, reason="a test"))
            assert (started.mode, started.setpoint) == ("auto", 0.0)
            changed = await client.change_loop(loop, LoopChange(mode="auto", setpoint=1.0, reason="a test"))
            assert changed.setpoint == 1.0
            assert changed.limit_high == 400.0
            await served.until(lambda: served.engine.image.text(f"{loop}_MODE") == "automatic")
            output = started.output
            await refused(client.hand_back(output, "nobody has it"), 409, "not held by hand")
            await client.command_tag(output, 0.0, "by hand")
            assert served.engine.gate.holder(output).name == "user:olivia"
            await served.until(lambda: served.engine.image.text(f"{loop}_MODE") == "tracking")
            await client.hand_back(output, "seen")
            assert served.engine.gate.holder(output).name == loop
            await served.until(lambda: served.engine.image.text(f"{loop}_MODE") == "automatic")
            assert served.engine.image.text(f"{loop}_SAT") in ("no", "low", "high")
            assert (await client.change_loop(loop, LoopChange(mode="manual", reason="a test"))).mode == "manual"
        assert [e.actor for e in served.events(Kind.LOOP_CHANGED)][:2] == ["user:olivia", "user:olivia"]

    serve(tmp_path, work)


def test_an_interlock_is_shown_with_its_cause_and_reset_when_it_is_gone(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client, served.signed_on("oscar") as oscar:
            name = "TFF201.LOCAL"
            await refused(client.reset_interlock(name, "a test"), 409, "not tripped")
            await refused(client.reset_interlock("TFF201.NONE", "a test"), 404, "no interlock")
            served.sim.skid.remote = False
            await served.until(lambda: any(state.tripped for state in served.engine.interlocks.states()))
            (shown,) = [i for i in await client.interlocks() if i.tripped]
            assert shown.interlock == name
            assert "local" in shown.cause
            await refused(client.reset_interlock(name, "a test"), 409, "cannot be reset")
            served.sim.skid.remote = True
            await served.until(lambda: served.engine.image.text("TFF201.REMOTE") == "remote")
            await refused(oscar.reset_interlock(name, "a test"), 403, "reset")
            if any(i.tripped for i in await client.interlocks()):
                await client.reset_interlock(name, "switched back")
            assert not any(i.tripped for i in await client.interlocks())

    serve(tmp_path, work)


def test_a_command_that_cannot_be_journalled_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:

            def full(*_: object, **__: object) -> None:
                raise JournalUnavailableError("the disk is full")

            with monkeypatch.context() as patch:
                patch.setattr(served.engine.journal, "append", full)
                await refused(client.change_mode(UNIT, "manual", "a test"), 409, "disk is full")
            assert (await client.snapshot()).units[0].mode == "automatic"

    serve(tmp_path, work)


def test_a_device_that_stays_away_does_not_fill_the_journal(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        tell = served.engine.drivers["WT-RET"].on_link
        assert tell is not None
        before = len(served.events(Kind.LINK_STATE))
        for number in range(30):
            tell(Link(LinkState.DISCONNECTED, "no answer", 1))
            tell(Link(LinkState.DISCONNECTED, f"reason {number}", 1))
        tell(Link(LinkState.READY, "back", 2))
        tell(Link(LinkState.DISCONNECTED, "no answer", 3))
        await served.engine.journal.flush()
        told = [event.body["reason"] for event in served.events(Kind.LINK_STATE)[before:]]
        assert told == ["no answer", *(f"reason {number}" for number in range(9)), "back", "no answer"]

    serve(tmp_path, work)
