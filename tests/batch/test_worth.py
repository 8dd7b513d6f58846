"""The worth of a batch follows from its record alone; what is missing leaves no number but its reason."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evcontrol.batch.record import read_record
from evcontrol.batch.worth import Standing, Worth, summary, worth
from evcontrol.clock import NS
from evcontrol.history.reader import HistoryReader
from evcontrol.journal.events import Kind
from evcontrol.product.evaluation import Evaluation
from evcontrol.product.yields import Closure
from evcontrol.quality import BAD_NOT_CONNECTED
from tests.batch.story import BATCH, tell
from tests.batch.story_ev import CELLS, EvStory, tell_ev
from tests.batch.test_report import EVIL, Page, page

WATER_22, WATER_21 = 0.997770, 0.997992
"""Density of water in g/mL (Tanaka et al. 2001)."""


def evaluated(data: Path) -> Worth:
    found = worth(read_record(data, BATCH), HistoryReader(data / "history"))
    assert found is not None
    return found


def told(data: Path, **story: Any) -> Worth:
    tell_ev(data, **story)
    return evaluated(data)


def value(found: Evaluation) -> float:
    assert found.figure is not None, found.missing
    return found.figure.value


def stage(found: Worth, name: str) -> Evaluation:
    return next(stage.particles for stage in found.stages if stage.name == name)


def recovery(found: Worth, name: str) -> Evaluation:
    return next(each for each in found.recoveries if each.name == f"recovery {name}")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    tell_ev(directory)
    return directory


@pytest.fixture(scope="module")
def whole(data: Path) -> Worth:
    return evaluated(data)


@pytest.fixture(scope="module")
def text(data: Path) -> str:
    return page(data).text


# -- the numbers, worked out again from what was told ------------------------------------------------------------------


def test_the_yield_by_hand(whole: Worth) -> None:
    pool_ml = (900.0 + 850.0) / WATER_22
    assert value(whole.per_cell) == pytest.approx((6e7 * 100 - 2e7) * pool_ml / 8e8, rel=1e-5)
    assert whole.per_cell.figure is not None
    assert whole.per_cell.figure.unit == "particle/cell"
    # calibration, count, 8 % over 5 videos, two masses of 0.5 %, density, cells
    cv = math.sqrt(0.2**2 + 0.12**2 + 0.08**2 / 5 + 2 * (0.005 / 2) ** 2 + 0.005**2 + 0.1**2)
    assert whole.per_cell.figure.cv == pytest.approx(cv, rel=0.01)
    assert whole.per_cell.provisional == ()
    assert whole.standing is Standing.DETERMINED


def test_the_yield_carries_everything_that_it_rests_on(data: Path, whole: Worth) -> None:
    events = {event.seq: event for event in read_record(data, BATCH).own}
    rests_on = {each.name: each for each in whole.per_cell.inputs}
    assert rests_on.keys() == {
        "concentration measured in sample S-000003 (pool)", "dilution of sample S-000003 (pool)",
        "concentration measured in sample S-000002 (medium)", "dilution of sample S-000002 (medium)",
        "mass: collected", "temperature of pool", "viable cells at harvest (counted)",
    }  # fmt: skip
    assert len(whole.per_cell.inputs) == 8  # two collections
    for each in whole.per_cell.inputs:
        if each.source.what == "assumed":
            continue
        event = events[each.source.event or 0]
        assert event.t == each.source.t
        assert each.figure.value in event.body.values()
        assert each.source.sha256 == event.body.get("sha256", "")


def test_recoveries_by_hand(whole: Worth) -> None:
    pool = 6e9 * 1750.0 / WATER_22
    clarified = 5.6e9 * 1740.0 / WATER_22
    concentrate = 4.6e10 * 180.0 / WATER_21
    product = 3.9e10 * 190.0 / WATER_22
    steps = {
        "of the clarification": clarified / pool,
        "of the ultrafiltration": concentrate / clarified,
        "of formulation and sterile filtration": product / concentrate,
        "overall": product / pool,
    }
    for name, share in steps.items():
        assert value(recovery(whole, name)) == pytest.approx(share, rel=1e-5)
    figure = recovery(whole, "overall").figure
    assert figure is not None
    assert figure.cv == pytest.approx(math.sqrt(2 * (0.12**2 + 0.08**2 / 5)), rel=0.01)  # the calibration has left


def test_the_balance_of_particles_by_hand(whole: Worth) -> None:
    fed = 5.6e9 * 1735.0 / WATER_21
    found = 4.6e10 * 180.0 / WATER_21 + 1e7 * 2580.0 / WATER_21
    assert value(whole.balance.share) == pytest.approx(found / fed, rel=1e-5)
    assert whole.balance.closure is Closure.CLOSES


def test_the_cell_specific_rate_by_hand(data: Path, whole: Worth) -> None:
    record = read_record(data, BATCH)
    inoculated, estimated, harvested = record.cell_counts
    start = record.elements["culture/wash_out"].ended
    end = [e.t for e in record.own if e.kind is Kind.PHASE_RESULT and e.body["name"] == "collected"][-1]
    assert start is not None
    day = 86_400 * NS
    first = (estimated.t - inoculated.t) / day
    growth = math.log(7e8 / 2e8) / first
    integral = (7e8 - 2e8 * math.exp(growth * (start - inoculated.t) / day)) / growth
    growth = math.log(8e8 / 7e8) / ((harvested.t - estimated.t) / day)
    integral += 7e8 * (math.exp(growth * (end - estimated.t) / day) - 1.0) / growth
    assert value(whole.rate) == pytest.approx(value(whole.released) / integral, rel=1e-6)
    assert whole.rate.provisional == ("viable cells at collection are estimated, not counted",)


def test_cell_equivalents_of_the_product(whole: Worth) -> None:
    assert value(whole.equivalents) == pytest.approx(value(stage(whole, "product")) / value(whole.per_cell))


# -- what is missing, provisional or outside its limits ----------------------------------------------------------------


def test_without_a_viable_count_there_is_no_yield(tmp_path: Path) -> None:
    found = told(tmp_path, cells=CELLS[:2])
    assert found.per_cell.figure is None
    assert found.per_cell.missing == ("no viable count at harvest",)
    assert found.standing is Standing.MISSING
    assert value(recovery(found, "overall")) > 0.0
    text = page(tmp_path).text
    assert "Yield and recovery NO YIELD particles per viable cell at harvest: none (no viable count at harvest)" in text


def test_an_estimated_count_makes_the_yield_provisional(tmp_path: Path) -> None:
    found = told(tmp_path, cells=[*CELLS[:2], ("harvest", 8e8, "estimated", None)])
    assert value(found.per_cell) > 0.0
    assert found.per_cell.provisional == ("viable cells at harvest are estimated, not counted",)
    assert found.standing is Standing.PROVISIONAL
    assert "(provisional: viable cells at harvest are estimated, not counted)" in summary(found)
    assert "PROVISIONAL particles per viable cell at harvest" in page(tmp_path).text


def test_a_missing_dilution_takes_the_numbers_that_need_it(tmp_path: Path) -> None:
    found = told(tmp_path, counts={"pool": {"dilution": None, "concentration_stock": None}})
    reason = "no dilution is recorded for sample S-000003 (pool): it is not guessed"
    for result in (found.per_cell, found.rate, recovery(found, "overall"), recovery(found, "of the clarification")):
        assert (result.figure, result.missing) == (None, (reason,))
    assert value(recovery(found, "of the ultrafiltration")) > 0.0
    assert reason in page(tmp_path).text
    assert "NOT RECORDED" in page(tmp_path).text


@pytest.mark.parametrize(
    ("kind", "reason"), [("medium", "no count of medium"), ("pool", "no count of pool"), ("permeate", "")]
)
def test_a_sample_that_was_not_counted_is_named(tmp_path: Path, kind: str, reason: str) -> None:
    found = told(tmp_path, counts={kind: None})
    if reason:
        assert found.per_cell.missing == (reason,)
    else:
        assert found.standing is Standing.INCOMPLETE
        assert found.balance.share.missing == ("no count of permeate",)
        assert found.balance.closure is Closure.INCONCLUSIVE


def test_a_blank_above_its_limit_is_outside(tmp_path: Path) -> None:
    found = told(tmp_path, counts={"medium": {"concentration_measured": 4e8, "concentration_stock": 4e8}})
    assert found.standing is Standing.DOUBTFUL
    assert found.faults == ["S-000002 (medium): blank against S-000003 (pool) is not below 5 %"]
    assert value(found.per_cell) == pytest.approx((6e9 - 4e8) * 1750.0 / WATER_22 / 8e8, rel=1e-5)
    text = page(tmp_path).text
    assert "Yield and recovery OUTSIDE LIMITS" in text
    assert "blank against S-000003 (pool) 6.67 % below 5 % FAILS" in text


def test_videos_that_scatter_too_much_are_outside_and_leave_the_balance_open(tmp_path: Path) -> None:
    found = told(tmp_path, counts={"clarified": {"cv": 0.35, "replicates": 3}})
    assert found.faults == ["S-000004 (clarified): CV of the videos is not at most 20 %"]
    assert found.balance.closure is Closure.INCONCLUSIVE
    assert found.balance.share.figure is not None
    assert found.balance.share.figure.cv > 0.2


def test_particles_that_are_lost_leave_the_balance_open(tmp_path: Path) -> None:
    lost = {"concentration_measured": 3e7, "concentration_stock": 3e10, "cv": 0.02}
    found = told(tmp_path, counts={"concentrate": lost})
    assert found.balance.closure is Closure.OPEN
    assert found.standing is Standing.DOUBTFUL


def test_a_later_count_supersedes_and_the_earlier_one_stays_in_sight(tmp_path: Path) -> None:
    def again(story: EvStory) -> None:
        story.count("product", concentration_measured=4.2e7, concentration_stock=4.2e10)

    found = told(tmp_path, hooks={"end": again})
    assert value(stage(found, "product")) == pytest.approx(4.2e10 * 190.0 / WATER_22, rel=1e-5)
    assert len(found.counts) == len(found.used) + 1
    assert "superseded by a later count" in page(tmp_path).text


def test_two_counters_are_not_compared(tmp_path: Path) -> None:
    def elsewhere(story: EvStory) -> None:
        story.count("product")

    tell_ev(tmp_path, {"end": elsewhere})
    record = read_record(tmp_path, BATCH)
    record.counts[-1] = dataclasses.replace(record.counts[-1], path="finish/formulate")
    found = worth(record, HistoryReader(tmp_path / "history"))
    assert found is not None
    assert recovery(found, "overall").missing[0].startswith("counted by different instruments")


def test_a_liquid_in_two_containers_needs_a_count_of_each(tmp_path: Path) -> None:
    def second(story: EvStory) -> None:
        story.register("finish/sterile_filter", "F-2", "filtered")
        story.fill("finish/sterile_filter", "F-2", "filtered product", 95.0)

    found = told(tmp_path / "one", hooks={"end": second})
    assert stage(found, "product").missing == ("container F-2 of product was not counted",)

    def both(story: EvStory) -> None:
        second(story)
        story.count("product", container="F-2", concentration_measured=2e7, concentration_stock=2e10)

    found = told(tmp_path / "two", hooks={"end": both})
    wanted = (3.9e10 * 190.0 + 2e10 * 95.0) / WATER_22
    assert value(stage(found, "product")) == pytest.approx(wanted, rel=1e-5)


def test_a_sample_taken_before_the_concentrate_was_weighed_is_found_again(tmp_path: Path) -> None:
    def sample(story: EvStory) -> None:
        body = {"sample": "S-9", "container": "TFF201", "volume_ml": 5.0, "label": "retentate"}
        story.event(Kind.SAMPLE_TAKEN, body, "uf/diafilter")

    found = told(tmp_path, hooks={"diafilter": sample})
    fed = 5.6e9 * 1735.0 / WATER_21
    there = 4.6e10 * (180.0 / WATER_21 + 5.0) + 1e7 * 2580.0 / WATER_21
    assert value(found.balance.share) == pytest.approx(there / fed, rel=1e-5)


# -- volumes and masses ------------------------------------------------------------------------------------------------


def test_a_temperature_that_is_not_recorded_is_assumed_and_said(whole: Worth) -> None:
    notes = stage(whole, "pool").notes
    assert notes == ("the temperature of pool is taken as 22 degC (none is recorded)",)
    tags = {each.source.tag for each in stage(whole, "concentrate").inputs}
    assert "TFF201.TT" in tags


def test_what_the_wash_left_is_told_beside_the_yield(whole: Worth) -> None:
    note = "1.3 % of the medium before was left by the wash-out: its particles are not subtracted"
    assert note in whole.per_cell.notes
    assert note not in stage(whole, "pool").notes


def test_a_thermometer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    def lose(story: EvStory) -> None:
        story.quality["TFF201.TT"] = BAD_NOT_CONNECTED

    found = told(tmp_path, hooks={"diafilter": lose})
    (note,) = stage(found, "concentrate").notes
    assert "taken as 22 degC (TFF201.TT is Bad: not connected at" in note


def test_the_phases_own_temperature_is_taken_first(tmp_path: Path) -> None:
    def warm(story: EvStory) -> None:
        story.result("uf/recover", "temperature", 30.0, "degC")

    found = told(tmp_path, hooks={"recover": warm})
    assert value(stage(found, "concentrate")) == pytest.approx(4.6e10 * 180.0 / 0.995649, rel=1e-5)


def test_collected_masses_agree_with_the_load_cells(whole: Worth) -> None:
    assert [(m.path, m.put_down_g, m.closure) for m in whole.masses] == [
        ("culture/condition", 900.0, Closure.CLOSES),
        ("culture/harvest", 850.0, Closure.CLOSES),
        ("culture/clarify", 1740.0, Closure.CLOSES),
    ]
    assert [m.read_g for m in whole.masses] == [pytest.approx(900.0), pytest.approx(850.0), pytest.approx(1740.0)]


def test_a_collection_that_the_load_cell_did_not_see_is_found(tmp_path: Path) -> None:
    def spill(story: EvStory) -> None:
        story.value["BR101.WT_POOL"] -= 19.0

    found = told(tmp_path, hooks={"collection": spill})
    first = found.masses[0]
    assert (first.read_g, first.closure) == (pytest.approx(881.0), Closure.OPEN)
    assert found.standing is Standing.DOUBTFUL
    assert "culture/condition: collected does not agree with BR101.WT_POOL" in found.faults


@pytest.mark.parametrize(
    ("what", "reason"), [("tare", "fell from 250.0 to 150.0 g"), ("lose", "is Bad: not connected")]
)
def test_a_load_cell_that_cannot_tell_is_inconclusive(tmp_path: Path, what: str, reason: str) -> None:
    def disturb(story: EvStory) -> None:
        if what == "tare":
            story.value["BR101.WT_POOL"] = 0.0
        else:
            story.quality["BR101.WT_POOL"] = BAD_NOT_CONNECTED

    first = told(tmp_path, hooks={"collection": disturb}).masses[0]
    assert first.closure is Closure.INCONCLUSIVE
    assert reason in first.reason


# -- the report --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "Yield and recovery determined particles per viable cell at harvest: 1.311e+04 ± 3.4e+03 particle/cell;",
        "recovery overall: 70.57 ± 13 %; particles of the ultrafiltration: closes (85.49 ± 15 %)",
        "cell-specific rate",
        "PROVISIONAL: viable cells at collection are estimated, not counted",
        "S-000003 (pool) CV of the videos 8 % at most 20 % passes",
        "harvest 8e+08 93 % counted 10 %",
        "culture/clarify clarified 1740.0 g BR101.WT_CLAR 1740.0 g +0.0 g agrees",
        "100 x (export)",
        "temperature of pool 22 degC 0 % assumed",
    ],
)
def test_what_stands_in_the_report(text: str, words: str) -> None:
    assert words in text


def test_every_result_refers_to_inputs_that_are_listed(data: Path, text: str) -> None:
    listed = text.split("What they were worked out from")[1].partition("Particles counted")[0]
    for event in read_record(data, BATCH).counts:
        assert f"event {event.seq}" in listed or event.body["kind"] == "diluent"
        assert event.body["sha256"] in text
    results = text.split("Results Result Value")[1].partition("What they were")[0]
    referred = {int(n) for row in re.findall(r"(?:\d+, )+\d+", results) for n in row.split(", ")}
    assert referred == set(range(1, max(referred) + 1))
    assert f" {max(referred)} " in listed


def test_sizes_are_drawn(data: Path) -> None:
    html = (data / "reports" / f"{BATCH}.html").read_text(encoding="utf-8")
    picture = re.search(r"<svg(?:(?!</svg>).)*Sizes of the particles.*?</svg>", html, re.DOTALL)
    assert picture is not None
    assert picture[0].count('fill-opacity="0.3"') == len(evaluated(data).used)


def test_a_batch_without_counts_has_no_such_section(tmp_path: Path) -> None:
    tell(tmp_path)
    assert worth(read_record(tmp_path, BATCH), HistoryReader(tmp_path / "history")) is None
    assert "Yield" not in page(tmp_path).text


def test_a_batch_that_only_collected_says_what_is_missing(tmp_path: Path) -> None:
    found = told(tmp_path, counts=dict.fromkeys(("medium", "diluent", "pool", "clarified", "permeate", "concentrate",
                                                 "product")), cells=())  # fmt: skip
    assert found.per_cell.missing == ("no count of pool", "no count of medium", "no viable count at harvest")
    text = page(tmp_path).text
    assert "No particles were counted." in text
    assert "Viable cells were not counted." in text


@pytest.mark.parametrize(
    "body",
    [
        {"concentration_measured": "many", "dilution": EVIL, "cv": None, "d10": EVIL, "replicates": -1},
        {"sample": EVIL, "container": EVIL, "file": EVIL, "sha256": EVIL, "warnings": EVIL, "dilution_source": EVIL},
        {"concentration_measured": math.inf, "dilution": True, "mode": -5.0, "d10": 900.0, "d90": 10.0},
        {"concentration_measured": -1.0, "cv": -3.0, "tracks": "x", "d50": 0.0},
    ],
)
def test_nothing_that_a_count_may_hold_breaks_the_report(tmp_path: Path, body: Mapping[str, Any]) -> None:
    tell_ev(tmp_path, counts={"pool": {k: None if v is math.inf else v for k, v in body.items()}})
    found = page(tmp_path)
    assert isinstance(found, Page)
    assert "script" not in found.elements
    assert "Yield, recovery and size" in found.text
