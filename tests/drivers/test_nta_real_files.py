"""Real exports: what is read of each, and the same figures worked out from its bins by other means."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from drivers.nta_export import NtaFileError, read_export
from evcontrol.cli.commands import run
from tests.drivers.nta_samples import REAL, needs_real

pytestmark = needs_real

Array = npt.NDArray[np.float64]
NANOSIGHT = [
    ("nanosight_3.2.16_NA_NP_Plasma-ExperimentSummary.csv", "5/5", 1e3, 2.77e8,
     (117.8, 82.9, 47.5, 71.8, 104.4, 181.4)),
    ("nanosight_3.2.16_beads100nm_excel-resaved.csv", "12/12", None, 1.47e9,
     (100.5, 95.3, 19.1, 84.7, 96.4, 113.3)),
    ("nanosight_3.2.16_beads2.csv", "5/5", 1e4, 6.09e8, (101.5, 98.4, 12.8, 88.7, 99.8, 115.3)),
    ("nanosight_3.3.203_MPC28_Stretch_d200_failed-video-ExperimentSummary.csv", "4/5", None, 1.5225e8,
     (83.1, 67.125, 31.725, 56.325, 75.15, 117.375)),
    ("nanosight_3.4.003_ATCC_12h_A_lowconc-ExperimentSummary.csv", "4/4", None, 1.51e7,
     (129.4, 108.5, 46.5, 64.4, 126.2, 191.5)),
]  # fmt: skip
ZETAVIEW = [
    ("zetaview_8.05.16SP3_comma-decimal_size.txt", "", 2235, 8.616e7, 99.147287),
    ("zetaview_8.06.01SP1_size.txt", "EV_ip_p1_F7-5000R1", 409, 1.182e8, 150.625),
]
REFUSED = [
    ("zetaview_8.06.01SP1_size_EMPTY.txt", "an empty measurement: 0 traces"),
    ("zetaview_8.06.01SP1_zeta-profile.txt", "a ZetaView zeta profile: it has no sizes"),
    ("zetaview_8.06.01SP1_11pos.txt", "a ZetaView table of positions"),
]


@pytest.mark.parametrize(("file", "videos", "dilution", "measured", "sizes"), NANOSIGHT)
def test_what_a_real_summary_says(
    file: str, videos: str, dilution: float | None, measured: float, sizes: tuple[float, ...]
) -> None:
    found = read_export(REAL / file)
    assert f"{len(found.valid_replicates)}/{len(found.replicates)}" == videos
    assert found.dilution == dilution
    assert found.concentration_measured == pytest.approx(measured)
    assert found.concentration_stock == (None if dilution is None else pytest.approx(measured * dilution))
    told = found.sizes
    assert (told.mean, told.mode, told.sd, told.d10, told.d50, told.d90) == pytest.approx(sizes)
    assert found.contradictions == ()


@pytest.mark.parametrize(("file", "sample", "traces", "measured", "median"), ZETAVIEW)
def test_what_a_real_size_file_says(file: str, sample: str, traces: int, measured: float, median: float) -> None:
    found = read_export(REAL / file)
    assert (found.instrument, found.sample, found.tracks, found.dilution) == ("ZetaView", sample, traces, 5000.0)
    assert found.concentration_measured == pytest.approx(measured, rel=1e-3)
    assert found.concentration_stock == pytest.approx(measured * 5000.0, rel=1e-3)
    assert found.sizes.d50 == median
    assert found.contradictions == ()
    assert found.warnings == ("Particle Drift Check Result: too high (it was never checked)",)


@pytest.mark.parametrize(("file", "words"), REFUSED)
def test_a_real_file_without_sizes_is_refused_by_what_it_is(file: str, words: str) -> None:
    with pytest.raises(NtaFileError, match=words) as caught:
        read_export(REAL / file)
    assert not caught.value.incomplete


def test_every_real_file_is_one_of_these() -> None:
    known = [row[0] for row in (*NANOSIGHT, *ZETAVIEW, *REFUSED)]
    assert sorted(known) == sorted(path.name for path in REAL.iterdir() if path.name != "ORIGINS.tsv")


# -- worked out again ------------------------------------------------------------------------------------------------


def bins_of_summary(file: str) -> tuple[Array, Array]:
    """Middles of the bins, and in each column a video's concentrations as written; of the table by number."""
    rows = list(csv.reader((REAL / file).read_text(encoding="latin-1").splitlines()))
    labels = [row[0].strip() if row else "" for row in rows]
    start = labels.index("Bin centre (nm)", labels.index("Weighting"))
    videos = sum(cell.strip() == "Concentration (particles / ml)" for cell in rows[start])
    table = np.array([[float(cell) for cell in row[: videos + 1]] for row in rows[start + 1 : start + 1001]])
    return table[:, 0], table[:, 1:]


def bins_of_size_file(file: str) -> tuple[Array, Array]:
    """Middles of the linear bins, and particles and concentration in each."""
    text = (REAL / file).read_text(encoding="latin-1").replace(",", ".")
    rows = re.findall(r"^(\d\.\d{3}E[+]\d)\t(\d\.\d{3}E[+]\d)\t(\d\.\d{3}E[+]\d)\t", text, re.MULTILINE)[:1200]
    table = np.array(rows, dtype=np.float64)
    assert table.shape == (1200, 3)
    return 5.0 * np.arange(1200) + 2.5, table[:, 1:]


def figures(middles: Array, bins: Array) -> tuple[float, ...]:
    """Mean, mode, SD, D10, D50, D90 of one histogram, by numpy."""
    mean = float(np.average(middles, weights=bins))
    sd = float(np.sqrt(np.average((middles - mean) ** 2, weights=bins)))
    width = middles[1] - middles[0]
    edges = np.concatenate(([0.0], middles + width / 2))
    below = np.concatenate(([0.0], np.cumsum(bins))) / bins.sum()
    d10, d50, d90 = np.interp((0.1, 0.5, 0.9), below, edges)
    return mean, float(middles[int(bins.argmax())]), sd, float(d10), float(d50), float(d90)


@pytest.mark.parametrize("file", [row[0] for row in NANOSIGHT])
def test_the_figures_of_a_real_summary_are_those_of_its_bins(file: str) -> None:
    found = read_export(REAL / file)
    middles, columns = bins_of_summary(file)
    valid = [column for column in columns.T if column.sum() > 0.0]
    assert len(valid) == len(found.valid_replicates)
    again = np.mean([figures(middles, column) for column in valid], axis=0)
    told = found.sizes
    mean, mode, sd, *percentiles = again.tolist()
    assert (told.mean, told.sd) == pytest.approx((mean, sd), abs=0.1)
    assert told.mode == pytest.approx(mode, abs=0.6)
    # NTA 3.2 writes the percentile 1 nm low; later ones rise evenly within a bin.
    for counted, stated in zip(percentiles, (told.d10, told.d50, told.d90), strict=True):
        assert -0.15 <= counted - stated <= 1.15
    total = float(np.mean([column.sum() for column in valid]))
    in_file = found.concentration_stock or found.concentration_measured
    assert in_file == pytest.approx(total, rel=0.005)
    small = sum(column[middles < 200.0].sum() / len(valid) for column in valid) / total
    assert found.fraction_below_200 == pytest.approx(small, rel=1e-6)
    assert found.span == pytest.approx((told.d90 - told.d10) / told.d50)


@pytest.mark.parametrize("file", [row[0] for row in ZETAVIEW])
def test_the_figures_of_a_real_size_file_are_those_of_its_bins(file: str) -> None:
    found = read_export(REAL / file)
    middles, columns = bins_of_size_file(file)
    particles, concentrations = columns.T
    mean, mode, sd, *percentiles = figures(middles, particles)
    told = found.sizes
    assert (told.mean, told.mode, told.sd) == pytest.approx((mean, mode, sd), rel=1e-9)
    # The instrument's own median lies half a bin low, and so do the other percentiles here.
    assert (told.d10, told.d50, told.d90) == pytest.approx([one - 2.5 for one in percentiles], abs=1e-5)
    assert particles.sum() == found.tracks
    assert found.concentration_measured == pytest.approx(concentrations.sum(), rel=1e-9)
    assert found.fraction_below_200 == pytest.approx(particles[middles < 200.0].sum() / found.tracks, abs=1e-4)


def test_all_real_files_at_once_are_one_list_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(str(path) for path in REAL.iterdir())
    assert run(["nta", *files, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in told] == files
    assert sum("error" in one for one in told) == len(REFUSED) + 1  # and the list of where they are from
    names = [row[0] for row in (*NANOSIGHT, *ZETAVIEW)]
    assert sorted(Path(one["file"]).name for one in told if "error" not in one) == sorted(names)


def test_a_real_size_file_is_read_under_the_name_that_the_instrument_gave_it(tmp_path: Path) -> None:
    name = "20250219_0009_EV_ip_p1_F7-5000R1_size_488"
    path = shutil.copyfile(REAL / "zetaview_8.06.01SP1_size.txt", tmp_path / f"{name}.txt")
    assert read_export(Path(path)).replicates[0].name == "20250219_0009"
