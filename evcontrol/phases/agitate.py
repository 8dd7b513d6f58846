"""Stirring that makes cells on microcarriers release: the smallest eddies are brought to a size, and kept so.

Power P = Np rho N^3 D^5, dissipation eps = P/(rho V), Kolmogorov length lambda = (nu^3/eps)^(1/4).
See docs/explanation/numbers.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evcontrol.phases import culture
from evcontrol.phases.cells import HOUR_NS
from evcontrol.phases.stimulate import COUNT_AGE, MIN_VIABILITY, check_viability
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result

LEAST_OF_CARRIER = 2.0 / 3.0
"""Eddies smaller than this share of a carrier's diameter harm cells on it, unless the geometry is qualified for it."""
UM = 1e6


@dataclass(frozen=True, slots=True)
class Stirrer:
    """A stirred tank: impeller (m), power number, kinematic viscosity (m2/s), volume (m3)."""

    impeller_m: float
    power_number: float
    nu_m2_s: float
    volume_m3: float

    def speed_rpm(self, eddies_um: float) -> float:
        """The speed at which the smallest eddies have that size."""
        dissipation = self.nu_m2_s**3 / (eddies_um / UM) ** 4
        per_s = math.pow(dissipation * self.volume_m3 / (self.power_number * self.impeller_m**5), 1.0 / 3.0)
        return 60.0 * per_s

    def eddies_um(self, rpm: float) -> float:
        """The size of the smallest eddies at a speed; infinite at rest."""
        if rpm <= 0.0:
            return math.inf
        dissipation = self.power_number * (rpm / 60.0) ** 3 * self.impeller_m**5 / self.volume_m3
        return math.pow(self.nu_m2_s**3 / dissipation, 0.25) * UM

    def tip_speed_m_s(self, rpm: float) -> float:
        """Speed of the impeller's tip, pi N D."""
        return math.pi * rpm / 60.0 * self.impeller_m


class Agitate(Phase):
    """Bring a stirred tank to a speed at which the smallest eddies have a size, keep it for a time, and go back."""

    unit_class = "bioreactor"
    bears_outage_h = 4.0
    tags: ClassVar = (*culture.TAGS, "AGIT", "VIABILITY", "COUNTED_AT")
    constants: ClassVar = ("carrier", "viscosity", "density", "impeller", "power_number")
    actuators: ClassVar = culture.ACTUATORS
    hazardous = True
    arguments = (
        Argument("eddies", ArgumentKind.NUMBER, "size of the smallest eddies (Kolmogorov)", "um", low=20.0, high=500.0),
        Argument("time", ArgumentKind.NUMBER, "how long", "h", "4 h", 0.0, 100.0),
        Argument("steps", ArgumentKind.NUMBER, "steps in which the speed is raised", "", "4", 1.0, 50.0),
        Argument("step_time", ArgumentKind.NUMBER, "time of each step", "min", "5 min", 0.1, 600.0),
        Argument(
            "qualified", ArgumentKind.FLAG, "the geometry is qualified for eddies below 2/3 of a carrier", "", "no"
        ),
        MIN_VIABILITY,
        COUNT_AGE,
    )
    results = (
        Result("speed", "speed", "rpm"),
        Result("eddies", "smallest eddies", "um"),
        Result("tip_speed", "tip speed", "m/s"),
        Result("time_at_speed", "time at speed", "h"),
    )

    async def running(self) -> None:
        """Look at cells and geometry, raise the speed, keep it, lower it."""
        context = self.context
        await culture.keep(context)
        await check_viability(context)
        stirrer, eddies = stirrer_of(context), context.number("eddies")
        least = LEAST_OF_CARRIER * context.constant("carrier", "um")
        if eddies < least and not context.arguments["qualified"]:
            raise HoldRequiredError(
                f"eddies of {eddies:g} um are smaller than 2/3 of a carrier ({least:.0f} um), and the recipe does not "
                "say that the geometry is qualified for them"
            )
        wanted = await context.once("rpm", lambda: round(stirrer.speed_rpm(eddies), 1))
        highest = context.rooms.plant.tags[f"{context.unit}.AGIT_SP"].high
        if wanted > highest:
            raise HoldRequiredError(f"eddies of {eddies:g} um need {wanted:.0f} rpm, and {highest:g} rpm is the most")
        before = await context.once("from", lambda: context.value("SET_AGIT"))
        if "kept" not in context.progress:
            await self._raise(before, wanted)
            await self._keep()
        await culture.change(context, SET_AGIT=before)
        await context.result("speed", wanted, "rpm")
        await context.result("smallest eddies", round(stirrer.eddies_um(wanted), 1), "um")
        await context.result("tip speed", round(stirrer.tip_speed_m_s(wanted), 3), "m/s")
        await context.result("time at speed", round(float(context.progress["hours"]), 2), "h")

    async def _raise(self, before: float, wanted: float) -> None:
        context = self.context
        steps = round(context.number("steps"))
        for step in range(1, steps + 1):
            if context.progress.get("step", 0) < step:
                await culture.change(context, SET_AGIT=round(before + (wanted - before) * step / steps, 1))
                await context.for_seconds(context.number("step_time") * 60.0, f"step {step} of {steps}")
                await context.record("step", step)
        # After a hold the safe state's speed stands, and the regime has the right one.
        await culture.keep(context)
        within = f"abs(AGIT - {wanted:g} rpm) <= {max(3.0, 0.05 * wanted):g} rpm"
        await context.until(within, tolerance_s=culture.TOLERANCE_S)

    async def _keep(self) -> None:
        """Hours at speed count only while the speed was there: what passed in a hold is not shear."""
        context, guard = self.context, culture.guard(self.context)
        total = context.number("time")
        while (done := float(context.progress.get("hours", 0.0))) < total:
            step = min(0.25, total - done)
            end = context.rooms.clock.now() + round(step * HOUR_NS)
            await context.until_time(end, f"stirred for {done:.2f} of {total:g} h", look=guard)
            await context.record("hours", done + step)
        if "hours" not in context.progress:
            await context.record("hours", 0.0)
        await context.record("kept", True)


def stirrer_of(context: PhaseContext) -> Stirrer:
    """The stirred tank that the plant file describes, filled as it is now."""
    nu = context.constant("viscosity", "Pa.s") / context.constant("density", "kg/m3")
    volume = context.value("LIQUID") / culture.grams(context, 1.0) * 1e-6
    return Stirrer(context.constant("impeller", "m"), context.constant("power_number", ""), nu, volume)
