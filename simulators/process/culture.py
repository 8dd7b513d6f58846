"""Mesenchymal stromal cells on a surface, what they live on, and the vesicles that they release.

Cells are attached: they stay where they are while the medium around them is exchanged. Rates are per hour.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Final

from simulators.process.liquid import Liquid

SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class CultureParameters:
    """Kinetics of the cells. Engineering defaults within published ranges.

    Growth: doubling 17-32 h below confluence (Higuera 2009). Glucose 0.125-0.377 pmol/cell/h with about two lactate
    each; O2 20-100 fmol/cell/h. Vesicles: 50-400 /cell/h in normoxia without shear; hypoxia 1.2-2.5 times as many,
    shear 3-10 times; together never above 80.
    """

    growth_per_h: float = 0.042
    glucose_half_mm: float = 0.5
    lactate_half_mm: float = 40.0
    glucose_pmol_per_cell_h: float = 0.2
    hypoxic_glycolysis: float = 0.4
    """How much more glucose is used without oxygen (Pasteur)."""
    lactate_per_glucose: float = 1.9
    oxygen_fmol_per_cell_h: float = 40.0
    oxygen_half_percent: float = 0.25
    death_per_h: float = 0.0008
    shear_death_per_h: float = 0.012
    starving_death_per_h: float = 0.025
    starving_mm: float = 0.15
    lactate_death_per_h: float = 0.02
    lactate_harm_mm: float = 35.0
    anoxic_death_per_h: float = 0.03
    anoxic_percent: float = 0.15
    heat_death_per_h: float = 0.05
    """Per degC above 38.5 degC."""
    cold_death_per_h: float = 0.002
    """Per 10 degC below 30 degC."""
    ph_death_per_h: float = 0.02
    """Per unit of pH further than 0.4 from 7.3."""
    lysis_per_h: float = 0.03
    evs_per_cell_h: float = 150.0
    hypoxia_gain: float = 1.0
    hypoxia_percent: float = 6.5
    shear_gain: float = 7.0
    shear_half_dyn: float = 0.6
    crowding: float = 0.6
    """Share of the release that is lost at confluence."""
    ev_loss_per_h: float = 0.03
    ev_uptake_ml_per_cell_h: float = 2.0e-8


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the cells feel: % O2, degC, pH, dyn/cm2, and by how much the stress harms."""

    o2_percent: float
    temperature_degc: float = 37.0
    ph: float = 7.3
    stress: float = 0.0
    harm: float = 0.0


@dataclass(slots=True)
class Culture:
    """The cells of one vessel. ``confluent`` cells cover its surface."""

    parameters: CultureParameters
    confluent: float
    viable: float = 0.0
    dead: float = 0.0
    viable_cell_h: float = 0.0
    """Integral of the viable cells over time since the plant was new."""
    released_evs: float = 0.0
    lost_evs: float = 0.0
    """Vesicles that decayed or were taken up by cells."""
    used_glucose_umol: float = 0.0
    made_lactate_umol: float = 0.0

    @property
    def viability(self) -> float:
        """Share (0..1) of viable cells; 1 without cells."""
        cells = self.viable + self.dead
        return self.viable / cells if cells > 0.0 else 1.0

    def inoculate(self, viable: float, viability: float = 0.95) -> None:
        """Put cells in; of those that are not viable the dead stay for a while."""
        self.viable += viable
        self.dead += viable * (1.0 / viability - 1.0)

    def die(self, share: float) -> None:
        """Let a share (0..1) of the viable cells die at once."""
        died = self.viable * share
        self.viable -= died
        self.dead += died

    def growth_per_h(self, around: Surroundings, glucose_mm: float, lactate_mm: float) -> float:
        """mu = mu_max G/(K_G+G) 1/(1+L/K_L) (1 - X/X_max), and slower when cold, hot, sour or without oxygen."""
        p = self.parameters
        crowded = max(0.0, 1.0 - (self.viable + self.dead) / self.confluent)
        comfort = math.exp(-(((around.temperature_degc - 37.0) / 4.0) ** 2) - ((around.ph - 7.3) / 0.35) ** 2)
        air = max(0.0, around.o2_percent) / (max(0.0, around.o2_percent) + p.anoxic_percent)
        food = glucose_mm / (glucose_mm + p.glucose_half_mm)
        return p.growth_per_h * food / (1.0 + lactate_mm / p.lactate_half_mm) * crowded * comfort * air

    def death_per_h(self, around: Surroundings, glucose_mm: float, lactate_mm: float) -> float:
        """Sum of what kills: age, shear, hunger, lactate, no oxygen, heat, cold, pH."""
        p = self.parameters
        hunger = (p.starving_mm / (p.starving_mm + glucose_mm)) ** 2
        air = (p.anoxic_percent / (p.anoxic_percent + max(0.0, around.o2_percent))) ** 2
        return (
            p.death_per_h
            + p.shear_death_per_h * math.pow(around.harm, 1.5)
            + p.starving_death_per_h * hunger
            + p.lactate_death_per_h * lactate_mm**4 / (lactate_mm**4 + p.lactate_harm_mm**4)
            + p.anoxic_death_per_h * air
            + p.heat_death_per_h * max(0.0, around.temperature_degc - 38.5)
            + p.cold_death_per_h * max(0.0, 30.0 - around.temperature_degc) / 10.0
            + p.ph_death_per_h * max(0.0, abs(around.ph - 7.3) - 0.4)
        )

    def multipliers(self, around: Surroundings, glucose_mm: float) -> dict[str, float]:
        """By how much the release differs from that in normoxia at rest: f_O2, f_tau, f_rho and hunger."""
        p = self.parameters
        respond = self.viability**2
        sheared = p.shear_gain * around.stress / (around.stress + p.shear_half_dyn) if around.stress > 0.0 else 0.0
        return {
            "oxygen": 1.0 + p.hypoxia_gain / (1.0 + (max(0.0, around.o2_percent) / p.hypoxia_percent) ** 4),
            "shear": 1.0 + sheared * respond / (1.0 + around.harm),
            "crowding": 1.0 - p.crowding * min(1.0, (self.viable + self.dead) / self.confluent) ** 2,
            "food": glucose_mm / (glucose_mm + p.starving_mm),
        }

    def oxygen_uptake_per_s(self, o2_percent: float, volume_ml: float, um_per_percent: float) -> float:
        """Share of the dissolved oxygen that the cells take per second: q X / (K + C)."""
        p = self.parameters
        um_per_h = p.oxygen_fmol_per_cell_h * self.viable * 1e-9 / (volume_ml * 1e-3)
        return um_per_h / um_per_percent / (p.oxygen_half_percent + max(0.0, o2_percent)) / SECONDS

    def advance(self, h: float, medium: Liquid, around: Surroundings) -> None:
        """Let h seconds pass (a few seconds to a minute) in a medium, which is changed.

        Each balance is solved exactly for the rates at the step's start, so that nothing becomes negative.
        """
        hours = h / SECONDS
        glucose_mm = medium.glucose_umol / medium.volume_ml
        lactate_mm = medium.lactate_umol / medium.volume_ml
        self._release(hours, medium, around, glucose_mm)
        self._feed(hours, medium, around, glucose_mm)
        deaths = self.death_per_h(around, glucose_mm, lactate_mm)
        net = self.growth_per_h(around, glucose_mm, lactate_mm) - deaths
        before = self.viable
        self.viable = before * math.exp(net * hours)
        mean = (before + self.viable) / 2.0
        self.viable_cell_h += mean * hours
        self.dead = self.dead * math.exp(-self.parameters.lysis_per_h * hours) + deaths * mean * hours

    def decay(self, h: float, medium: Liquid) -> None:
        """Let vesicles of a warm medium decay where there are no cells to take them up."""
        share = 1.0 - math.exp(-self.parameters.ev_loss_per_h * h / SECONDS)
        self.lost_evs += medium.take_evs(share)

    def state(self) -> dict[str, float]:
        """Everything but the parameters."""
        return {name: value for name, value in asdict(self).items() if name not in ("parameters", "confluent")}

    def restore(self, state: dict[str, float]) -> None:
        """Put such a state back. Raises KeyError for a state of another shape."""
        for name in self.state():
            setattr(self, name, float(state[name]))

    def _release(self, hours: float, medium: Liquid, around: Surroundings, glucose_mm: float) -> None:
        """dE/dt = q f_O2 f_tau f_rho X - (k_deg + k_up X) E; sheared cells take fewer up."""
        p = self.parameters
        factors = self.multipliers(around, glucose_mm)
        rate = p.evs_per_cell_h * self.viable
        for factor in factors.values():
            rate *= factor
        density = self.viable / medium.volume_ml
        loss = p.ev_loss_per_h + p.ev_uptake_ml_per_cell_h * density / (1.0 + around.stress)
        stays = math.exp(-loss * hours)
        made = rate * hours
        new = rate * (1.0 - stays) / loss
        self.released_evs += made
        self.lost_evs += medium.take_evs(1.0 - stays) + made - new
        medium.evs += new

    def _feed(self, hours: float, medium: Liquid, around: Surroundings, glucose_mm: float) -> None:
        p = self.parameters
        hypoxic = 1.0 + p.hypoxic_glycolysis / (1.0 + (max(0.0, around.o2_percent) / p.hypoxia_percent) ** 2)
        per_mm = p.glucose_pmol_per_cell_h * 1e-6 * hypoxic * self.viable / (glucose_mm + p.glucose_half_mm)
        used = medium.glucose_umol * (1.0 - math.exp(-per_mm * hours / medium.volume_ml))
        medium.glucose_umol -= used
        medium.lactate_umol += used * p.lactate_per_glucose
        self.used_glucose_umol += used
        self.made_lactate_umol += used * p.lactate_per_glucose
