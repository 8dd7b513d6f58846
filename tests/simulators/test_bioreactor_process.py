"""The bioreactor's liquids, heat, pH and pumps."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from simulators.process.bioreactor import BioreactorProcess
from simulators.process.liquid import Composition, Liquid, pass_through
from tests.simulators.grow import culture, live

amount = st.floats(0.0, 1e4)
liquid = st.builds(
    Liquid.of,
    st.floats(1.0, 1e4),
    st.builds(Composition, amount, st.floats(0, 1e11), amount, st.floats(0, 1), amount, amount, st.booleans()),
)


@given(liquid, liquid, st.floats(0, 1))
def test_passing_through_a_vessel_loses_nothing(vessel: Liquid, entering: Liquid, share: float) -> None:
    before = Liquid()
    before.add(vessel)
    before.add(entering)
    out, _ = pass_through(vessel, entering, share * before.volume_ml)
    for name in Liquid.__slots__:
        there, left = getattr(vessel, name), getattr(out, name)
        assert there + left == pytest.approx(getattr(before, name), rel=1e-9, abs=1e-9)
        assert there >= -1e-6 * (1.0 + getattr(before, name))
        assert left >= -1e-6 * (1.0 + getattr(before, name))


@pytest.mark.parametrize(
    ("inflow", "outflow"), [(100.0, 100.0), (200.0, 50.0), (50.0, 100.0), (0.0, 80.0), (90.0, 0.0)]
)
def test_flows_in_and_out_agree_with_a_general_solver(inflow: float, outflow: float) -> None:
    vessel = Liquid.of(1000.0, Composition(protein_g_per_l=3.0))
    entering = Liquid.of(inflow * 5.0, Composition(protein_g_per_l=1.0))

    def rates(_: float, y: list[float]) -> list[float]:
        return [inflow - outflow, inflow * 1.0 - outflow * y[1] / y[0]]

    expected = solve_ivp(rates, (0.0, 5.0), [1000.0, 3000.0], rtol=1e-10, atol=1e-9).y[:, -1]
    pass_through(vessel, entering, outflow * 5.0)
    assert [vessel.volume_ml, vessel.protein_mg] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("h", [0.5, 6.0])
@pytest.mark.parametrize("volumes", [1.0, 3.0])
def test_wash_out_is_exponential(h: float, volumes: float) -> None:
    """Flow in and out of a constant volume leaves exp(-n) of what was in it after n volumes, whatever the step."""
    process = BioreactorProcess()
    process.bags.vessel = process.bags.expansion.take(1000.0)
    start = process.bags.vessel.protein_mg
    fresh = process.parameters.production.made_of.protein_g_per_l
    process.med_from.position = process.med_from.target = 2
    process.harv_to.position = process.harv_to.target = 1
    process.medium.rate = process.harvest.rate = 500.0
    live(process, volumes * 1000.0 / 500.0 / 60.0, h)
    left = (process.bags.vessel.protein_mg / 1000.0 - fresh) / (start / 1000.0 - fresh)
    assert process.volume_ml == pytest.approx(1000.0)
    assert left == pytest.approx(math.exp(-volumes), rel=1e-6)


def test_batch_exchanges_wash_out_faster_than_a_flow() -> None:
    process = BioreactorProcess()
    process.bags.vessel = process.bags.expansion.take(1000.0)
    for _ in range(2):
        process.bags.waste.add(process.bags.vessel.take(900.0))
        process.bags.vessel.add(process.bags.production.take(900.0))
    assert process.bags.vessel.foreign_evs < 0.02 * 5.0e12


doing = st.one_of(
    st.tuples(st.sampled_from(["MED", "HARV", "CLAR", "CIRC"]), st.floats(0, 500)),
    st.tuples(st.sampled_from(["med_from", "harv_to"]), st.integers(0, 2)),
    st.tuples(st.just("leak"), st.floats(0.01, 5)),
    st.tuples(st.just("power_off"), st.none()),
)


def total(process: BioreactorProcess) -> Liquid:
    whole = Liquid()
    for place in (*process.bags.places().values(), process.clarified()):
        whole.add(place)
    return whole


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(doing, st.floats(0.01, 6.0), st.integers(1, 60)), min_size=1, max_size=20))
def test_sums_close_under_any_handling(doings: list[tuple[tuple[str, object], float, int]]) -> None:
    process = culture(3.0e8, 2.0, medium="expansion")
    before = total(process)
    for (what, value), h, times in doings:
        match what:
            case "leak":
                process.leak.rate_ml_per_s, process.leak.left_ml = value, 30.0
            case "power_off":
                process.power_off()
            case "med_from" | "harv_to":
                getattr(process, what).target = value
            case _:
                process.pumps[what].rate = value
        for _ in range(times):
            process.advance(h)
    now, cells = total(process), process.culture
    assert now.volume_ml == pytest.approx(before.volume_ml, rel=1e-9)
    assert now.protein_mg == pytest.approx(before.protein_mg, rel=1e-9)
    assert now.glucose_umol + cells.used_glucose_umol == pytest.approx(before.glucose_umol, rel=1e-9)
    assert now.lactate_umol == pytest.approx(cells.made_lactate_umol, rel=1e-9, abs=1e-9)
    made = cells.released_evs - cells.lost_evs - process.filtered_evs
    assert now.evs == pytest.approx(before.evs + made, rel=1e-9)
    for place in process.bags.places().values():
        assert place.volume_ml >= 0.0
        assert place.evs >= -1.0
        assert place.foreign_evs <= place.evs * (1.0 + 1e-9) + 1.0
    assert math.isfinite(process.ph)
    assert 0.0 <= process.dissolved.o2 <= 21.0


def test_the_filter_keeps_some_vesicles_and_clogs() -> None:
    process = culture(3.0e8)
    live(process, 12.0)
    process.bags.pool.add(process.bags.vessel.take(900.0))
    evs = process.bags.pool.evs
    process.clarification.rate = 300.0
    live(process, 1.0 / 60.0, 1.0)
    early = process.filter_psi
    live(process, 1.5 / 60.0, 1.0)
    assert process.filter_psi > early > 1.0
    live(process, 0.1, 1.0)
    assert process.clarified().volume_ml == pytest.approx(900.0)
    assert process.clarified().evs == pytest.approx(0.95 * evs)
    assert process.filtered_evs == pytest.approx(0.05 * evs)


def test_the_heater_balances_its_losses_and_the_vessel_cools_without_it() -> None:
    process = culture(1.0e8)
    live(process, 1.0)
    assert process.temperature_degc == pytest.approx(37.0, abs=0.01)
    process.heat = 0.0
    live(process, 3.0)
    assert process.temperature_degc == pytest.approx(22.0 + 15.0 * math.exp(-1.0), abs=0.01)


def test_lactate_and_carbon_dioxide_are_sour() -> None:
    process = culture(1.0e8)
    neutral = process.ph
    assert 7.2 < neutral < 7.5
    process.bags.vessel.lactate_umol = 15.0e3
    assert process.ph < neutral - 0.1
    sour = process.ph
    process.dissolved.co2 = 10.0
    assert process.ph == pytest.approx(sour - math.log10(2.0))


def test_circulation_needs_liquid() -> None:
    process = culture(1.0e8, flow=100.0)
    process.advance(1.0)
    assert process.circulation.flow == pytest.approx(100.0)
    process.bags.waste.add(process.bags.vessel.take(990.0))
    process.advance(1.0)
    assert process.circulation.flow == 0.0


def test_a_dry_vessel_takes_no_cells() -> None:
    with pytest.raises(ValueError, match="no medium"):
        BioreactorProcess().inoculate(1e8)


def test_the_state_survives_json() -> None:
    process = culture(2.0e8, 2.0)
    process.leak.rate_ml_per_s, process.leak.left_ml = 0.1, 5.0
    live(process, 1.0)
    back = BioreactorProcess()
    back.restore(json.loads(json.dumps(process.state())))
    assert back.state() == process.state()
    damaged = process.state()
    del damaged["culture"]["dead"]
    with pytest.raises(KeyError):
        BioreactorProcess().restore(damaged)
