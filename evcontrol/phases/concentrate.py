"""Loading the product, concentrating it, and diafiltering it: ultrafiltration proper."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

from evcontrol.expression import Condition
from evcontrol.phases import circuit, dosing, permeate_vessel, weights
from evcontrol.phases.flush import CROSS_FLOW, FILTRATION_ACTUATORS, FILTRATION_TAGS, TMP
from evcontrol.phases.progress import nearing
from evcontrol.phases.water import density
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result

FILL_S = 6.0
"""Time in which the circuit fills and the weights come to rest."""
BUFFER_SPARE_ML = 30.0
LOW_G, LOW_SHARE = 15.0, 0.1
"""How far the retentate may fall below its weight during diafiltration."""
MAKE_UP_G = 1.0
"""How far the retentate may stay below its weight after diafiltration."""


class Load(Phase):
    """Transfer the feed into the retentate vessel by weight."""

    unit_class = "tff"
    bears_outage_h = 2.0
    tags: ClassVar = (*circuit.FILLING, "RETENTATE", "CONTENT", "TT")
    actuators: ClassVar = circuit.FILLERS
    hazardous = True
    max_speed = 30.0
    arguments = (
        Argument("mass", ArgumentKind.NUMBER, "mass of feed", "g", low=50.0),
        Argument("flow", ArgumentKind.NUMBER, "flow of the transfer pump", "mL/min", "800 mL/min", 1.0, 1000.0),
    )
    results = (
        Result("feed", "feed", "g"),
        Result("feed_by_totaliser", "feed by totaliser", "mL"),
    )

    async def running(self) -> None:
        """Transfer, and put down what went in by balance and by totaliser."""
        context = self.context
        before = await context.once("before", lambda: [context.value("WT_RET"), context.value("FQ_IN")])
        await context.set_tag("CONTENT", "product")
        await circuit.fill_to_weight(context, "target_g", "feed", context.number("mass"), context.number("flow"))
        await context.for_seconds(FILL_S, "weights come to rest")
        await context.result("feed", round(context.value("WT_RET") - before[0], 2), "g")
        await context.result("feed by totaliser", round(context.value("FQ_IN") - before[1], 2), "mL")


class Concentrate(Phase):
    """Concentrate at constant pressure and cross-flow to a mass of retentate or a volume concentration factor."""

    unit_class = "tff"
    bears_outage_h = 2.0
    tags: ClassVar = (*FILTRATION_TAGS, "VCF")
    actuators: ClassVar = FILTRATION_ACTUATORS
    loops: ClassVar = (circuit.TMP_LOOP,)
    shut_to_freeze = ("XV102", "P102_SP")
    hazardous = True
    max_speed = 30.0
    arguments = (
        Argument("vcf", ArgumentKind.NUMBER, "volume concentration factor to reach", "x", "", low=1.0, high=1000.0),
        Argument("mass", ArgumentKind.NUMBER, "mass of retentate to reach, hold-up included", "g", "", low=1.0),
        CROSS_FLOW,
        TMP,
        permeate_vessel.FULL,
    )

    results = (
        Result("vcf", "VCF", "x"),
        Result("retentate", "retentate", "g"),
        Result("permeate", "permeate", "g"),
    )

    @classmethod
    def misfit(cls, arguments: Mapping[str, object]) -> str:
        """Either a factor or a mass."""
        given = [name for name in ("vcf", "mass") if arguments[name] is not None]
        return "" if len(given) == 1 else "give either vcf or mass of retentate"

    async def running(self) -> None:
        """Circulate, filter, stop at the weight."""
        context = self.context
        vcf, mass = context.arguments["vcf"], context.arguments["mass"]
        await circuit.circulate(context, context.number("cross_flow"))
        await context.for_seconds(FILL_S, "the circuit fills")
        hold_up = hold_up_g(context)

        def reference() -> dict[str, float]:
            total = total_g(context)
            end = total / vcf if mass is None else mass
            return weights.reference(context, total, end - hold_up + context.value("RET_EMPTY"))

        start = await context.once("start", reference)
        left = start["target_g"] - start["empty_g"]
        least = context.constant("least", "mL") * density(context.value("TT"))
        if left < least:
            raise HoldRequiredError(
                f"the end point would leave {left:.0f} g in the vessel, and the pump needs {least:.0f} g: "
                "concentrate less, or load more"
            )
        if permeate_vessel.under_way(context, start):
            start = await permeate_vessel.change(context, start, permeate_vessel.RETENTATE)
        start = await weights.settle(context, start, weights.RETENTATE)
        await context.pause_point()

        def show() -> None:
            weight = context.reading("RETENTATE").value
            if not math.isnan(weight):
                context.show_tag("VCF", start["total_g"] / max(1.0, weight + hold_up))

        start = await filter_to_weight(context, "WT_RET", start, show=show)
        await context.for_seconds(FILL_S, "weights come to rest")
        weights.confirm(context, start)
        await context.result("VCF", round(start["total_g"] / total_g(context), 3), "x")
        await context.result("retentate", round(total_g(context), 2), "g")
        await context.result("permeate", round(context.value("WT_PERM") - start["perm_g"], 2), "g")
        await circuit.rest(context)


class Diafilter(Phase):
    """Diafilter at constant volume: buffer follows the permeate by the retentate's weight."""

    unit_class = "tff"
    bears_outage_h = 2.0
    tags: ClassVar = (*FILTRATION_TAGS, "DV")
    actuators: ClassVar = FILTRATION_ACTUATORS
    loops: ClassVar = (circuit.TMP_LOOP, circuit.WEIGHT_LOOP)
    shut_to_freeze = ("XV102", "P102_SP")
    hazardous = True
    max_speed = 30.0
    arguments = (
        Argument("diavolumes", ArgumentKind.NUMBER, "diavolumes to exchange at most", "DV", low=0.1, high=50.0),
        Argument("until", ArgumentKind.CONDITION, "end point before that, by conductivity", default=""),
        CROSS_FLOW,
        TMP,
        permeate_vessel.FULL,
    )
    results = (
        Result("diavolumes", "diavolumes", "DV"),
        Result("permeate", "permeate", "g"),
        Result("buffer", "buffer", "mL"),
        Result("conductivity", "conductivity", "mS/cm"),
    )

    async def running(self) -> None:
        """Circulate, filter with buffer following, stop at the permeate's weight or the end point."""
        context = self.context
        await circuit.circulate(context, context.number("cross_flow"))
        await context.for_seconds(FILL_S, "the circuit fills")

        def reference() -> dict[str, float]:
            total = total_g(context)
            return weights.reference(context, total, context.value("WT_PERM") + context.number("diavolumes") * total)

        start = await context.once("start", reference)
        if permeate_vessel.under_way(context, start):
            start = await permeate_vessel.change(context, start, permeate_vessel.PERMEATE)
        start = await weights.settle(context, start, weights.PERMEATE)
        await context.pause_point()
        if "done" not in context.progress:
            start = await self._exchange(start)
            await context.record("done", True)
        await self._make_up(start)
        await context.for_seconds(FILL_S, "weights come to rest")
        weights.confirm(context, start)
        permeate = context.value("WT_PERM") - start["perm_g"]
        await context.result("diavolumes", round(permeate / start["total_g"], 3), "DV")
        await context.result("permeate", round(permeate, 2), "g")
        await context.result("buffer", round(context.value("FQ_IN") - start["fq_ml"], 2), "mL")
        await context.result("conductivity", round(context.value("CT"), 3), "mS/cm")
        await circuit.rest(context)

    async def _exchange(self, start: dict[str, float]) -> dict[str, float]:
        """Filter with the buffer following; the reference at its end."""
        context = self.context
        wanted = context.number("diavolumes") * start["total_g"]
        await self._open_buffer(start["fq_ml"] + wanted / density(context.value("TT")) * 1.02 + BUFFER_SPARE_ML)
        buffer_flows = dosing.flowing(context, circuit.FEED)
        lowest = start["ret_g"] - max(LOW_G, LOW_SHARE * start["total_g"])
        perm_g = start["perm_g"]

        def show() -> None:
            buffer_flows()
            if context.reading("WT_RET").value < lowest:
                raise HoldRequiredError(f"the buffer does not follow: the retentate is below {lowest:.0f} g")
            weight = context.reading("WT_PERM").value
            if not math.isnan(weight):
                begun = float(context.progress["start"].get("perm_g", perm_g))
                context.show_tag("DV", (weight - begun) / start["total_g"])

        until, follow = context.arguments["until"], start["ret_g"]
        return await filter_to_weight(context, "WT_PERM", start, show=show, until=until, follow_g=follow)

    async def _make_up(self, start: dict[str, float]) -> None:
        """Let the buffer bring the retentate back to its weight, and shut it."""
        context = self.context
        missing = start["ret_g"] - context.value("WT_RET")
        if missing > MAKE_UP_G:
            await self._open_buffer(context.value("FQ_IN") + missing + BUFFER_SPARE_ML)
            context.start_loop(circuit.WEIGHT_LOOP, start["ret_g"])
            await context.until(
                f"WT_RET >= {start['ret_g'] - MAKE_UP_G:.2f} g", show=dosing.flowing(context, circuit.FEED)
            )
        context.stop_loop(circuit.WEIGHT_LOOP)
        await dosing.end(context, circuit.FEED)

    async def _open_buffer(self, bound_ml: float) -> None:
        await dosing.bound(self.context, circuit.FEED, bound_ml)
        await dosing.select(self.context, circuit.FEED, "buffer")


async def filter_to_weight(
    context: PhaseContext,
    tag: str,
    start: dict[str, float],
    *,
    show: Callable[[], None],
    until: Condition | None = None,
    follow_g: float | None = None,
) -> dict[str, float]:
    """Filter until a balance (rising permeate, falling retentate) is at its target or, before that, ``until`` holds.

    A full permeate vessel is changed on the way; nothing moves by weight meanwhile. With ``follow_g`` buffer keeps the
    retentate at that weight (g) while it filters. Returns the reference at the end.
    """
    target_on = permeate_vessel.PERMEATE if tag == "WT_PERM" else permeate_vessel.RETENTATE
    while True:
        balances_agree = weights.guard(context, start)

        def look(balances_agree: Callable[[], None] = balances_agree) -> None:
            balances_agree()
            show()
            if permeate_vessel.is_full(context):
                raise permeate_vessel.VesselFullError

        if follow_g is not None:
            context.start_loop(circuit.WEIGHT_LOOP, follow_g)
        try:
            await _filter(context, tag, start["target_g"], look, until)
        except permeate_vessel.VesselFullError:
            await circuit.end_filtering(context)
            if follow_g is not None:
                context.stop_loop(circuit.WEIGHT_LOOP)
                await context.write("stop the buffer", P102_SP=0.0)
            start = await permeate_vessel.change(context, start, target_on)
            continue
        await circuit.end_filtering(context)
        return start


async def _filter(
    context: PhaseContext, tag: str, target: float, look: Callable[[], None], until: Condition | None
) -> None:
    """Filter to the target, the last of it gently."""
    rising = tag == "WT_PERM"
    sign = 1.0 if rising else -1.0
    gentle_from = target - sign * circuit.GENTLE_PART_G
    slow_from = gentle_from - sign * circuit.SLOW_PART_G

    tmp = context.number("tmp")

    def missing(goal: float) -> float:
        return sign * (goal - context.value(tag))

    comes = nearing(context, tag, target, look)

    def follow() -> None:
        nonlocal tmp
        comes()
        if context.number("tmp") != tmp:  # changed live
            tmp = context.number("tmp")
            context.start_loop(circuit.TMP_LOOP, tmp)

    if until is not None:
        await circuit.filter_at(context, context.number("tmp"))
        await context.until(until, unless=lambda: context.reading(tag).value >= target, show=follow)
        return
    if missing(slow_from) > 0.0:
        await circuit.filter_at(context, context.number("tmp"))
        await context.until_reaches(tag, slow_from, 0.0, rising=rising, show=follow)
    if missing(gentle_from) > 0.0:
        await circuit.filter_at(context, context.number("tmp"))
        context.stop_loop(circuit.TMP_LOOP)
        await context.write("less pressure for the last part", PCV101_SP=100.0)
        await context.until_reaches(tag, gentle_from, circuit.PERMEATE_CLOSING_S, rising=rising, show=comes)
    if missing(target) > circuit.ACCURACY_G:
        await context.write("less cross-flow for the last part", P101_SP=circuit.GENTLE_FLOW, PCV101_SP=100.0)
        await context.write("permeate open", XV102="open")
        await context.until_reaches(tag, target, circuit.PERMEATE_CLOSING_S, rising=rising, show=comes)


def hold_up_g(context: PhaseContext) -> float:
    """Mass of the liquid in the full circuit, which no balance weighs."""
    return context.constant("hold_up", "mL") * density(context.value("TT"))


def total_g(context: PhaseContext) -> float:
    """Mass of the retentate in vessel and full circuit."""
    return context.value("RETENTATE") + hold_up_g(context)
