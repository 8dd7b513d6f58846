"""The table of positions beside a ZetaView's size file: why a position was not used, and whether both agree."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings

from drivers.nta_export import NtaExport, NtaFileError, parse_export, read_export
from drivers.nta_positions import parse_positions, with_positions
from tests.drivers.nta_damage import mutated
from tests.drivers.nta_files import as_805, measurement, positions, sizes
from tests.drivers.nta_samples import REAL, needs_real

NAME = "20260924_0007_S-000042_size_488"
SHOWN = measurement(videos=11, particles_per_ml=1e9)
SIZES, TABLE = sizes(SHOWN), positions(SHOWN)
ALONE = parse_export(SIZES.encode("latin-1"), NAME)
UNUSED = "\t0.99\t5.5\t62.0\t2.7E+7\t1.3E+11\t27\t155.0\t135.4\t1.2\t31.9\tMAX_DRIFT\n"
WITH_UNUSED = TABLE.replace("\n\tMean", f"\n{UNUSED}\tMean")


def read(folder: Path, table: str, size_file: str = SIZES, name: str = f"{NAME}_11pos.txt") -> NtaExport:
    path = folder / f"{NAME}.txt"
    path.write_bytes(size_file.encode("latin-1"))
    (folder / name).write_bytes(table.encode("latin-1"))
    return read_export(path)


def test_positions_are_the_replicates_and_those_not_used_say_why(tmp_path: Path) -> None:
    found = read(tmp_path, WITH_UNUSED)
    assert [one.valid for one in found.replicates] == [True] * 11 + [False]
    assert (found.replicates[0].name, found.replicates[0].reason) == ("position 0.10", "")
    assert (found.replicates[11].name, found.replicates[11].concentration) == ("position 0.99", None)
    assert found.replicates[11].reason == "removed by the instrument: MAX_DRIFT"
    assert found.tracks == ALONE.tracks
    assert found.contradictions == ()
    assert 0.0 < (found.cv or 0.0) < 0.2
    failed = [check.name for check in found.checks if not check.passed]
    assert failed == []


def test_nothing_else_changes(tmp_path: Path) -> None:
    found, alone = read(tmp_path, TABLE), ALONE
    for name in ("sample", "dilution", "concentration_measured", "concentration_stock", "sizes", "tracks", "span",
                 "fraction_below_200", "distribution", "warnings", "captured_at"):  # fmt: skip
        assert getattr(found, name) == getattr(alone, name), name


def test_a_table_with_decimal_commas_is_read(tmp_path: Path) -> None:
    table = re.sub(r"(\d)\.(\d)", r"\1,\2", TABLE).replace("\n", "\r\n")
    found = read(tmp_path, table, as_805(SIZES))
    assert len(found.valid_replicates) == 11
    assert found.contradictions == ()


@pytest.mark.parametrize(
    ("size_file", "words"),
    [
        (re.sub(r"(Dilution::\t)1", r"\g<1>5", SIZES), "the dilution of the size file is not that of the positions"),
        (re.sub(r"(Particles:\t)\d", r"\g<1>9", SIZES), "the particles per frame of the size file"),
        (sizes(measurement(videos=11, particles_per_ml=1e9, seed=9)), "the traces of the size file"),
    ],
)
def test_what_both_tell_must_agree(tmp_path: Path, size_file: str, words: str) -> None:
    (told,) = read(tmp_path, TABLE, size_file).contradictions
    assert told.startswith(f"table of positions: {words}")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (TABLE.replace("Removal", "Why"), 'not one column "Removal"'),
        (TABLE.replace("X\t", "\t"), "no position was used"),
        (TABLE.replace("X\t0.10", "Y\t0.10"), "not the row of a position"),
        (re.sub(r"(X\t0\.10\t\S+\t)\d", r"\1x", TABLE), "not the row of a position"),
        (TABLE[:300], "not 12 columns"),
        ("", 'not one column "Use"'),
    ],
)
def test_a_table_that_cannot_be_read_is_told_and_the_size_file_is_read_without_it(
    tmp_path: Path, table: str, words: str
) -> None:
    found = read(tmp_path, table)
    assert [one.name for one in found.replicates] == ["20260924_0007"]
    (told,) = [check for check in found.checks if check.name == "table of positions"]
    assert not told.passed
    assert told.words.startswith(f"{NAME}_11pos.txt")
    assert words in told.words


def test_only_the_table_of_the_same_measurement_is_taken(tmp_path: Path) -> None:
    for name in (f"{NAME}_prof.txt", f"{NAME}0_11pos.txt", "20260924_0008_S-000042_size_488_11pos.txt"):
        assert len(read(tmp_path, TABLE, name=name).replicates) == 1


@settings(max_examples=150, deadline=None)
@given(mutated([TABLE, WITH_UNUSED], head=14, tail=14))
def test_a_damaged_table_never_raises_anything_else_and_changes_no_number_of_the_size_file(
    case: tuple[int, bytes],
) -> None:
    alone = ALONE
    try:
        found = with_positions(alone, parse_positions(case[1].decode("latin-1"), "a"))
    except NtaFileError:
        return
    assert found.concentration_stock == alone.concentration_stock
    assert found.contradictions or found.tracks == alone.tracks


@needs_real
def test_a_real_table_says_which_positions_were_used(tmp_path: Path) -> None:
    name = "20250219_0009_EV_ip_p1_F7-5000R1_size_488"
    shutil.copyfile(REAL / "zetaview_8.06.01SP1_size.txt", tmp_path / f"{name}.txt")
    shutil.copyfile(REAL / "zetaview_8.06.01SP1_11pos.txt", tmp_path / f"{name}_11pos.txt")
    found = read_export(tmp_path / f"{name}.txt")
    assert [one.valid for one in found.replicates] == [True] * 3 + [False] * 2 + [True] * 6
    assert found.replicates[3].reason == "removed by the instrument: MAX_DRIFT"
    assert found.tracks == 409
    assert found.contradictions == ()
