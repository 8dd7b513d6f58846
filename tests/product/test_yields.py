"""Yield, recovery and balance of particles by hand from their formulas, and the reasons where there is none."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given as cases
from hypothesis import strategies as st

from evcontrol.product.evaluation import Evaluation, Input, Source, absent, given
from evcontrol.product.figure import relative
from evcontrol.product.yields import (
    Closure,
    cell_equivalents,
    cell_rate,
    less_blank,
    particle_balance,
    particles,
    per_cell,
    recovery,
    together,
    volume,
)


def figure(name: str, value: float, unit: str, instrument: str = "", **cvs: float) -> Evaluation:
    return given(Input(name, relative(value, unit, cvs), Source(name), instrument))


def counted(name: str, value: float, own: float = 0.12, instrument: str = "NTA301") -> Evaluation:
    cvs = {f"calibration of {instrument}": 0.2, name: own}
    return given(Input(name, relative(value, "particle/mL", cvs), Source(name), instrument))


def amount(name: str, concentration: float, ml: float, own: float = 0.12, instrument: str = "NTA301") -> Evaluation:
    return particles(name, counted(name, concentration, own, instrument), figure(f"V {name}", ml, "mL"))


CELLS = figure("cells", 8e8, "cell", harvest=0.1)


def value(found: Evaluation) -> float:
    assert found.figure is not None, found.missing
    return found.figure.value


def test_volume_is_mass_over_density() -> None:
    found = volume("pool", figure("m", 997.77, "g"), figure("rho", 0.99777, "g/mL"))
    assert value(found) == pytest.approx(1000.0)
    assert found.figure is not None
    assert found.figure.unit == "mL"


def test_the_yield_by_hand() -> None:
    # (6e9 - 1e8) /mL x 1750 mL / 8e8 cells
    pool, blank = amount("pool", 6e9, 1750.0), amount("medium", 1e8, 1750.0)
    found = per_cell(less_blank("released", pool, blank), CELLS)
    assert value(found) == pytest.approx(5.9e9 * 1750.0 / 8e8)
    assert found.figure is not None
    assert found.figure.unit == "particle/cell"
    own = math.hypot(6e9 * 0.12, 1e8 * 0.12) / 5.9e9
    assert found.figure.cv == pytest.approx(math.sqrt(0.2**2 + own**2 + 0.1**2))
    assert {i.name for i in found.inputs} == {"pool", "V pool", "medium", "V medium", "cells"}


def test_without_cells_there_is_no_yield_and_every_reason_stands_there() -> None:
    released = less_blank("released", amount("pool", 6e9, 1750.0), absent("medium", "no count of medium"))
    found = per_cell(released, absent("cells", "no viable count at harvest"))
    assert found.figure is None
    assert found.missing == ("no count of medium", "no viable count at harvest")


def test_a_blank_with_as_many_particles_leaves_nothing() -> None:
    found = less_blank("released", amount("pool", 1e8, 100.0), amount("medium", 1e8, 100.0))
    assert found.missing == ("the blank holds as many particles as the sample",)


def test_what_is_provisional_stays_so() -> None:
    estimated = Evaluation("cells", "", CELLS.figure, CELLS.inputs, provisional=("estimated",))
    found = per_cell(amount("pool", 6e9, 1750.0), estimated)
    assert found.provisional == ("estimated",)
    assert cell_equivalents(amount("product", 4e10, 190.0), found).provisional == ("estimated",)


def test_rate_and_cell_equivalents_by_hand() -> None:
    pool = amount("pool", 6e9, 1000.0)
    rate = cell_rate(pool, figure("integral", 1.2e9, "cell.d"))
    assert value(rate) == pytest.approx(6e12 / 1.2e9)
    assert rate.figure is not None
    assert rate.figure.unit == "particle/cell/d"
    # the yield is 7500 per cell, so 3e12 particles are those of 4e8 cells
    equivalents = cell_equivalents(amount("product", 3e10, 100.0), per_cell(pool, CELLS))
    assert value(equivalents) == pytest.approx(4e8)


def test_the_calibration_of_one_counter_leaves_a_recovery() -> None:
    found = recovery("step", amount("out", 4e10, 180.0), amount("in", 5e9, 1740.0))
    assert value(found) == pytest.approx(4e10 * 180.0 / (5e9 * 1740.0))
    assert found.figure is not None
    assert found.figure.unit == ""
    assert found.figure.cv == pytest.approx(0.12 * math.sqrt(2.0))


def test_two_counters_are_not_compared() -> None:
    found = recovery("step", amount("out", 4e10, 180.0, instrument="NTA302"), amount("in", 5e9, 1740.0))
    assert found.missing == ("counted by different instruments (NTA301, NTA302) without a bridge between them",)


def test_nothing_in_is_no_recovery() -> None:
    assert recovery("step", amount("out", 4e10, 180.0), amount("in", 0.0, 1740.0)).missing == ("no particles went in",)


@pytest.mark.parametrize(
    ("found", "closure"),
    [(0.79, Closure.OPEN), (0.81, Closure.CLOSES), (1.19, Closure.CLOSES), (1.21, Closure.OPEN)],
)
def test_the_balance_closes_from_80_to_120_per_cent(found: float, closure: Closure) -> None:
    feed, permeate = amount("feed", 5e9, 1000.0, 0.05), amount("permeate", 1e8, 1000.0, 0.05)
    retentate = amount("retentate", found * 5e10 - 1e9, 100.0, 0.05)
    balance = particle_balance(feed, [retentate, permeate])
    assert value(balance.share) == pytest.approx(found)
    assert balance.closure is closure


def test_the_balance_is_inconclusive_beyond_the_tolerance() -> None:
    feed = amount("feed", 5e9, 1000.0, 0.16)
    balance = particle_balance(feed, [amount("retentate", 5e10, 100.0, 0.16)])
    assert balance.share.figure is not None
    assert balance.share.figure.cv == pytest.approx(0.16 * math.sqrt(2.0))
    assert balance.closure is Closure.INCONCLUSIVE
    missing = particle_balance(feed, [absent("permeate", "no count of permeate")])
    assert (missing.closure, missing.share.missing) == (Closure.INCONCLUSIVE, ("no count of permeate",))


def test_a_sum_of_nothing_is_no_number() -> None:
    assert together("mass", "sum", []).figure is None


@cases(st.floats(1e6, 1e12), st.floats(1e6, 1e12), st.floats(1.0, 1e4), st.floats(1.0, 1e4), st.floats(0.01, 100.0))
def test_recoveries_do_not_depend_on_the_counters_calibration(
    out: float, into: float, ml_out: float, ml_in: float, factor: float
) -> None:
    true = recovery("step", amount("out", out, ml_out), amount("in", into, ml_in))
    off = recovery("step", amount("out", factor * out, ml_out), amount("in", factor * into, ml_in))
    assert value(off) == pytest.approx(value(true))


@cases(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4))
def test_the_recovery_overall_is_the_product_of_the_steps(shares: list[float]) -> None:
    amounts = [amount("0", 1e10, 1000.0)]
    for i, share in enumerate(shares, 1):
        amounts.append(amount(str(i), value(amounts[-1]) * share / 100.0, 100.0))
    steps = [value(recovery("step", out, into)) for into, out in pairwise(amounts)]
    assert value(recovery("overall", amounts[-1], amounts[0])) == pytest.approx(math.prod(steps))
