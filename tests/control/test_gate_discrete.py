"""Discrete commands: journalled, written, read back; refusals; unknown outcomes; cancelled and revoked callers."""

from __future__ import annotations

import asyncio
import errno
import math

import pytest

from drivers.driver import Outcome
from evcontrol.control.command import CommandRefusedError, CommandResult
from evcontrol.control.gate import Gate, GatePass
from evcontrol.control.owner import Holder, Mode, Owner
from evcontrol.journal.events import Kind, Origin
from tests.control.conftest import Rig

XV, P101, P102, PCV = "TFF201.XV102", "TFF201.P101_SP", "TFF201.P102_SP", "TFF201.PCV101_SP"
INLET, OUTLET, STOP, RESET = "TFF201.INLET", "TFF201.OUTLET", "TFF201.FQ_IN_STOP", "TFF201.TRIP_RESET"
ANNA = Origin.user("anna", "console-1")


def admit(gate: Gate, name: str = "B-1/fill") -> GatePass:
    return gate.admit("TFF201", name, "B-1", "filtration/fill")


async def _turns(count: int = 8) -> None:
    """Let every task run for a few steps, without any time passing."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_group_is_confirmed_when_readings_and_actuators_agree(on_skid):
    async def test(rig: Rig) -> None:
        result = await admit(rig.gate).write({INLET: 3, P101: 600, XV: 1, STOP: 123.45}, "begin")
        assert result == CommandResult(Outcome.CONFIRMED, "", {INLET: 3, P101: 600, XV: 1, STOP: pytest.approx(123.45)})
        assert rig.value("TFF201.XV102_FB") == 1
        assert rig.value("TFF201.INLET_ACT") == 3
        assert rig.value("TFF201.FT_FEED") == pytest.approx(600, abs=60)

    on_skid(test)


def test_intents_are_journalled_before_and_outcomes_after_the_write(on_skid):
    async def test(rig: Rig) -> None:
        await admit(rig.gate).write({XV: 1, P102: 100}, "begin")
        intents, outcomes = rig.events(Kind.COMMAND_INTENT), rig.events(Kind.COMMAND_OUTCOME)
        assert [e.body["tag"] for e in intents] == [XV, P102]
        assert intents[0].body | {"command": ""} == {
            "command": "", "tag": XV, "value": 1.0, "unit": "", "previous": 0.0, "why": "begin", "class": "discrete",
        }  # fmt: skip
        assert {(e.batch, e.path, e.actor) for e in intents + outcomes} == {("B-1", "filtration/fill", "phase")}
        assert {e.body["command"] for e in intents} == {e.body["command"] for e in outcomes}
        assert {(e.body["tag"], e.body["outcome"], e.body["read_back"]) for e in outcomes} == {
            (XV, "confirmed", 1.0),
            (P102, "confirmed", 100.0),
        }

    on_skid(test)


def test_nothing_is_sent_before_the_intent_is_on_disk(on_scripted):
    async def test(rig: Rig) -> None:
        seen: list[int] = []
        flush = rig.journal.flush

        async def watched_flush() -> None:
            seen.append(len(rig.device.writes))
            await flush()

        rig.journal.flush = watched_flush
        await admit(rig.gate).write({P102: 100}, "begin")
        assert seen[0] == 0
        assert rig.device.writes == [{P102: 100.0}]

    on_scripted(test)


def test_one_group_is_one_write_of_the_driver(on_scripted):
    async def test(rig: Rig) -> None:
        await admit(rig.gate).write({XV: 1, P101: 500, INLET: 2}, "begin")
        assert rig.device.writes == [{XV: 1, P101: 500, INLET: 2}]

    on_scripted(test)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({P101: math.nan}, "not a number"),
        ({P101: math.inf}, "not a number"),
        ({P101: 3000.1}, "outside 0.0 mL/min to 3000.0 mL/min"),
        ({P101: -1}, "outside"),
        ({INLET: 2.5}, "none of its codes"),
        ({INLET: 6}, "outside none to storage"),
        ({"TFF201.FT_FEED": 1}, "not a tag that can be written"),
        ({"TFF201.NOTHING": 1}, "not a tag that can be written"),
        ({"OTHER.P101_SP": 1}, "not a tag of TFF201"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_nothing_of_the_group_is_sent(on_scripted, values, words):
    async def test(rig: Rig) -> None:
        with pytest.raises(CommandRefusedError, match=words):
            await admit(rig.gate).write({XV: 1, **values}, "begin")
        assert rig.device.writes == []
        assert rig.events(Kind.COMMAND_INTENT) == []
        [refused] = rig.events(Kind.COMMAND_REFUSED)
        assert refused.batch == "B-1"
        assert words.split()[0] in refused.body["reason"]

    on_scripted(test)


def test_a_button_that_clears_itself_is_confirmed_by_the_write_alone(on_skid):
    async def test(rig: Rig) -> None:
        rig.skid.process.ledger.retentate.take(800.0)
        gate_pass = admit(rig.gate)
        await gate_pass.write({P101: 500}, "trips on low level")
        assert rig.value("TFF201.TRIP_LEVEL") == 1
        assert (await gate_pass.write({P101: 0, RESET: 1}, "reset")).outcome is Outcome.CONFIRMED
        await rig.scans(2)
        assert rig.value("TFF201.TRIP_LEVEL") == 0

    on_skid(test)


def test_what_the_device_refuses_is_rejected_with_its_words(on_skid):
    async def test(rig: Rig) -> None:
        rig.skid.take_over()
        result = await admit(rig.gate).write({XV: 1}, "open")
        assert (result.outcome, result.reason) == (Outcome.REJECTED, f"{XV}: the device answered: device failure")

    on_skid(test)


def test_a_write_that_is_acknowledged_but_not_there_is_rejected(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.lands = False
        start = rig.clock.monotonic()
        result = await admit(rig.gate).write({P102: 100}, "begin")
        assert result.outcome is Outcome.REJECTED
        assert "did not land: TFF201.P102_SP reads 0.0 mL/min instead of 100.0 mL/min" in result.reason
        assert 2.0 <= rig.clock.monotonic() - start <= 4.0

    on_scripted(test)


def test_an_actuator_that_does_not_follow_is_unknown_after_its_own_time(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.stuck.add("TFF201.XV102_FB")
        start = rig.clock.monotonic()
        result = await admit(rig.gate).write({XV: 1}, "open")
        assert result.outcome is Outcome.UNKNOWN
        assert "the device took it, but TFF201.XV102_FB reads closed instead of open after 10 s" in result.reason
        assert 10.0 <= rig.clock.monotonic() - start <= 12.0

    on_scripted(test)


def test_no_good_reading_leaves_it_unknown(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.hang = asyncio.Event()
        task = asyncio.create_task(admit(rig.gate).write({P102: 100}, "begin"))
        await rig.scans(1)
        rig.device.hang.set()
        rig.device.ready = False
        result = await task
        assert result.outcome is Outcome.UNKNOWN
        assert "no good reading of TFF201.P102_SP (Bad: not connected)" in result.reason
        assert result.read_back == {P102: None}

    on_scripted(test)


def test_an_unknown_write_that_landed_is_settled_by_reading_back(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.answers = [Outcome.UNKNOWN]
        result = await admit(rig.gate).write({P102: 100}, "begin")
        assert result.outcome is Outcome.CONFIRMED
        assert rig.bodies(Kind.COMMAND_OUTCOME)[0]["reason"] == "settled by reading back"
        assert len(rig.device.writes) == 1

    on_scripted(test)


def test_an_unknown_write_that_did_not_land_is_rejected_and_never_sent_again(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.answers, rig.device.lands = [Outcome.UNKNOWN], False
        result = await admit(rig.gate).write({P102: 100}, "begin")
        assert result.outcome is Outcome.REJECTED
        assert "did not land" in result.reason
        assert len(rig.device.writes) == 1

    on_scripted(test)


def test_an_unknown_write_is_settled_when_the_link_is_back(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.answers, rig.device.lands = [Outcome.UNKNOWN], False
        task = asyncio.create_task(admit(rig.gate).write({P102: 100}, "begin"))
        await _turns()
        rig.device.ready = False
        await rig.clock.sleep(3.0)
        rig.device.land({P102: 100})
        rig.device.ready = True
        assert (await task).outcome is Outcome.CONFIRMED

    on_scripted(test)


def test_an_unknown_write_without_a_reading_stays_unknown_for_a_bounded_time(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.hang = asyncio.Event()
        rig.device.answers = [Outcome.UNKNOWN]
        start = rig.clock.monotonic()
        task = asyncio.create_task(admit(rig.gate).write({P102: 100}, "begin"))
        await rig.scans(1)
        rig.device.ready = False
        rig.device.hang.set()
        result = await task
        assert result.outcome is Outcome.UNKNOWN
        assert "no answer; no good reading" in result.reason
        assert rig.clock.monotonic() - start <= 8.0

    on_scripted(test)


def test_a_driver_that_raises_or_hangs_leaves_the_write_unknown_until_read_back(on_scripted):
    async def test(rig: Rig) -> None:
        gate_pass = admit(rig.gate)
        rig.device.fails = RuntimeError("bug")
        result = await gate_pass.write({P102: 100}, "begin")
        assert result.outcome is Outcome.REJECTED
        assert "the driver failed: bug; did not land" in result.reason
        rig.device.fails, rig.device.hang = None, asyncio.Event()
        result = await gate_pass.write({P102: 100}, "begin")
        assert "the driver did not end the write within 3 s" in result.reason

    on_scripted(test)


def test_a_reading_that_agreed_already_before_a_quick_second_command_is_no_proof(on_scripted):
    """The valve reads closed, is opened and closed again within one scan; the closing does not land."""

    async def test(rig: Rig) -> None:
        gate_pass = admit(rig.gate)
        opening = asyncio.create_task(gate_pass.write({P102: 100}, "on"))
        await _turns()
        rig.device.lands = False
        result = await gate_pass.write({P102: 0}, "off")
        assert result.outcome is Outcome.REJECTED
        assert (await opening).outcome is Outcome.UNKNOWN
        assert "overtaken by a later command" in (await opening).reason

    on_scripted(test)


# -- callers that go away --------------------------------------------------------------------------------------------


def test_the_outcome_of_a_cancelled_caller_is_journalled(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.hang = asyncio.Event()
        task = asyncio.create_task(admit(rig.gate).write({P102: 100}, "begin"))
        await rig.scans(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        rig.device.hang.set()
        await rig.scans(4)
        assert [body["outcome"] for body in rig.bodies(Kind.COMMAND_OUTCOME)] == ["confirmed"]

    on_scripted(test)


def test_a_pass_revoked_during_the_write_still_has_its_outcome(on_scripted):
    async def test(rig: Rig) -> None:
        gate_pass = admit(rig.gate)
        rig.device.hang = asyncio.Event()
        task = asyncio.create_task(gate_pass.write({P102: 100}, "begin"))
        await rig.scans(1)
        rig.gate.revoke(gate_pass)
        rig.device.hang.set()
        assert (await task).outcome is Outcome.CONFIRMED
        with pytest.raises(CommandRefusedError, match="may not command TFF201 any more"):
            await gate_pass.write({P102: 200}, "more")

    on_scripted(test)


def test_a_pass_revoked_before_the_write_is_sent_sends_nothing(on_scripted):
    async def test(rig: Rig) -> None:
        first, second = admit(rig.gate, "B-1/one"), admit(rig.gate, "B-1/two")
        rig.device.hang = asyncio.Event()
        busy = asyncio.create_task(first.write({P102: 100}, "begin"))
        await _turns()
        waiting = asyncio.create_task(second.write({INLET: 2}, "begin"))
        await _turns()
        rig.gate.revoke(second)
        rig.device.hang.set()
        result = await waiting
        assert (result.outcome, (await busy).outcome) == (Outcome.REJECTED, Outcome.CONFIRMED)
        assert "not sent" in result.reason
        assert rig.device.writes == [{P102: 100}]

    on_scripted(test)


def test_closing_the_gate_ends_commands_with_an_outcome(on_scripted):
    async def test(rig: Rig) -> None:
        rig.device.hang = asyncio.Event()
        task = asyncio.create_task(admit(rig.gate).write({P102: 100}, "begin"))
        await rig.scans(1)
        await rig.gate.close()
        assert (await task).outcome is Outcome.UNKNOWN
        assert rig.bodies(Kind.COMMAND_OUTCOME)[0]["reason"] == "not read back: the engine stopped"

    on_scripted(test)


# -- the journal -----------------------------------------------------------------------------------------------------


def test_without_a_journal_nothing_is_sent(on_scripted):
    async def test(rig: Rig) -> None:
        _fill_disk(rig)
        with pytest.raises(CommandRefusedError, match="the journal cannot be written"):
            await admit(rig.gate).write({P102: 100}, "begin")
        assert rig.device.writes == []
        with pytest.raises(CommandRefusedError, match="the journal cannot be written"):
            await rig.gate.set_mode("TFF201", Mode.MANUAL, ANNA, "test")
        assert rig.gate.mode("TFF201") is Mode.AUTOMATIC

    on_scripted(test)


def test_an_intent_that_does_not_reach_the_disk_is_not_sent_and_has_an_outcome(on_scripted):
    async def test(rig: Rig) -> None:
        _break_sync(rig)
        with pytest.raises(CommandRefusedError, match="the journal cannot be written"):
            await admit(rig.gate).write({P102: 100, XV: 1}, "begin")
        assert rig.device.writes == []
        assert [body["outcome"] for body in rig.bodies(Kind.COMMAND_OUTCOME)] == ["rejected", "rejected"]

    on_scripted(test)


def _fill_disk(rig: Rig) -> None:
    """Nothing can be appended any more."""

    def write(data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    rig.journal._writer.write = write


def _break_sync(rig: Rig) -> None:
    """What is appended does not get to the disk."""
    rig.journal._sync_here = lambda: OSError(errno.EIO, "input/output error")
    rig.journal._trouble = "input/output error"


# -- owners and modes ------------------------------------------------------------------------------------------------


def test_a_phase_owns_what_it_writes_until_its_pass_is_revoked(on_scripted):
    async def test(rig: Rig) -> None:
        one, two = admit(rig.gate, "B-1/one"), admit(rig.gate, "B-1/two")
        await one.write({P102: 100}, "begin")
        assert rig.gate.holder(P102) == Holder(Owner.PHASE, "B-1/one")
        with pytest.raises(CommandRefusedError, match="held by B-1/one"):
            await two.write({P102: 200}, "begin")
        rig.gate.revoke(one)
        assert rig.gate.holder(P102).owner is Owner.NONE
        assert (await two.write({P102: 200}, "begin")).outcome is Outcome.CONFIRMED
        changes = [(b["old"], b["new"]) for b in rig.bodies(Kind.OWNER_CHANGED)]
        assert changes == [("none", "phase B-1/one"), ("phase B-1/one", "none"), ("none", "phase B-1/two")]

    on_scripted(test)


def test_the_safe_value_passes_whatever_goes_on_in_the_unit(on_scripted):
    async def test(rig: Rig) -> None:
        one, two = admit(rig.gate, "B-1/one"), admit(rig.gate, "B-1/two")
        await one.write({P102: 100}, "begin")
        rig.gate.lock("TFF201", "TFF201.HIGH_TMP")
        assert rig.gate.holder(P102) == Holder(Owner.INTERLOCK, "TFF201.HIGH_TMP")
        with pytest.raises(CommandRefusedError, match=r"interlock TFF201.HIGH_TMP of TFF201 is tripped"):
            await one.write({P102: 120}, "more")
        assert (await two.write({P102: 0}, "stop")).outcome is Outcome.CONFIRMED
        rig.gate.unlock("TFF201", "TFF201.HIGH_TMP")
        assert (await two.write({INLET: 1}, "on")).outcome is Outcome.CONFIRMED

    on_scripted(test)


def test_a_new_pass_of_the_same_phase_keeps_its_tags_when_the_old_one_is_revoked(on_scripted):
    async def test(rig: Rig) -> None:
        old = admit(rig.gate)
        await old.write({P102: 100}, "begin")
        new = admit(rig.gate)
        rig.gate.revoke(old)
        await new.write({P102: 120}, "go on")
        assert rig.gate.holder(P102) == Holder(Owner.PHASE, "B-1/fill")

    on_scripted(test)


def test_a_person_needs_the_mode_and_owns_the_tag_until_it_is_automatic_again(on_scripted):
    async def test(rig: Rig) -> None:
        gate_pass = admit(rig.gate)
        with pytest.raises(CommandRefusedError, match="set it to manual or semi-automatic first"):
            await rig.gate.command(P102, 50, ANNA, "flush")
        await rig.gate.set_mode("TFF201", Mode.SEMI_AUTOMATIC, ANNA, "flush by hand")
        assert (await rig.gate.command(P102, 50, ANNA, "flush")).outcome is Outcome.CONFIRMED
        assert rig.gate.holder(P102) == Holder(Owner.OPERATOR, "user:anna")
        with pytest.raises(CommandRefusedError, match="held by user:anna; return TFF201 to automatic"):
            await gate_pass.write({P102: 70}, "begin")
        assert (await gate_pass.write({INLET: 1}, "begin")).outcome is Outcome.CONFIRMED
        await rig.gate.set_mode("TFF201", Mode.AUTOMATIC, ANNA, "done")
        assert (await gate_pass.write({P102: 70}, "begin")).outcome is Outcome.CONFIRMED
        [intent] = [e for e in rig.events(Kind.COMMAND_INTENT) if e.actor == "user:anna"]
        assert intent.station == "console-1"
        assert [(b["old"], b["new"]) for b in rig.bodies(Kind.MODE_CHANGED)] == [
            ("automatic", "semi-automatic"),
            ("semi-automatic", "automatic"),
        ]

    on_scripted(test)


def test_phases_do_not_command_a_unit_in_manual_mode(on_scripted):
    async def test(rig: Rig) -> None:
        await rig.gate.set_mode("TFF201", Mode.MANUAL, ANNA, "test")
        with pytest.raises(CommandRefusedError, match="TFF201 is in manual mode"):
            await admit(rig.gate).write({INLET: 1}, "begin")

    on_scripted(test)


@pytest.mark.parametrize("tag", ["NOUNIT.X", "TFF201.FT_FEED", "X"])
def test_a_person_cannot_command_what_cannot_be_written(on_scripted, tag):
    async def test(rig: Rig) -> None:
        await rig.gate.set_mode("TFF201", Mode.MANUAL, ANNA, "test")
        with pytest.raises(CommandRefusedError, match="not a tag that can be written"):
            await rig.gate.command(tag, 1.0, ANNA, "try")

    on_scripted(test)
