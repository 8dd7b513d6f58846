"""The page of NTA exports: its versions, names, limits and checks are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers import nta_checks, nta_export, nta_nanosight, nta_zetaview
from drivers.nta_acceptance import ENOUGH_TRACKS, ENOUGH_VIDEOS, MOST_CV
from drivers.nta_export import NtaFileError, parse_export
from drivers.nta_folder import PATTERNS, Instrument, NtaFolderOptions
from drivers.nta_positions import parse_positions, with_positions
from drivers.nta_zetaview_checks import HALF_BIN_NM
from evcontrol.plant.load import parse_plant
from tests.drivers.nta_files import failed, measurement, positions, sizes, summary

DOCS = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (DOCS / "nta-exports.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def rows(head: str) -> list[list[str]]:
    """The cells of the table with such a first line."""
    lines = PAGE.split(f"\n{head}\n")[1].splitlines()[1:]
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_versions_and_names_of_the_files() -> None:
    told = {row[0]: row for row in rows("| Instrument | Software | File | Replicates |")}
    assert told["NanoSight"][1] == f"NTA {', '.join(nta_nanosight.VERSIONS)}"
    assert told["ZetaView"][1] == ", ".join(nta_zetaview.VERSIONS)
    assert PATTERNS[Instrument.NANOSIGHT] in told["NanoSight"][2]
    drivers = (DOCS / "drivers.md").read_text(encoding="utf-8")
    assert all(f"`{pattern}`" in drivers for pattern in PATTERNS.values())


def test_every_check_is_there_with_what_it_means() -> None:
    told = {
        (row[0].strip("`"), row[1]): row[2] == "yes"
        for row in rows("| Check | Instrument | Contradiction | Compares |")
    }
    found = {}
    for instrument, text in (("NanoSight", summary()), ("ZetaView", sizes())):
        export = parse_export(text.encode("latin-1"), "a")
        both = with_positions(export, parse_positions(positions(), "b")) if instrument == "ZetaView" else export
        for check in (*export.checks, *both.checks):
            found[check.name, instrument] = check.contradiction
    for name in {name for name, _ in found}:
        if {(name, "NanoSight"), (name, "ZetaView")} <= set(found):
            found[name, "both"] = found.pop((name, "NanoSight"))
            del found[name, "ZetaView"]
    assert told == found


def test_limits_are_those_of_the_code() -> None:
    checks = {row[0].strip("`"): row[3] for row in rows("| Check | Instrument | Contradiction | Compares |")}
    assert f"within {100 * nta_checks.SUM_OF_BINS:g} %" in checks["sum of bins"]
    assert f"within {nta_checks.SIZE_NM} nm" in checks["mean"]
    assert f"within {nta_checks.MODE_NM} nm" in checks["mode"]
    assert f"at least {ENOUGH_VIDEOS} " in checks["videos"]
    assert checks["tracks"] == f"at least {ENOUGH_TRACKS}"
    assert checks["replicate CV"] == f"at most {MOST_CV:.0%}".replace("%", " %")
    low, high = nta_checks.PARTICLES_PER_FRAME
    other = nta_zetaview.PARTICLES_PER_FRAME
    told = f"{low:.0f} to {high:.0f} for NanoSight, {other[0]:.0f} to {other[1]:.0f} for ZetaView"
    assert checks["particles per frame"] == told
    assert f"lie {HALF_BIN_NM} nm below" in WORDS
    most = (
        f"more than {nta_export.MAX_BYTES // 1_000_000} MB, {nta_export.MAX_LINES} lines, {nta_export.MAX_CELLS} cells,"
    )
    assert f"{most} or {nta_export.MAX_LINE} characters" in WORDS


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("zeta profile", "Original File:\tx\tProfile Voltage:\t+24V\n"),
        ("table of positions", positions()),
        ("every video failed", summary(failed(measurement(videos=1)))),
        ("list of particles or tracks", "Particle ID,Size/nm\n"),
        ("summary without its header", "0.5,0\n"),
        ("incomplete file", sizes()[:-40]),
        ("other text, binary or empty file, folder", "Dear all,\n"),
        ("more than 5 MB, 50000 lines, 500000 cells, or 20000 characters in a line", "x" * 6_000_000),
    ],
)
def test_what_is_refused_is_refused(row: str, text: str) -> None:
    told = [cells[0] for cells in rows("| File | Why |")]
    assert any(name.startswith(row) for name in told), row
    with pytest.raises(NtaFileError) as caught:
        parse_export(text.encode("latin-1"), "a")
    assert caught.value.incomplete is (row == "incomplete file")


def test_an_empty_measurement_is_refused() -> None:
    with pytest.raises(NtaFileError, match="an empty measurement"):
        parse_export(sizes(failed(measurement(videos=1))).encode("latin-1"), "a")


def test_every_entry_that_is_named_is_one_of_the_files() -> None:
    both = summary() + sizes()
    for instrument, column in (("NanoSight", 1), ("ZetaView", 2)):
        for row in rows("| Figure | NanoSight | ZetaView |"):
            for name in re.findall(r"`([A-Z][^`]+)`", row[column]):
                assert name in both or name in {"Sample Name", "Not recorded", "NaN"}, (instrument, name)
    for entry, _ in rows("| Entry | Warning when |"):
        assert f"\n{entry.strip('`')}:\t" in sizes()


def test_the_plant_file_has_no_mistakes_and_writes_nothing() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    plant = parse_plant(example, "example.yaml")
    options = plant.devices["NTA301"].options
    assert isinstance(options, NtaFolderOptions)
    assert options.instrument is Instrument.ZETAVIEW
    assert plant.writes == {}
    assert not plant.simulated
