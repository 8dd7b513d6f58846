"""Which readings belong to a batch, phase or unit is asked of the journal."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from evcontrol.batch.spans import UnknownSpanError, find_span
from evcontrol.cli.fault import CliError
from evcontrol.cli.history import export, query
from evcontrol.history.export import iso_ns
from evcontrol.history.reader import HistoryReader
from tests.batch.story import BATCH, START, tell


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch that was told by hand."""
    path = tmp_path_factory.mktemp("spans")
    tell(path)
    return path


def test_phases_follow_each_other_within_their_batch(data: Path) -> None:
    batch = find_span(data, BATCH)
    phases = [find_span(data, BATCH, phase) for phase in ("load", "concentrate", "diafilter", "recover")]
    assert START <= batch.start <= phases[0].start
    assert phases[-1].end <= batch.end
    for one, following in pairwise(phases):
        assert one.start < one.end <= following.start
    assert (batch.words, phases[2].words) == (f"batch {BATCH}", f"uf/diafilter of batch {BATCH}")


def test_without_an_id_the_latest_batch_is_meant_and_a_path_names_a_phase(data: Path) -> None:
    assert find_span(data) == find_span(data, BATCH)
    assert find_span(data, phase="uf/load") == find_span(data, BATCH, "load")


def test_a_units_part_is_from_its_first_phase_to_its_last(data: Path) -> None:
    span = find_span(data, unit="TFF201")
    assert (span.start, span.end) == (find_span(data, phase="load").start, find_span(data, phase="recover").end)
    assert span.tags_of(["TFF201.TMP", "BR101.DO", "SYS.SPEED"]) == ["TFF201.TMP", "SYS.SPEED"]


def test_what_is_not_there_is_told_with_what_is(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownSpanError, match="no phase 'clean' ran in B-0001; these did: uf/load, uf/concentrate"):
        find_span(data, phase="clean")
    with pytest.raises(UnknownSpanError, match="does not use BR101: it uses TFF201"):
        find_span(data, unit="BR101")
    with pytest.raises(UnknownSpanError, match="has no batch B-9"):
        find_span(data, "B-9")
    with pytest.raises(UnknownSpanError, match="tells of no batch"):
        find_span(tmp_path)


def test_a_query_by_phase_gives_its_readings(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query(tag=["TFF201.TMP"], phase="diafilter", data=data, json=True)
    (series,) = json.loads(capsys.readouterr().out)["series"]
    whole = find_span(data, phase="diafilter")
    query(tag=["TFF201.TMP"], data=data, json=True)
    (every,) = json.loads(capsys.readouterr().out)["series"]
    assert 0 < len(series["t"]) < len(every["t"])
    assert len(series["t"]) >= (whole.end - whole.start) // 10**9 - 1
    with pytest.raises(CliError, match="no phase 'clean'"):
        query(tag=["TFF201.TMP"], phase="clean", data=data)


def test_an_export_by_batch_has_the_tags_of_its_units(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "batch.csv"
    export(batch=BATCH, out=out, data=data)
    head = out.read_text(encoding="utf-8").splitlines()[0]
    assert "TFF201.TMP [psi]" in head


def test_what_goes_on_ends_with_the_last_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell(tmp_path, ends=False)
    assert find_span(tmp_path).open
    query(tag=["TFF201.TMP"], batch=BATCH, data=tmp_path, json=True)
    (series,) = json.loads(capsys.readouterr().out)["series"]
    span = HistoryReader(tmp_path / "history").span()
    assert span is not None
    assert series["t"][-1] == iso_ns(np.array([span[1]]))[0]
