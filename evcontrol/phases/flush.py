"""Flushing with water and measuring its flux; equilibrating with buffer."""

from __future__ import annotations

from typing import ClassVar

from evcontrol.journal.events import Kind
from evcontrol.phases import circuit
from evcontrol.phases.permeability import measure_nwp
from evcontrol.phases.progress import nearing
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result

VOLUME = Argument("volume", ArgumentKind.NUMBER, "volume put into the vessel", "mL", low=100.0)
FILL_FLOW = Argument("fill_flow", ArgumentKind.NUMBER, "flow of the transfer pump", "mL/min", "800 mL/min", 1.0, 1000.0)
CROSS_FLOW = Argument("cross_flow", ArgumentKind.NUMBER, "flow of the feed pump", "mL/min", low=50.0, high=3000.0)
TMP = Argument("tmp", ArgumentKind.NUMBER, "transmembrane pressure", "psi", low=0.5, high=8.0)
DRAIN_FLOW = Argument("drain_flow", ArgumentKind.NUMBER, "flow at which the vessel is emptied", "mL/min", "1200 mL/min")

FILTRATION_TAGS = (*circuit.FILLING, *circuit.CIRCULATING, *circuit.FILTERING, "AREA", "CONTENT")
FILTRATION_ACTUATORS = (*circuit.FILLERS, *circuit.CIRCULATORS, "XV102", "OUTLET")


class Flush(Phase):
    """Flush the membrane with water through the permeate, measure the water permeability, drain to waste."""

    unit_class = "tff"
    tags: ClassVar = FILTRATION_TAGS
    actuators: ClassVar = FILTRATION_ACTUATORS
    loops: ClassVar = (circuit.TMP_LOOP,)
    shut_to_freeze = ("XV102", "P102_SP")
    hazardous = True
    max_speed = 30.0
    arguments = (
        VOLUME,
        CROSS_FLOW,
        TMP,
        Argument("permeate", ArgumentKind.NUMBER, "mass passed through the membrane", "g", low=10.0),
        FILL_FLOW,
        DRAIN_FLOW,
        Argument("min_nwp", ArgumentKind.NUMBER, "lowest water permeability to go on with", "LMH/bar", "50 LMH/bar"),
    )
    results = (Result("nwp", "NWP", "LMH/bar"),)

    async def running(self) -> None:
        """Fill, filter, measure, drain."""
        context = self.context
        if "drained" in context.progress:
            return
        await circuit.spare_product(context)
        await context.set_tag("CONTENT", "water")
        await circuit.fill(context, "water", "water", context.number("volume"), context.number("fill_flow"))
        await context.pause_point()
        if "filtered" not in context.progress:
            await self._filter()
            await context.record("filtered", True)
        await circuit.drain(context, "waste", context.number("drain_flow"))
        await context.set_tag("CONTENT", "empty")
        await context.record("drained", True)

    async def _filter(self) -> None:
        context = self.context
        await circuit.circulate(context, context.number("cross_flow"))
        target = await context.once("permeate", lambda: context.value("WT_PERM") + context.number("permeate"))
        await circuit.filter_at(context, context.number("tmp"))
        nwp = await measure_nwp(context, least=context.number("min_nwp"))
        module = context.rooms.view.modules.get(context.rooms.image.text(f"{context.unit}.MODULE"))
        if module is not None:
            body = {"module": module.module, "state": "in use", "uses": module.uses, "nwp": nwp, "reason": "flush"}
            await context.event(Kind.MODULE_CHANGED, body)
        await context.until(f"WT_PERM >= {target:.2f} g", show=nearing(context, "WT_PERM", target))
        await circuit.end_filtering(context)
        await circuit.rest(context)


class Equilibrate(Phase):
    """Replace water by buffer until the permeate shows it, and drain to waste."""

    unit_class = "tff"
    tags: ClassVar = FILTRATION_TAGS
    actuators: ClassVar = FILTRATION_ACTUATORS
    loops: ClassVar = (circuit.TMP_LOOP,)
    shut_to_freeze = ("XV102", "P102_SP")
    hazardous = True
    max_speed = 30.0
    arguments = (
        VOLUME,
        CROSS_FLOW,
        TMP,
        Argument("until", ArgumentKind.CONDITION, "when the membrane counts as equilibrated"),
        FILL_FLOW,
        DRAIN_FLOW,
    )
    results = (Result("conductivity", "conductivity", "mS/cm"),)

    async def running(self) -> None:
        """Fill, filter, drain."""
        context = self.context
        if "drained" in context.progress:
            return
        await circuit.spare_product(context)
        await context.set_tag("CONTENT", "buffer")
        await circuit.fill(context, "buffer", "buffer", context.number("volume"), context.number("fill_flow"))
        await context.pause_point()
        if "filtered" not in context.progress:
            await circuit.circulate(context, context.number("cross_flow"))
            await circuit.filter_at(context, context.number("tmp"))
            await context.until(context.arguments["until"])
            await context.result("conductivity", round(context.value("CT"), 3), "mS/cm")
            await circuit.end_filtering(context)
            await circuit.rest(context)
            await context.record("filtered", True)
        await circuit.drain(context, "waste", context.number("drain_flow"))
        await context.set_tag("CONTENT", "empty")
        await context.record("drained", True)
