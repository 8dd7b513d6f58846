"""Recovering the product: pumping it out into its container, and rinsing what clings to the circuit after it."""

from __future__ import annotations

from typing import ClassVar

from evcontrol.journal.events import Kind
from evcontrol.phases import circuit
from evcontrol.phases.concentrate import total_g
from evcontrol.phases.flush import FILTRATION_ACTUATORS, FILTRATION_TAGS
from evcontrol.phases.water import density
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind


class Recover(Phase):
    """Pump the retentate into the product container, and buffer through the circuit after it."""

    unit_class = "tff"
    bears_outage_h = 2.0
    tags: ClassVar = FILTRATION_TAGS
    actuators: ClassVar = FILTRATION_ACTUATORS
    hazardous = True
    max_speed = 30.0
    arguments = (
        Argument(
            "flow", ArgumentKind.NUMBER, "flow at which the product is pumped out", "mL/min", low=20.0, high=1500.0
        ),
        Argument("rinse", ArgumentKind.NUMBER, "volume of buffer that rinses the circuit", "mL", low=0.0, high=500.0),
    )
    results = (
        Result("product", "product, by balance and hold-up", "g"),
        Result("left", "left in the circuit", "g"),
    )

    async def running(self) -> None:
        """Ask for the container, pump out, rinse, pump out."""
        context = self.context
        container = str(await context.ask("container", PromptKind.TEXT, "Scan the label of the product container"))
        if "registered" not in context.progress:
            body = {"container": container, "type": "product", "content": "empty", "state": "in use", "tare_g": None}
            await context.event(Kind.CONTAINER_REGISTERED, body)
            await context.record("registered", True)
        retentate = await context.once("retentate_g", lambda: total_g(context))
        residual = context.constant("residual", "mL") * density(context.value("TT"))
        flow = context.number("flow")
        await self._pump_out("product", flow)
        await context.pause_point()
        rinse = context.number("rinse")
        if rinse > 0.0 and "rinse pumped out" not in context.progress:
            await self._rinse(rinse, flow)
        mass = retentate - residual + rinse * density(context.value("TT"))
        await context.result("product, by balance and hold-up", round(mass, 2), "g")
        await context.result("left in the circuit", round(residual, 2), "g")
        changed = {
            "container": container, "state": "filled", "content": "concentrate", "mass_g": round(mass, 2),
            "reason": context.path,
        }  # fmt: skip
        await context.event(Kind.CONTAINER_CHANGED, changed)
        await context.set_tag("CONTENT", "empty")

    async def _pump_out(self, what: str, flow: float) -> None:
        context = self.context
        if f"{what} pumped out" in context.progress:
            return
        await circuit.drain(context, "product", flow, f"{what} pushed out")
        await context.record(f"{what} pumped out", True)

    async def _rinse(self, volume: float, flow: float) -> None:
        context = self.context
        await circuit.fill(context, "rinse", "buffer", volume, flow)
        await self._pump_out("rinse", flow)
