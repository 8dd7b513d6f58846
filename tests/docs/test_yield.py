"""docs/explanation/yield.md: the names, limits and uncertainties are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

from evcontrol.batch import collected, liquids, worth
from evcontrol.batch.worth import Standing
from evcontrol.product import count
from evcontrol.product.uncertainty import DEFAULTS, NTA_CALIBRATION, NTA_COUNT
from evcontrol.product.yields import BALANCE_LIMIT

TEXT = (Path(__file__).parents[2] / "docs" / "explanation" / "yield.md").read_text(encoding="utf-8")
FLAT = " ".join(TEXT.split())


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    part = TEXT.split(f"## {heading}\n")[1].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_results_and_containers_are_those_that_are_looked_for() -> None:
    told = {liquid: (result, containers) for liquid, result, containers in rows("Where each input comes from")}
    assert told.keys() == liquids.RESULTS.keys()
    for liquid, (result, containers) in told.items():
        wanted = liquids.RESULTS[liquid]
        name, *phases = re.findall(r"`([^`]+)`", result)
        assert (name, frozenset(phases)) == (wanted.name, wanted.phases)
        types = {kind for kind, held in liquids.TYPES.items() if held == liquid}
        assert set(re.findall(r"`([^`]+)`", containers)) == types


def test_uncertainties_are_those_declared() -> None:
    assert dict(rows("Uncertainty")) == {name: f"{100.0 * d.cv:g} %" for name, d in DEFAULTS.items()}
    least = (NTA_CALIBRATION.cv**2 + NTA_COUNT.cv**2) ** 0.5
    assert f"a count carries {100.0 * least:.0f} % or more" in FLAT


def test_limits_are_those_of_the_program() -> None:
    told = dict(rows("When a count is accepted"))
    assert told["valid videos"] == f"at least {count.LEAST_VIDEOS}"
    assert told["valid tracks"] == f"at least {count.LEAST_TRACKS}"
    assert told["CV of the videos"] == f"at most {100.0 * count.MOST_CV:g} %"
    assert told["blank"].startswith(f"below {100.0 * count.MOST_BLANK:g} %")
    off = count.BEADS_NM * count.MOST_OFF
    assert told["mode of the beads"] == f"{count.BEADS_NM - off:g} to {count.BEADS_NM + off:g} nm"
    assert f"closes from {100 * (1 - BALANCE_LIMIT):g} to {100 * (1 + BALANCE_LIMIT):g} %" in FLAT
    assert f"its CV is above {100 * BALANCE_LIMIT:g} %" in FLAT
    assert f"{liquids.ASSUMED_CELSIUS:g} degC is assumed" in FLAT
    assert f"agree within {100 * collected.LIMIT:g} % or {collected.LEAST_G:g} g" in FLAT
    assert all(f"`{tag}`" in TEXT for tag in collected.WEIGHED.values())
    assert f"`{worth.WASH}`" in TEXT
    assert f"`{worth.LEFT_OVER}`" in TEXT
    assert f"`{worth.CONDITION}`" in TEXT


def test_every_verdict_is_told() -> None:
    assert {name for name, _ in rows("The verdict")} == {standing.value for standing in Standing}
