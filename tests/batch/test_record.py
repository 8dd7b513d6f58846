"""A batch record holds everything that concerns the batch and nothing else, and knows when it is not whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from evcontrol.batch.record import UnknownBatchError, read_record, verify_record
from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.journal.events import ENGINE, Kind, Origin, ProcessActor
from tests.batch.story import BATCH, CONSTANTS, OLIVIA, PHASE, START, Story, tell

HASH = "cd" * 32


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_what_the_batch_was_made_of(tmp_path: Path) -> None:
    tell(tmp_path, parameters={"tmp": "5 psi"})
    record = read_record(tmp_path, BATCH)
    assert (record.batch, record.product, record.purpose) == (BATCH, "MSC-EV concentrate", "test")
    assert (record.recipe["name"], record.recipe["version"]) == ("Ultrafiltration by hand", "2.1.0")
    assert record.creator == "user:olivia"
    assert record.units == {"tff": "TFF201"}
    assert {p.name: (p.value, p.recipe_value, p.changed) for p in record.parameters} == {
        "feed_mass": ("2000 g", "2000 g", False),
        "tmp": ("5 psi", "4 psi", True),
    }
    assert record.simulated
    assert [(run.plant, run.clock, run.speed) for run in record.engines] == [("Hall 2", "virtual", 1.0)]


def test_the_timeline_of_every_element(tmp_path: Path) -> None:
    tell(tmp_path)
    record = read_record(tmp_path, BATCH)
    assert list(record.elements) == ["", "uf", "uf/load", "uf/concentrate", "uf/diafilter", "uf/recover"]
    load = record.elements["uf/load"]
    assert (load.level, load.phase, load.unit, load.arguments) == ("phase", "load", "TFF201", {"mass": "feed_mass"})
    assert [(change.old, change.new, change.command) for change in load.changes] == [
        ("Idle", "Running", "start"),
        ("Running", "Complete", ""),
    ]
    assert load.started is not None
    assert load.ended is not None
    assert load.ended - load.started == 63 * NS
    assert [(result.name, result.value, result.unit) for result in load.results] == [("feed", 2000.0, "g")]
    assert (record.state, record.ended, record.created) == ("Complete", record.end, START + 3 * NS)


def test_a_batch_that_goes_on_has_no_end(tmp_path: Path) -> None:
    tell(tmp_path, ends=False)
    record = read_record(tmp_path, BATCH)
    assert (record.state, record.ended) == ("Running", None)
    assert record.end == record.last_t


def test_an_element_can_run_again_after_a_hold(tmp_path: Path) -> None:
    def hold(story: Story) -> None:
        for old, new in (
            ("Running", "Holding"),
            ("Holding", "Held"),
            ("Held", "Restarting"),
            ("Restarting", "Running"),
        ):
            story.state("uf/load", old, new, reason="WT-RET is lost")

    tell(tmp_path, {"load": hold})
    load = read_record(tmp_path, BATCH).elements["uf/load"]
    assert [change.new for change in load.changes] == [
        "Running", "Holding", "Held", "Restarting", "Running", "Complete",
    ]  # fmt: skip
    assert load.started == load.changes[0].t


def test_commands_have_their_outcomes(tmp_path: Path) -> None:
    def command(story: Story) -> None:
        def intent(number: str, tag: str, value: float, origin: Origin, path: str | None) -> None:
            body = {"command": number, "tag": tag, "value": value, "unit": "", "previous": 0.0, "why": "test",
                    "class": "discrete"}  # fmt: skip
            story.event(Kind.COMMAND_INTENT, body, origin=origin, path=path)

        def outcome(number: str, tag: str, word: str, path: str | None) -> None:
            body = {"command": number, "tag": tag, "outcome": word, "reason": "", "read_back": 1.0}
            story.event(Kind.COMMAND_OUTCOME, body, path=path)

        intent("C1", "TFF201.INLET", 1.0, PHASE, "uf/load")
        intent("C2", "TFF201.P101_SP", 200.0, OLIVIA, None)
        outcome("C2", "TFF201.P101_SP", "unknown", None)
        outcome("C1", "TFF201.INLET", "confirmed", "uf/load")
        intent("C3", "TFF201.XV102", 1.0, PHASE, "uf/load")
        intent("C4", "OTHER.PUMP", 1.0, OLIVIA, None)
        body = {"command": "C5", "tag": "TFF201.XV102", "value": 1.0, "unit": "", "reason": "the unit is automatic"}
        story.event(Kind.COMMAND_REFUSED, body, origin=OLIVIA)

    tell(tmp_path, {"load": command})
    commands = {c.command: c for c in read_record(tmp_path, BATCH).commands}
    assert {name: (c.tag, c.outcome, c.refused) for name, c in commands.items()} == {
        "C1": ("TFF201.INLET", "confirmed", False),
        "C2": ("TFF201.P101_SP", "unknown", False),
        "C3": ("TFF201.XV102", "", False),
        "C5": ("TFF201.XV102", "refused", True),
    }
    assert commands["C5"].reason == "the unit is automatic"


def test_questions_and_who_answered_them(tmp_path: Path) -> None:
    def ask(story: Story) -> None:
        body = {"prompt": "uf/load:mass", "kind": "number", "text": "Weigh it", "unit": "g", "low": 1.0, "high": 9.5,
                "choices": [], "meaning": ""}  # fmt: skip
        story.event(Kind.PROMPT_OPENED, body, origin=PHASE, path="uf/load")
        story.event(Kind.PROMPT_OPENED, body, origin=PHASE, path="uf/load")
        answer = {"prompt": "uf/load:mass", "key": "mass", "value": 7.5, "unit": "g", "comment": "second weighing"}
        story.event(Kind.PROMPT_ANSWERED, answer, origin=OLIVIA, path="uf/load")
        story.event(Kind.PROMPT_OPENED, body | {"prompt": "uf/load:other"}, origin=PHASE, path="uf/load")

    tell(tmp_path, {"load": ask})
    answered, waiting = read_record(tmp_path, BATCH).questions
    assert (answered.text, answered.limits, answered.value, answered.actor, answered.station, answered.comment) == (
        "Weigh it", "1 to 9.5 g", 7.5, "user:olivia", "station 1", "second weighing",
    )  # fmt: skip
    assert waiting.answered is None


def test_alarms_and_interlocks_of_its_units_in_its_time(tmp_path: Path) -> None:
    def alarm(name: str, old: str, new: str) -> Callable[[Story], None]:
        body = {"alarm": name, "old": old, "new": new, "priority": "high", "value": 9.0, "unit": "psi", "text": "now"}
        return lambda story: story.event(Kind.ALARM_STATE, body)

    def before(story: Story) -> None:
        alarm("TFF201.OLD", "normal", "unacknowledged")(story)
        alarm("TFF201.OVER", "normal", "unacknowledged")(story)
        alarm("TFF201.OVER", "unacknowledged", "returned")(story)
        alarm("TFF201.OVER", "returned", "normal")(story)
        alarm("BR101.ELSEWHERE", "normal", "unacknowledged")(story)

    def during(story: Story) -> None:
        alarm("TFF201.TMP_HIGH", "normal", "unacknowledged")(story)
        alarm("BR101.ELSEWHERE", "unacknowledged", "acknowledged")(story)
        for name in ("TFF201.TMP_HIGH", "BR101.ELSEWHERE"):
            changed = {"alarm": name, "old": 8.0, "new": 7.5, "unit": "psi", "configured": 8.0, "reason": "it fouls"}
            story.event(Kind.ALARM_SETPOINT, changed, origin=OLIVIA)
        trip = {"interlock": "TFF201.HIGH_TMP", "cause": "TMP 11 psi", "first_out": True}
        story.event(Kind.INTERLOCK_TRIPPED, trip, origin=Origin(ProcessActor.INTERLOCK))
        safe = {"unit": "TFF201", "why": "interlock", "reached": ["TFF201.XV102"], "not_reached": []}
        story.event(Kind.SAFE_STATE, safe)
        story.event(Kind.SAFE_STATE, safe | {"unit": "BR101"})
        reset = {"interlock": "TFF201.HIGH_TMP", "reason": "mended"}
        story.event(Kind.INTERLOCK_RESET, reset, origin=OLIVIA)

    tell(tmp_path, {"before": before, "load": during, "end": alarm("TFF201.LATER", "normal", "unacknowledged")})
    record = read_record(tmp_path, BATCH)
    assert [event.body["alarm"] for event in record.standing] == ["TFF201.OLD"]
    assert [event.body["alarm"] for event in record.alarms] == ["TFF201.TMP_HIGH"]
    assert [event.body["alarm"] for event in record.setpoints] == ["TFF201.TMP_HIGH"]
    assert [event.kind for event in record.interlocks] == [Kind.INTERLOCK_TRIPPED, Kind.INTERLOCK_RESET]
    assert [event.body["unit"] for event in record.safe_states] == ["TFF201"]


def test_things_signatures_reconciliations_and_links(tmp_path: Path) -> None:
    def add(story: Story) -> None:
        module = {
            "module": "SN-1",
            "type": "HF500-1600",
            "area_m2": 0.16,
            "uses": 1,
            "state": "in use",
            "unit": "TFF201",
        }
        story.event(Kind.MODULE_INSTALLED, module, origin=PHASE, path="uf/load")
        container = {"container": "C-1", "type": "product", "content": "empty", "state": "in use", "tare_g": None}
        story.event(Kind.CONTAINER_REGISTERED, container, origin=PHASE, path="uf/load")
        sample = {"sample": "S-1", "container": "V-1", "volume_ml": 2.0, "label": "after load"}
        story.event(Kind.SAMPLE_TAKEN, sample, origin=OLIVIA, path="uf/load")
        shown = {"batch": BATCH, "items": [], "outage_s": 4.0, "hash": HASH, "tags": {}}
        story.event(Kind.RECONCILIATION_SHOWN, shown, path="")
        signature = {"user": "olivia", "full_name": "Olivia Operator", "meaning": "compared", "subject": "x",
                     "shown_hash": HASH, "comment": ""}  # fmt: skip
        story.event(Kind.SIGNATURE, signature, origin=OLIVIA, path="")
        story.event(Kind.LINK_STATE, {"device": "WT-RET", "state": "connecting", "reason": "unplugged"})
        loop = {"loop": "TFF201.PIC_TMP", "mode": "automatic", "setpoint": 4.0, "unit": "psi", "limit_high": 100.0,
                "reason": ""}  # fmt: skip
        story.event(Kind.LOOP_CHANGED, loop, origin=PHASE, path="uf/load")
        story.event(Kind.LOOP_CHANGED, loop | {"loop": "BR101.PH", "unit": "TFF201"})
        mode = {"unit": "TFF201", "old": "automatic", "new": "manual", "reason": "test"}
        story.event(Kind.MODE_CHANGED, mode, origin=OLIVIA)

    tell(tmp_path, {"load": add})
    record = read_record(tmp_path, BATCH)
    assert [event.body["module"] for event in record.modules] == ["SN-1"]
    assert [event.body["container"] for event in record.containers] == ["C-1"]
    assert [event.body["sample"] for event in record.samples] == ["S-1"]
    assert [event.body["shown_hash"] for event in record.signatures] == [HASH]
    assert [event.body["hash"] for event in record.reconciliations] == [HASH]
    assert [event.body["device"] for event in record.links] == ["WT-RET"]
    assert [event.body["loop"] for event in record.loops] == ["TFF201.PIC_TMP"]
    assert [event.kind for event in record.takeovers] == [Kind.MODE_CHANGED]
    olivia = record.people["olivia"]
    assert olivia.full_name == "Olivia Operator"
    assert {"created the batch", "signed", "changed a mode"} <= olivia.deeds.keys()


def test_the_events_of_another_batch_are_not_its_own(tmp_path: Path) -> None:
    def other(story: Story) -> None:
        body = {"old": "Idle", "new": "Aborted", "command": "abort", "reason": "another batch"}
        story.journal.append(Kind.STATE_CHANGED, ENGINE, body, batch="B-0002", path="uf/load")

    tell(tmp_path, {"load": other})
    record = read_record(tmp_path, BATCH)
    assert record.state == "Complete"
    assert all(event.batch == BATCH for event in record.own)


def test_an_unknown_batch_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    tell(tmp_path)
    with pytest.raises(UnknownBatchError, match=r"has no batch B-9 \(it has B-0001\)"):
        read_record(tmp_path, "B-9")
    with pytest.raises(UnknownBatchError, match=r"has no batch B-0001$"):
        verify_record(tmp_path / "nowhere", BATCH)


def test_one_command_to_a_tree_is_one_deed(tmp_path: Path) -> None:
    def hold(story: Story) -> None:
        body = {"old": "Running", "new": "Holding", "command": "hold", "reason": "look at the hose"}
        for path in ("", "uf", "uf/load"):
            story.event(Kind.STATE_CHANGED, body, origin=OLIVIA, path=path)

    tell(tmp_path, {"load": hold})
    record = read_record(tmp_path, BATCH)
    assert record.people["olivia"].deeds["hold: the batch"] == 1
    assert [event.path for event in record.actions if event.body.get("command") == "hold"] == [""]


def test_it_can_be_read_while_the_engine_writes(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        story = Story(tmp_path, clock)
        await story.seconds(3)
        story.create({}, CONSTANTS)
        await story.phase("load", 10, WT_RET=2000.0)
        await story.historian.flush()
        assert verify_record(tmp_path, BATCH).intact
        await story.phase("concentrate", 10, WT_RET=-1000.0)
        await story.historian.close()
        story.journal.close()

    run_virtual(main, START)
    assert read_record(tmp_path, BATCH).elements["uf/concentrate"].state == "Complete"


def test_reading_changes_nothing(tmp_path: Path) -> None:
    tell(tmp_path)
    before = files(tmp_path)
    assert verify_record(tmp_path, BATCH).intact
    after = files(tmp_path)
    assert {name: after[name] for name in before} == before
    # SQLite may lay its shared index beside a file that it only reads.
    assert all(re.fullmatch(r".*\.db-(shm|wal)", name) for name in after.keys() - before.keys())


# -- whether it is whole -----------------------------------------------------------------------------------------------


def test_a_whole_record_is_intact(tmp_path: Path) -> None:
    tell(tmp_path)
    verdict = verify_record(tmp_path, BATCH)
    assert (verdict.intact, verdict.faults, verdict.gaps) == (True, [], [])
    assert verdict.head == read_record(tmp_path, BATCH).head
    assert verdict.events == verdict.head[0]


def segment(data: Path) -> Path:
    return data / "journal" / "000001.jsonl"


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"value":2000.0', b'"value":2999.0'), (b'"new":"Complete"', b'"new":"Aborted!"'), (b'"reason"', b'"raisin"')],
)
def test_a_changed_line_is_found(tmp_path: Path, old: bytes, new: bytes) -> None:
    tell(tmp_path)
    path = segment(tmp_path)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    verdict = verify_record(tmp_path, BATCH)
    assert not verdict.intact
    assert any("000001.jsonl line" in fault for fault in verdict.faults)


def test_a_lost_line_is_found(tmp_path: Path) -> None:
    tell(tmp_path)
    lines = segment(tmp_path).read_bytes().splitlines(keepends=True)
    segment(tmp_path).write_bytes(b"".join([*lines[:5], *lines[6:]]))
    assert not verify_record(tmp_path, BATCH).intact


def test_a_line_that_is_no_event_is_passed_over_and_named(tmp_path: Path) -> None:
    tell(tmp_path)
    lines = segment(tmp_path).read_bytes().splitlines(keepends=True)
    lines[6] = b"nonsense\n"
    segment(tmp_path).write_bytes(b"".join(lines))
    assert read_record(tmp_path, BATCH).state == "Complete"
    assert any("line 7: not JSON" in fault for fault in verify_record(tmp_path, BATCH).faults)


def test_an_event_without_what_it_should_hold_is_left_out_and_named(tmp_path: Path) -> None:
    def short(story: Story) -> None:
        story.event(Kind.ALARM_STATE, {"alarm": "TFF201.TMP_HIGH"})
        story.event(Kind.PHASE_RESULT, {"value": 1.0}, path="uf/load")

    tell(tmp_path, {"load": short})
    assert read_record(tmp_path, BATCH).alarms == []
    faults = verify_record(tmp_path, BATCH).faults
    assert len(faults) == 2
    assert "(alarm.state) is not as it should be: it lacks old, new, priority, text" in faults[0]


def silence(story: Story) -> None:
    story.silent = True


def speech(story: Story) -> None:
    story.silent = False


def test_readings_that_are_missing_without_a_note_are_found(tmp_path: Path) -> None:
    tell(tmp_path, {"load": silence, "after load": speech})
    (fault,) = verify_record(tmp_path, BATCH).faults
    assert re.fullmatch(r"history no readings from 2026-03-01T00:0.* to .*, and no gap was noted", fault)


def test_a_gap_that_was_noted_is_told_and_is_no_fault(tmp_path: Path) -> None:
    began: list[int] = []

    def stop(story: Story) -> None:
        story.silent = True
        began.append(story.clock.now())
        story.event(Kind.HISTORY_GAP, {"from": began[0], "to": began[0], "reason": "disk full"})

    def go_on(story: Story) -> None:
        story.silent = False
        story.event(Kind.HISTORY_GAP, {"from": began[0], "to": story.clock.now(), "reason": "disk full"})

    tell(tmp_path, {"load": stop, "after load": go_on})
    verdict = verify_record(tmp_path, BATCH)
    assert (verdict.intact, verdict.faults) == (True, [])
    assert [(gap.end - gap.start, gap.reason) for gap in verdict.gaps] == [(30 * NS, "disk full")]


def test_a_short_silence_needs_no_note_and_a_fast_clock_allows_a_longer_one(tmp_path: Path) -> None:
    def fast(story: Story) -> None:
        silence(story)
        story.event(Kind.CLOCK_SPEED, {"speed": 30.0, "reason": "as asked"})

    tell(tmp_path, {"load": fast, "after load": speech})
    assert verify_record(tmp_path, BATCH).intact


def test_a_history_that_is_gone_is_found(tmp_path: Path) -> None:
    tell(tmp_path)
    for path in (tmp_path / "history").iterdir():
        path.unlink()
    assert not verify_record(tmp_path, BATCH).intact


def test_a_history_that_is_damaged_is_found(tmp_path: Path) -> None:
    tell(tmp_path)
    (path,) = (tmp_path / "history").glob("*.db")
    path.write_bytes(b"not a database" * 1000)
    verdict = verify_record(tmp_path, BATCH)
    assert not verdict.intact
    assert any(fault.startswith("history ") for fault in verdict.faults)


def test_a_recipe_with_another_hash_is_found(tmp_path: Path) -> None:
    def exchange(story: Story) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        tell(tmp_path, {"begun": exchange})
    path = segment(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"1200 mL/min", b"1800 mL/min"))
    faults = verify_record(tmp_path, BATCH).faults
    assert "the text of the recipe is not the one whose hash the batch was created with" in faults


def test_a_line_that_an_engine_is_writing_is_not_part_of_it_yet(tmp_path: Path) -> None:
    tell(tmp_path)
    before = read_record(tmp_path, BATCH)
    with segment(tmp_path).open("ab") as file:
        file.write(b'{"actor":"engine","batch":"')
    assert read_record(tmp_path, BATCH).head == before.head
    assert verify_record(tmp_path, BATCH).intact
