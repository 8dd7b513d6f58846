"""Transfers by a pump that its controller stops at a reading of its totaliser: exact, and safe when the engine dies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evcontrol.procedure.context import HoldRequiredError, PhaseContext

DRY_SHARE = 0.2
DRY_S = 15.0
"""A transfer counts as dry when less than this share of its setpoint flows for so long."""
RUNS_ML_PER_MIN = 20.0
"""Setpoints below this are not watched for flow: the meter's noise is too near."""


Look = Callable[[], None]
"""What is looked at each scan while something goes on; it raises HoldRequiredError."""


@dataclass(frozen=True, slots=True)
class Pump:
    """A dosing pump: its tags without the unit's name, and the label that shuts its selector (empty: it has none)."""

    setpoint: str
    meter: str
    totaliser: str
    stop: str
    selector: str = ""
    shut: str = ""
    read_tolerance_ml: float = 0.3
    """By how much the totaliser may stop short of its stop."""

    @property
    def tags(self) -> tuple[str, ...]:
        """What is read of it."""
        return (self.meter, self.totaliser)

    @property
    def actuators(self) -> tuple[str, ...]:
        """What is written to it."""
        return (self.setpoint, self.stop, *((self.selector,) if self.selector else ()))


async def dose_to(
    context: PhaseContext, pump: Pump, target_ml: float, flow: float, way: str = "", look: Look = lambda: None
) -> None:
    """Pump until the totaliser reads ``target_ml``; ``way`` is the selector's label. What is done already is left."""
    if context.value(pump.totaliser) < target_ml - pump.read_tolerance_ml:
        await bound(context, pump, target_ml)
        await select(context, pump, way)
        left = target_ml - context.value(pump.totaliser)
        await context.write(f"transfer {left:.1f} mL{_from(way)}", **{pump.setpoint: flow})
        reached = f"{pump.totaliser} >= {target_ml - pump.read_tolerance_ml:.2f} mL"
        flows = flowing(context, pump)

        def look_at_all() -> None:
            flows()
            look()

        await context.until(reached, show=look_at_all)
    await end(context, pump)


async def select(context: PhaseContext, pump: Pump, way: str) -> None:
    """Turn the pump's selector, where it has one."""
    if pump.selector:
        await context.write(f"open the line: {way}", **{pump.selector: way})


async def bound(context: PhaseContext, pump: Pump, target_ml: float) -> None:
    """Have the controller stop the pump by itself at a reading of its totaliser."""
    context.allow(pump.setpoint, 0.0)
    await context.write(f"transfer ends at {target_ml:.1f} mL at the latest", **{pump.stop: round(target_ml, 2)})


async def end(context: PhaseContext, pump: Pump) -> None:
    """Stop the pump and shut its selector."""
    await context.write("end the transfer", **{pump.setpoint: 0.0})
    rest: dict[str, float | str] = {pump.stop: 0.0}
    if pump.selector:
        rest = {pump.selector: pump.shut, **rest}
    await context.write("shut the line" if pump.selector else "take the totaliser's stop away", **rest)


def flowing(context: PhaseContext, pump: Pump) -> Look:
    """A check for each scan: HoldRequiredError when the pump runs and nothing flows."""
    low = f"({pump.setpoint} > {RUNS_ML_PER_MIN:g} mL/min and {pump.meter} < {DRY_SHARE:g} * {pump.setpoint})"
    dry = context.condition(f"{low} for {DRY_S:g} s")

    def look() -> None:
        if dry.update(context.rooms.image.reading, context.rooms.clock.now()):
            way = context.rooms.image.text(f"{context.unit}.{pump.selector}") if pump.selector else pump.meter
            raise HoldRequiredError(f"nothing flows from {way}: is its container empty, or a line shut?")

    return look


def _from(way: str) -> str:
    return f" ({way})" if way else ""
