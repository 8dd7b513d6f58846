"""The driver of NTA counters on real folders: requests, exports, restarts, and folders that go away or hang."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.driver import BoundPoint, LinkState, Outcome
from drivers.nta_folder import NtaFolderDriver, NtaFolderOptions, NtaFolderPoint
from drivers.nta_ledger import LEDGER
from drivers.nta_values import NtaField
from drivers.nta_watch import FolderWatch, State
from evcontrol.clock import LiveClock, run_virtual
from evcontrol.quality import BAD_CONFIGURATION, BAD_NOT_CONNECTED, BAD_TIMEOUT, BAD_WAITING_FOR_INITIAL, GOOD
from evcontrol.signals import Tag, TagKind
from tests.drivers.build import link_is
from tests.drivers.nta_files import measurement, summary
from tests.drivers.nta_rig import Rig

Test = Callable[[Rig], Awaitable[None]]


def on_folders(root: Path, test: Test, *, ready: bool = True, **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            rig = Rig(root, LiveClock(), **options)
            try:
                await rig.driver.start()
                if ready:
                    await link_is(rig.driver, LinkState.READY, 5)
                await test(rig)
            finally:
                await rig.driver.stop()

    asyncio.run(main())


# -- requests --------------------------------------------------------------------------------------------------------


def test_before_the_first_request_all_is_read_and_nothing_has_a_result(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        found = await rig.read()
        assert [found[name] for name in ("state", "request", "sample_no", "result_no", "result_request")] == [0.0] * 5
        assert found["conc_measured"] == -BAD_WAITING_FOR_INITIAL
        assert found["file"] == -BAD_WAITING_FOR_INITIAL

    on_folders(tmp_path, test)


def test_a_request_is_one_file_that_is_there_whole(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        assert await rig.ask(7) == (Outcome.CONFIRMED, "")
        assert [path.name for path in (tmp_path / "worklists").glob("[!.]*")] == ["worklist-7.csv"]
        text = (tmp_path / "worklists" / "worklist-7.csv").read_bytes()
        assert text == b"Request,Sample,Kind,Dilution,Videos\r\n7,S-000042,pool,1000,3\r\n"
        found = await rig.read()
        assert [found[name] for name in ("request", "sample_no", "kind", "dilution", "videos")] == [7, 42, 4, 1000, 3]
        assert found["state"] == State.REQUESTED
        (tmp_path / "worklists" / "worklist-7.csv").unlink()
        assert (await rig.read())["state"] == State.MEASURING

    on_folders(tmp_path, test)


def test_the_same_request_again_changes_nothing_and_another_content_is_rejected(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        (tmp_path / "worklists" / "worklist-7.csv").unlink()
        assert await rig.ask(7) == (Outcome.CONFIRMED, "")
        assert not (tmp_path / "worklists" / "worklist-7.csv").exists()
        assert await rig.ask(7, videos=5) == (Outcome.REJECTED, "request 7 was made already, for something else")
        assert await rig.ask(6) == (Outcome.REJECTED, "request 6 is not above the last one, 7")
        assert (await rig.read())["request"] == 7

    on_folders(tmp_path, test)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"videos": 11.0}, "videos: 11 is not a whole number from 1 to 10"),
        ({"videos": 2.5}, "videos: 2.5 is not a whole number from 1 to 10"),
        ({"kind": 0.0}, "kind: 0 is not a whole number from 1 to 8"),
        ({"dilution": 0.5}, "dilution: 0.5 is not a number from 1 to 1000000000"),
        ({"dilution": float("nan")}, "dilution: nan is not a number from 1 to 1000000000"),
        ({"request": float("inf")}, "request: inf is not a whole number from 1 to 999999999"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_rejected(tmp_path: Path, values: Any, words: str) -> None:
    async def test(rig: Rig) -> None:
        assert await rig.ask(**{"request": 7, **values}) == (Outcome.REJECTED, words)
        assert list((tmp_path / "worklists").glob("[!.]*")) == []

    on_folders(tmp_path, test)


def test_part_of_a_request_is_rejected_and_another_tag_is_a_mistake(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        results = await rig.driver.write({"NTA.DILUTION": 10.0, "NTA.REQUEST": 7.0})
        reason = "a request is written as a whole: sample_no, kind, videos missing"
        assert {(r.outcome, r.reason) for r in results.values()} == {(Outcome.REJECTED, reason)}
        for name in ("NTA.STATE", "NTA.NO_SUCH"):
            with pytest.raises(KeyError, match=name):
                await rig.driver.write({name: 1.0})

    on_folders(tmp_path, test)


def test_a_request_that_the_disk_refuses_is_rejected_and_nothing_is_left(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        (tmp_path / "worklists" / ".worklist-7.csv.new").mkdir()
        outcome, reason = await rig.ask(7)
        assert outcome is Outcome.REJECTED
        assert reason.endswith("worklist-7.csv: is a directory")
        assert (await rig.read())["request"] == 0
        assert await rig.ask(8) == (Outcome.CONFIRMED, "")

    on_folders(tmp_path, test)


def test_a_worklist_that_the_counter_rejects_has_failed(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        rejected = tmp_path / "worklists" / "rejected"
        rejected.mkdir()
        (rejected / "worklist-7.txt").write_text("no such cell\n")
        (tmp_path / "worklists" / "worklist-7.csv").rename(rejected / "worklist-7.csv")
        found = await rig.read()
        assert found["state"] == State.FAILED
        assert found["trouble"] == "worklist-7.csv was rejected by the counter: no such cell"

    on_folders(tmp_path, test)


# -- exports ---------------------------------------------------------------------------------------------------------


def test_a_result_comes_whole_in_one_frame_and_its_original_stays(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        path = rig.export("S-000042 R000007")
        found = await rig.until(result_request=7.0)
        assert found["state"] == State.DONE
        assert (found["result_no"], found["file"]) == (42.0, path.name)
        assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert found["software"] == "NanoSight NTA 3.4 Build 3.4.003"
        assert found["captured_at"] == "2026-09-24T15:35:56"
        assert found["conc_stock"] == pytest.approx(1000 * found["conc_measured"])
        assert (found["dilution_recorded"], found["replicates"]) == (1000.0, 3.0)
        assert found["warnings"] == found["checks"] == found["trouble"] == ""
        assert (tmp_path / "archive" / "taken" / f"{found['sha256']}.csv").read_bytes() == path.read_bytes()

    on_folders(tmp_path, test)


def test_without_a_recorded_dilution_the_stock_is_bad(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        rig.export("a", summary(measurement(dilution=None)))
        found = await rig.until(result_request=7.0)
        assert found["conc_stock"] == found["dilution_recorded"] == -BAD_CONFIGURATION
        assert found["conc_measured"] == pytest.approx(5e8, rel=0.2)

    on_folders(tmp_path, test)


def test_what_the_instrument_calls_unreliable_is_uncertain(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        rig.export("a", summary(measurement(particles_per_ml=1e7)))
        found = await rig.until(result_request=7.0)
        frame = await rig.driver.read()
        assert frame.quality[list(NtaField).index(NtaField.CONC_STOCK)] == 0x4093_0000
        assert frame.quality[list(NtaField).index(NtaField.MEAN)] == GOOD
        assert "Unreliable" in found["warnings"]
        assert "particles per frame" in found["checks"]

    on_folders(tmp_path, test)


def test_an_export_that_grows_is_taken_only_when_it_is_whole(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        data = summary().encode()
        path = tmp_path / "exports" / "S-000042 a-ExperimentSummary.csv"
        last = data.rindex(b"\n100,") + 8
        for begin, end in ((0, 5000), (5000, last), (last, len(data))):
            with path.open("ab") as file:
                file.write(data[begin:end])
            if end < len(data):
                await rig.clock.sleep(0.15)  # longer than a file has to stand still
                assert (await rig.read())["result_request"] == 0.0
        found = await rig.until(result_request=7.0)
        assert found["sha256"] == hashlib.sha256(data).hexdigest()
        assert found["quarantined"] == 0

    on_folders(tmp_path, test)


def test_an_export_that_stays_incomplete_is_quarantined_and_taken_when_it_is_finished_after_all(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        path = rig.export("S-000042 a", summary()[:9000])
        found = await rig.until(quarantined=1.0)
        assert found["state"] == State.FAILED
        assert "is complete; wait until it is written" in found["trouble"]
        path.write_text(summary())
        assert (await rig.until(result_request=7.0))["state"] == State.DONE

    on_folders(tmp_path, test)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Particle ID,Size/nm\n", "a list of particles"),
        (summary().replace("\nMean,1", "\nMean,2"), "contradicts itself (mean: "),
    ],
)
def test_what_cannot_be_read_is_quarantined_with_the_reason(tmp_path: Path, text: str, words: str) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        path = rig.export("S-000042 a", text)
        found = await rig.until(quarantined=1.0)
        assert (found["state"], found["result_request"]) == (State.FAILED, 0.0)
        assert words in found["trouble"]
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        assert (tmp_path / "archive" / "quarantine" / f"{sha256}.csv").read_bytes() == path.read_bytes()
        assert words in (tmp_path / "archive" / "quarantine" / f"{sha256}.reason.txt").read_text()
        assert path.exists()
        rig.export("S-000042 again")
        assert (await rig.until(result_request=7.0))["state"] == State.DONE

    on_folders(tmp_path, test)


def test_an_export_that_nobody_asked_for_is_no_result(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        rig.export("before")  # of the same sample, but before it was asked for
        await rig.until(trouble="before-ExperimentSummary.csv: nobody waits for a count of sample 'S-000042'")
        await rig.ask(7)
        rig.export("other", sample="MSC d200")
        found = await rig.until(trouble="other-ExperimentSummary.csv: nobody waits for a count of sample 'MSC d200'")
        assert (found["result_request"], found["state"], found["quarantined"]) == (0.0, State.REQUESTED, 0.0)

    on_folders(tmp_path, test)


def test_an_export_that_was_not_looked_at_before_the_request_is_not_its_result(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.read()
        rig.export("old")
        await rig.ask(7)
        found = await rig.until(trouble="old-ExperimentSummary.csv: nobody waits for a count of sample 'S-000042'")
        assert found["result_request"] == 0.0

    on_folders(tmp_path, test)


def test_two_exports_at_once_come_in_two_frames_each_for_its_request(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7, 42)
        await rig.ask(8, 43)
        rig.export("a", sample="S-000043")
        rig.export("b", sample="S-000042")
        seen = []
        while len(seen) < 2:
            found = await rig.read()
            if found["result_request"] and found["result_request"] not in seen:
                seen.append(found["result_request"])
                assert found["result_no"] == {7.0: 42.0, 8.0: 43.0}[found["result_request"]]
        assert sorted(seen) == [7.0, 8.0]

    on_folders(tmp_path, test)


def test_a_copy_or_a_second_export_of_what_was_taken_is_not_taken_again(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        rig.export("a")
        first = await rig.until(result_request=7.0)
        await rig.ask(8)
        rig.export("a copy")
        other = rig.export("c", summary(measurement(seed=9)))
        found = await rig.until(result_request=8.0)
        assert found["file"] == other.name
        assert found["sha256"] != first["sha256"]
        assert (tmp_path / "archive" / LEDGER).read_text().count('"taken"') == 2

    on_folders(tmp_path, test)


def test_after_a_restart_the_last_request_and_result_are_read_back_and_nothing_is_taken_again(tmp_path: Path) -> None:
    names = ("request", "sample_no", "kind", "dilution", "videos", "state", "result_request", "sha256", "conc_stock")
    before: dict[str, Any] = {}

    async def first(rig: Rig) -> None:
        await rig.ask(7)
        rig.export("a")
        before.update(await rig.until(result_request=7.0))

    async def second(rig: Rig) -> None:
        found = await rig.read()
        assert {name: found[name] for name in names} == {name: before[name] for name in names}
        await rig.clock.sleep(0.2)
        assert (tmp_path / "archive" / LEDGER).read_text().count('"taken"') == 1
        await rig.ask(8)

    async def third(rig: Rig) -> None:
        found = await rig.read()
        assert (found["request"], found["state"], found["result_request"]) == (8.0, State.REQUESTED, 7.0)

    for test in (first, second, third):
        on_folders(tmp_path, test)


def test_a_worklist_that_was_placed_but_not_noted_is_read_back_wherever_the_counter_put_it(tmp_path: Path) -> None:
    async def crash(rig: Rig) -> None:
        await rig.ask(7)

    async def test(rig: Rig) -> None:
        found = await rig.read()
        assert (found["request"], found["sample_no"], found["state"]) == (7.0, 42.0, State.MEASURING)
        rig.export("a")
        await rig.until(result_request=7.0)

    on_folders(tmp_path, crash)
    ledger = tmp_path / "archive" / LEDGER
    ledger.write_text("".join(line for line in ledger.read_text().splitlines(True) if "requested" not in line))
    (tmp_path / "worklists" / "taken").mkdir()
    (tmp_path / "worklists" / "worklist-7.csv").rename(tmp_path / "worklists" / "taken" / "worklist-7.csv")
    on_folders(tmp_path, test)


def test_a_damaged_copy_in_the_archive_is_told_and_not_read(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        await rig.ask(7)
        rig.export("a")
        await rig.until(result_request=7.0)

    async def second(rig: Rig) -> None:
        found = await rig.read()
        assert found["conc_stock"] == -BAD_WAITING_FOR_INITIAL
        assert "its copy in the archive was changed" in found["trouble"]
        assert found["state"] == State.DONE

    on_folders(tmp_path, first)
    copy = next((tmp_path / "archive" / "taken").iterdir())
    copy.write_bytes(copy.read_bytes() + b",\n")
    on_folders(tmp_path, second)


# -- folders that are not there --------------------------------------------------------------------------------------


def test_a_folder_that_goes_away_is_a_lost_link_and_comes_back(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        for name in ("exports", "worklists", "archive"):
            folder, away = tmp_path / name, tmp_path / f"{name} away"
            folder.rename(away)
            assert await rig.qualities() == {BAD_NOT_CONNECTED}
            assert rig.driver.link.state is not LinkState.READY
            await link_is(rig.driver, LinkState.DISCONNECTED, 5, str(folder))
            outcome, reason = await rig.ask(8)
            assert outcome is Outcome.REJECTED
            assert reason.startswith("not connected: ")
            away.rename(folder)
            await link_is(rig.driver, LinkState.READY, 5)
            assert (await rig.read())["request"] == 7.0

    on_folders(tmp_path, test)


def test_a_long_rest_between_two_looks_never_passes_old_values_off_as_current(tmp_path: Path) -> None:
    async def main(clock: Any) -> None:
        rig = Rig(tmp_path, clock, poll_s=10.0)
        await rig.driver.start()
        await clock.sleep(0.1)
        await rig.read()
        (tmp_path / "exports").rename(tmp_path / "away")
        await clock.sleep(0.4)
        assert (await rig.read())["state"] == State.IDLE
        await clock.sleep(0.2)  # 0.6 s after the last look, and the time-out is 0.5 s
        assert await rig.qualities() == {BAD_NOT_CONNECTED}
        await rig.driver.stop()

    run_virtual(main)


@pytest.mark.parametrize("name", ["exports", "worklists"])
def test_an_empty_folder_in_its_place_is_not_taken_for_it(tmp_path: Path, name: str) -> None:
    async def first(rig: Rig) -> None:
        await rig.ask(7)

    async def test(rig: Rig) -> None:
        await link_is(rig.driver, LinkState.DISCONNECTED, 5, "is its network drive mounted?")
        assert await rig.qualities() == {BAD_NOT_CONNECTED}

    on_folders(tmp_path, first)
    (tmp_path / name).rename(tmp_path / "away")
    (tmp_path / name).mkdir()
    on_folders(tmp_path, test, ready=False)


def test_an_archive_that_is_not_the_folders_own_is_refused(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        await rig.ask(7)

    async def test(rig: Rig) -> None:
        await link_is(rig.driver, LinkState.DISCONNECTED, 5, "there is no exports.jsonl")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / LEDGER).write_text('{"what": "archive", "name": "x"}\n')
        await link_is(rig.driver, LinkState.REFUSED, 5, "belongs to another archive")
        assert await rig.qualities() == {BAD_CONFIGURATION}

    on_folders(tmp_path, first)
    on_folders(tmp_path, test, ready=False, archive=str(tmp_path / "other"))


def test_folders_that_are_missing_at_the_start_are_waited_for(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await link_is(rig.driver, LinkState.DISCONNECTED, 5, "there is no such folder")
        (tmp_path / "later").mkdir()
        await link_is(rig.driver, LinkState.READY, 5)

    on_folders(tmp_path, test, ready=False, exports=str(tmp_path / "later"))


def test_folders_that_hang_never_hang_the_loop_and_no_second_thread_is_lost_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    free.set()
    poll, place = FolderWatch.poll, FolderWatch.place

    def slow_poll(watch: FolderWatch) -> Any:
        free.wait()
        return poll(watch)

    def slow_place(watch: FolderWatch, request: Any) -> None:
        free.wait()
        place(watch, request)

    monkeypatch.setattr(FolderWatch, "poll", slow_poll)
    monkeypatch.setattr(FolderWatch, "place", slow_place)

    async def test(rig: Rig) -> None:
        loop = asyncio.get_running_loop()
        try:
            await rig.read()
            free.clear()
            before = loop.time()
            assert await rig.ask(7) == (Outcome.UNKNOWN, "no answer within 0.5 s")
            assert loop.time() - before < 1.5
            before = loop.time()
            assert await rig.qualities() <= {BAD_TIMEOUT, BAD_NOT_CONNECTED}
            assert loop.time() - before < 1.0
            await link_is(rig.driver, LinkState.DISCONNECTED, 5, "the folders have not answered for")
            threads = [one for one in threading.enumerate() if one.name == "folders of NTA"]
            assert len(threads) == 1
            assert (await rig.ask(8))[0] is Outcome.REJECTED
        finally:
            free.set()
        await link_is(rig.driver, LinkState.READY, 5)
        # What was under way has landed; what was refused has not.
        assert (await rig.read())["request"] == 7.0

    on_folders(tmp_path, test)


def test_a_folder_that_cannot_be_written_is_a_lost_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(rig: Rig) -> None:
        monkeypatch.setattr("os.access", lambda path, mode: "worklists" not in str(path))
        assert await rig.qualities() == {BAD_NOT_CONNECTED}
        monkeypatch.undo()
        await link_is(rig.driver, LinkState.READY, 5)

    on_folders(tmp_path, test)


# -- set-up ----------------------------------------------------------------------------------------------------------


def test_in_virtual_time_all_is_done_inline(tmp_path: Path) -> None:
    async def main(clock: Any) -> None:
        rig = Rig(tmp_path, clock, settle_s=2.0)
        await rig.driver.start()
        await clock.sleep(0.1)
        await rig.ask(7)
        rig.export("a")
        await rig.until(60.0, result_request=7.0)
        assert clock.monotonic() == pytest.approx(2.1, abs=0.05)
        await rig.driver.stop()

    run_virtual(main)


def test_units_convert_and_wrong_ones_are_mistakes(tmp_path: Path) -> None:
    def driver(tag: Tag, field: NtaField) -> NtaFolderDriver:
        options = NtaFolderOptions(worklists=str(tmp_path), exports=str(tmp_path))
        return NtaFolderDriver("NTA", options, [BoundPoint(tag, NtaFolderPoint(field=field))], LiveClock())

    driver(Tag("N.C", 0, "particle/L", TagKind.ANALOG, 0, 1), NtaField.CONC_STOCK)
    with pytest.raises(ValueError, match="conc_stock is in particle/mL, not in 'cell/mL'"):
        driver(Tag("N.C", 0, "cell/mL", TagKind.ANALOG, 0, 1), NtaField.CONC_STOCK)
    with pytest.raises(ValueError, match="cv is a plain number, not in 'nm'"):
        driver(Tag("N.C", 0, "nm", TagKind.ANALOG, 0, 1), NtaField.CV)
    with pytest.raises(ValueError, match="file is a text: give the tag the kind text"):
        driver(Tag("N.C", 0, "", TagKind.ANALOG, 0, 1), NtaField.FILE)
    with pytest.raises(ValueError, match="state is no text"):
        driver(Tag("N.C", 0, "", TagKind.TEXT, 0, 1), NtaField.STATE)


def test_only_the_five_values_of_a_request_are_writable() -> None:
    writable = {field.value for field in NtaField if NtaFolderPoint(field=field).writable}
    assert writable == {"sample_no", "kind", "dilution", "videos", "request"}


@pytest.mark.parametrize("wrong", [{"worklists": ""}, {"settle_s": 0}, {"timeout_s": 31}, {"folder": "x"}])
def test_options_that_make_no_sense_are_mistakes(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NtaFolderOptions(**{"worklists": "w", "exports": "e", **wrong})


def test_a_plant_gives_its_texts_their_codes(tmp_path: Path) -> None:
    from evcontrol.plant.load import parse_plant

    plant = parse_plant(
        f"""name: p
scan: 1 s
wire_scan: 0.05 s
units:
  N: {{class: counter, content_tag: N.CONTENT, safe_states: {{default: {{}}}}, safe_within: 2 s}}
devices:
  NTA: {{driver: nta-folder, options: {{worklists: {tmp_path}, exports: {tmp_path}}}}}
tags:
  N.CONTENT: {{internal: true, kind: text}}
  N.FILE: {{device: NTA, point: {{field: file}}, kind: text}}
  N.REQUEST: {{device: NTA, point: {{field: request}}, kind: integer, high: 999999999, write: {{on_silence: stays}}}}
""",
        "plant.yaml",
    )
    point = plant.devices["NTA"].points[0]
    assert plant.tags.text_of(point.code_of("a.csv")) == "a.csv"
