"""A count gives a concentration only with its dilution, and is held against what it must be to be relied on."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcontrol.product.count import Check, Count, Verdict, blank_share, checks, concentration
from evcontrol.product.evaluation import Source

SOURCE = Source("count S-000003.csv", 41, 1_000, "ab" * 32)
POOL = Count(
    "S-000003", "pool", SOURCE, measured=6e7, dilution=100.0, dilution_source="export", stock=6e9, instrument="NTA301",
    cv=0.1, replicates=4, tracks=3000, d10=90.0, d50=130.0, d90=220.0, mode=110.0,
)  # fmt: skip


def changed(**change: object) -> Count:
    return dataclasses.replace(POOL, **change)  # type: ignore[arg-type]


def named(found: list[Check], name: str) -> Check:
    (check,) = [check for check in found if check.name == name]
    return check


def test_the_concentration_is_what_was_measured_times_the_dilution() -> None:
    found = concentration(POOL)
    assert found.figure is not None
    assert (found.figure.value, found.figure.unit) == (6e9, "particle/mL")
    # calibration 20 %, the count 12 %, its videos 10 %/sqrt(4)
    assert found.figure.cv == pytest.approx(math.sqrt(0.20**2 + 0.12**2 + 0.05**2))
    assert 0.2 <= found.figure.cv <= 0.5


def test_it_carries_both_of_its_inputs_and_where_they_stand() -> None:
    measured, dilution = concentration(POOL).inputs
    assert (measured.figure.value, measured.figure.unit, measured.instrument) == (6e7, "particle/mL", "NTA301")
    assert (measured.source.event, measured.source.t, measured.source.sha256) == (41, 1_000, "ab" * 32)
    assert (dilution.figure.value, dilution.source.what) == (100.0, "dilution, by the export")
    entered = concentration(changed(dilution_source="entered")).inputs[1]
    assert entered.source.what == "dilution, entered by a person"


def test_without_a_dilution_there_is_no_number_and_the_reason_stands_there() -> None:
    found = concentration(changed(dilution=None, stock=None))
    assert found.figure is None
    assert found.missing == ("no dilution is recorded for sample S-000003 (pool): it is not guessed",)
    assert concentration(changed(dilution=None)).figure is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"measured": None}, "the count of sample S-000003 (pool) gives no concentration"),
        ({"dilution": 0.5, "stock": None}, "the dilution of sample S-000003 (pool) is 0.5: a dilution is 1 or more"),
        ({"stock": 6e7}, "the export gives 6e+07 particle/mL for sample S-000003 (pool), but measured times dilution"),
    ],
)
def test_what_cannot_be_right_gives_no_number(change: dict[str, object], reason: str) -> None:
    found = concentration(changed(**change))
    assert found.figure is None
    assert found.missing[0].startswith(reason)


@given(st.just(0.0) | st.floats(1e-3, 1e10), st.floats(1.0, 1e6))
def test_no_count_is_ever_more_certain_than_its_calibration(measured: float, dilution: float) -> None:
    figure = concentration(changed(measured=measured, dilution=dilution, stock=None)).figure
    assert figure is not None
    assert figure.value == pytest.approx(measured * dilution)
    assert figure.uncertainty >= 0.2 * figure.value * (1.0 - 1e-9)


@pytest.mark.parametrize(
    ("change", "name", "verdict"),
    [
        ({}, "CV of the videos", Verdict.PASSED),
        ({"cv": 0.20}, "CV of the videos", Verdict.PASSED),
        ({"cv": 0.21}, "CV of the videos", Verdict.FAILED),
        ({"cv": None}, "CV of the videos", Verdict.UNKNOWN),
        ({"replicates": 3}, "valid videos", Verdict.PASSED),
        ({"replicates": 2}, "valid videos", Verdict.FAILED),
        ({"tracks": 1000}, "valid tracks", Verdict.PASSED),
        ({"tracks": 999}, "valid tracks", Verdict.FAILED),
        ({"tracks": None}, "valid tracks", Verdict.UNKNOWN),
        ({"kind": "beads", "mode": 90.0}, "mode of the beads", Verdict.PASSED),
        ({"kind": "beads", "mode": 111.0}, "mode of the beads", Verdict.FAILED),
    ],
)
def test_a_count_is_accepted_by_its_videos_cv_and_tracks(
    change: dict[str, object], name: str, verdict: Verdict
) -> None:
    assert named(checks(changed(**change)), name).verdict is verdict


@pytest.mark.parametrize("kind", ["medium", "diluent", "permeate"])
def test_of_what_ought_to_hold_few_particles_only_the_videos_are_asked(kind: str) -> None:
    assert [check.name for check in checks(changed(kind=kind, tracks=12, cv=0.6))] == ["valid videos"]


@pytest.mark.parametrize(
    ("measured", "verdict"), [(2.9e8, Verdict.PASSED), (3.0e8, Verdict.FAILED), (None, Verdict.UNKNOWN)]
)
def test_the_medium_must_hold_less_than_five_per_cent(measured: float | None, verdict: Verdict) -> None:
    medium = changed(kind="medium", measured=measured, dilution=1.0, stock=None)
    assert blank_share(medium, POOL).verdict is verdict


def test_the_diluent_is_compared_with_the_diluted_sample() -> None:
    diluent = changed(kind="diluent", measured=3e6, dilution=None, stock=None)
    assert blank_share(diluent, POOL).value == pytest.approx(0.05)
    assert blank_share(diluent, POOL).verdict is Verdict.FAILED


def test_the_span_is_the_breadth_over_the_median() -> None:
    assert POOL.span == pytest.approx((220.0 - 90.0) / 130.0)
    assert changed(d10=None).span is None
