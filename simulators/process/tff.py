"""The filtration skid as a process: liquids move, the membrane works. It knows nothing of registers or trips.

Retentate vessel -> feed pump -> fibres -> retentate valve -> vessel, or through the outlet selector to waste or
product. Permeate passes the permeate valve into its vessel. The transfer pump fills the retentate vessel from the
selected inlet. Units: mL, mL/s, s, Pa, degC.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from simulators.process.actuators import Motor, Selector, Valve
from simulators.process.air_hold import AirHold
from simulators.process.circuit import CircuitParameters, circulate
from simulators.process.leak import Leak
from simulators.process.liquid import Liquid, exchange
from simulators.process.membrane import PA_PER_PSI, Membrane, MembraneParameters, water_viscosity
from simulators.process.vessels import INLETS, OUTLETS, Ledger, Stocks, VesselParameters

M3 = 1e-6
MAX_STEP_S = 0.25


@dataclass(frozen=True, slots=True)
class ProcessParameters:
    """One skid with its module, vessels and supplies. Engineering defaults throughout."""

    membrane: MembraneParameters = field(default_factory=MembraneParameters)
    circuit: CircuitParameters = field(default_factory=CircuitParameters)
    vessels: VesselParameters = field(default_factory=VesselParameters)
    stocks: Stocks = field(default_factory=Stocks)
    ambient_degc: float = 22.0
    pump_heat_degc: float = 1.5
    """Rise above ambient that the feed pump keeps up at 1.2 L/min."""
    thermal_s: float = 1800.0
    conductivity_cell_ml: float = 4.0


class TffProcess:
    """State and motion of the skid. Set the actuators' targets, then :meth:`advance`."""

    def __init__(self, parameters: ProcessParameters | None = None) -> None:
        self.parameters = parameters or ProcessParameters()
        self.ledger = Ledger.of(self.parameters.stocks)
        self.membrane = Membrane(self.parameters.membrane)
        self.feed_pump = Motor(lag_s=0.8, brake_s=0.3)
        self.transfer_pump = Motor(lag_s=0.3, brake_s=0.08)
        self.retentate_valve = Valve(travel_s=10.0, target=1.0, position=1.0)
        self.permeate_valve = Valve(travel_s=1.0)
        self.inlet = Selector(travel_s=1.0)
        self.outlet = Selector(travel_s=1.0)
        self.blockage = 1.0
        self.permeate_leak = Leak()
        self.retentate_leak = Leak()
        self.air = AirHold()
        self.temperature_degc = self.parameters.ambient_degc
        self.conductivity = 0.0
        self.p_feed = self.p_ret = self.p_perm = 0.0
        self.q_feed = self.q_perm = self.q_in = 0.0
        self.transferred_ml = 0.0
        """What the transfer pump has moved since the process began."""

    @property
    def retentate_g(self) -> float:
        """Liquid in the retentate vessel."""
        return self.ledger.retentate.mass_g

    @property
    def permeate_g(self) -> float:
        """Liquid in the permeate vessel."""
        return self.ledger.permeate.mass_g

    @property
    def level(self) -> float:
        """Share (0..1) of the retentate vessel that is full."""
        return self.ledger.retentate.volume_ml / self.parameters.vessels.retentate_ml

    @property
    def shear(self) -> float:
        """Wall shear rate at the fibres' inlet, 1/s."""
        return self.parameters.membrane.shear(self.q_feed * M3)

    @property
    def flux(self) -> float:
        """Permeate flux, m/s."""
        return self.q_perm * M3 / self.parameters.membrane.area_m2

    @property
    def idle(self) -> bool:
        """Whether nothing moves and nothing is on its way: then a step may be of any length."""
        pumps = (self.feed_pump, self.transfer_pump)
        return (
            not any(pump.target > 0.0 or pump.speed > 0.0 for pump in pumps)
            and self.retentate_valve.position == self.retentate_valve.target
            and self.permeate_valve.position == self.permeate_valve.target
            and self.inlet.position == self.inlet.target
            and self.outlet.position == self.outlet.target
        )

    def rest(self, h: float) -> None:
        """Let h seconds pass while nothing moves; of any length."""
        self.q_in = self.feed_pump.mean = self.transfer_pump.mean = 0.0
        self._rest(h)
        self._lose(h)
        ambient = self.parameters.ambient_degc
        self.temperature_degc = ambient + (self.temperature_degc - ambient) * math.exp(-h / self.parameters.thermal_s)

    def advance(self, h: float) -> None:
        """Let h seconds pass, at most MAX_STEP_S."""
        for part in (self.feed_pump, self.transfer_pump, self.retentate_valve, self.permeate_valve):
            part.move(h)
        self.inlet.move(h)
        self.outlet.move(h)
        self._transfer(h)
        self._circulate(h)
        self._lose(h)
        self._temper(h)

    def power_off(self) -> None:
        """All motors stand still at once and the valves rest in their safe positions, as after a loss of power."""
        for pump in (self.feed_pump, self.transfer_pump):
            pump.target = pump.speed = pump.mean = 0.0
        self.retentate_valve.target = self.retentate_valve.position = 1.0
        self.permeate_valve.target = self.permeate_valve.position = 0.0
        for selector in (self.inlet, self.outlet):
            selector.target = selector.position = 0

    def state(self) -> dict[str, Any]:
        """What outlives a loss of power."""
        return {
            "ledger": self.ledger.state(),
            "membrane": self.membrane.state(),
            "temperature_degc": self.temperature_degc,
            "conductivity": self.conductivity,
            "transferred_ml": self.transferred_ml,
            "leaks": {"permeate": asdict(self.permeate_leak), "retentate": asdict(self.retentate_leak)},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put such a state back. Raises KeyError, TypeError or ValueError for a state of another shape."""
        self.ledger.restore(state["ledger"])
        self.membrane.restore(state["membrane"])
        self.temperature_degc = float(state["temperature_degc"])
        self.conductivity = float(state["conductivity"])
        self.transferred_ml = float(state["transferred_ml"])
        self.permeate_leak = Leak(**{name: float(value) for name, value in state["leaks"]["permeate"].items()})
        self.retentate_leak = Leak(**{name: float(value) for name, value in state["leaks"]["retentate"].items()})

    def _transfer(self, h: float) -> None:
        self.q_in = 0.0
        if self.inlet.position == 0 or self.transfer_pump.mean <= 0.0:
            return
        stock: Liquid = getattr(self.ledger, INLETS[self.inlet.position])
        moved = stock.take(self.transfer_pump.mean / 60.0 * h)
        self.q_in = moved.volume_ml / h
        self.transferred_ml += moved.volume_ml
        self.ledger.retentate.add(moved)
        over = self.ledger.retentate.volume_ml - self.parameters.vessels.retentate_ml
        if over > 0.0:
            self.ledger.spilled.add(self.ledger.retentate.take(over))

    def _circulate(self, h: float) -> None:
        vessels, vessel, hold_up = self.parameters.vessels, self.ledger.retentate, self.ledger.hold_up
        delivery = self.feed_pump.speed * self.parameters.circuit.displacement_ml_per_rev / 60.0
        missing = vessels.hold_up_ml - hold_up.volume_ml
        if delivery <= 0.0:
            self._rest(h)
        elif vessel.volume_ml <= 0.0:
            self._blow_out(h, delivery)
        elif missing > 1e-6:
            filled = vessel.take(min(delivery * h, missing))
            self._rest(h)
            self.q_feed = filled.volume_ml / h
            hold_up.add(filled)
        else:
            self._filter(h, delivery)

    def _rest(self, h: float) -> None:
        """No permeate, and no pressure but that of air that was pressed in."""
        self.q_feed = self.q_perm = 0.0
        self.air.hold(h, self.retentate_valve.position, flows=False)
        self.p_feed = self.p_ret = self.air.pressure_pa
        self._settle_permeate_side(h, 0.0)

    def _blow_out(self, h: float, delivery: float) -> None:
        """The pump draws air: it pushes the hold-up out through an open outlet, down to what sticks to the walls."""
        self._rest(h)
        over = self.ledger.hold_up.volume_ml - self.parameters.vessels.residual_ml
        if self.outlet.position and over > 0.0:
            self._discharge(self.ledger.hold_up.take(min(delivery * h, over)))

    def _filter(self, h: float, delivery: float) -> None:
        p, ledger = self.parameters, self.ledger
        self.air.hold(h, self.retentate_valve.position, flows=True)
        viscosity = water_viscosity(self.temperature_degc)
        q_feed, self.p_feed, self.p_ret = circulate(
            delivery * M3,
            self.q_perm * M3,
            p.circuit.valve_coefficient(self.retentate_valve.position, self.blockage),
            p.membrane.axial_resistance(viscosity),
            p.circuit.stall_psi * PA_PER_PSI,
        )
        self.q_feed = q_feed / M3
        permeate = self._permeate_flow(h, viscosity) * h
        sources = (ledger.hold_up,) if self.outlet.position else (ledger.retentate, ledger.hold_up)
        self._mix(h, max(0.0, self.q_feed - self.q_perm))
        self._permeate(h, min(permeate, ledger.retentate.volume_ml), sources)

    def _permeate_flow(self, h: float, viscosity: float) -> float:
        """Permeate flow in mL/s from the pressures; also settles the permeate side's pressure.

        The flow follows its equilibrium with the pressures by halves, as the tubing's elasticity makes it do; solved
        at once, a dead-ended module would oscillate from step to step.
        """
        membrane, p = self.membrane, self.parameters
        mean = (self.p_feed + self.p_ret) / 2.0
        opening = self.permeate_valve.position
        if opening <= 0.0:
            self.q_perm = 0.0
            self._settle_permeate_side(h, mean)
            return 0.0
        line = p.circuit.permeate_line / opening**2
        protein, _ = self._bulk()
        drive = mean - membrane.osmotic_pa(protein, self.temperature_degc + 273.15)
        limit = membrane.gel_limit(self.shear, protein)
        flux = membrane.flux(drive, viscosity, line * p.membrane.area_m2, limit)
        self.q_perm += 0.5 * (flux * p.membrane.area_m2 / M3 - self.q_perm)
        # Through a closing valve no more passes than the pressure in the fibres drives.
        self.q_perm = min(self.q_perm, max(0.0, mean) / line / M3)
        self.p_perm = line * self.q_perm * M3
        return self.q_perm

    def _settle_permeate_side(self, h: float, pressure: float) -> None:
        """A shut permeate side takes on the pressure in the fibres; an open one that of the air."""
        if self.permeate_valve.position > 0.0:
            pressure = 0.0
        self.p_perm += (pressure - self.p_perm) * (1.0 - math.exp(-h / 1.5))

    def _bulk(self) -> tuple[float, float]:
        """Concentrations that the membrane sees, g/L and 1/mL: vessel and hold-up as one, since they mix in seconds."""
        one, other = self.ledger.hold_up, self.ledger.retentate
        volume = one.volume_ml if self.outlet.position else one.volume_ml + other.volume_ml
        protein, evs = one.protein_mg, one.evs
        if not self.outlet.position:
            protein, evs = protein + other.protein_mg, evs + other.evs
        return protein / volume, evs / volume

    def _permeate(self, h: float, permeate_ml: float, sources: tuple[Liquid, ...]) -> None:
        """Pass so many mL through the membrane, and let it foul, adsorb and be cleaned.

        A solute of sieving S leaves by dM/M = -S dV/V, integrated over the step at its mean volume: so concentration
        is VCF^R and diafiltration exp(-N S) independently of the step.
        """
        ledger, membrane = self.ledger, self.membrane
        flux = permeate_ml / h * M3 / membrane.parameters.area_m2
        protein, evs = self._bulk()
        membrane.foul(h, flux, self.shear, protein, evs)
        ledger.hold_up.add(ledger.retentate.take(permeate_ml))
        volume = sum(source.volume_ml for source in sources)
        if permeate_ml > 0.0:
            passed = permeate_ml / (volume - permeate_ml / 2.0)
            sieving = membrane.parameters
            out = Liquid()
            for source in sources:
                out.add(
                    source.take_solutes(
                        1.0 - math.exp(-sieving.protein_sieving * passed),
                        1.0 - math.exp(-sieving.ev_sieving * passed),
                        1.0 - math.exp(-sieving.salt_sieving * passed),
                    )
                )
            ledger.hold_up.volume_ml -= permeate_ml
            out.volume_ml = permeate_ml
            self._read_conductivity(out)
            self._collect(h, out)
        caustic = ledger.hold_up.caustic_mmol / ledger.hold_up.volume_ml
        ledger.destroyed_evs += membrane.clean(h, caustic)
        stuck = membrane.adsorb(h, evs)
        if stuck > 0.0:
            share = stuck / sum(source.evs for source in sources)
            for source in sources:
                source.take_evs(share)

    def _collect(self, h: float, permeate: Liquid) -> None:
        lost = self.permeate_leak.lose(h, permeate.volume_ml)
        if lost > 0.0:
            self.ledger.leaked.add(permeate.take(lost))
        self.ledger.permeate.add(permeate)
        over = self.ledger.permeate.volume_ml - self.parameters.vessels.permeate_ml
        if over > 0.0:
            self.ledger.spilled.add(self.ledger.permeate.take(over))

    def _read_conductivity(self, permeate: Liquid) -> None:
        """The cell in the permeate line holds a few mL, and keeps its reading while nothing flows."""
        swept = 1.0 - math.exp(-permeate.volume_ml / self.parameters.conductivity_cell_ml)
        self.conductivity += (permeate.conductivity - self.conductivity) * swept

    def _mix(self, h: float, retentate_flow: float) -> None:
        """Bring the retentate back to the vessel, or out."""
        vessel, hold_up = self.ledger.retentate, self.ledger.hold_up
        if self.outlet.position:
            moved = vessel.take(retentate_flow * h)
            out = hold_up.take(min(moved.volume_ml, hold_up.volume_ml))
            hold_up.add(moved)
            self._discharge(out)
        else:
            rate = retentate_flow * (1.0 / vessel.volume_ml + 1.0 / hold_up.volume_ml)
            exchange(vessel, hold_up, 1.0 - math.exp(-rate * h))

    def _discharge(self, liquid: Liquid) -> None:
        target: Liquid = getattr(self.ledger, OUTLETS[self.outlet.position])
        target.add(liquid)

    def _lose(self, h: float) -> None:
        lost = self.retentate_leak.lose(h, self.ledger.retentate.volume_ml)
        if lost > 0.0:
            self.ledger.leaked.add(self.ledger.retentate.take(lost))

    def _temper(self, h: float) -> None:
        p = self.parameters
        rest = p.ambient_degc + p.pump_heat_degc * self.q_feed / 20.0
        self.temperature_degc += (rest - self.temperature_degc) * h / p.thermal_s
