"""Conditioning: the cells release into the medium, which is collected at intervals and replaced."""

from __future__ import annotations

import math
from typing import ClassVar

from evcontrol.phases import cells, culture
from evcontrol.phases.cells import HOUR_NS
from evcontrol.phases.exchange import BAGS, EXCHANGED, FLOW, exchange, pool, pooled, take
from evcontrol.procedure.context import HoldRequiredError
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind

COLLECTION_TAGS = (*culture.TAGS, *culture.LIQUIDS, *BAGS.values(), "WT_POOL", "POOL", "POOL_EMPTY", "COLLECTIONS")


class Condition(Phase):
    """Keep the cells for a time, exchanging medium into the collection container after each interval but the last.

    What the last interval made is left for the harvest.
    """

    unit_class = "bioreactor"
    bears_outage_h = 12.0
    tags: ClassVar = (*COLLECTION_TAGS, "VIABILITY", "COUNTED_AT")
    actuators: ClassVar = (*culture.ACTUATORS, *culture.PUMPS)
    hazardous = True
    shut_to_freeze = ("MED_SP", "HARV_SP")
    arguments = (
        Argument("time", ArgumentKind.NUMBER, "whole time", "h", low=0.1, high=2000.0),
        Argument("interval", ArgumentKind.NUMBER, "time between collections", "h", low=0.1, high=2000.0),
        EXCHANGED,
        FLOW,
        Argument("band", ArgumentKind.NUMBER, "O2 band that counts as kept", "%O2", "0.7 %O2", 0.05, 5.0),
    )
    results = (
        Result("time", "time", "h"),
        Result("time_in_band", "time in the O2 band", "h"),
        Result("shear_dose", "shear dose", "dyn.h/cm2"),
        Result("collected", "collected", "g"),
        Result("pool", "pool", "g"),
    )

    async def running(self) -> None:
        """Wait, exchange, wait; the moments are those of process time, whatever came between."""
        context = self.context
        await culture.keep(context)
        label = await pool(context)
        start = await context.once("start", context.rooms.clock.now)
        interval = context.number("interval")
        times = max(1, math.ceil(context.number("time") / interval - 1e-6))
        exposure = culture.Exposure(context, context.number("band"))
        exposure.restore(context.progress.get("exposure", exposure.state()))
        await cells.assess(context, min(interval, context.number("time")))
        guard = culture.guard(context)

        def look() -> None:
            guard()
            exposure.look()

        for number in range(1, times + 1):
            if context.progress.get("passed", 0) >= number:
                continue
            context.speed_limit = math.inf
            end = start + round(min(number * interval, context.number("time")) * HOUR_NS)
            what = f"interval {number} of {times}"
            await context.until_time(end, what, look=look, then_at_most=culture.TRANSFER_SPEED)
            await context.record("exposure", exposure.state())
            await cells.estimated(context, "collection" if number == 1 else f"collection {number}")
            if number < times:
                await self._collect(number, label)
                await cells.assess(context, interval)
            await context.record("passed", number)
            await context.pause_point()
        await context.result("time", round(exposure.hours, 2), "h")
        await context.result("time in the O2 band", round(exposure.in_band, 2), "h")
        await context.result("shear dose", round(exposure.dose, 2), "dyn.h/cm2")

    async def _collect(self, number: int, label: str) -> None:
        context = self.context
        out, _ = await exchange(context, f"collection {number}", context.number("volume"), "pool", "production")
        await collected(self, number, label, out)


class Harvest(Phase):
    """Collect the last medium, have the cells counted, and let the vessel rest."""

    unit_class = "bioreactor"
    bears_outage_h = 2.0
    tags: ClassVar = (*COLLECTION_TAGS, "VIABLE", "VIABILITY", "COUNTED_AT")
    actuators: ClassVar = (*culture.ACTUATORS, *culture.PUMPS)
    hazardous = True
    max_speed = culture.TRANSFER_SPEED
    arguments = (
        Argument("leave", ArgumentKind.NUMBER, "what stays in the vessel", "mL", "50 mL", 5.0),
        FLOW,
        Argument(
            "count", ArgumentKind.CHOICE, "whether the viable cells are counted", default="counted",
            choices=("counted", "estimated", "none"),
        ),
    )  # fmt: skip
    results = (
        Result("collected", "collected", "g"),
        Result("pool", "pool", "g"),
    )

    async def running(self) -> None:
        """Pump out, ask, switch off."""
        context = self.context
        label = await pool(context)
        if "collected" not in context.progress:
            if "volume_ml" not in context.progress:  # a vessel that was drained in part may not bear the recirculation
                await culture.keep(context)
            leave = context.number("leave")
            volume = await context.once("volume_ml", lambda: self._volume() - leave)
            if volume <= 0.0:
                raise HoldRequiredError("the vessel holds no more than what is to stay in it")
            out = await take(context, "harvest", volume, "pool", context.number("flow"))
            await collected(self, round(context.value("COLLECTIONS")) + 1, label, out)
            await context.record("collected", True)
        await self._count()
        await context.set_tag("CONTENT", "spent")
        await culture.rest(context)

    def _volume(self) -> float:
        return self.context.value("LIQUID") / culture.grams(self.context, 1.0)

    async def _count(self) -> None:
        """Attached cells can be counted only now; what was estimated before stays an estimate."""
        context = self.context
        match context.arguments["count"]:
            case "counted":
                text = "Detach and count the cells. Viable cells at harvest"
                viable = await context.ask("viable", PromptKind.NUMBER, text, unit="cell", low=0.0, high=1e12)
                text = "Viability of the cells at harvest (0 to 1)"
                viability = await context.ask("viability", PromptKind.NUMBER, text, low=0.0, high=1.0)
                await cells.counted(context, "harvest", float(viable), float(viability))
            case "estimated":
                await cells.estimated(context, "harvest")
            case _:
                pass  # without a count there is no yield, and the report says so


async def collected(phase: Phase, number: int, label: str, out_g: float) -> None:
    """Put one collection down: what left the vessel, and what the container holds."""
    context = phase.context
    key = f"collected {number}"
    if key in context.progress:
        return
    mass = await pooled(context, label, f"collection {number}")
    await context.result("collected", round(out_g, 1), "g")
    await context.result("pool", round(mass, 1), "g")
    await context.set_tag("COLLECTIONS", number)
    await context.record(key, True)
