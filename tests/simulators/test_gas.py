"""Gas mixtures and dissolved oxygen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from simulators.process.gas import AIR_O2, MMHG_PER_PERCENT, UM_PER_PERCENT, DissolvedGas, GasFlows
from tests.simulators.grow import culture, gas, live


def test_one_percent_is_seven_mmhg_ten_micromolar_and_a_twentieth_of_air() -> None:
    assert pytest.approx(7.1, abs=0.05) == MMHG_PER_PERCENT
    assert UM_PER_PERCENT == 10.0
    assert pytest.approx(4.8, abs=0.05) == 100.0 / AIR_O2
    assert pytest.approx(200.0, rel=0.06) == AIR_O2 * UM_PER_PERCENT


def test_composition_of_a_mixture() -> None:
    flows = GasFlows(air=100.0, n2=80.0, co2=10.0, o2=10.0)
    assert flows.o2_percent == pytest.approx((0.2095 * 100.0 + 10.0) / 200.0 * 100.0)
    assert flows.co2_percent == pytest.approx(5.0)
    assert GasFlows().o2_percent == AIR_O2


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 21), st.floats(0, 21), st.floats(1, 10), st.floats(0, 30), st.floats(1.0, 600.0))
def test_one_step_of_any_length_agrees_with_a_general_solver(
    head: float, here: float, kla: float, uptake: float, h: float
) -> None:
    flows, head_s = gas(2.0), 60.0
    k, r = kla / 3600.0, uptake / 3600.0

    def rates(_: float, y: list[float]) -> list[float]:
        return [(flows.o2_percent - y[0]) / head_s, k * (y[0] - y[1]) - r * y[1]]

    expected = solve_ivp(rates, (0.0, h), [head, here], rtol=1e-9, atol=1e-10).y[:, -1]
    dissolved = DissolvedGas(head, 5.0, here, 5.0)
    dissolved.advance(h, flows, head_s, k, r)
    assert [dissolved.head_o2, dissolved.o2] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_equal_rates_are_no_special_case() -> None:
    near, equal = DissolvedGas(20.0, 5.0, 20.0, 5.0), DissolvedGas(20.0, 5.0, 20.0, 5.0)
    near.advance(30.0, gas(2.0), 60.0, 1.0 / 60.0 + 1e-7, 0.0)
    equal.advance(30.0, gas(2.0), 60.0, 1.0 / 60.0, 0.0)
    assert near.o2 == pytest.approx(equal.o2, rel=1e-4)


@pytest.mark.parametrize("step", [0.5, 6.0, 60.0])
def test_cells_lower_the_oxygen_by_what_they_take(step: float) -> None:
    """At rest q X = kLa (C* - C): 8e8 cells of about 40 fmol/h each in 1 L, with a kLa of 8.9 /h."""
    process = culture(8.0e8, 19.9, 101.6)
    live(process, 3.0, step)
    kla = process.vessel.kla_per_h(101.6, 0.0)
    uptake = process.culture.oxygen_uptake_per_s(process.dissolved.o2, 1000.0, UM_PER_PERCENT) * 3600.0
    head = process.gas.o2_percent
    assert process.dissolved.o2 == pytest.approx(head * kla / (kla + uptake), rel=1e-3)
    assert 0.3 < head - process.dissolved.o2 < 0.5


def test_without_gas_exchange_many_cells_run_short_of_oxygen() -> None:
    process = culture(1.0e9, 2.0, 0.0)
    live(process, 2.0)
    assert process.dissolved.o2 < 0.5
