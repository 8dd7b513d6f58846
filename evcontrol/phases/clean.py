"""Cleaning the membrane with caustic, rinsing it, and proving it by its water permeability."""

from __future__ import annotations

from typing import Any, ClassVar

from evcontrol.journal.events import Kind
from evcontrol.phases import circuit
from evcontrol.phases.flush import CROSS_FLOW, DRAIN_FLOW, FILL_FLOW, FILTRATION_ACTUATORS, FILTRATION_TAGS, TMP, VOLUME
from evcontrol.phases.permeability import measure_nwp
from evcontrol.phases.progress import nearing
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result

WORK_STEP_S = 30.0


class Clean(Phase):
    """Circulate caustic, drain, rinse with water through the permeate, measure the water permeability, drain."""

    unit_class = "tff"
    tags: ClassVar = FILTRATION_TAGS
    actuators: ClassVar = FILTRATION_ACTUATORS
    loops: ClassVar = (circuit.TMP_LOOP,)
    hazardous = True
    max_speed = 30.0
    arguments = (
        VOLUME,
        CROSS_FLOW,
        TMP,
        Argument("time", ArgumentKind.NUMBER, "how long caustic circulates", "s", low=60.0),
        Argument("permeate", ArgumentKind.NUMBER, "mass of caustic passed through the membrane", "g", low=0.0),
        Argument("rinse", ArgumentKind.NUMBER, "volume of water that rinses", "mL", low=100.0),
        Argument("rinsed", ArgumentKind.CONDITION, "when caustic counts as rinsed out"),
        FILL_FLOW,
        DRAIN_FLOW,
        Argument("accept", ArgumentKind.NUMBER, "share of the new membrane's permeability to be clean", "", "0.8"),
        Argument("reject", ArgumentKind.NUMBER, "share below which the module is rejected", "", "0.7"),
    )
    results = (
        Result("nwp", "NWP", "LMH/bar"),
        Result("nwp_of_new", "NWP of new"),
    )

    async def running(self) -> None:
        """Caustic, rinse, verdict."""
        context = self.context
        if "caustic drained" not in context.progress:
            await self._caustic()
        if "rinse drained" not in context.progress:
            await self._rinse()
        await context.set_tag("CONTENT", "empty")
        if "verdict" not in context.progress:
            await self._judge()

    async def _caustic(self) -> None:
        context = self.context
        await circuit.spare_product(context)
        await context.set_tag("CONTENT", "caustic")
        await circuit.fill(context, "caustic", "caustic", context.number("volume"), context.number("fill_flow"))
        if "cleaned" not in context.progress:
            await circuit.circulate(context, context.number("cross_flow"))
            through = await context.once("through", lambda: context.value("WT_PERM") + context.number("permeate"))
            if context.value("WT_PERM") < through:
                await circuit.filter_at(context, context.number("tmp"))
                await context.until(f"WT_PERM >= {through:.2f} g", show=nearing(context, "WT_PERM", through))
                await circuit.end_filtering(context)
            await self._let_work(context.number("time"))
            await circuit.rest(context)
            await context.record("cleaned", True)
        await self._drain("caustic drained")

    async def _let_work(self, seconds: float) -> None:
        """Circulate caustic for so long; time in which it did not circulate does not count."""
        context = self.context
        while (done := context.progress.get("caustic worked s", 0.0)) < seconds:
            step = min(WORK_STEP_S, seconds - done)
            await context.for_seconds(step, f"caustic works ({seconds - done:.0f} s left)")
            await context.record("caustic worked s", done + step)

    async def _rinse(self) -> None:
        context = self.context
        await context.set_tag("CONTENT", "water")
        await circuit.fill(context, "rinse", "water", context.number("rinse"), context.number("fill_flow"))
        if "rinse done" not in context.progress:
            await circuit.circulate(context, context.number("cross_flow"))
            await circuit.filter_at(context, context.number("tmp"))
            await context.until(context.arguments["rinsed"])
            await measure_nwp(context)
            await circuit.end_filtering(context)
            await circuit.rest(context)
            await context.record("rinse done", True)
        await self._drain("rinse drained")

    async def _drain(self, key: str) -> None:
        context = self.context
        await circuit.drain(context, "waste", context.number("drain_flow"), f"{key}: pushed out")
        await context.record(key, True)

    async def _judge(self) -> None:
        context = self.context
        module = context.rooms.view.modules.get(context.rooms.image.text(f"{context.unit}.MODULE"))
        nwp = float(context.progress["nwp"])
        state, reason = "to be cleaned", "its permeability when new is not known"
        if module is not None and module.nwp_new:
            share = nwp / module.nwp_new
            state = "clean" if share >= context.number("accept") else state
            state = "rejected" if share < context.number("reject") else state
            reason = f"{100.0 * share:.0f} % of its first permeability after cleaning"
            await context.result("NWP of new", round(share, 3))
        if module is not None:
            body: dict[str, Any] = {
                "module": module.module, "state": state, "uses": module.uses, "nwp": nwp, "reason": reason,
            }  # fmt: skip
            await context.event(Kind.MODULE_CHANGED, body)
        await context.result("module is", state)
        await context.record("verdict", state)
