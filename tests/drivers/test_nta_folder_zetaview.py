"""The folder of a ZetaView: its size files, what lies beside them, and what their dilution is worth."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from drivers.nta_ledger import LEDGER
from drivers.nta_values import NtaField
from drivers.nta_watch import State
from evcontrol.quality import BAD_CONFIGURATION, GOOD, UNCERTAIN_SENSOR_NOT_ACCURATE
from tests.drivers.nta_files import as_805, failed, measurement, positions, sizes, summary
from tests.drivers.nta_rig import Rig
from tests.drivers.test_nta_folder import Test, on_folders

NAME = "20260924_0007_S-000042"


def on_zetaview(root: Path, test: Test, **options: Any) -> None:
    on_folders(root, test, instrument="zetaview", **options)


@pytest.mark.parametrize("text", [sizes(), as_805(sizes())], ids=["8.06", "8.05"])
def test_a_size_file_is_the_result_of_the_sample_that_it_records(tmp_path: Path, text: str) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        path = rig.size_file("20260924_0007_whatever", text)
        found = await rig.until(result_request=7.0)
        assert (found["state"], found["result_no"], found["file"]) == (State.DONE, 42.0, path.name)
        assert found["software"].startswith("ZetaView 8.0")
        assert found["captured_at"] == "2026-09-24T15:35:56"
        assert (found["dilution_recorded"], found["replicates"]) == (1000.0, 1.0)
        assert found["conc_stock"] == pytest.approx(1000 * found["conc_measured"])
        assert found["cv"] == -BAD_CONFIGURATION
        assert found["tracks"] > 1000.0
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        assert (tmp_path / "archive" / "taken" / f"{sha256}.txt").read_bytes() == path.read_bytes()

    on_zetaview(tmp_path, test)


def test_profiles_and_tables_of_positions_beside_it_are_not_looked_at(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        (tmp_path / "exports" / f"{NAME}_size_488_11pos.txt").write_text(positions(), encoding="latin-1")
        (tmp_path / "exports" / f"{NAME}_prof_488.txt").write_text("Original File:\tx\tProfile Voltage:\t+24V\n")
        rig.size_file(NAME)
        found = await rig.until(result_request=7.0)
        assert (found["quarantined"], found["trouble"]) == (0.0, "")

    on_zetaview(tmp_path, test)


def test_with_a_wider_pattern_they_are_quarantined_with_what_they_are(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        (tmp_path / "exports" / f"{NAME}_prof_488.txt").write_text("Original File:\tx\tProfile Voltage:\t+24V\n")
        found = await rig.until(quarantined=1.0)
        assert "a ZetaView zeta profile: it has no sizes" in found["trouble"]
        (tmp_path / "exports" / f"{NAME}_11pos.txt").write_text(positions(), encoding="latin-1")
        found = await rig.until(quarantined=2.0)
        assert "a ZetaView table of positions" in found["trouble"]

    on_zetaview(tmp_path, test, pattern="*.txt")


def test_a_size_file_that_grows_is_taken_only_when_it_is_whole(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        data = sizes().encode("latin-1")
        path = tmp_path / "exports" / f"{NAME}_size_488.txt"
        table = data.index(b"Size / nm")
        ends = [0, 700, table, table + 90, data.index(b"-1.000E+0"), len(data) - 45, len(data) - 1, len(data)]
        for begin, end in pairwise(ends):
            with path.open("ab") as file:
                file.write(data[begin:end])
            if end < len(data):
                await rig.clock.sleep(0.15)  # longer than a file has to stand still
                found = await rig.read()
                assert (found["result_request"], found["quarantined"]) == (0.0, 0.0), end
        found = await rig.until(result_request=7.0)
        assert found["sha256"] == hashlib.sha256(data).hexdigest()

    on_zetaview(tmp_path, test, incomplete_after_s=30.0)


def test_an_empty_measurement_has_failed_and_a_good_one_still_ends_it_well(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        empty = sizes(failed(measurement(videos=1)))
        assert "Traces:\t0\t" in empty
        path = rig.size_file(NAME, empty)
        found = await rig.until(quarantined=1.0)
        assert (found["state"], found["result_request"]) == (State.FAILED, 0.0)
        assert "an empty measurement: 0 traces" in found["trouble"]
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        folder = tmp_path / "archive" / "quarantine"
        assert (folder / f"{sha256}.txt").read_bytes() == path.read_bytes()
        assert "an empty measurement" in (folder / f"{sha256}.reason.txt").read_text()
        rig.size_file("20260924_0008_S-000042")
        assert (await rig.until(result_request=7.0))["state"] == State.DONE

    on_zetaview(tmp_path, test)


def test_a_size_file_that_contradicts_itself_is_quarantined(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        rig.size_file(NAME, re.sub(r"(Traces:\t)\d", r"\g<1>7", sizes()))
        found = await rig.until(quarantined=1.0)
        assert (found["state"], found["result_request"]) == (State.FAILED, 0.0)
        assert "contradicts itself (sum of bins: " in found["trouble"]

    on_zetaview(tmp_path, test)


@pytest.mark.parametrize(("instrument", "other"), [("zetaview", "NanoSight"), ("nanosight", "ZetaView")])
def test_an_export_of_another_instrument_is_not_taken(tmp_path: Path, instrument: str, other: str) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        path = tmp_path / "exports" / "S-000042 a"
        path.write_bytes((summary() if other == "NanoSight" else sizes()).encode("latin-1"))
        found = await rig.until(quarantined=1.0)
        assert f"an export of {other}, but the counter is a " in found["trouble"]
        assert found["result_request"] == 0.0

    on_folders(tmp_path, test, instrument=instrument, pattern="*")


def test_a_sample_without_a_name_is_nobodys_result_whatever_the_file_is_called(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        rig.size_file(NAME, sizes().replace("Sample:\tS-000042", "Sample:\t"))
        found = await rig.until(trouble=f"{NAME}_size_488.txt: nobody waits for a count of sample ''")
        assert (found["result_request"], found["state"]) == (0.0, State.REQUESTED)

    on_zetaview(tmp_path, test)


def test_without_a_dilution_the_stock_is_bad(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.ask(7)
        rig.size_file(NAME, re.sub(r"\tDilution::\t\S+", "", sizes()))
        found = await rig.until(result_request=7.0)
        assert found["conc_stock"] == found["dilution_recorded"] == -BAD_CONFIGURATION
        assert found["conc_measured"] == pytest.approx(5e8, rel=0.2)

    on_zetaview(tmp_path, test)


@pytest.mark.parametrize("instrument", ["zetaview", "nanosight"])
def test_another_dilution_than_the_one_asked_for_is_told_and_the_stock_is_uncertain(
    tmp_path: Path, instrument: str
) -> None:
    """A dilution that nobody entered stands as 1 in a size file."""

    async def test(rig: Rig) -> None:
        await rig.ask(7)
        shown = measurement(dilution=1.0)
        if instrument == "zetaview":
            rig.size_file(NAME, sizes(shown))
        else:
            rig.export(NAME, summary(shown))
        found = await rig.until(result_request=7.0)
        assert found["checks"].endswith("dilution: 1 is recorded, 1000 was asked for")
        assert await qualities(rig) == (GOOD, UNCERTAIN_SENSOR_NOT_ACCURATE, UNCERTAIN_SENSOR_NOT_ACCURATE)

    async def again(rig: Rig) -> None:
        assert await qualities(rig) == (GOOD, UNCERTAIN_SENSOR_NOT_ACCURATE, UNCERTAIN_SENSOR_NOT_ACCURATE)

    for each in (test, again):
        on_folders(tmp_path, each, instrument=instrument)


async def qualities(rig: Rig) -> tuple[int, ...]:
    """Of the concentration in the cell, that of the sample, and the dilution."""
    frame = await rig.driver.read()
    fields = (NtaField.CONC_MEASURED, NtaField.CONC_STOCK, NtaField.DILUTION_RECORDED)
    return tuple(int(frame.quality[list(NtaField).index(field)]) for field in fields)


def test_after_a_restart_a_size_file_and_a_copy_of_it_are_not_taken_again(tmp_path: Path) -> None:
    before: dict[str, Any] = {}

    async def first(rig: Rig) -> None:
        await rig.ask(7)
        rig.size_file(NAME)
        before.update(await rig.until(result_request=7.0))

    async def second(rig: Rig) -> None:
        await rig.ask(8)
        rig.size_file("20260924_0009_S-000042")
        await rig.clock.sleep(0.3)
        found = await rig.read()
        names = ("result_request", "sha256", "conc_stock", "d50", "tracks", "checks")
        assert {name: found[name] for name in names} == {name: before[name] for name in names}
        assert (tmp_path / "archive" / LEDGER).read_text().count('"taken"') == 1

    for test in (first, second):
        on_zetaview(tmp_path, test)
