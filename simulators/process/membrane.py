"""A hollow-fibre ultrafiltration membrane: flux, cake, fouling, sieving, adsorption and cleaning."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

PA_PER_PSI = 6894.757
GAS_CONSTANT = 8.314
EV_MASS_KG = 5.7e-19
"""A sphere of 100 nm at 1080 kg/m3."""
ML_PER_M3 = 1e6


@dataclass(frozen=True, slots=True)
class MembraneParameters:
    """Geometry and behaviour of one module (SI units).

    Geometry, clean resistance and sieving: engineering defaults for a 500 kDa PES module, of which 407 fibres of
    0.5 mm bore and 250 mm length have 0.16 m2. Gel and mass transfer: gel-polarisation model (Blatt et al. 1970) with
    Leveque's laminar coefficient; protein diffusivity 6e-11 m2/s is that of albumin at 20 degC. Cake: deposition with
    shear erosion, its specific resistance of the order published for albumin aggregates (1e14-1e15 m/kg).
    """

    fibres: int = 407
    radius_m: float = 0.25e-3
    length_m: float = 0.25
    resistance_per_m: float = 1.2e12
    protein_sieving: float = 0.85
    ev_sieving: float = 0.01
    salt_sieving: float = 1.0
    protein_diffusivity_m2_per_s: float = 6.0e-11
    protein_molar_mass_kg_per_mol: float = 66.5
    gel_concentration_g_per_l: float = 30.0
    cake_resistance_m_per_kg: float = 7.5e14
    cake_erosion: float = 8.0e-7
    """Share of the cake that one unit of shear (1) removes: dR/dt = -k shear R."""
    fouling_resistance_m_per_kg: float = 5.0e13
    fouling_permanent_share: float = 0.1
    """Share of the irreversible fouling that caustic does not remove."""
    cleaning_cake_s: float = 120.0
    cleaning_fouling_s: float = 300.0
    cleaning_from_mol_per_l: float = 0.02
    ev_capacity_per_m2: float = 5.0e12
    ev_adsorption_m_per_s: float = 1.0e-6

    @property
    def area_m2(self) -> float:
        """Inner surface of all fibres."""
        return self.fibres * 2.0 * math.pi * self.radius_m * self.length_m

    def shear(self, flow_m3_per_s: float) -> float:
        """Wall shear rate in the fibres in 1/s: 4 Q / (n pi r^3)."""
        return 4.0 * flow_m3_per_s / (self.fibres * math.pi * self.radius_m**3)

    def axial_resistance(self, viscosity_pa_s: float) -> float:
        """Pressure drop along the fibres per flow in Pa s/m3: 8 mu L / (n pi r^4) (Hagen-Poiseuille)."""
        return 8.0 * viscosity_pa_s * self.length_m / (self.fibres * math.pi * self.radius_m**4)


@dataclass(slots=True)
class Membrane:
    """One installed module with its history: resistances in 1/m, adsorbed vesicles as a number."""

    parameters: MembraneParameters = field(default_factory=MembraneParameters)
    cake: float = 0.0
    fouling: float = 0.0
    permanent: float = 0.0
    adsorbed_evs: float = 0.0

    @property
    def resistance(self) -> float:
        """All resistances in series, 1/m."""
        return self.parameters.resistance_per_m + self.cake + self.fouling + self.permanent

    def flux(self, drive_pa: float, viscosity_pa_s: float, series_pa_s_per_m: float, limit: float) -> float:
        """Flux in m/s: min(J_R, J_gel), where the permeate line's resistance stands in series with the membrane's."""
        if drive_pa <= 0.0:
            return 0.0
        return min(drive_pa / (viscosity_pa_s * self.resistance + series_pa_s_per_m), limit)

    def gel_limit(self, shear: float, protein_g_per_l: float) -> float:
        """Gel-limited flux in m/s: k ln((Cg-Cp)/(Cb-Cp)), k = 0.81 (shear D^2/L)^(1/3); infinite without protein."""
        p = self.parameters
        retained = protein_g_per_l * (1.0 - p.protein_sieving)
        over = p.gel_concentration_g_per_l - protein_g_per_l * p.protein_sieving
        if retained <= 1e-9:
            return math.inf
        if over <= retained:
            return 0.0
        k = 0.81 * math.cbrt(shear * p.protein_diffusivity_m2_per_s**2 / p.length_m)
        return k * math.log(over / retained)

    def osmotic_pa(self, protein_g_per_l: float, kelvin: float) -> float:
        """Osmotic pressure difference in Pa of the retained protein (van 't Hoff)."""
        p = self.parameters
        retained = protein_g_per_l * (1.0 - p.protein_sieving)
        return retained / p.protein_molar_mass_kg_per_mol * GAS_CONSTANT * kelvin

    def foul(self, h: float, flux: float, shear: float, protein_g_per_l: float, evs_per_ml: float) -> None:
        """Deposit and erode for h seconds; the cake's linear equation is solved exactly over the step."""
        p = self.parameters
        deposit = protein_g_per_l * (1.0 - p.protein_sieving) + evs_per_ml * ML_PER_M3 * EV_MASS_KG
        growth = p.cake_resistance_m_per_kg * flux * deposit
        rate = p.cake_erosion * shear
        if rate * h > 1e-9:
            kept = math.exp(-rate * h)
            self.cake = self.cake * kept + growth / rate * (1.0 - kept)
        else:
            self.cake += growth * h
        fouling = p.fouling_resistance_m_per_kg * flux * deposit * h
        self.fouling += fouling * (1.0 - p.fouling_permanent_share)
        self.permanent += fouling * p.fouling_permanent_share

    def foul_at_once(self, resistance_per_m: float) -> None:
        """A step of cleanable fouling."""
        self.fouling = max(0.0, self.fouling + resistance_per_m)

    def adsorb(self, h: float, evs_per_ml: float) -> float:
        """Vesicles that stick to the surface in h seconds (Langmuir without desorption); they count as adsorbed."""
        p = self.parameters
        capacity = p.ev_capacity_per_m2 * p.area_m2
        if capacity <= 0.0 or evs_per_ml <= 0.0:
            return 0.0
        rate = p.ev_adsorption_m_per_s * evs_per_ml * ML_PER_M3 / p.ev_capacity_per_m2
        stuck = max(0.0, capacity - self.adsorbed_evs) * (1.0 - math.exp(-rate * h))
        self.adsorbed_evs += stuck
        return stuck

    def clean(self, h: float, caustic_mol_per_l: float) -> float:
        """Let caustic work for h seconds; returns the adsorbed vesicles that it destroys."""
        p = self.parameters
        if caustic_mol_per_l < p.cleaning_from_mol_per_l:
            return 0.0
        self.cake *= math.exp(-h / p.cleaning_cake_s)
        kept = math.exp(-h / p.cleaning_fouling_s)
        self.fouling *= kept
        destroyed = self.adsorbed_evs * (1.0 - kept)
        self.adsorbed_evs -= destroyed
        return destroyed

    def state(self) -> dict[str, float]:
        """What the module's history left on it."""
        return {name: value for name, value in asdict(self).items() if name != "parameters"}

    def restore(self, state: dict[str, float]) -> None:
        """Put such a history back."""
        for name in self.state():
            setattr(self, name, float(state[name]))


def water_viscosity(celsius: float) -> float:
    """Viscosity of water in Pa s (Vogel equation, within 2.5 % from 0 to 100 degC; 1.00 mPa s at 20 degC)."""
    return float(2.414e-5 * 10.0 ** (247.8 / (celsius + 133.15)))
