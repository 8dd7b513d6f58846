"""The simulated counter in the layout of a ZetaView: what it writes, piece by piece."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from simulators.devices.nta_counter import NtaCounter
from simulators.devices.nta_size_file import SEPARATOR, size_file, table_of_positions
from simulators.process.nta import SampleProperties
from simulators.wire.nta_folder import DONE, HEAD, PIECES, POLLS_PER_PIECE, Layout, NtaFolder
from tests.drivers.nta_files import failed, measurement

SHOWN = measurement(videos=5)


def tables(text: str) -> list[np.ndarray]:
    """Linear and logarithmic table."""
    parts = text[text.index("nm^2\n") + 5 :].split(SEPARATOR + "\n")
    return [np.array([[float(cell) for cell in line.split("\t")] for line in part.splitlines()]) for part in parts]


def test_both_tables_hold_the_same_particles() -> None:
    linear, growing = tables(size_file(SHOWN))
    assert (len(linear), len(growing)) == (1200, 200)
    traces = sum(video.valid_tracks for video in SHOWN.videos)
    assert linear[:, 1].sum() == growing[:, 1].sum() == traces
    concentration = np.mean([video.concentration for video in SHOWN.videos])
    assert linear[:, 2].sum() == pytest.approx(concentration, rel=1e-3)
    assert np.average(linear[:, 0], weights=linear[:, 1]) == pytest.approx(
        np.average(growing[:, 0], weights=growing[:, 1]), rel=0.01
    )


def test_the_concentration_is_that_in_the_cell_whatever_the_dilution() -> None:
    with_it, without = size_file(SHOWN), size_file(measurement(videos=5, dilution=None))
    assert "Dilution::\t1000.000000\n" in with_it
    assert "Dilution::\t1.000000\n" in without
    assert tables(with_it)[0].tolist() == tables(without)[0].tolist()


def test_a_measurement_without_a_track_has_the_separator_only() -> None:
    text = size_file(failed(measurement(videos=1)))
    assert text.endswith(f"nm^2\n{SEPARATOR}\n")
    assert "Number of Traces:\t0\t" in text


def test_the_table_of_positions_is_of_the_same_tracks() -> None:
    rows = [line.split("\t") for line in table_of_positions(SHOWN).splitlines()]
    assert [row[0] for row in rows] == ["Use", *"XXXXX", "", "", ""]
    assert sum(int(row[6]) for row in rows[1:6]) == sum(video.valid_tracks for video in SHOWN.videos)
    assert [row[1] for row in rows[6:]] == ["Mean", "St.Dev.", "Rel.St.Dev."]
    assert {len(row) for row in rows} == {12}


def test_the_folder_gets_the_table_at_once_and_the_size_file_in_pieces(tmp_path: Path) -> None:
    counter = NtaCounter(lambda _: SampleProperties(5e11), "s")
    folder = NtaFolder(counter, tmp_path / "w", tmp_path / "e", Layout.ZETAVIEW)
    folder.open()
    (tmp_path / "w" / "worklist-7.csv").write_text(f"{HEAD}\r\n7,S-000042,pool,1000,3\r\n")
    folder.poll()
    counter.step(1000.0)
    lengths = []
    for _ in range(PIECES * POLLS_PER_PIECE + 1):
        folder.poll()
        lengths.append((tmp_path / "e" / "20260105_0007_S-000042_size_488.txt").stat().st_size)
        assert (tmp_path / "e" / "20260105_0007_S-000042_size_488_3pos.txt").stat().st_size > 400
    assert len(set(lengths)) == PIECES
    assert lengths == sorted(lengths)
    assert (tmp_path / "w" / DONE / "worklist-7.csv").exists()
    text = (tmp_path / "e" / "20260105_0007_S-000042_size_488.txt").read_text(encoding="latin-1")
    assert re.search(r"^6\.025E\+3\t.*\n\Z", text, re.MULTILINE)
