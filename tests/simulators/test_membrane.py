"""Filtration against closed formulas and against a reference integration."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from simulators.process.liquid import Composition, Liquid
from simulators.process.membrane import Membrane, MembraneParameters, water_viscosity
from simulators.process.tff import ProcessParameters, TffProcess

FLOW_RPM = 600.0
"""1200 mL/min without slip."""


def filtering(
    volume_ml: float = 1000.0, protein: float = 0.5, evs: float = 5e9, salt: float = 14.0, **membrane: float
) -> TffProcess:
    """A process in steady recirculation with so much liquid in vessel and hold-up together."""
    process = TffProcess(ProcessParameters(membrane=MembraneParameters(**membrane)))
    composition = Composition(protein, evs, salt)
    hold_up = process.parameters.vessels.hold_up_ml
    process.ledger.retentate = Liquid.of(volume_ml - hold_up, composition)
    process.ledger.hold_up = Liquid.of(hold_up, composition)
    process.feed_pump.target = process.feed_pump.speed = FLOW_RPM
    for _ in range(40):
        process.advance(0.25)
    return process


def held(process: TffProcess) -> Liquid:
    total = Liquid()
    total.add(Liquid(**_amounts(process.ledger.retentate)))
    total.add(Liquid(**_amounts(process.ledger.hold_up)))
    return total


def _amounts(liquid: Liquid) -> dict[str, float]:
    return {name: getattr(liquid, name) for name in Liquid.__slots__}


@pytest.mark.parametrize("h", [0.05, 0.25])
@pytest.mark.parametrize("sieving", [0.0, 0.3, 0.85, 1.0])
def test_concentration_follows_vcf_to_the_power_of_the_rejection(sieving: float, h: float) -> None:
    process = filtering(protein_sieving=sieving)
    start = held(process)
    process.permeate_valve.target = 1.0
    while held(process).volume_ml > start.volume_ml / 8.0:
        process.advance(h)
    end = held(process)
    vcf = start.volume_ml / end.volume_ml
    gain = (end.protein_mg / end.volume_ml) / (start.protein_mg / start.volume_ml)
    assert gain == pytest.approx(vcf ** (1.0 - sieving), rel=2e-5)


@pytest.mark.parametrize("h", [0.05, 0.25])
@pytest.mark.parametrize("sieving", [0.0, 0.7, 0.95, 1.0])
def test_diafiltration_at_constant_volume_washes_out_exponentially(sieving: float, h: float) -> None:
    process = filtering(protein_sieving=sieving)
    process.permeate_valve.target = 1.0
    start, passed = held(process), 0.0
    while passed < 4.0 * start.volume_ml:
        before = process.ledger.permeate.volume_ml
        process.advance(h)
        permeate = process.ledger.permeate.volume_ml - before
        process.ledger.retentate.add(Liquid(permeate))
        passed += permeate
    end = held(process)
    assert end.volume_ml == pytest.approx(start.volume_ml, rel=1e-12)
    diavolumes = passed / start.volume_ml
    assert end.protein_mg / start.protein_mg == pytest.approx(math.exp(-diavolumes * sieving), rel=0.004)


def test_vesicles_stay_behind_but_for_sieving_and_adsorption() -> None:
    process = filtering(ev_adsorption_m_per_s=0.0)
    process.permeate_valve.target = 1.0
    start = held(process)
    while held(process).volume_ml > start.volume_ml / 10.0:
        process.advance(0.25)
    recovery = held(process).evs / start.evs
    vcf = start.volume_ml / held(process).volume_ml
    assert recovery == pytest.approx(vcf**-0.01, rel=1e-5)


def test_the_flux_curve_is_that_of_a_reference_integration() -> None:
    """The whole model written down once more as a differential equation, and solved by LSODA."""
    process = filtering(protein=1.0, protein_sieving=0.3, ev_adsorption_m_per_s=0.0)
    process.retentate_valve.target = process.retentate_valve.position = 0.5
    process.permeate_valve.target = process.permeate_valve.position = 1.0
    for _ in range(8):
        process.advance(0.01)
    reference = Reference(process)
    times, fluxes = [0.0], [process.flux]
    initial = reference.initial()
    t = 0.0
    while held(process).volume_ml > 250.0:
        process.advance(0.25)
        t += 0.25
        times.append(t)
        fluxes.append(process.flux)
    solution = solve_ivp(reference.slope, (0.0, t), initial, method="LSODA", rtol=1e-7, atol=1e-7, dense_output=True)
    assert solution.success
    grid = np.arange(4, len(times), 40)
    expected = np.array([reference.flux(solution.sol(times[i])) for i in grid])
    measured = np.array([fluxes[i] for i in grid])
    assert len(grid) > 10
    assert expected[-1] < 0.8 * expected[0], "the flux must fall, or this shows nothing"
    assert np.max(np.abs(measured / expected - 1.0)) < 5e-3


class Reference:
    """y = volume (mL), protein (mg), vesicles, cake, fouling, permanent fouling (1/m); SI inside.

    J = min((TMP - dPi)/(mu R + permeate line), k ln((Cg - Cp)/(Cb - Cp))); dRc/dt = alpha J Cd - k_er shear Rc.
    """

    def __init__(self, process: TffProcess) -> None:
        self.process = process
        self.m = process.parameters.membrane
        self.mu = 2.414e-5 * 10 ** (247.8 / (process.temperature_degc + 273.15 - 140.0))
        self.area = self.m.fibres * 2 * math.pi * self.m.radius_m * self.m.length_m

    def initial(self) -> list[float]:
        now, membrane = held(self.process), self.process.membrane
        return [now.volume_ml, now.protein_mg, now.evs, membrane.cake, membrane.fouling, membrane.permanent]

    def circuit(self, q_perm: float) -> tuple[float, float, float]:
        """Feed flow (m3/s), feed and retentate pressure (Pa), by bisection on the feed flow."""
        c, m = self.process.parameters.circuit, self.m
        ideal = FLOW_RPM * c.displacement_ml_per_rev / 60e6
        stall = c.stall_psi * 6894.757
        valve = c.valve_psi * 6894.757 / (c.valve_flow_ml_per_s * 1e-6) ** 2 * c.rangeability ** (2 * (1 - 0.5))
        fibres = 8 * self.mu * m.length_m / (m.fibres * math.pi * m.radius_m**4)
        low, high = q_perm, ideal
        for _ in range(50):
            q = (low + high) / 2
            p_ret = valve * (q - q_perm) ** 2
            p_feed = p_ret + fibres * (q - q_perm / 2)
            if q > ideal * (1 - p_feed / stall):
                high = q
            else:
                low = q
        return q, p_feed, p_ret

    def flux(self, y: np.ndarray) -> float:
        return self.solve(y)[0]

    def solve(self, y: np.ndarray) -> tuple[float, float]:
        """Flux and shear, by bisection on the permeate flow."""
        m, c = self.m, self.process.parameters.circuit
        protein = y[1] / y[0]
        kelvin = self.process.temperature_degc + 273.15
        osmotic = protein * (1 - m.protein_sieving) / m.protein_molar_mass_kg_per_mol * 8.314 * kelvin
        line = c.permeate_line_psi * 6894.757 / (100e-6 / 60) * self.area
        low, high = 0.0, 20e-6
        for _ in range(50):
            q_perm = (low + high) / 2
            q, p_feed, p_ret = self.circuit(q_perm)
            shear = 4 * q / (m.fibres * math.pi * m.radius_m**3)
            tmp = (p_feed + p_ret) / 2
            resisted = (tmp - osmotic) / (self.mu * (m.resistance_per_m + y[3] + y[4] + y[5]) + line)
            k = 0.81 * (shear * m.protein_diffusivity_m2_per_s**2 / m.length_m) ** (1 / 3)
            cp = m.protein_sieving * protein
            gel = k * math.log((m.gel_concentration_g_per_l - cp) / (protein - cp))
            if min(resisted, gel) * self.area > q_perm:
                low = q_perm
            else:
                high = q_perm
        return q_perm / self.area, shear

    def slope(self, _: float, y: np.ndarray) -> list[float]:
        m = self.m
        flux, shear = self.solve(y)
        permeate = flux * self.area * 1e6
        deposit = y[1] / y[0] * (1 - m.protein_sieving) + y[2] / y[0] * 1e6 * 5.7e-19
        fouling = m.fouling_resistance_m_per_kg * flux * deposit
        return [
            -permeate,
            -m.protein_sieving * permeate * y[1] / y[0],
            -m.ev_sieving * permeate * y[2] / y[0],
            m.cake_resistance_m_per_kg * flux * deposit - m.cake_erosion * shear * y[3],
            fouling * (1 - m.fouling_permanent_share),
            fouling * m.fouling_permanent_share,
        ]


def test_the_clean_membrane_has_a_usual_water_permeability() -> None:
    """200-400 LMH/bar for a 500 kDa module at 20 degC."""
    lmh_per_bar = 1e5 / (water_viscosity(20.0) * Membrane().resistance) * 3.6e6
    assert 200.0 < lmh_per_bar < 400.0


def test_caustic_cleans_all_but_the_permanent_fouling() -> None:
    membrane = Membrane(cake=1e12, fouling=1e12, permanent=1e11, adsorbed_evs=1e11)
    destroyed = membrane.clean(3600.0, 0.1)
    assert membrane.cake < 1.0
    assert membrane.fouling < 1e8
    assert membrane.permanent == 1e11
    assert destroyed + membrane.adsorbed_evs == pytest.approx(1e11)


def test_water_without_caustic_cleans_nothing() -> None:
    membrane = Membrane(cake=1e12, fouling=1e12)
    assert membrane.clean(3600.0, 0.0) == 0.0
    assert (membrane.cake, membrane.fouling) == (1e12, 1e12)


def test_no_pressure_gives_no_flux() -> None:
    assert Membrane().flux(-1.0, 1e-3, 0.0, math.inf) == 0.0
