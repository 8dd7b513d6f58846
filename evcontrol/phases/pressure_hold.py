"""The pressure-hold test of a membrane module: a whole one keeps air on its feed side."""

from __future__ import annotations

from typing import ClassVar

from evcontrol.clock import NS
from evcontrol.journal.events import Kind
from evcontrol.phases import circuit
from evcontrol.phases.permeability import PSI_PER_BAR
from evcontrol.procedure.context import HoldRequiredError
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind

MEAN_S = 5.0
"""Over so long the pressure is averaged at both ends of the test."""
STABLE_S = 10.0


class PressureHold(Phase):
    """Shut the module, have air pressed into its feed side, and watch for how much of the pressure is lost.

    The pumps stand. The air is let out by the retentate valve at the end, and by the safe state whenever that is.
    """

    unit_class = "tff"
    tags: ClassVar = ("PT_FEED", "PT_RET", "CONTENT", "MODULE", "LT", "PCV101_POS")
    actuators: ClassVar = ("PCV101_SP", "XV102", "P101_SP")
    max_speed = 30.0
    arguments = (
        Argument("pressure", ArgumentKind.NUMBER, "pressure of the air", "barg", "0.25 barg", 0.05, 0.5),
        Argument("time", ArgumentKind.NUMBER, "time of the test", "s", "300 s", 30.0, 3600.0),
        Argument("max_decay", ArgumentKind.NUMBER, "greatest share that may be lost", "", "0.1", 0.001, 0.9),
    )
    results = (Result("decay", "pressure decay"),)

    async def running(self) -> None:
        """Shut, have it pressed, watch, let out, judge."""
        context = self.context
        await circuit.spare_product(context)
        await context.write("stop the feed pump, permeate shut", P101_SP=0.0, XV102="closed")
        await context.write("retentate valve shut", PCV101_SP=0.0)
        number = int(context.progress.get("failed", 0)) + 1
        pressure = context.number("pressure") * PSI_PER_BAR
        text = f"Press air of {context.number('pressure'):g} barg into the feed side and shut its valve. Done?"
        await context.ask(f"pressed {number}", PromptKind.CONFIRM, text)
        begun = await self._mean()
        if not 0.8 * pressure <= begun <= 1.3 * pressure:
            await self._again(
                number, f"the air is at {begun / PSI_PER_BAR:.3f} barg, not {context.number('pressure'):g}"
            )
        await context.for_seconds(context.number("time"), "the module is to keep its pressure")
        ended = await self._mean()
        await context.write("let the air out", PCV101_SP=100.0)
        decay = round(1.0 - ended / begun, 4)
        await context.result("pressure decay", decay)
        if decay > context.number("max_decay"):
            await self._again(
                number,
                f"{100.0 * decay:.1f} % of the pressure was lost in {context.number('time'):g} s, more than "
                f"{100.0 * context.number('max_decay'):g} %: look for a loose fitting, or replace the module",
            )
        module = context.rooms.view.modules.get(context.rooms.image.text(f"{context.unit}.MODULE"))
        if module is not None:
            reason = f"pressure hold passed: {100.0 * decay:.1f} % lost"
            body = {"module": module.module, "state": module.state, "uses": module.uses, "reason": reason}
            await context.event(Kind.MODULE_CHANGED, body)

    async def _mean(self) -> float:
        """The mean pressure of the feed side, psi."""
        context, clock = self.context, self.context.rooms.clock
        await context.for_seconds(STABLE_S, "the pressure comes to rest")
        found, end = [], clock.now() + round(MEAN_S * NS)
        while clock.now() < end:
            found.append(context.value("PT_FEED"))
            await context.rooms.next_scan()
        return sum(found) / len(found)

    async def _again(self, number: int, why: str) -> None:
        """Hold; a restart has the air pressed in anew."""
        await self.context.record("failed", number)
        raise HoldRequiredError(f"pressure hold: {why}")
