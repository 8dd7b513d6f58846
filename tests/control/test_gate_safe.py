"""Making safe: over everything else, proven by reading back, kept trying for in the background."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.driver import Outcome, WriteResult
from evcontrol.control.command import CommandRefusedError, CommandResult
from evcontrol.control.gate import GatePass
from evcontrol.control.owner import Mode, Owner
from evcontrol.journal.events import ENGINE, Kind, Origin
from evcontrol.quality import BAD
from tests.control.conftest import Rig
from tests.control.test_gate_discrete import _break_sync, _fill_disk

XV, P101, P102, PCV = "TFF201.XV102", "TFF201.P101_SP", "TFF201.P102_SP", "TFF201.PCV101_SP"
INLET, OUTLET, RESET = "TFF201.INLET", "TFF201.OUTLET", "TFF201.TRIP_RESET"
ANNA = Origin.user("anna", "console-1")
SAFE = {XV: 0.0, P102: 0.0, P101: 0.0, PCV: 100.0, INLET: 0.0, OUTLET: 0.0}


def admit(rig: Rig) -> GatePass:
    return rig.gate.admit("TFF201", "B-1/fill", "B-1", "filtration/fill")


def test_a_running_skid_is_brought_to_its_safe_state(on_skid):
    async def test(rig: Rig) -> None:
        await admit(rig).write({P101: 800, XV: 1, PCV: 60, INLET: 2}, "begin")
        report = await rig.gate.make_safe("TFF201", "test", batch="B-1")
        assert report.complete
        assert set(report.reached) == set(SAFE)
        assert rig.skid.safe
        [event] = rig.events(Kind.SAFE_STATE)
        assert event.body["not_reached"] == []
        assert (event.batch, event.body["why"]) == ("B-1", "test")

    on_skid(test)


def test_all_is_written_at_once_before_any_scan(on_scripted):
    async def test(rig: Rig) -> None:
        task = asyncio.create_task(rig.gate.make_safe("TFF201", "test"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert rig.device.writes == [SAFE]
        assert (await task).complete

    on_scripted(test)


def test_the_content_of_the_vessel_chooses_the_safe_state(on_scripted, plant):
    unit = plant.units["TFF201"]
    unit.safe_states["product"] = unit.safe_states["default"] | {PCV: 80.0}

    async def test(rig: Rig) -> None:
        rig.image.set_internal("TFF201.CONTENT", "product")
        await rig.gate.make_safe("TFF201", "test")
        assert rig.value(PCV) == 80
        rig.image.set_internal("TFF201.CONTENT", 0.0, BAD)
        await rig.gate.make_safe("TFF201", "test")
        assert rig.value(PCV) == 100

    on_scripted(test)


def test_it_revokes_passes_releases_loops_and_drops_what_was_waiting(on_scripted):
    async def test(rig: Rig) -> None:
        gate_pass = admit(rig)
        await gate_pass.write({P101: 300}, "begin")
        rig.gate.grant(PCV, "TFF201.PIC_TMP")
        rig.gate.modulate(PCV, 20, "TFF201.PIC_TMP")
        await rig.gate.make_safe("TFF201", "test")
        assert not gate_pass.valid
        assert rig.gate.holder(PCV).owner is Owner.NONE
        assert rig.gate.holder(P101).owner is Owner.NONE
        assert {PCV: 20} not in rig.device.writes
        assert rig.value(PCV) == 100

    on_scripted(test)


def test_while_held_only_safe_values_and_the_reset_of_trips_pass(on_scripted):
    async def test(rig: Rig) -> None:
        await rig.gate.make_safe("TFF201", "test")
        assert rig.gate.is_safe_held("TFF201")
        gate_pass = admit(rig)
        with pytest.raises(CommandRefusedError, match="held in its safe state"):
            await gate_pass.write({P101: 300}, "begin")
        with pytest.raises(CommandRefusedError, match="held in its safe state"):
            rig.gate.grant(PCV, "TFF201.PIC_TMP")
        assert (await gate_pass.write({XV: 0, RESET: 1}, "close")).outcome is Outcome.CONFIRMED
        await rig.gate.set_mode("TFF201", Mode.MANUAL, ANNA, "test")
        with pytest.raises(CommandRefusedError, match="held in its safe state"):
            await rig.gate.command(P101, 300, ANNA, "try")
        assert (await rig.gate.command(RESET, 1, ANNA, "reset")).outcome is Outcome.CONFIRMED
        rig.gate.release_safe("TFF201")
        assert (await rig.gate.command(P101, 300, ANNA, "try")).outcome is Outcome.CONFIRMED

    on_scripted(test)


def test_a_write_that_waits_for_its_turn_is_never_sent(on_scripted):
    async def test(rig: Rig) -> None:
        gate_pass = admit(rig)
        rig.device.hang = asyncio.Event()
        first = asyncio.create_task(gate_pass.write({P102: 100}, "begin"))
        await rig.scans(1)
        second = asyncio.create_task(gate_pass.write({P101: 900}, "begin"))
        await asyncio.sleep(0)
        safe = asyncio.create_task(rig.gate.make_safe("TFF201", "stop"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert rig.device.writes == [{P102: 100}, SAFE]
        rig.device.hang.set()
        assert (await safe).complete
        assert (await first).outcome is Outcome.UNKNOWN
        assert (await second).outcome is Outcome.REJECTED
        reasons = {body["tag"]: body["reason"] for body in rig.bodies(Kind.COMMAND_OUTCOME)}
        assert reasons == {
            P102: "not read back: TFF201 is made safe (stop)",
            P101: "not sent: TFF201 is made safe (stop)",
        }

    on_scripted(test)


def test_a_command_begun_in_the_same_moment_is_not_sent_and_its_caller_hears_it(on_scripted):
    async def test(rig: Rig) -> None:
        gate_pass = admit(rig)

        async def both() -> None:
            await rig.gate.make_safe("TFF201", "stop")

        command = asyncio.create_task(gate_pass.write({P101: 900}, "begin"))
        safe = asyncio.create_task(both())
        result = await command
        await safe
        assert result.outcome is Outcome.REJECTED
        assert {P101: 900} not in rig.device.writes

    on_scripted(test)


def test_a_command_that_is_read_back_ends_at_once(on_skid):
    async def test(rig: Rig) -> None:
        command = asyncio.create_task(admit(rig).write({PCV: 5}, "travels for ten seconds"))
        await rig.scans(2)
        start = rig.clock.monotonic()
        safe = asyncio.create_task(rig.gate.make_safe("TFF201", "stop"))
        assert (await command).outcome is Outcome.UNKNOWN
        assert rig.clock.monotonic() == start
        assert (await safe).complete

    on_skid(test)


def test_concurrent_calls_share_one_run_and_the_next_call_runs_again(on_scripted):
    async def test(rig: Rig) -> None:
        one, two = await asyncio.gather(
            rig.gate.make_safe("TFF201", "pressure"), rig.gate.make_safe("TFF201", "hold", ANNA)
        )
        assert one is two
        assert one.why == "pressure; hold"
        assert rig.device.writes == [SAFE]
        await rig.gate.make_safe("TFF201", "again")
        assert [body["why"] for body in rig.bodies(Kind.SAFE_STATE)] == ["pressure; hold", "again"]

    on_scripted(test)


def test_it_goes_on_when_its_caller_is_cancelled(on_scripted):
    async def test(rig: Rig) -> None:
        task = asyncio.create_task(rig.gate.make_safe("TFF201", "stop"))
        await asyncio.sleep(0)
        task.cancel()
        await rig.scans(3)
        assert [body["why"] for body in rig.bodies(Kind.SAFE_STATE)] == ["stop"]

    on_scripted(test)


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.UNKNOWN])
def test_it_repeats_until_the_device_takes_it(on_scripted, outcome):
    async def test(rig: Rig) -> None:
        rig.device.land({P101: 500, XV: 1})
        await rig.scans(1)
        rig.device.answers = [outcome, outcome]
        rig.device.lands = False
        task = asyncio.create_task(rig.gate.make_safe("TFF201", "stop"))
        await rig.scans(1)
        rig.device.lands = True
        assert (await task).complete
        assert len(rig.device.writes) >= 2

    on_scripted(test)


def test_an_actuator_that_leaves_every_write_unknown_keeps_no_other_from_being_reached(on_scripted):
    """As drivers of several instruments do: after an unknown outcome nothing more is sent."""

    async def test(rig: Rig) -> None:
        rig.device.land(dict.fromkeys(SAFE, 1.0))
        await rig.scans(1)

        async def write(values):
            results, sent = {}, True
            for tag, value in values.items():
                if not sent:
                    results[tag] = WriteResult(Outcome.REJECTED, "not sent")
                elif tag == XV:
                    results[tag], sent = WriteResult(Outcome.UNKNOWN, "no answer"), False
                else:
                    rig.device.land({tag: value})
                    results[tag] = WriteResult(Outcome.CONFIRMED)
            return results

        rig.device.write = write
        report = await rig.gate.make_safe("TFF201", "stop")
        assert [tag for tag, _ in report.not_reached] == [XV]

    on_scripted(test)


def test_what_cannot_be_reached_is_reported_in_time_and_reached_when_the_link_is_back(on_skid):
    async def test(rig: Rig) -> None:
        await admit(rig).write({P101: 500}, "begin")
        rig.wire.pulled = True
        start = rig.clock.monotonic()
        report = await rig.gate.make_safe("TFF201", "cable out", batch="B-1")
        assert rig.clock.monotonic() - start <= 2.5
        assert {tag for tag, _ in report.not_reached} == set(SAFE)
        assert all("cable out" in reason for _, reason in report.not_reached)
        await rig.clock.sleep(5)
        rig.wire.pulled = False
        await rig.clock.sleep(15)
        assert rig.skid.safe
        later = rig.events(Kind.SAFE_STATE)[1:]
        assert {tag for event in later for tag in event.body["reached"]} == set(SAFE)
        assert later[-1].body["not_reached"] == []
        assert {event.batch for event in later} == {"B-1"}
        sent = len(rig.wire.sent)
        await rig.clock.sleep(5)
        assert len(rig.wire.sent) == sent

    on_skid(test)


def test_local_control_is_reported_and_reached_after_the_hand_back(on_skid):
    async def test(rig: Rig) -> None:
        await admit(rig).write({P101: 500}, "begin")
        rig.skid.take_over()
        report = await rig.gate.make_safe("TFF201", "stop")
        reasons = dict(report.not_reached)
        assert set(reasons) == {P101}
        assert (
            "reads 500.0 mL/min instead of 0.0 mL/min (rejected: the device answered: device failure)" in reasons[P101]
        )
        rig.skid.hand_back()
        await rig.clock.sleep(10)
        assert rig.bodies(Kind.SAFE_STATE)[-1]["reached"] == [P101]

    on_skid(test)


def test_a_stuck_actuator_has_its_own_time_and_is_then_reported(on_scripted):
    async def test(rig: Rig) -> None:
        await admit(rig).write({XV: 1}, "open")
        rig.device.stuck.add("TFF201.XV102_FB")
        start = rig.clock.monotonic()
        report = await rig.gate.make_safe("TFF201", "stop")
        assert report.not_reached == [(XV, "TFF201.XV102_FB reads open instead of closed")]
        assert 10 <= rig.clock.monotonic() - start <= 11
        rig.device.stuck.clear()
        rig.device.land({})
        await rig.scans(2)
        assert rig.bodies(Kind.SAFE_STATE)[-1]["reached"] == [XV]

    on_scripted(test)


def test_the_guardian_ends_with_the_release(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.lands = False
        rig.device.land({P101: 500})
        await rig.gate.make_safe("TFF201", "stop")
        await rig.clock.sleep(3)
        rig.gate.release_safe("TFF201")
        sent = len(rig.device.writes)
        await rig.clock.sleep(5)
        assert len(rig.device.writes) == sent

    on_scripted(test)


def test_it_cannot_be_released_while_it_is_on_its_way(on_scripted):
    async def test(rig: Rig) -> None:
        task = asyncio.create_task(rig.gate.make_safe("TFF201", "stop"))
        await asyncio.sleep(0)
        with pytest.raises(CommandRefusedError, match="still being made safe"):
            rig.gate.release_safe("TFF201")
        await task
        rig.gate.release_safe("TFF201")
        assert not rig.gate.is_safe_held("TFF201")

    on_scripted(test)


@pytest.mark.parametrize("fault", [_fill_disk, _break_sync])
def test_it_needs_no_journal(on_scripted, fault):
    async def test(rig: Rig) -> None:
        await admit(rig).write({P101: 500}, "begin")
        fault(rig)
        assert (await rig.gate.make_safe("TFF201", "stop", ENGINE)).complete
        assert rig.value(P101) == 0

    on_scripted(test)


def test_a_driver_that_hangs_or_raises_does_not_hold_up_the_report(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.land({P101: 500})
        rig.device.hang = asyncio.Event()
        start = rig.clock.monotonic()
        report = await rig.gate.make_safe("TFF201", "stop")
        assert rig.clock.monotonic() - start <= 3.0
        assert "reads 500.0 mL/min instead of 0.0 mL/min (the device does not answer)" in dict(report.not_reached)[P101]
        rig.device.hang, rig.device.fails = None, RuntimeError("bug")
        report = await rig.gate.make_safe("TFF201", "stop")
        assert "the driver failed: bug" in dict(report.not_reached)[P101]
        rig.device.fails = None
        await rig.clock.sleep(3)
        assert rig.value(P101) == 0

    on_scripted(test)


def test_a_write_of_ours_that_lands_after_the_safe_one_is_undone(on_scripted):
    """The reading agreed before, but a write was under way: one agreeing reading is no proof."""

    async def test(rig: Rig) -> None:
        opening = asyncio.create_task(admit(rig).write({P102: 100}, "begin"))
        for _ in range(4):
            await asyncio.sleep(0)
        assert rig.value(P102) == 0
        rig.device.lands = False
        safe = asyncio.create_task(rig.gate.make_safe("TFF201", "stop"))
        await rig.scans(1)
        rig.device.lands = True
        assert (await safe).complete
        assert rig.device.values[P102] == 0
        await opening

    on_scripted(test)


COMMANDS = st.lists(
    st.tuples(
        st.sampled_from([{XV: 1.0}, {P102: 200.0, INLET: 2.0}, {P101: 700.0, XV: 1.0}, {OUTLET: 1.0, PCV: 50.0}]),
        st.integers(0, 6),
        st.sampled_from([0.0, 0.0, 0.3, 1.0]),
    ),
    max_size=5,
)


@given(commands=COMMANDS, turns=st.integers(0, 12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_under_way_the_skid_ends_safe_and_every_command_has_one_outcome(on_skid, commands, turns):
    async def test(rig: Rig) -> None:
        before = len(rig.events())
        gate_pass = admit(rig)
        tasks = []
        for values, steps, seconds in commands:
            tasks.append(asyncio.create_task(gate_pass.write(values, "random")))
            for _ in range(steps):
                await asyncio.sleep(0)
            await rig.clock.sleep(seconds)
        for _ in range(turns):
            await asyncio.sleep(0)
        report = await rig.gate.make_safe("TFF201", "random")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await rig.clock.sleep(3)
        assert report.complete
        assert rig.skid.safe
        assert all(isinstance(result, CommandRefusedError | CommandResult) for result in results)
        events = rig.events()[before:]
        intents = [event.body["command"] for event in events if event.kind is Kind.COMMAND_INTENT]
        outcomes = [event.body["command"] for event in events if event.kind is Kind.COMMAND_OUTCOME]
        assert sorted(intents) == sorted(outcomes)

    on_skid(test)
