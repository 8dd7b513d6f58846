"""Modulating outputs, heartbeats, and changes that somebody else made at the device."""

from __future__ import annotations

import asyncio
import math

import pytest

from drivers.driver import Outcome
from evcontrol.control.command import CommandRefusedError
from evcontrol.control.gate import GatePass
from evcontrol.control.owner import Holder, Mode, Owner
from evcontrol.journal.events import Kind, Origin
from tests.control.conftest import Rig

P101, P102, PCV, STOP, INLET = (f"TFF201.{n}" for n in ("P101_SP", "P102_SP", "PCV101_SP", "FQ_IN_STOP", "INLET"))
PIC, WIC = "TFF201.PIC_TMP", "TFF201.WIC_RET"
ANNA = Origin.user("anna", "console-1")


def admit(rig: Rig) -> GatePass:
    return rig.gate.admit("TFF201", "B-1/fill", "B-1", "filtration/fill")


def listen(rig: Rig) -> list[tuple[str, str, float, float]]:
    heard: list[tuple[str, str, float, float]] = []
    rig.gate.on_local = lambda *change: heard.append(change)
    return heard


def test_a_granted_loop_writes_its_latest_value_once_per_scan(on_scripted):
    async def test(rig: Rig) -> None:
        rig.gate.grant(PCV, PIC)
        rig.gate.grant(P102, WIC)
        rig.gate.modulate(PCV, 50, PIC)
        rig.gate.modulate(PCV, 40, PIC)
        rig.gate.modulate(P102, 10, WIC)
        await rig.scans(2)
        assert rig.device.writes == [{PCV: 40, P102: 10}]
        assert rig.events(Kind.COMMAND_INTENT) == []

    on_scripted(test)


def test_only_the_owner_modulates_and_the_range_holds(on_scripted):
    async def test(rig: Rig) -> None:
        rig.gate.modulate(PCV, 50, PIC)
        rig.gate.grant(PCV, PIC)
        rig.gate.modulate(PCV, 50, "TFF201.OTHER")
        rig.gate.modulate(PCV, math.nan, PIC)
        await rig.scans(2)
        assert rig.device.writes == []
        rig.gate.modulate(PCV, 130, PIC)
        await rig.scans(2)
        assert rig.device.writes == [{PCV: 100}]

    on_scripted(test)


def test_a_loop_takes_the_tag_from_its_phase_and_gives_it_back(on_scripted):
    async def test(rig: Rig) -> None:
        gate_pass = admit(rig)
        await gate_pass.write({PCV: 80}, "begin")
        rig.gate.grant(PCV, PIC)
        assert rig.gate.holder(PCV) == Holder(Owner.LOOP, PIC)
        with pytest.raises(CommandRefusedError, match=r"held by loop TFF201\.PIC_TMP; stop that loop first"):
            await gate_pass.write({PCV: 70}, "more")
        with pytest.raises(CommandRefusedError, match=r"held by loop TFF201\.PIC_TMP"):
            rig.gate.grant(PCV, "TFF201.OTHER")
        rig.gate.release(PCV)
        assert rig.gate.holder(PCV) == Holder(Owner.PHASE, "B-1/fill")
        assert (await gate_pass.write({PCV: 70}, "more")).outcome is Outcome.CONFIRMED

    on_scripted(test)


def test_a_safe_value_of_the_phase_takes_the_tag_from_the_loop(on_scripted):
    async def test(rig: Rig) -> None:
        rig.gate.grant(PCV, PIC)
        rig.gate.modulate(PCV, 40, PIC)
        await rig.scans(2)
        gate_pass = admit(rig)
        result = await gate_pass.write({PCV: 100}, "open")
        rig.gate.modulate(PCV, 30, PIC)
        await rig.scans(3)
        assert result.outcome is Outcome.CONFIRMED
        assert rig.device.writes[-1] == {PCV: 100}
        assert rig.gate.holder(PCV) == Holder(Owner.PHASE, "B-1/fill")

    on_scripted(test)


def test_a_person_takes_over_from_a_loop_and_hands_back(on_scripted):
    async def test(rig: Rig) -> None:
        rig.gate.grant(PCV, PIC)
        await rig.gate.set_mode("TFF201", Mode.SEMI_AUTOMATIC, ANNA, "look")
        await rig.gate.command(PCV, 60, ANNA, "look")
        rig.gate.modulate(PCV, 30, PIC)
        await rig.scans(2)
        assert rig.device.writes == [{PCV: 60}]
        await rig.gate.set_mode("TFF201", Mode.AUTOMATIC, ANNA, "done")
        rig.gate.modulate(PCV, 59, PIC)
        await rig.scans(2)
        assert rig.device.writes[-1] == {PCV: 59}

    on_scripted(test)


def test_a_locked_unit_modulates_only_to_its_safe_value(on_scripted):
    async def test(rig: Rig) -> None:
        rig.gate.grant(PCV, PIC)
        rig.gate.modulate(PCV, 50, PIC)
        rig.gate.lock("TFF201", "TFF201.HIGH_TMP")
        rig.gate.modulate(PCV, 30, PIC)
        await rig.scans(2)
        assert rig.device.writes == []
        rig.gate.modulate(PCV, 100, PIC)
        await rig.scans(2)
        assert rig.device.writes == [{PCV: 100}]
        with pytest.raises(CommandRefusedError, match="is tripped"):
            rig.gate.grant(P102, WIC)

    on_scripted(test)


def test_a_hung_device_neither_piles_up_writes_nor_holds_the_flush(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.hang = asyncio.Event()
        rig.gate.grant(PCV, PIC)
        for value in (50, 49, 48):
            rig.gate.modulate(PCV, value, PIC)
            await rig.gate.flush_modulating()
            await asyncio.sleep(0)
        assert rig.device.writes == [{PCV: 50}]
        rig.device.hang.set()
        await rig.scans(2)
        assert rig.device.writes == [{PCV: 50}, {PCV: 48}]

    on_scripted(test)


def test_heartbeats_go_to_ready_devices_and_do_not_pile_up(on_scripted):
    async def test(rig: Rig) -> None:
        before = rig.device.beats
        await rig.scans(3)
        assert rig.device.beats == before + 3
        rig.device.hang_beats = asyncio.Event()
        await rig.scans(5)
        assert rig.device.beats == before + 4
        rig.device.hang_beats.set()
        rig.device.ready = False
        await rig.scans(3)
        assert rig.device.beats == before + 4

    on_scripted(test)


def test_the_skids_watchdog_stays_fed(on_skid):
    async def test(rig: Rig) -> None:
        await admit(rig).write({P101: 400}, "begin")
        await rig.clock.sleep(60)
        assert rig.value("TFF201.TRIP") == 0
        assert rig.value("TFF201.FT_FEED") == pytest.approx(400, abs=60)

    on_skid(test)


# -- changed by somebody else ------------------------------------------------------------------------------------------


def test_a_change_at_the_panel_is_journalled_told_once_and_not_fought(on_skid):
    async def test(rig: Rig) -> None:
        heard = listen(rig)
        await admit(rig).write({P101: 400}, "begin")
        rig.skid.take_over(P101=3000)
        await rig.scans(8)
        assert heard == [("TFF201", P101, 400.0, 300.0)]
        [event] = rig.events(Kind.LOCAL_CHANGE)
        assert dict(event.body) == {"tag": P101, "expected": 400.0, "read": 300.0}
        assert (event.batch, event.actor) == ("B-1", "device")
        assert [write for write in rig.wire.sent if write[1] == 2] == [("holding", 2, [4000])]
        rig.skid.take_over(P101=2500)
        await rig.scans(5)
        assert heard[1:] == [("TFF201", P101, 300.0, 250.0)]

    on_skid(test)


def test_a_loop_lets_go_of_an_actuator_that_was_taken_over(on_skid):
    async def test(rig: Rig) -> None:
        heard = listen(rig)
        rig.gate.grant(PCV, PIC)
        for step in range(5):
            rig.gate.modulate(PCV, 80 - step, PIC)
            await rig.scans(1)
        rig.skid.take_over(PCV101=1000)
        for step in range(6):
            rig.gate.modulate(PCV, 70 - step, PIC)
            await rig.scans(1)
        assert [change[1:2] + change[3:] for change in heard] == [(PCV, 10.0)]
        assert rig.gate.holder(PCV).owner is Owner.NONE
        rig.skid.hand_back()
        sent = len(rig.wire.sent)
        rig.gate.modulate(PCV, 50, PIC)
        await rig.scans(3)
        assert len(rig.wire.sent) == sent
        rig.gate.grant(PCV, PIC)
        rig.gate.modulate(PCV, 12, PIC)
        await rig.scans(3)
        assert rig.value(PCV) == 12

    on_skid(test)


def test_a_loop_that_moves_its_actuator_is_no_local_change(on_skid):
    async def test(rig: Rig) -> None:
        heard = listen(rig)
        rig.gate.grant(PCV, PIC)
        for step in range(60):
            rig.gate.modulate(PCV, 100 - step * 1.37, PIC)
            await rig.scans(1)
        rig.gate.release(PCV)
        await rig.scans(5)
        assert heard == []

    on_skid(test)


def test_a_dose_that_stops_itself_is_a_local_change_unless_it_was_allowed(on_skid):
    async def test(rig: Rig) -> None:
        heard = listen(rig)
        gate_pass = admit(rig)
        gate_pass.allow(P102, 0)
        await gate_pass.write({INLET: 2, STOP: 50}, "prepare")
        await gate_pass.write({P102: 300}, "dose")
        await rig.clock.sleep(20)
        assert rig.value(P102) == 0
        assert heard == []
        await gate_pass.write({STOP: 100}, "prepare")
        await gate_pass.write({P102: 300}, "dose")
        rig.gate.revoke(gate_pass)
        await rig.clock.sleep(20)
        assert [change[1] for change in heard] == [P102]

    on_skid(test)


def test_a_dose_that_is_over_within_one_scan_is_confirmed_only_when_it_may_stop_itself(on_skid):
    async def test(rig: Rig) -> None:
        heard = listen(rig)
        gate_pass = admit(rig)
        await gate_pass.write({INLET: 2, STOP: 1}, "prepare")
        result = await gate_pass.write({P102: 300}, "dose")
        assert result.outcome is Outcome.REJECTED
        gate_pass.allow(P102, 0)
        await gate_pass.write({STOP: round(rig.value("TFF201.FQ_IN") + 1, 2)}, "prepare")
        result = await gate_pass.write({P102: 300}, "dose")
        assert result.outcome is Outcome.CONFIRMED
        assert "ended by the device since: TFF201.P102_SP reads 0.0 mL/min" in result.reason
        await rig.scans(5)
        assert heard == []

    on_skid(test)


def test_a_trip_of_the_controller_is_told_as_a_change_at_the_device(on_skid):
    async def test(rig: Rig) -> None:
        heard = listen(rig)
        await admit(rig).write({P101: 500, INLET: 2}, "begin")
        rig.skid._trip(1)
        await rig.scans(5)
        assert {change[1] for change in heard} == {P101, INLET}

    on_skid(test)


def test_a_lost_link_is_no_local_change(on_skid):
    async def test(rig: Rig) -> None:
        heard = listen(rig)
        await admit(rig).write({P102: 0, INLET: 2}, "begin")
        rig.wire.pulled = True
        await rig.clock.sleep(2)
        rig.wire.pulled = False
        await rig.clock.sleep(4)
        assert heard == []

    on_skid(test)
