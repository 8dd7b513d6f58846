"""The bioreactor as a process: bags, vessel, pool, pumps, gas, heat, pH and the culture. It knows nothing of registers.

Medium pump: bag -> vessel. Harvest pump: vessel -> waste or pool. Clarification pump: pool -> 0.22 um filter ->
clarified container. Circulation pump: reservoir -> fibres, gas exchanger -> reservoir. Units: mL, mL/min, s, degC, %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from simulators.process.actuators import Motor, Selector
from simulators.process.culture import Culture, CultureParameters, Surroundings
from simulators.process.culture_vessel import CultureVessel, HollowFibre
from simulators.process.gas import AIR_O2, MMHG_PER_PERCENT, UM_PER_PERCENT, DissolvedGas, GasFlows
from simulators.process.leak import Leak
from simulators.process.liquid import Composition, Liquid, pass_through

MAX_STEP_S: Final = 6.0
FULL: Final = 1.10
"""Level at which the vessel spills."""
LEAST_CO2_MM: Final = 0.01
MEDIA: Final = ("none", "expansion", "production")
HARVEST_TO: Final = ("none", "waste", "pool")
ROOM_CO2: Final = 0.04


@dataclass(frozen=True, slots=True)
class Medium:
    """A bag of medium."""

    volume_ml: float
    made_of: Composition


@dataclass(frozen=True, slots=True)
class BioreactorParameters:
    """One bioreactor with its bags. Engineering defaults throughout."""

    vessel: CultureVessel = field(default_factory=HollowFibre)
    culture: CultureParameters = field(default_factory=CultureParameters)
    expansion: Medium = field(
        default_factory=lambda: Medium(
            10_000.0,
            Composition(4.0, 5.0e9, 14.0, glucose_mm=10.0, foreign=True),
        )
    )
    """With 5 % platelet lysate, which brings its own vesicles."""
    production: Medium = field(
        default_factory=lambda: Medium(
            10_000.0,
            Composition(0.5, 2.0e7, 14.0, glucose_mm=10.0, foreign=True),
        )
    )
    """As good as free of vesicles."""
    residual_ml: float = 10.0
    """What the harvest pump cannot reach."""
    circulating_ml: float = 50.0
    """Least volume with which the circulation draws no air."""
    head_ml: float = 200.0
    head_mbar_at_200: float = 6.0
    ambient_degc: float = 22.0
    feed_degc: float = 36.0
    """Medium comes through a warmer."""
    feed_gassed: float = 0.8
    """How far (0..1) it takes on the gas of the head space on its way through the gas exchanger."""
    heating_degc_per_h: float = 15.0
    cooling_h: float = 3.0
    """Time constant of cooling down to the room."""
    bicarbonate_mm: float = 20.0
    lactate_buffering: float = 0.5
    """Bicarbonate that one lactate takes."""
    filter_ev_share: float = 0.05
    """Of the vesicles, those that stay on the clarifying filter."""
    filter_psi_at_100: float = 1.2
    filter_psi_per_litre: float = 0.25
    """Rise of that pressure with what has passed."""
    bubble_point_psi: float = 54.0
    broken_psi: float = 21.0


@dataclass(slots=True)
class Pump:
    """A metering pump: starts and stops at once, and counts what it has moved."""

    rate: float = 0.0
    """mL/min that it is set to."""
    stalled: bool = False
    flow: float = 0.0
    """mL/min that it really moves."""
    moved_ml: float = 0.0

    def delivers(self, h: float) -> float:
        """How many mL it would move in h seconds."""
        return 0.0 if self.stalled else self.rate / 60.0 * h

    def count(self, ml: float, h: float) -> None:
        """It has moved so many mL in h seconds."""
        self.flow = ml / h * 60.0
        self.moved_ml += ml


@dataclass(slots=True)
class Bags:
    """Every mL, umol and vesicle of the bioreactor is in one of these, or in the clarified container."""

    expansion: Liquid
    production: Liquid
    vessel: Liquid = field(default_factory=Liquid)
    pool: Liquid = field(default_factory=Liquid)
    waste: Liquid = field(default_factory=Liquid)
    lost: Liquid = field(default_factory=Liquid)
    """Leaked or spilled."""

    def places(self) -> dict[str, Liquid]:
        """Every place by name."""
        return {name: getattr(self, name) for name in Bags.__slots__}


class BioreactorProcess:
    """State and motion of the bioreactor. Set pumps, selectors, gas and heat, then :meth:`advance`."""

    def __init__(
        self, parameters: BioreactorParameters | None = None, clarified: Callable[[], Liquid] | None = None
    ) -> None:
        """``clarified`` tells where clarified medium goes; without it into a container of its own."""
        self.parameters = p = parameters or BioreactorParameters()
        self.vessel = p.vessel
        own = Liquid()
        self.clarified = clarified or (lambda: own)
        self.bags = Bags(
            Liquid.of(p.expansion.volume_ml, p.expansion.made_of),
            Liquid.of(p.production.volume_ml, p.production.made_of),
        )
        self.culture = Culture(p.culture, p.vessel.confluent_cells)
        self.medium, self.harvest, self.clarification, self.circulation = (Pump() for _ in range(4))
        self.med_from = Selector(travel_s=1.0)
        self.harv_to = Selector(travel_s=1.0)
        self.stirrer = Motor(lag_s=3.0, brake_s=3.0)
        self.gas = GasFlows()
        self.dissolved = DissolvedGas()
        self.leak = Leak()
        self.heat = 0.0
        """Share (0..1) of the heater's power."""
        self.temperature_degc = p.ambient_degc
        self.base_mm = 0.0
        """Strong base (or, below 0, acid) that was dosed into the medium."""
        self.filter_broken = False
        self.filter_psi = 0.0
        self.filtered_evs = 0.0

    @property
    def volume_ml(self) -> float:
        """Liquid in the vessel."""
        return self.bags.vessel.volume_ml

    @property
    def level(self) -> float:
        """Share (0..1.1) of the vessel's working volume."""
        return self.bags.vessel.volume_ml / self.vessel.working_ml

    @property
    def harvestable_ml(self) -> float:
        """What the harvest pump can reach."""
        return max(0.0, self.bags.vessel.volume_ml - self.parameters.residual_ml)

    @property
    def glucose_mm(self) -> float:
        """Glucose in the vessel; 0 without liquid."""
        return self.bags.vessel.glucose_umol / self.volume_ml if self.volume_ml > 0.0 else 0.0

    @property
    def lactate_mm(self) -> float:
        """Lactate in the vessel; 0 without liquid."""
        return self.bags.vessel.lactate_umol / self.volume_ml if self.volume_ml > 0.0 else 0.0

    @property
    def ph(self) -> float:
        """Henderson-Hasselbalch (pK 6.1, 0.0307 mM/mmHg) of dissolved CO2 and bicarbonate, which lactate uses up."""
        p = self.parameters
        bicarbonate = max(1.0, p.bicarbonate_mm + self.base_mm - p.lactate_buffering * self.lactate_mm)
        co2 = max(LEAST_CO2_MM, 0.0307 * MMHG_PER_PERCENT * self.dissolved.co2)
        return 6.1 + math.log10(bicarbonate / co2)

    @property
    def head_mbar(self) -> float:
        """Pressure over the medium, from the gas that passes the vent filter."""
        return self.parameters.head_mbar_at_200 * self.gas.total / 200.0

    @property
    def stress(self) -> float:
        """Shear stress on the cells, dyn/cm2."""
        return self.vessel.stress(self.circulation.flow, self.stirrer.speed)

    @property
    def surroundings(self) -> Surroundings:
        """What the cells feel."""
        return Surroundings(
            self.dissolved.o2,
            self.temperature_degc,
            self.ph,
            self.stress,
            self.vessel.harm(self.circulation.flow, self.stirrer.speed),
        )

    def inoculate(self, viable: float, viability: float = 0.95) -> None:
        """Put cells into the medium, where they attach. ValueError without medium or for odd numbers."""
        if self.volume_ml < self.parameters.circulating_ml:
            raise ValueError(f"the vessel holds {self.volume_ml:.0f} mL: no medium to put cells into")
        if not 0.0 < viable < math.inf:
            raise ValueError(f"{viable} is not a number of viable cells")
        if not 0.0 < viability <= 1.0:
            raise ValueError(f"{viability} is not a viability between 0 and 1")
        self.culture.inoculate(viable, viability)

    def advance(self, h: float) -> None:
        """Let h seconds pass, at most MAX_STEP_S."""
        self.stirrer.move(h)
        self.med_from.move(h)
        self.harv_to.move(h)
        self._exchange(h)
        self._circulate(h)
        self._breathe(h)
        self._warm(h)
        if self.volume_ml > 0.0:
            if self.culture.viable > 0.0:
                self.culture.advance(h, self.bags.vessel, self.surroundings)
            else:
                self.culture.decay(h, self.bags.vessel)
        self._clarify(h)

    def power_off(self) -> None:
        """All pumps stand still and the selectors are shut; the gas is air through the vent."""
        for pump in (self.medium, self.harvest, self.clarification, self.circulation):
            pump.rate = pump.flow = 0.0
        for selector in (self.med_from, self.harv_to):
            selector.target = selector.position = 0

    def state(self) -> dict[str, Any]:
        """What outlives a loss of power."""
        return {
            "bags": {name: asdict(place) for name, place in self.bags.places().items()},
            "culture": self.culture.state(),
            "dissolved": asdict(self.dissolved),
            "moved_ml": {name: pump.moved_ml for name, pump in self.pumps.items()},
            "leak": asdict(self.leak),
            "temperature_degc": self.temperature_degc,
            "base_mm": self.base_mm,
            "stirrer_rpm": self.stirrer.speed,
            "circulating_ml_min": self.circulation.rate,
            "filter_broken": self.filter_broken,
            "filtered_evs": self.filtered_evs,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put such a state back. Raises KeyError, TypeError or ValueError for a state of another shape."""
        for name in self.bags.places():
            setattr(self.bags, name, Liquid(**{key: float(value) for key, value in state["bags"][name].items()}))
        self.culture.restore(state["culture"])
        self.dissolved = DissolvedGas(**{name: float(value) for name, value in state["dissolved"].items()})
        for name, pump in self.pumps.items():
            pump.moved_ml = float(state["moved_ml"][name])
        self.leak = Leak(**{name: float(value) for name, value in state["leak"].items()})
        self.temperature_degc = float(state["temperature_degc"])
        self.base_mm = float(state["base_mm"])
        self.stirrer.speed = float(state["stirrer_rpm"])
        self.circulation.rate = float(state["circulating_ml_min"])
        self.filter_broken = bool(state["filter_broken"])
        self.filtered_evs = float(state["filtered_evs"])

    @property
    def pumps(self) -> dict[str, Pump]:
        """Every pump by the manual's name."""
        return {"MED": self.medium, "HARV": self.harvest, "CLAR": self.clarification, "CIRC": self.circulation}

    def _exchange(self, h: float) -> None:
        """Medium in and harvest out, both evenly over the step; a leak, and what spills."""
        bags = self.bags
        entering = Liquid()
        if self.med_from.position:
            source: Liquid = getattr(bags, MEDIA[self.med_from.position])
            entering = source.take(self.medium.delivers(h))
        self.medium.count(entering.volume_ml, h)
        leaving = 0.0
        if self.harv_to.position:
            reach = max(0.0, bags.vessel.volume_ml + entering.volume_ml - self.parameters.residual_ml)
            leaving = min(self.harvest.delivers(h), reach)
        self.harvest.count(leaving, h)
        if entering.volume_ml > 0.0 or leaving > 0.0:
            before, came = bags.vessel.volume_ml, entering.volume_ml > 0.0
            out, stays = pass_through(bags.vessel, entering, leaving)
            if leaving > 0.0:
                (bags.waste if self.harv_to.position == 1 else bags.pool).add(out)
            if came:
                self._mix(stays * before / bags.vessel.volume_ml)
        if bags.vessel.volume_ml > FULL * self.vessel.working_ml:
            bags.lost.add(bags.vessel.take(bags.vessel.volume_ml - FULL * self.vessel.working_ml))
        lost = self.leak.lose(h, bags.vessel.volume_ml)
        if lost > 0.0:
            bags.lost.add(bags.vessel.take(lost))

    def _mix(self, old: float) -> None:
        """Fresh medium has come in; ``old`` is the share (0..1) of the vessel that the old one makes up."""
        p, gases = self.parameters, self.dissolved
        gases.mix(
            old,
            AIR_O2 + p.feed_gassed * (gases.head_o2 - AIR_O2),
            ROOM_CO2 + p.feed_gassed * (gases.head_co2 - ROOM_CO2),
        )
        self.temperature_degc = self.temperature_degc * old + p.feed_degc * (1.0 - old)
        self.base_mm *= old

    def _circulate(self, h: float) -> None:
        wet = self.volume_ml >= self.parameters.circulating_ml
        self.circulation.count(self.circulation.delivers(h) if wet else 0.0, h)

    def _breathe(self, h: float) -> None:
        p, volume = self.parameters, self.volume_ml
        head_s = p.head_ml / max(1.0, self.gas.total) * 60.0
        # The same surface serves less liquid.
        thin = self.vessel.working_ml / max(volume, p.residual_ml)
        kla = self.vessel.kla_per_h(self.circulation.flow, self.stirrer.speed) * thin / 3600.0
        uptake = 0.0
        if volume > 0.0 and self.culture.viable > 0.0:
            uptake = self.culture.oxygen_uptake_per_s(self.dissolved.o2, volume, UM_PER_PERCENT)
        self.dissolved.advance(h, self.gas, head_s, kla, uptake)

    def _warm(self, h: float) -> None:
        """T' = heating - (T - room)/tau, exact for a constant power."""
        p = self.parameters
        rest = p.ambient_degc + self.heat * p.heating_degc_per_h * p.cooling_h
        self.temperature_degc = rest + (self.temperature_degc - rest) * math.exp(-h / 3600.0 / p.cooling_h)

    def _clarify(self, h: float) -> None:
        p, pump = self.parameters, self.clarification
        moved = self.bags.pool.take(pump.delivers(h))
        pump.count(moved.volume_ml, h)
        clogging = p.filter_psi_at_100 + p.filter_psi_per_litre * pump.moved_ml / 1000.0
        self.filter_psi = pump.flow / 100.0 * clogging
        if moved.volume_ml > 0.0:
            self.filtered_evs += moved.take_evs(p.filter_ev_share)
            self.clarified().add(moved)
