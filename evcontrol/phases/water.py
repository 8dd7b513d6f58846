"""Properties of water."""

from __future__ import annotations


def viscosity(celsius: float) -> float:
    """Viscosity of water in Pa s from 0 to 100 degC (Kestin, Sokolov, Wakeham 1978, J. Phys. Chem. Ref. Data 7:941)."""
    away = 20.0 - celsius
    exponent = away / (celsius + 96.0) * (1.2364 - 1.37e-3 * away + 5.7e-6 * away**2)
    return 1.002e-3 * float(10.0**exponent)


def density(celsius: float) -> float:
    """Density of water in g/mL from 0 to 40 degC (Tanaka et al. 2001, Metrologia 38:301)."""
    a = (celsius - 3.983035) ** 2 * (celsius + 301.797) / (522528.9 * (celsius + 69.34881))
    return 0.99997495 * (1.0 - a)


def temperature_correction(celsius: float) -> float:
    """TCF20: viscosity at this temperature over that at 20 degC; flux times it is flux at 20 degC."""
    return viscosity(celsius) / viscosity(20.0)
