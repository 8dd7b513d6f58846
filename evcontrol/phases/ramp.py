"""Changing what the cells have evenly over a time: temperature, pH, agitation or recirculation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from evcontrol.clock import NS
from evcontrol.phases import culture
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase
from evcontrol.units import UnitError, parse_quantity

OF: Final[Mapping[str, tuple[str, str]]] = {
    "temperature": ("SET_TT", "degC"), "pH": ("SET_PH", "pH"),
    "agitation": ("SET_AGIT", "rpm"), "recirculation": ("SET_CIRC", "mL/min"),
}  # fmt: skip
"""What can be ramped: its tag of the regime, and the tag's unit. Oxygen has a ramp of the controller's own."""
STEPS: Final = 60
"""Most steps of a ramp: each is a command, and commands are journalled."""


class Ramp(Phase):
    """Bring one of the culture's setpoints evenly to another value."""

    unit_class = "bioreactor"
    bears_outage_h = 4.0
    tags: ClassVar = culture.TAGS
    actuators: ClassVar = culture.ACTUATORS
    hazardous = True
    arguments = (
        Argument("of", ArgumentKind.CHOICE, "what is changed", choices=tuple(OF)),
        Argument("to", ArgumentKind.TEXT, "its value at the end, with its unit"),
        Argument("over", ArgumentKind.NUMBER, "time of the ramp", "min", low=0.1, high=100000.0),
    )

    @classmethod
    def misfit(cls, arguments: Mapping[str, object]) -> str:
        """A value in the unit of what is changed."""
        _, unit = OF.get(str(arguments["of"]), ("", ""))
        try:
            parse_quantity(str(arguments["to"])).to(unit)
        except UnitError as error:
            return str(error)
        return ""

    async def running(self) -> None:
        """Step by step; after a hold from where it had come, so that nothing jumps."""
        context = self.context
        await culture.keep(context)
        tag, unit = OF[str(context.arguments["of"])]
        to = parse_quantity(str(context.arguments["to"])).to(unit)
        begun = await context.once("from", lambda: context.value(tag))
        minutes = context.number("over")
        resolution = context.rooms.plant.writes[f"{context.unit}.{culture.SETPOINTS[tag]}"].resolution
        steps = max(1, min(STEPS, int(abs(to - begun) / max(resolution, 1e-9)), int(minutes * 6.0)))
        guard = culture.guard(context)
        for step in range(int(context.progress.get("step", 0)) + 1, steps + 1):
            end = context.rooms.clock.now() + round(minutes * 60.0 / steps * NS)
            value = to if step == steps else begun + (to - begun) * step / steps
            await culture.change(context, **{tag: value})
            await context.until_time(end, f"ramp of {context.arguments['of']}, step {step} of {steps}", look=guard)
            await context.record("step", step)
        await context.result(str(context.arguments["of"]), to, unit)
