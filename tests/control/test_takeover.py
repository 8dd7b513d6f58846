"""What others do to a device: a value changed at its panel, a controller that restarted. Seen, told, and not fought."""

from __future__ import annotations

import pytest

from drivers.driver import Outcome
from evcontrol.control.gate import GatePass
from evcontrol.control.owner import NOBODY, Holder, Mode, Owner
from evcontrol.journal.events import Kind, Origin
from simulators.devices.skid_registers import Holding
from tests.control.conftest import Rig

P101, P102, PCV, INLET = (f"TFF201.{n}" for n in ("P101_SP", "P102_SP", "PCV101_SP", "INLET"))
PIC = "TFF201.PIC_TMP"
ANNA = Origin.user("anna", "console-1")


def admit(rig: Rig) -> GatePass:
    return rig.gate.admit("TFF201", "B-1/fill", "B-1", "filtration/fill")


def sent(rig: Rig, register: Holding) -> int:
    """How often a register was written."""
    return sum(1 for kind, address, _ in rig.wire.sent if kind == "holding" and address == register)


def at_the_panel(rig: Rig, register: Holding, raw: int) -> None:
    """Somebody changes a setpoint at the panel, without switching to local."""
    rig.skid._holding[register] = raw


def test_a_value_changed_at_the_panel_takes_the_actuator_from_the_phase_that_commanded_it(on_skid):
    async def test(rig: Rig) -> None:
        await admit(rig).write({P101: 400}, "begin")
        before = sent(rig, Holding.P101)
        at_the_panel(rig, Holding.P101, 2500)
        await rig.scans(6)
        assert rig.gate.holder(P101) == NOBODY
        [change] = rig.bodies(Kind.LOCAL_CHANGE)
        assert dict(change) == {"tag": P101, "expected": 400.0, "read": 250.0}
        lost = rig.bodies(Kind.OWNER_CHANGED)[-1]
        assert (lost["tag"], lost["old"], lost["new"]) == (P101, "phase B-1/fill", "none")
        assert lost["reason"] == "changed at the device"
        await rig.scans(20)
        assert (sent(rig, Holding.P101), rig.value(P101)) == (before, 250.0)

    on_skid(test)


def test_a_value_changed_at_the_panel_takes_the_actuator_from_a_person_too(on_skid):
    async def test(rig: Rig) -> None:
        await rig.gate.set_mode("TFF201", Mode.MANUAL, ANNA, "trial")
        assert (await rig.gate.command(P101, 400, ANNA, "trial")).outcome is Outcome.CONFIRMED
        assert rig.gate.holder(P101) == Holder(Owner.OPERATOR, "user:anna")
        at_the_panel(rig, Holding.P101, 1000)
        await rig.scans(6)
        assert rig.gate.holder(P101) == NOBODY
        assert (await rig.gate.command(P101, 300, ANNA, "again")).outcome is Outcome.CONFIRMED
        assert rig.gate.holder(P101) == Holder(Owner.OPERATOR, "user:anna")

    on_skid(test)


def test_a_value_that_nobody_here_has_commanded_is_seen_to_change_as_well(on_skid):
    async def test(rig: Rig) -> None:
        heard: list[tuple[str, str, float, float]] = []
        rig.gate.on_local = lambda *change: heard.append(change)
        first = rig.value(P102)
        at_the_panel(rig, Holding.P102, 770)
        await rig.scans(6)
        assert heard == [("TFF201", P102, first, 77.0)]
        assert rig.wire.sent == []

    on_skid(test)


def test_a_restarted_controller_loses_its_owners_and_is_told_with_what_it_came_back_with(on_skid):
    async def test(rig: Rig) -> None:
        heard: list[tuple[str, str, str]] = []
        rig.gate.on_restart = lambda *restart: heard.append(restart)
        gate_pass = admit(rig)
        await gate_pass.write({P101: 400, INLET: 2}, "begin")
        rig.gate.grant(PCV, PIC)
        rig.gate.modulate(PCV, 60, PIC)
        await rig.scans(3)
        starts, before = rig.value("TFF201.STARTS"), len(rig.wire.sent)
        rig.skid.power_up()
        await rig.clock.sleep(10)
        words = f"TFF201 restarted (start counter {starts:g} to {starts + 1:g})"
        assert heard == [("TFF201", "TFF201", words)]
        [restart] = rig.bodies(Kind.DEVICE_RESTARTED)
        assert (restart["device"], restart["unit"]) == ("TFF201", "TFF201")
        assert (restart["before"], restart["after"]) == (starts, starts + 1)
        changed = {c["tag"]: (c["expected"], c["read"]) for c in restart["changed"]}
        told = changed | {c["tag"]: (c["expected"], c["read"]) for c in rig.bodies(Kind.LOCAL_CHANGE)}
        assert (told[P101], told[INLET], told[PCV]) == ((400.0, 0.0), (2.0, 0.0), (60.0, 100.0))
        assert {rig.gate.holder(tag) for tag in (P101, INLET, PCV)} == {NOBODY}
        assert {rig.value(P101), rig.value(INLET)} == {0.0}
        # The watchdog's time is part of the driver's set-up (register 1); no setpoint is written back.
        assert [write for write in rig.wire.sent[before:] if write[:2] != ("holding", 1)] == []
        assert (await gate_pass.write({INLET: 0}, "again")).outcome is Outcome.CONFIRMED

    on_skid(test)


@pytest.mark.parametrize("away_s", [0.0, 5.0])
def test_a_lost_link_alone_is_no_restart(on_skid, away_s):
    async def test(rig: Rig) -> None:
        await admit(rig).write({P101: 400}, "begin")
        rig.wire.pulled = True
        await rig.clock.sleep(away_s)
        rig.wire.pulled = False
        await rig.clock.sleep(5)
        assert rig.bodies(Kind.DEVICE_RESTARTED) == []
        assert rig.gate.holder(P101).owner is Owner.PHASE

    on_skid(test)


def test_a_restart_during_an_outage_is_seen_when_the_link_is_back(on_skid):
    async def test(rig: Rig) -> None:
        await admit(rig).write({P101: 400}, "begin")
        rig.wire.pulled = True
        await rig.clock.sleep(3)
        rig.skid.power_up()
        await rig.clock.sleep(3)
        assert rig.bodies(Kind.DEVICE_RESTARTED) == []
        rig.wire.pulled = False
        await rig.clock.sleep(5)
        assert len(rig.bodies(Kind.DEVICE_RESTARTED)) == 1
        assert rig.gate.holder(P101) == NOBODY

    on_skid(test)


def test_a_panel_that_is_used_while_the_unit_is_made_safe_is_still_told_with_the_old_and_the_new_value(on_skid):
    async def test(rig: Rig) -> None:
        await admit(rig).write({P101: 400, INLET: 2}, "begin")
        rig.skid.take_over(P101=2500)
        report = await rig.gate.make_safe("TFF201", "interlock TFF201.LOCAL")
        assert not report.complete
        await rig.scans(6)
        assert [dict(body) for body in rig.bodies(Kind.LOCAL_CHANGE)] == [
            {"tag": P101, "expected": 400.0, "read": 250.0}
        ]
        rig.skid.hand_back()
        await rig.clock.sleep(20)
        assert (rig.value(P101), rig.value(INLET)) == (0.0, 0.0)
        assert len(rig.bodies(Kind.LOCAL_CHANGE)) == 1

    on_skid(test)
