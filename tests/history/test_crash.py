"""A killed engine and a full disk, with real processes and files."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from evcontrol.clock import NS
from evcontrol.history.reader import HistoryReader
from tests.history.writer import START

WRITER = [sys.executable, "-m", "tests.history.writer"]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("scans", [3, 97, 230])
def test_a_killed_engine_loses_less_than_a_second(tmp_path: Path, scans: int) -> None:
    with subprocess.Popen([*WRITER, "kill", str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        kept = [tuple(map(int, process.stdout.readline().split())) for _ in range(scans)]
        process.kill()
        kept += [tuple(map(int, line.split())) for line in process.stdout if line.endswith("\n")]
    killed_at = kept[-1][0]
    reader = HistoryReader(tmp_path)
    if killed_at - kept[0][0] < NS and reader.span() is None:
        return
    column = reader.raw(["T7"], kept[0][0], killed_at)["T7"]
    found = list(zip(column.t.tolist(), column.v.astype(int).tolist(), strict=True))
    assert found == kept[: len(found)], "what is there has no hole"
    assert len(found) >= sum(t < killed_at - NS for t, _ in kept)


def test_the_next_engine_goes_on_in_a_killed_ones_file_and_notes_the_outage(tmp_path: Path) -> None:
    for _ in range(2):
        with subprocess.Popen([*WRITER, "kill", str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            for _ in range(100):
                process.stdout.readline()
            process.kill()
    reader = HistoryReader(tmp_path)
    span = reader.span()
    assert span is not None
    (gap,) = reader.gaps(*span)
    values = reader.raw(["T0"], *span)["T0"]
    before = values.v[values.t <= gap.start].tolist()
    after = values.v[values.t >= gap.end].tolist()
    assert before == list(range(len(before)))
    assert after == list(range(len(after)))
    assert len(before) + len(after) == len(values)


def killed_while_sealing(directory: Path, kills: int, seed: int) -> None:
    """Kill writers at random moments one after the other; everything that was on the disk is there, once."""
    random = np.random.default_rng(seed)
    for _ in range(kills):
        lines = int(random.integers(2, 24))
        with subprocess.Popen(
            [*WRITER, "seal", str(directory)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(lines)]
            threading.Event().wait(float(random.uniform(0, 0.02)))  # somewhere between two commits
            process.kill()
            said += [line for line in process.stdout if line.endswith("\n")]
        last = int(said[-1])
        column = HistoryReader(directory).raw(["T7"], START, START + 10**6 * NS)["T7"]
        assert column.v.tolist() == list(range(len(column)))
        assert len(column) > last
    with closing(sqlite3.connect(next(directory.glob("*.db")))) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM chunks").fetchone()[0] > 0
    rows = HistoryReader(directory).trend(["T7"], START, START + len(column) * NS, max(1, len(column) // 600))["T7"]
    assert rows.good.sum() == len(column), "the roll-ups count each reading once"


def test_killed_while_sealing_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    killed_while_sealing(tmp_path, 5, 3)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_killed_at_100_moments_while_sealing(tmp_path: Path) -> None:
    killed_while_sealing(tmp_path, 100, 4)


def test_a_full_disk_is_a_recorded_gap_and_the_rest_is_there(tmp_path: Path) -> None:
    command = [*WRITER, "full", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=60)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["trouble"].startswith("history cannot be written")
    assert result["after"] == ""
    (start, begun, _), (same, end, _) = result["told"]
    assert (start, start) == (begun, same)
    kept: list[int] = result["kept"]
    reader = HistoryReader(tmp_path)
    values = reader.raw(["T0"], kept[0], kept[-1])["T0"]
    assert values.t.tolist() == [t for t in kept if not start <= t <= end]
    assert [(gap.start, gap.end) for gap in reader.gaps(kept[0], kept[-1])] == [(start, end)]
