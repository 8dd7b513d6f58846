"""Properties of water against tabulated values."""

from __future__ import annotations

import pytest

from evcontrol.phases.water import density, temperature_correction, viscosity

# CRC Handbook of Chemistry and Physics: degC, g/mL, mPa s
TABLE = [(10.0, 0.99970, 1.3059), (20.0, 0.99821, 1.0016), (25.0, 0.99705, 0.8900), (37.0, 0.99333, 0.6913)]


@pytest.mark.parametrize(("celsius", "grams", "_"), TABLE)
def test_density(celsius: float, grams: float, _: float) -> None:
    assert density(celsius) == pytest.approx(grams, abs=2e-5)


@pytest.mark.parametrize(("celsius", "_", "millipascal_s"), TABLE)
def test_viscosity(celsius: float, _: float, millipascal_s: float) -> None:
    assert viscosity(celsius) * 1000.0 == pytest.approx(millipascal_s, rel=0.005)


def test_flux_at_twenty_degrees_is_not_corrected() -> None:
    assert temperature_correction(20.0) == 1.0
    assert temperature_correction(25.0) < 1.0
