"""The simulated NTA counter: its numbers, its folders, its exports while they grow, and what outlives its death."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev

import pytest

from drivers.nta_export import NtaExport, NtaFileError, parse_export, read_export
from simulators.devices.nta_counter import PREPARE_S, VIDEO_S, NtaCounter, Worklist
from simulators.process.nta import SampleProperties
from simulators.wire.nta_folder import HEAD, PIECES, POLLS_PER_PIECE, NtaFolder

STEP_S = 6.0


class Rig:
    """A counter with its folders, and samples by kind."""

    def __init__(self, root: Path, particles_per_ml: float = 5e11, seed: str = "s", **sizes: float) -> None:
        self.root = root
        self.sample = SampleProperties(particles_per_ml, **sizes)
        self.asked: list[str] = []
        self.seed = seed
        self.begin()

    def begin(self) -> None:
        self.counter = NtaCounter(self.draw, self.seed)
        self.folder = NtaFolder(self.counter, self.root / "w", self.root / "e")

    def draw(self, kind: str) -> SampleProperties:
        self.asked.append(kind)
        return self.sample

    def place(self, request: int, line: str | None = None, videos: int = 3, dilution: float = 1000.0) -> None:
        line = line or f"{request},S-{request:06d},pool,{dilution:g},{videos}"
        (self.root / "w" / f"worklist-{request}.csv").write_text(f"{HEAD}\r\n{line}\r\n")

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.counter.step(STEP_S)
            self.folder.poll()

    def polls(self, times: int = PIECES * POLLS_PER_PIECE + 1) -> None:
        for _ in range(times):
            self.folder.poll()

    def exports(self) -> list[Path]:
        return sorted((self.root / "e").iterdir())

    def measured(self, **values: float) -> NtaExport:
        """One whole measurement."""
        self.folder.open()
        self.place(1, **values)  # type: ignore[arg-type]
        self.folder.poll()
        self.counter.step(PREPARE_S + VIDEO_S * 10)
        self.polls()
        (path,) = self.exports()
        return read_export(path)


def is_whole(data: bytes) -> bool:
    """Whether an export is complete; one that is not must be known as such."""
    try:
        parse_export(data, "x")
    except NtaFileError as error:
        if not error.incomplete:
            raise
        return False
    return True


def test_a_worklist_moves_on_as_its_sample_does(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.folder.open()
    rig.place(7)
    rig.folder.poll()
    assert (tmp_path / "w" / "taken" / "worklist-7.csv").exists()
    rig.run(PREPARE_S + 3 * VIDEO_S - STEP_S)
    assert (rig.counter.measuring, rig.exports()) == (7, [])
    rig.run(STEP_S)
    assert rig.counter.measuring == 0
    rig.polls()
    assert (tmp_path / "w" / "done" / "worklist-7.csv").exists()
    assert [path.name for path in rig.exports()] == ["S-000007 R000007 2026-01-05 08-01-00-ExperimentSummary.csv"]
    assert rig.asked == ["pool"]
    assert rig.counter.known == set()


def test_samples_are_measured_in_order_also_several_in_one_long_step(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.folder.open()
    for request in (10, 9, 2):
        rig.place(request, videos=1)
    rig.folder.poll()
    rig.counter.step(1000.0)
    rig.polls(200)
    assert [path.name[:22] for path in rig.exports()] == [
        "S-000002 R000002 2026-", "S-000009 R000009 2026-", "S-000010 R000010 2026-",
    ]  # fmt: skip
    assert [path.name[28:36] for path in rig.exports()] == ["08-01-00", "08-03-00", "08-05-00"]


def test_the_export_grows_and_is_incomplete_until_its_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.folder.open()
    rig.place(7)
    rig.folder.poll()
    rig.counter.step(240.0)
    sizes, whole = [], 0
    for _ in range(PIECES * POLLS_PER_PIECE):
        rig.folder.poll()
        data = rig.exports()[0].read_bytes()
        sizes.append(len(data))
        whole += is_whole(data)
    assert len(set(sizes)) == PIECES
    assert sizes == sorted(sizes)
    assert 1 <= whole <= POLLS_PER_PIECE


@pytest.mark.parametrize("in_cell", [2e8, 5e8, 1e9])
def test_its_numbers_agree_with_the_sample_and_with_themselves(tmp_path: Path, in_cell: float) -> None:
    found = Rig(tmp_path, in_cell * 1000.0).measured(videos=5)
    assert found.contradictions == ()
    assert found.dilution == 1000.0
    assert found.concentration_stock == pytest.approx(in_cell * 1000.0, rel=4 * 0.08 / 5**0.5)
    assert 0.02 < (found.cv or 0.0) < 0.2
    assert found.sizes.mode == pytest.approx(118.0, abs=8.0)
    assert found.sizes.d50 == pytest.approx(129.1, abs=3.0)
    assert (found.warnings, found.trusted) == ((), True)


def test_noise_is_that_of_the_instrument(tmp_path: Path) -> None:
    counter, found = NtaCounter(lambda _: SampleProperties(5e8)), []
    for request in range(1, 41):
        counter.submit(Worklist(request, "S", "pool", 1.0, 5))
        counter.step(360.0)
        shown = counter.finished()
        assert shown is not None
        found.append([video.concentration for video in shown.videos])
        counter.written()
    within = mean(stdev(videos) / mean(videos) for videos in found)
    assert within == pytest.approx(0.08, rel=0.15)
    assert mean(map(mean, found)) == pytest.approx(5e8, rel=0.02)


def test_sizes_are_the_samples(tmp_path: Path) -> None:
    found = Rig(tmp_path, mode_nm=100.0, spread=0.03).measured()
    assert found.sizes.mean == pytest.approx(100.0, abs=1.0)
    assert found.sizes.sd < 6.0


def test_without_a_recorded_dilution_the_concentration_is_that_in_the_cell(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.counter.records_dilution = False
    found = rig.measured()
    assert (found.dilution, found.concentration_stock) == (None, None)
    assert found.concentration_measured == pytest.approx(5e8, rel=0.2)


@pytest.mark.parametrize(
    ("in_cell", "trusted", "words"),
    [
        (1e7, False, "Particles per frame: Too Low (all videos)"),
        (6e7, True, "Concentration: Low concentration (all videos)"),
        (3e9, True, "Validity of concentration measurement: Be cautious of data due to noise (all videos)"),
    ],
)
def test_too_few_and_too_many_particles_are_warned_of(
    tmp_path: Path, in_cell: float, trusted: bool, words: str
) -> None:
    found = Rig(tmp_path, in_cell * 1000.0).measured()
    assert words in found.warnings
    assert found.trusted is trusted
    if in_cell > 2e9:
        assert found.concentration_measured < 0.9 * in_cell


def test_a_diluent_without_particles_still_gives_a_count_near_nothing(tmp_path: Path) -> None:
    found = Rig(tmp_path, 0.0).measured(dilution=1.0)
    assert found.concentration_measured < 1e6
    assert found.contradictions == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("8,S-1,pool,1000,3", "request 8 in worklist-7.csv"),
        ("7,S-1,pool,1000", "not five values"),
        ("7,S/1,pool,1000,3", "is no name of a sample"),
        ("7,S-1,soup,1000,3", "is no kind of sample"),
        ("7,S-1,pool,0.5,3", "a dilution of 0.5"),
        ("7,S-1,pool,1000,11", "11 videos"),
        ("7,S-1,pool,1000,3\r\n8,S-2,pool,1,1", "not two lines"),
    ],
)
def test_a_worklist_that_cannot_be_carried_out_is_rejected_with_the_reason(
    tmp_path: Path, line: str, words: str
) -> None:
    rig = Rig(tmp_path)
    rig.folder.open()
    rig.place(7, line)
    rig.folder.poll()
    assert (tmp_path / "w" / "rejected" / "worklist-7.csv").exists()
    assert words in (tmp_path / "w" / "rejected" / "worklist-7.txt").read_text()
    assert rig.counter.known == set()


def test_a_folder_that_is_away_is_waited_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.folder.open()
    rig.place(7)
    rig.folder.poll()
    (tmp_path / "e").rename(tmp_path / "away")
    rig.run(300.0)
    (tmp_path / "away").rename(tmp_path / "e")
    rig.polls()
    assert len(rig.exports()) == 1


@pytest.mark.parametrize("polls", [0, 3, 17])
def test_a_killed_counter_comes_back_with_what_it_owes_and_the_same_numbers(tmp_path: Path, polls: int) -> None:
    whole = Rig(tmp_path / "whole").measured()
    rig = Rig(tmp_path / "killed")
    rig.folder.open()
    rig.place(1)
    rig.folder.poll()
    rig.counter.step(100.0)
    state = json.loads(json.dumps(rig.counter.state()))
    rig.begin()
    rig.counter.restore(state)
    rig.folder.open()
    rig.counter.step(200.0)
    rig.polls(polls)
    state = json.loads(json.dumps(rig.counter.state()))
    rig.begin()
    rig.counter.restore(state)
    rig.folder.open()
    rig.polls()
    (path,) = rig.exports()
    assert read_export(path) == whole


def test_a_counter_that_lost_its_memory_measures_again_what_it_had_taken(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.folder.open()
    rig.place(7)
    rig.folder.poll()
    rig.begin()
    rig.folder.open()
    assert rig.counter.known == {7}


def test_a_state_of_another_shape_is_refused() -> None:
    counter = NtaCounter(lambda _: SampleProperties(1.0))
    for damage in ({}, {"queue": [{}]}, {"current": [1]}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            counter.restore({**counter.state(), **damage} if damage else damage)
