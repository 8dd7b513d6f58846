"""Alarms over the API: acknowledged, shelved, taken out of service."""

from dataclasses import replace
from pathlib import Path

import pytest

from evcontrol.api.client import ApiError
from evcontrol.journal.events import Kind
from tests.api.served import PASSWORD, Served, serve

FULL = "TFF201.PERMEATE_VESSEL_FULL"


async def refused(call: object, status: int, match: str) -> None:
    with pytest.raises(ApiError, match=match) as error:
        await call  # type: ignore[misc]
    assert error.value.status == status


def state_of(served: Served, name: str = FULL) -> str:
    return next(a.state.value for a in served.engine.alarms.states() if a.spec.name == name)


async def filled(served: Served) -> None:
    served.sim.process.ledger.permeate.volume_ml = 11_500.0
    await served.until(lambda: state_of(served) == "unacknowledged")


def test_an_alarm_is_acknowledged_once(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            assert await client.alarms() == []
            await refused(client.acknowledge(FULL), 409, "nothing to acknowledge")
            await refused(client.acknowledge("TFF201.NONE"), 404, "no alarm")
            await filled(served)
            (shown,) = await client.alarms()
            assert (shown.alarm, shown.acknowledged) == (FULL, False)
            await client.acknowledge(shown.alarm, "seen")
            assert [a.acknowledged for a in await client.alarms()] == [True]
        last = served.events(Kind.ALARM_STATE)[-1]
        assert (last.actor, last.body["text"]) == ("user:olivia", "acknowledged: seen")

    serve(tmp_path, work)


def test_several_alarms_are_acknowledged_together(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            await filled(served)
            await refused(client.acknowledge_all([FULL, "TFF201.NONE"]), 404, "no alarm")
            assert await client.acknowledge_all([FULL, "TFF201.TMP_HIGH"], "seen") == [FULL]
            assert await client.acknowledge_all([FULL]) == []

    serve(tmp_path, work)


def test_a_shelved_alarm_is_shown_with_its_end_and_brought_back(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on("oscar") as client:
            await filled(served)
            await refused(client.shelve(FULL, 601.0, "vessel is being changed"), 409, "at most 600 s")
            await refused(client.shelve("TFF201.LINK_LOST", 60.0, "noise"), 409, "may not be shelved")
            await refused(client.unshelve(FULL, "too early"), 409, "cannot be unshelved")
            await client.shelve(FULL, 600.0, "vessel is being changed")
            (shown,) = await client.alarms()
            assert shown.state == "shelved"
            assert shown.until - shown.since == pytest.approx(600e9, rel=1e-3)
            await client.unshelve(FULL, "it is changed")
            assert state_of(served) == "unacknowledged"
        last = served.events(Kind.ALARM_STATE)[-2:]
        assert [(e.actor, e.body["text"]) for e in last] == [
            ("user:oscar", "shelved for 600 s: vessel is being changed"),
            ("user:oscar", "unshelved: it is changed"),
        ]

    serve(tmp_path, work)


def test_an_alarm_out_of_service_needs_a_supervisors_signature_and_so_does_its_return(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on("oscar") as operator:
            await refused(operator.remove_alarm(FULL, "balance is being serviced", PASSWORD), 403, "disable")
        async with served.signed_on() as client:
            await refused(
                client.remove_alarm(FULL, "balance is being serviced", "a wrong pass phrase"), 403, "password"
            )
            await refused(client.return_alarm(FULL, "it is back", PASSWORD), 409, "cannot be returned")
            assert state_of(served) == "normal"
            await client.remove_alarm(FULL, "balance is being serviced", PASSWORD)
            assert [(a.alarm, a.state) for a in await client.alarms()] == [(FULL, "out of service")]
            served.sim.process.ledger.permeate.volume_ml = 11_500.0
            seq = served.engine.scanner.latest.seq
            await served.until(lambda: served.engine.scanner.latest.seq > seq + 60)
            assert state_of(served) == "out of service"
            await client.return_alarm(FULL, "balance is back", PASSWORD)
            assert state_of(served) == "unacknowledged"
        signed = [(e.body["meaning"], e.body["subject"], e.body["comment"]) for e in served.events(Kind.SIGNATURE)]
        assert signed == [
            ("removed from service", f"alarm {FULL}", "balance is being serviced"),
            ("returned to service", f"alarm {FULL}", "balance is back"),
        ]
        changes = [e for e in served.events(Kind.ALARM_STATE) if "out of service" in (e.body["old"], e.body["new"])]
        order = sorted([*changes, *served.events(Kind.SIGNATURE)], key=lambda event: event.seq)
        assert [e.kind for e in order] == [Kind.SIGNATURE, Kind.ALARM_STATE] * 2

    serve(tmp_path, work)


def test_the_figures_tell_of_what_was_raised(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            await filled(served)
            told = await client.alarm_figures()
            assert (told.raised, told.most, told.by_priority) == (1, [(FULL, 1)], {"high": 1})
            assert (await client.alarm_figures(0, told.start + 1)).raised == 0
            await refused(client.alarm_figures(5, 5), 422, "end after it begins")

    serve(tmp_path, work)


def test_a_setpoint_is_changed_by_who_may_within_its_range(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on("oscar") as operator:
            await refused(operator.change_alarm_setpoint(FULL, 9_000.0, "a smaller vessel"), 403, "adjust")
        async with served.signed_on() as client:
            await refused(client.change_alarm_setpoint(FULL, 12_000.0, "a larger vessel"), 409, "1000 to 11500 g")
            await refused(client.change_alarm_setpoint("TFF201.LINK_LOST", 1.0, "why not"), 409, "may not be changed")
            await refused(client.change_alarm_setpoint("TFF201.NONE", 1.0, "why not"), 404, "no alarm")
            changed = await client.change_alarm_setpoint(FULL, 9_000.0, "a smaller vessel")
            assert (changed.setpoint, changed.setpoint_unit, changed.setpoint_high) == (9_000.0, "g", 11_500.0)
            served.sim.process.ledger.permeate.volume_ml = 9_500.0
            await served.until(lambda: state_of(served) == "unacknowledged")
        (event,) = served.events(Kind.ALARM_SETPOINT)
        assert (event.actor, event.body["old"], event.body["new"]) == ("user:olivia", 11_000.0, 9_000.0)

    serve(tmp_path, work)


def test_every_alarm_is_told_with_what_it_is_for(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            every = {one.alarm: one for one in await client.alarms(every=True)}
            assert set(every) == set(served.engine.plant.alarms)
            full = every[FULL]
            assert (full.state, full.severity, full.respond_within) == ("normal", "serious", 300.0)
            assert full.consequence.startswith("The balance overloads")
            assert await client.alarms() == []

    serve(tmp_path, work)


def test_a_changed_setpoint_holds_over_a_restart_of_the_engine(tmp_path: Path) -> None:
    async def change(served: Served) -> None:
        async with served.signed_on() as client:
            await client.change_alarm_setpoint(FULL, 9_000.0, "a smaller vessel")

    async def after(served: Served) -> None:
        assert served.engine.alarms.state(FULL).setpoint == 9_000.0
        served.sim.process.ledger.permeate.volume_ml = 9_500.0
        await served.until(lambda: state_of(served) == "unacknowledged")

    serve(tmp_path, change)
    (tmp_path / "people.json").unlink()  # the same people are added anew
    serve(tmp_path, after)


def test_an_alarm_is_shelved_only_by_the_roles_that_its_plant_file_names(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        spec = served.engine.plant.alarms[FULL]
        served.engine.plant.alarms[FULL] = replace(spec, shelve_roles=("supervisor",))  # type: ignore[index]
        async with served.signed_on("oscar") as operator:
            await refused(operator.shelve(FULL, 60.0, "noise"), 403, "shelved by supervisor only")
        (denied,) = served.events(Kind.DENIED)
        assert (denied.actor, denied.body["what"]) == ("user:oscar", FULL)
        async with served.signed_on() as client:
            await client.shelve(FULL, 60.0, "noise")
        assert state_of(served) == "shelved"

    serve(tmp_path, work)
