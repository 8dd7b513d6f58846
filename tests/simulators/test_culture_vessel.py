"""Shear and oxygen transfer by the vessel's kind."""

import math

import pytest

from simulators.process.culture_vessel import CellSide, HollowFibre, StirredTank


@pytest.mark.parametrize("dyn", [0.5, 1.5, 4.0])
def test_lumen_shear_follows_the_formula(dyn: float) -> None:
    vessel = HollowFibre()
    flow = dyn * 0.1 * vessel.fibres * math.pi * vessel.radius_m**3 / (4.0 * vessel.viscosity_pa_s) * 1e6 * 60.0
    assert vessel.stress(flow, 60.0) == pytest.approx(dyn)


def test_shear_of_one_and_a_half_needs_about_a_hundred_ml_per_minute() -> None:
    assert HollowFibre().stress(101.6, 0.0) == pytest.approx(1.5, rel=0.001)


def test_cells_outside_the_fibres_feel_no_lumen_shear() -> None:
    outside = HollowFibre(cell_side=CellSide.OUTSIDE)
    assert outside.stress(400.0, 0.0) == outside.harm(400.0, 0.0) == 0.0


def test_harm_begins_at_two_point_one() -> None:
    vessel = HollowFibre()
    assert vessel.harm(142.0, 0.0) == 0.0
    assert vessel.harm(143.0, 0.0) > 0.0


def test_kolmogorov_length_falls_with_the_speed_to_the_power_of_three_quarters() -> None:
    tank = StirredTank()
    assert tank.eddies_um(80.0) / tank.eddies_um(160.0) == pytest.approx(2.0**0.75)
    power = tank.power_number * 1000.0 * (100.0 / 60.0) ** 3 * tank.impeller_m**5
    eps = power / (1000.0 * 1e-3)
    assert tank.eddies_um(100.0) == pytest.approx((0.8e-6**3 / eps) ** 0.25 * 1e6)
    assert tank.eddies_um(0.0) == math.inf


def test_eddies_below_two_thirds_of_a_carrier_harm() -> None:
    tank = StirredTank()
    gentle = next(rpm for rpm in range(1, 400) if tank.eddies_um(rpm) < 100.0)
    assert tank.harm(0.0, gentle - 1) == 0.0
    assert tank.harm(0.0, gentle + 1) > 0.0


@pytest.mark.parametrize("vessel", [HollowFibre(), StirredTank()])
def test_oxygen_transfer_is_one_to_ten_per_hour(vessel: HollowFibre | StirredTank) -> None:
    rates = [vessel.kla_per_h(x, x) for x in (0.0, 20.0, 100.0, 400.0)]
    assert rates == sorted(rates)
    assert rates[0] == 1.0
    assert rates[-1] < 10.0
