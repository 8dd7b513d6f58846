"""Cells: growth, metabolism, death and vesicles, against reference solutions and against what is published."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from simulators.process.bioreactor import BioreactorParameters
from simulators.process.culture import Culture, CultureParameters, Surroundings
from simulators.process.culture_vessel import CellSide, HollowFibre, StirredTank
from simulators.process.liquid import Composition, Liquid
from tests.simulators.grow import collect, culture, live

MEDIUM = Composition(0.5, 2.0e7, 14.0, glucose_mm=10.0, foreign=True)
CONFLUENT = 1.0e9


def reference(cells: Culture, medium: Liquid, around: Surroundings, hours: float) -> Any:
    """Viable and dead cells, glucose, lactate and vesicles by a general solver."""
    p = cells.parameters

    def rates(_: float, y: Any) -> list[float]:
        viable, dead, glucose, lactate, evs = y
        now = Culture(p, cells.confluent, viable, dead)
        volume = medium.volume_ml
        g, lac = glucose / volume, lactate / volume
        deaths = now.death_per_h(around, g, lac)
        growth = now.growth_per_h(around, g, lac)
        hypoxic = 1.0 + p.hypoxic_glycolysis / (1.0 + (around.o2_percent / p.hypoxia_percent) ** 2)
        used = p.glucose_pmol_per_cell_h * 1e-6 * hypoxic * viable * g / (g + p.glucose_half_mm)
        release = p.evs_per_cell_h * viable * math.prod(now.multipliers(around, g).values())
        loss = p.ev_loss_per_h + p.ev_uptake_ml_per_cell_h * viable / volume / (1.0 + around.stress)
        return [
            (growth - deaths) * viable,
            deaths * viable - p.lysis_per_h * dead,
            -used,
            used * p.lactate_per_glucose,
            release - loss * evs,
        ]

    start = [cells.viable, cells.dead, medium.glucose_umol, medium.lactate_umol, medium.evs]
    scale = np.array([1e8, 1e7, 1e3, 1e3, 1e12])
    solution = solve_ivp(rates, (0.0, hours), start, method="LSODA", rtol=1e-9, atol=1e-9 * scale)
    return solution.y[:, -1]


@pytest.mark.parametrize("step", [1.0, 6.0, 72.0])
@pytest.mark.parametrize(
    "around",
    [
        Surroundings(19.9),
        Surroundings(2.0, stress=1.5),
        Surroundings(0.2, 36.0, 7.0),
        Surroundings(2.0, 37.0, 7.3, 4.0, 1.9),
    ],
)
def test_two_days_agree_with_a_general_solver(around: Surroundings, step: float) -> None:
    cells, medium = Culture(CultureParameters(), CONFLUENT), Liquid.of(1000.0, MEDIUM)
    cells.inoculate(2.0e8)
    expected = reference(cells, medium, around, 48.0)
    for _ in range(round(48.0 * 3600.0 / step)):
        cells.advance(step, medium, around)
    found = [cells.viable, cells.dead, medium.glucose_umol, medium.lactate_umol, medium.evs]
    assert found == pytest.approx(expected, rel=2e-3 if step <= 6.0 else 1e-2)


@settings(max_examples=60, deadline=None)
@given(st.floats(2e7, 1.5e8), st.floats(1.0, 20.9), st.floats(36.8, 37.2), st.floats(7.2, 7.4), st.floats(5.0, 12.0))
def test_below_confluence_cells_double_in_17_to_32_hours(
    viable: float, o2: float, temperature: float, ph: float, glucose: float
) -> None:
    cells = Culture(CultureParameters(), CONFLUENT, viable)
    around = Surroundings(o2, temperature, ph)
    net = cells.growth_per_h(around, glucose, 2.0) - cells.death_per_h(around, glucose, 2.0)
    assert 17.0 <= math.log(2.0) / net <= 32.0


def test_cells_stop_growing_at_confluence() -> None:
    full = Culture(CultureParameters(), CONFLUENT, CONFLUENT)
    assert full.growth_per_h(Surroundings(19.9), 10.0, 0.0) == 0.0


@given(st.floats(0.0, 20.9), st.floats(0.1, 10.0))
def test_metabolic_rates_are_those_of_stromal_cells(o2: float, glucose: float) -> None:
    cells, medium = Culture(CultureParameters(), 1e12, 1.0e8), Liquid.of(1000.0, MEDIUM)
    medium.glucose_umol = glucose * 1000.0
    cells.advance(36.0, medium, Surroundings(o2))
    per_cell_h = cells.used_glucose_umol / 1.0e8 / 0.01 * 1e6
    assert per_cell_h <= 0.377
    if glucose > 5.0:
        assert per_cell_h >= 0.125
        assert 0.248 <= cells.made_lactate_umol / 1.0e8 / 0.01 * 1e6 <= 0.767
    assert cells.made_lactate_umol == pytest.approx(1.9 * cells.used_glucose_umol)


def test_oxygen_uptake_is_that_of_stromal_cells() -> None:
    cells = Culture(CultureParameters(), CONFLUENT, 1.0e9)
    for o2 in (5.0, 20.0):
        um_per_h = cells.oxygen_uptake_per_s(o2, 1000.0, 10.0) * 3600.0 * o2 * 10.0
        assert 20.0 <= um_per_h / 1.0e9 * 1e9 <= 100.0


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 21), st.floats(0, 6), st.floats(0, 1), st.floats(0, 1.2), st.floats(0, 12))
def test_vesicle_multipliers_stay_within_what_is_published(
    o2: float, stress: float, dead: float, occupied: float, glucose: float
) -> None:
    cells = Culture(CultureParameters(), CONFLUENT, occupied * CONFLUENT * (1 - dead), occupied * CONFLUENT * dead)
    found = cells.multipliers(Surroundings(o2, stress=stress, harm=max(0.0, stress - 2.1)), glucose)
    assert 1.0 <= found["oxygen"] <= 2.5
    assert 1.0 <= found["shear"] <= 10.0
    assert 0.0 <= math.prod(found.values()) <= 80.0


def test_hypoxia_and_shear_together_multiply_the_release_at_least_sixfold() -> None:
    cells = Culture(CultureParameters(), CONFLUENT, 6.0e8, 2.0e7)
    found = cells.multipliers(Surroundings(2.0, stress=1.5), 8.0)
    assert 6.0 <= math.prod(found.values()) <= 80.0
    assert 1.2 <= found["oxygen"] <= 2.5
    assert 3.0 <= found["shear"] <= 10.0


def evs_after_a_day(o2: float, flow: float, viable: float = 6.0e8) -> tuple[float, float]:
    """Cells' vesicles per mL and viability after 24 h of production."""
    process = culture(viable, o2, flow)
    live(process, 24.0, o2=o2)
    vessel = process.bags.vessel
    return (vessel.evs - vessel.foreign_evs) / vessel.volume_ml, process.culture.viability


def test_two_percent_oxygen_about_doubles_the_vesicles() -> None:
    low, _ = evs_after_a_day(2.0, 0.0)
    high, _ = evs_after_a_day(20.9, 0.0)
    assert 1.2 <= low / high <= 2.5


def test_shear_stimulates_to_a_point_and_harms_beyond_it() -> None:
    """1.5 dyn/cm2 is 101.6 mL/min through the lumen, 4 dyn/cm2 are 271."""
    (rest, alive_at_rest), (best, alive), (too_much, hurt) = (evs_after_a_day(2.0, q) for q in (0.0, 101.6, 271.0))
    assert 3.0 <= best / rest <= 10.0
    assert too_much < 0.6 * best
    assert alive_at_rest > 0.93
    assert alive > 0.93
    assert hurt < 0.75


def test_cells_outside_the_fibres_do_not_answer_to_the_flow() -> None:
    outside = BioreactorParameters(vessel=HollowFibre(cell_side=CellSide.OUTSIDE))
    found = []
    for flow in (20.0, 271.0):
        process = culture(6.0e8, 2.0, flow, parameters=outside)
        live(process, 24.0, o2=2.0)
        found.append((process.bags.vessel.evs, process.culture.viability))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_a_stirred_tank_stimulates_by_its_speed_and_harms_when_it_is_too_fast() -> None:
    found = []
    for rpm in (20.0, 75.0, 250.0):
        process = culture(6.0e8, 2.0, 0.0, parameters=BioreactorParameters(vessel=StirredTank()))
        process.stirrer.target = process.stirrer.speed = rpm
        live(process, 24.0, o2=2.0)
        found.append((process.bags.vessel.evs, process.culture.viability))
    (gentle, _), (best, alive), (fast, hurt) = found
    assert best > 1.5 * gentle
    assert alive > 0.93
    assert fast < best
    assert hurt < 0.8


def test_yield_is_of_the_order_of_a_hollow_fibre_bioreactor() -> None:
    per_ml, _ = evs_after_a_day(2.0, 101.6)
    assert 3.0e9 < per_ml < 5.5e10


def test_two_collections_of_half_a_day_give_more_than_one_of_a_day() -> None:
    one, two = culture(6.0e8, 2.0, 101.6), culture(6.0e8, 2.0, 101.6)
    live(one, 24.0, o2=2.0)
    once = collect(one)
    live(two, 12.0, o2=2.0)
    first = collect(two)
    live(two, 12.0, o2=2.0)
    second = collect(two)
    gain = (first.evs + second.evs) / once.evs
    assert 1.1 < gain < 1.6


def test_cells_stay_where_they_are_when_medium_is_exchanged() -> None:
    process = culture(5.0e8)
    before = process.culture.viable
    collect(process)
    assert process.culture.viable == before


def test_cells_starve_without_fresh_medium() -> None:
    fed, starved = culture(8.0e8, 2.0, 101.6), culture(8.0e8, 2.0, 101.6)
    for day in range(4):
        for process in (fed, starved):
            live(process, 24.0, 12.0, o2=2.0)
        if day < 3:
            collect(fed)
    assert starved.glucose_mm < 0.5 < fed.glucose_mm
    assert starved.culture.viability < 0.85 < fed.culture.viability
    rates = [math.prod(p.culture.multipliers(p.surroundings, p.glucose_mm).values()) for p in (fed, starved)]
    assert rates[1] < 0.5 * rates[0]


@pytest.mark.parametrize(
    "around",
    [
        Surroundings(0.0),
        Surroundings(19.9, temperature_degc=40.0),
        Surroundings(19.9, temperature_degc=22.0),
        Surroundings(19.9, ph=6.5),
        Surroundings(19.9, stress=4.0, harm=1.9),
    ],
)
def test_what_harms_kills_faster_than_age(around: Surroundings) -> None:
    cells = Culture(CultureParameters(), CONFLUENT, 1.0e8)
    assert cells.death_per_h(around, 10.0, 0.0) > 1.5 * cells.death_per_h(Surroundings(19.9), 10.0, 0.0)


def test_lactate_harms_and_slows() -> None:
    cells = Culture(CultureParameters(), CONFLUENT, 1.0e8)
    around = Surroundings(19.9)
    assert cells.growth_per_h(around, 10.0, 35.0) < 0.6 * cells.growth_per_h(around, 10.0, 0.0)
    assert cells.death_per_h(around, 10.0, 35.0) > 5.0 * cells.death_per_h(around, 10.0, 0.0)


def test_vesicles_of_the_medium_fade_and_are_told_apart() -> None:
    process = culture(1.0e8, medium="expansion")
    start = process.bags.vessel.foreign_evs
    live(process, 24.0, 12.0)
    vessel = process.bags.vessel
    assert start == pytest.approx(5.0e9 * 1000.0)
    assert 0.3 * start < vessel.foreign_evs < 0.7 * start
    assert vessel.evs - vessel.foreign_evs > 0.0


def test_vesicles_are_released_lost_or_there() -> None:
    process = culture(3.0e8, 2.0, 101.6)
    before = process.bags.vessel.evs
    live(process, 48.0)
    cells = process.culture
    assert before + cells.released_evs - cells.lost_evs == pytest.approx(process.bags.vessel.evs, rel=1e-9)


def test_the_dead_go_with_time() -> None:
    process = culture(2.0e8)
    process.culture.die(0.5)
    assert process.culture.viability == pytest.approx(0.475, abs=0.01)
    live(process, 72.0, 12.0)
    assert process.culture.viability > 0.85


@pytest.mark.parametrize(("viable", "viability"), [(0.0, 0.9), (-1.0, 0.9), (math.inf, 0.9), (1e8, 0.0), (1e8, 1.1)])
def test_odd_inoculations_are_refused(viable: float, viability: float) -> None:
    process = culture(1.0e8)
    with pytest.raises(ValueError, match="is not a"):
        process.inoculate(viable, viability)
