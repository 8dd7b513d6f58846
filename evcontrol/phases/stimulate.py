"""What makes cells release vesicles: less oxygen, and shear."""

from __future__ import annotations

from typing import ClassVar

from evcontrol.clock import NS
from evcontrol.phases import culture
from evcontrol.phases.cells import HOUR_NS
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind
from evcontrol.quality import is_bad


class Hypoxia(Phase):
    """Lower the oxygen by a ramp of the local controller, and wait until the cells have it."""

    unit_class = "bioreactor"
    bears_outage_h = 4.0
    tags: ClassVar = (*culture.TAGS, "DO_SP_WORK")
    actuators: ClassVar = culture.ACTUATORS
    hazardous = True
    shut_to_freeze = ("MED_SP", "HARV_SP")
    arguments = (
        Argument("oxygen", ArgumentKind.NUMBER, "oxygen as its share in the gas in balance", "%O2", low=1.0, high=20.9),
        Argument("ramp", ArgumentKind.NUMBER, "rate of the change", "%O2/h", "10 %O2/h", 0.1, 100.0),
        Argument("tolerance", ArgumentKind.NUMBER, "how near counts as reached", "%O2", "0.3 %O2", 0.05, 2.0),
        Argument("within", ArgumentKind.NUMBER, "longest time beyond the ramp", "h", "4 h", 0.1, 48.0),
    )
    results = (
        Result("oxygen", "oxygen", "%O2"),
        Result("time_to_reach", "time to reach it", "min"),
    )

    async def running(self) -> None:
        """Set, and wait for the reading to stay."""
        context = self.context
        oxygen, ramp = context.number("oxygen"), context.number("ramp")
        await culture.change(context, SET_DO=oxygen, SET_DO_RATE=ramp)
        if oxygen >= culture.AIR_O2:  # air alone: there is no setpoint to come to
            await context.result("oxygen", round(context.value("AT_DO"), 2), "%O2")
            return
        clock = context.rooms.clock
        longest = abs(20.9 - oxygen) / ramp + context.number("within")
        end = clock.now() + round(longest * HOUR_NS)
        started = await context.once("since", clock.now)
        near = f"(abs(AT_DO - SET_DO) <= {context.number('tolerance'):g} %O2) for 600 s"
        await context.until(near, tolerance_s=culture.TOLERANCE_S, unless=lambda: clock.now() >= end)
        reached = context.value("AT_DO")
        if abs(reached - oxygen) > 2.0 * context.number("tolerance"):
            raise HoldRequiredError(f"the oxygen does not come to {oxygen:g} %O2 (now {reached:.2f} %O2)")
        await context.result("oxygen", round(reached, 2), "%O2")
        await context.result("time to reach it", round((clock.now() - started) / NS / 60.0, 1), "min")


MIN_VIABILITY = Argument(
    "min_viability", ArgumentKind.NUMBER, "viability below which cells are not sheared", "", "0.8", 0.0, 1.0
)
COUNT_AGE = Argument("count_age", ArgumentKind.NUMBER, "age at which a viability expires", "h", "120 h", 1.0, 1000.0)


class Shear(Phase):
    """Bring the wall shear stress of the fibres' lumen to a value by the recirculation, in steps."""

    unit_class = "bioreactor"
    bears_outage_h = 4.0
    tags: ClassVar = (*culture.TAGS, "SHEAR_PER_FLOW", "VIABILITY", "COUNTED_AT")
    actuators: ClassVar = culture.ACTUATORS
    hazardous = True
    max_speed = culture.TRANSFER_SPEED
    shut_to_freeze = ("MED_SP", "HARV_SP")
    arguments = (
        Argument("shear", ArgumentKind.NUMBER, "wall shear stress", "dyn/cm2", low=0.0, high=2.5),
        Argument("steps", ArgumentKind.NUMBER, "steps in which it is raised", "", "4", 1.0, 50.0),
        Argument("step_time", ArgumentKind.NUMBER, "time of each step", "min", "5 min", 0.1, 600.0),
        MIN_VIABILITY,
        COUNT_AGE,
    )
    results = (Result("shear", "shear", "dyn/cm2"),)

    async def running(self) -> None:
        """Look at the viability, then raise the flow."""
        context = self.context
        await culture.keep(context)
        await check_viability(context)
        per_flow = context.value("SHEAR_PER_FLOW")
        if per_flow <= 0.0:
            raise HoldRequiredError("the recirculation does not shear these cells: they are outside the fibres")
        wanted = context.number("shear") / per_flow
        before = await context.once("from", lambda: context.value("SET_CIRC"))
        steps = round(context.number("steps"))
        for step in range(1, steps + 1):
            if context.progress.get("step", 0) >= step:
                continue
            await culture.change(context, SET_CIRC=round(before + (wanted - before) * step / steps, 1))
            await context.for_seconds(context.number("step_time") * 60.0, f"step {step} of {steps}")
            await context.record("step", step)
        near = (
            f"abs(SHEAR - {context.number('shear'):g} dyn/cm2) <= {max(0.05, 0.05 * context.number('shear')):g} dyn/cm2"
        )
        await context.until(near, tolerance_s=culture.TOLERANCE_S)
        await context.result("shear", round(context.value("SHEAR"), 3), "dyn/cm2")


async def check_viability(context: PhaseContext) -> None:
    """Ask for the viability when the last one has expired. Raises HoldRequiredError when it is too low for shear."""
    least = context.number("min_viability")
    viability, at = context.reading("VIABILITY"), context.reading("COUNTED_AT")
    age = context.rooms.clock.now() / HOUR_NS - at.value
    if is_bad(viability.quality) or is_bad(at.quality) or age > context.number("count_age"):
        text = "The last viability is too old. Viability of the cells now (0 to 1)"
        answer = await context.ask("viability", PromptKind.NUMBER, text, low=0.0, high=1.0)
        await context.set_tag("VIABILITY", float(answer))
        await context.set_tag("COUNTED_AT", context.rooms.clock.now() / HOUR_NS)
    if context.value("VIABILITY") < least:
        raise HoldRequiredError(f"the viability is {context.value('VIABILITY'):.2f}, below {least:g}: no shear")
