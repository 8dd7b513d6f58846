"""The simulators' reading of the speed file."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.clock import ScaledClock
from simulators.clock import NS, Segment, SpeedFile, parse_segments


def line(mono: int, speed: float) -> str:
    return json.dumps({"mono_ns": mono, "process_ns": 0, "speed": speed}) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "speed.jsonl"


def test_without_a_file_the_default_holds(path: Path) -> None:
    assert SpeedFile(path).speed(5) == 1.0
    assert SpeedFile(path, 30.0).speed(5) == 30.0


def test_the_last_segment_that_has_begun_holds(path: Path) -> None:
    path.write_text(line(100, 2.0) + line(200, 30.0) + line(300, 1.0))
    speeds = SpeedFile(path)
    assert [speeds.speed(mono) for mono in (50, 100, 250, 400)] == [1.0, 2.0, 30.0, 1.0]


def test_elapsed_time_counts_every_speed_for_its_span(path: Path) -> None:
    path.write_text(line(2 * NS, 10.0) + line(3 * NS, 100.0))
    assert SpeedFile(path).elapsed_s(NS, 4 * NS) == pytest.approx(1.0 + 10.0 + 100.0)


def test_a_line_appended_later_is_seen(path: Path) -> None:
    path.write_text(line(0, 2.0))
    speeds = SpeedFile(path)
    assert speeds.speed(10) == 2.0
    with path.open("a") as file:
        file.write(line(5, 7.0))
    assert speeds.speed(10) == 7.0
    path.unlink()
    assert speeds.speed(10) == 1.0


@pytest.mark.parametrize(
    "damaged", ['{"mono_ns": 5, "spe', "[]", "null", '{"mono_ns": "x", "speed": 2}', '{"mono_ns": 5, "speed": 0}']
)
def test_a_damaged_line_is_passed_over(damaged: str) -> None:
    assert parse_segments(line(1, 3.0) + damaged + "\n" + line(9, 4.0)) == [Segment(1, 3.0), Segment(9, 4.0)]


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data: bytes) -> None:
    parse_segments(data.decode("utf-8", "replace"))


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0.1, 1000)), max_size=8), st.lists(st.integers(0, 1000)))
def test_elapsed_time_adds_up(
    tmp_path_factory: pytest.TempPathFactory, segments: list[tuple[int, float]], cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("speed") / "speed.jsonl"
    path.write_text("".join(line(mono, speed) for mono, speed in sorted(segments)))
    speeds = SpeedFile(path)
    points = sorted({0, 1000, *cuts})
    parts = sum(speeds.elapsed_s(a, b) for a, b in pairwise(points))
    assert parts == pytest.approx(speeds.elapsed_s(0, 1000))


def test_the_engines_clock_and_the_simulators_agree(path: Path) -> None:
    clock = ScaledClock(path, 30.0)
    (first,) = parse_segments(path.read_text())
    assert SpeedFile(path).speed(first.mono_ns) == clock.speed == 30.0
    assert SpeedFile(path).elapsed_s(first.mono_ns, first.mono_ns + NS) == pytest.approx(30.0)


def test_speed_zero_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="above 0"):
        SpeedFile(path, 0.0)
