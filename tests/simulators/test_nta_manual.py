"""The counter's manual says what the counter does."""

import re

from simulators.devices import nta_size_file, nta_summary
from simulators.devices.nta_counter import KINDS, PREPARE_S, VIDEO_S
from simulators.process import nta
from simulators.process.nta import SampleProperties
from simulators.serve import STEP_S
from simulators.wire import nta_folder as wire
from tests.drivers.nta_files import measurement
from tests.simulators.manual import REFERENCE, table, text

PAGE = "simulated-counter.md"
EXPORT = nta_summary.experiment_summary(measurement())


def test_the_folders_are_those_of_the_code() -> None:
    told = [row[0] for row in table(PAGE, "Folder", "Holds")]
    below = [f"worklists/{name}" for name in (wire.TAKEN, wire.DONE, wire.REJECTED)]
    assert told == ["worklists", *below, "exports"]


def test_the_worklist() -> None:
    told = {row[0]: row[1] for row in table(PAGE, "Column", "Values", "Meaning")}
    assert ",".join(told) == wire.HEAD
    assert told["Kind"] == ", ".join(KINDS)
    assert told["Videos"] == f"1 to {wire.MOST_VIDEOS}"
    assert f"\n{wire.HEAD}\n7,S-000042,pool,1000,3\n" in (REFERENCE / PAGE).read_text(encoding="utf-8")


def test_the_measurement() -> None:
    told = dict(table(PAGE, "Quantity", "Value"))
    low, high = 20 / nta.ML_PER_FRAME, 100 / nta.ML_PER_FRAME
    assert told == {
        "Frame rate": f"{nta.FRAME_RATE} per s",
        "One particle per frame": f"{1 / nta.ML_PER_FRAME:.0e} particles/mL in the cell",
        "Best range": f"20 to 100 particles per frame: {low:.0e} to {high:.0e} particles/mL",
        "False particles per frame": f"{nta.FALSE_PER_FRAME}",
        "Variation between videos": f"{nta.VIDEO_CV:.0%}".replace("%", " %"),
        "Drift from the first to the last video": f"{nta.DRIFT:.1%}".replace("%", " %"),
        "Particles per frame at which half of them are lost in the crowd": f"{nta.CROWDED:.0f}",
        "Tracks that are long enough for a size": f"{nta.VALID_TRACKS:.0%}".replace("%", " %"),
        "Smallest particle": f"{nta.SMALLEST_NM:.0f} nm",
    }
    page, usual = text(PAGE), SampleProperties(0.0)
    assert f"takes {PREPARE_S:.0f} s of process time to load the cell, and {VIDEO_S:.0f} s for each video" in page
    assert f"mode is {usual.mode_nm:.0f} nm and the standard deviation of their logarithm {usual.spread:.2f}" in page
    assert f"looked at every {STEP_S * 1000:.0f} ms" in page


def test_the_export() -> None:
    page = text(PAGE)
    assert f"grows in {wire.PIECES} pieces, one each {wire.POLLS_PER_PIECE * STEP_S:g} s of real time" in page
    shown = re.findall(r"`(S-\d{6} R\d{6} [^`]*)`", page)
    assert len(shown) == 1
    form = re.sub(r"\d", "0", nta_summary.file_name(measurement()))
    assert re.sub(r"\d", "0", shown[0]) == form
    assert [row[0] for row in table(PAGE, "Section", "Holds")] == re.findall(r"^\[.*?\]", EXPORT, re.MULTILINE)
    assert EXPORT.split("\n")[-3].startswith("100,")
    assert set(EXPORT.split("\n")[-2]) == {","}
    assert "`records_dilution`" in page


def test_the_warnings_are_those_of_the_code() -> None:
    limits = {"too low": nta_summary.TOO_LOW, "low": nta_summary.LOW, "noisy": nta_summary.NOISY}
    for word, row, when in table(PAGE, "Warning", "Row", "When"):
        assert f"\n{row}," in EXPORT
        number = re.search(r"\d+", when)
        if number is not None and "track" not in when:
            assert float(number[0]) in limits.values()
        if "tracks" in when:
            assert f"<{number[0] if number else ''}" == word
            assert int(word[1:]) in nta_summary.FEW_TRACKS


def test_the_size_file() -> None:
    page, shown = text(PAGE), nta_size_file.size_file(measurement())
    told = dict(table(PAGE, "Part", "Holds"))
    assert f"{nta_size_file.LINEAR} bins of {nta_size_file.WIDTH:g} nm" in told["linear table"]
    assert f"{nta_size_file.LOGARITHMIC} bins that grow evenly" in told["logarithmic table"]
    assert f"from {nta_size_file.SMALLEST} to {nta_size_file.LARGEST:g} nm" in told["logarithmic table"]
    assert "`zetaview`" in page
    assert [layout.value for layout in wire.Layout] == ["nanosight", "zetaview"]
    names = re.findall(r"`(\d{8}_[^`]*\.txt)`", page)
    assert len(names) == 1
    form = re.sub(r"\d", "0", nta_size_file.size_file_name(measurement()))
    assert re.sub(r"\d", "0", names[0]) == form
    assert nta_size_file.table_name(measurement()).endswith("_3pos.txt")
    assert shown.count(nta_size_file.SEPARATOR) == 1
    assert "Sample:\tS-000042\n" in shown
