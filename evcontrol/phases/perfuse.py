"""Perfusion: fresh medium in and conditioned medium out, all the time, in pulses that are balanced by weight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from evcontrol.phases import cells, culture
from evcontrol.phases.cells import HOUR_NS
from evcontrol.phases.condition import COLLECTION_TAGS, collected
from evcontrol.phases.exchange import FLOW, POOL, exchange, pool
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result


class Perfuse(Phase):
    """Exchange a little medium again and again for a time, so that on average so much flows through the vessel.

    Each pulse is an exchange of its own: what came out by weight goes in. What a hold or an outage took is made up by
    nobody: the time is that of the process, and each pulse has its moment in it.
    """

    unit_class = "bioreactor"
    bears_outage_h = 4.0
    tags: ClassVar = COLLECTION_TAGS
    actuators: ClassVar = (*culture.ACTUATORS, *culture.PUMPS)
    hazardous = True
    arguments = (
        Argument("time", ArgumentKind.NUMBER, "whole time", "h", low=0.1, high=2000.0),
        Argument("rate", ArgumentKind.NUMBER, "mean flow through the vessel", "mL/h", low=0.1, high=2000.0),
        Argument("pulse", ArgumentKind.NUMBER, "volume of one pulse", "mL", "50 mL", 10.0, 1000.0),
        Argument("to", ArgumentKind.CHOICE, "where the medium goes", default=POOL, choices=(POOL, "waste")),
        Argument(
            "medium", ArgumentKind.CHOICE, "what goes in", default="production", choices=("production", "expansion")
        ),
        FLOW,
        Argument("band", ArgumentKind.NUMBER, "O2 band that counts as kept", "%O2", "0.7 %O2", 0.05, 5.0),
    )

    results = (
        Result("perfused", "perfused", "g"),
        Result("time_in_band", "time in the O2 band", "h"),
        Result("shear_dose", "shear dose", "dyn.h/cm2"),
    )

    @classmethod
    def misfit(cls, arguments: Mapping[str, object]) -> str:
        """At least one pulse, and each over before the next begins."""
        time, rate, pulse, flow = (arguments[name] for name in ("time", "rate", "pulse", "flow"))
        if not all(isinstance(each, float) for each in (time, rate, pulse, flow)):
            return ""
        interval_h = float(str(pulse)) / float(str(rate))
        if interval_h > float(str(time)):
            return f"one pulse takes {interval_h:g} h at this rate, longer than the whole time"
        busy_h = 2.0 * float(str(pulse)) / float(str(flow)) / 60.0
        return "" if busy_h < interval_h / 2.0 else "the pumps would hardly rest: more flow, or a lower rate"

    async def running(self) -> None:
        """Wait for a pulse's moment, exchange, wait for the next."""
        context = self.context
        await culture.keep(context)
        to = str(context.arguments["to"])
        label = await pool(context) if to == POOL else ""
        start = await context.once("start", context.rooms.clock.now)
        interval_h = context.number("pulse") / context.number("rate")
        pulses = math.floor(context.number("time") / interval_h + 1e-6)
        exposure = culture.Exposure(context, context.number("band"))
        exposure.restore(context.progress.get("exposure", exposure.state()))
        guard = culture.guard(context)

        def look() -> None:
            guard()
            exposure.look()

        totals = dict(context.progress.get("totals", {"out_g": 0.0, "in_g": 0.0, "pulse": 0}))
        for number in range(int(totals["pulse"]) + 1, pulses + 1):
            context.speed_limit = math.inf
            end = start + round(number * interval_h * HOUR_NS)
            await context.until_time(end, f"pulse {number} of {pulses}", look=look, then_at_most=culture.TRANSFER_SPEED)
            out, given = await exchange(
                context, f"pulse {number}", context.number("pulse"), to, str(context.arguments["medium"])
            )
            await context.record("exposure", exposure.state())
            totals = {"out_g": totals["out_g"] + out, "in_g": totals["in_g"] + given, "pulse": number}
            await context.record("totals", totals)  # sums and number in one entry: no crash comes between
            await context.pause_point()
        await self._finish(label, exposure)

    async def _finish(self, label: str, exposure: culture.Exposure) -> None:
        context = self.context
        totals = context.progress["totals"]
        await cells.estimated(context, "perfusion")
        if label:
            await collected(self, round(context.value("COLLECTIONS")) + 1, label, totals["out_g"])
        await context.result("perfused", round(totals["in_g"], 1), "g")
        await context.result("time in the O2 band", round(exposure.in_band, 2), "h")
        await context.result("shear dose", round(exposure.dose, 2), "dyn.h/cm2")
