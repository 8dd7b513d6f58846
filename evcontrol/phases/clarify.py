"""Clarification of the collected medium through 0.22 um: it takes cells and debris away and lowers the bioburden.

It is not the sterile filtration of the product, and its filter is tested before and after use.
"""

from __future__ import annotations

from typing import ClassVar, Final

from evcontrol.clock import NS
from evcontrol.journal.events import Kind
from evcontrol.phases import culture, dosing
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind

PUMP: Final = dosing.Pump("CLAR_SP", "FT_CLAR", "FQ_CLAR", "FQ_CLAR_STOP")
TEST_WITHIN_S: Final = 1800.0
REST_S: Final = 20.0


class Clarify(Phase):
    """Pump the collected medium through a tested 0.22 um filter into the clarified container, and test it again."""

    unit_class = "bioreactor"
    bears_outage_h = 2.0
    tags: ClassVar = (
        *PUMP.tags, "WT_POOL", "WT_CLAR", "POOL", "POOL_EMPTY", "PT_FILT", "FILT_BP", "FILT_STATE",
    )  # fmt: skip
    actuators: ClassVar = (*PUMP.actuators, "FILT_TEST")
    hazardous = True
    max_speed = culture.TRANSFER_SPEED
    arguments = (
        Argument("flow", ArgumentKind.NUMBER, "flow of the pump", "mL/min", "200 mL/min", 5.0, 500.0),
        Argument("bubble_point", ArgumentKind.NUMBER, "lowest bubble point of a whole filter", "psig", "50 psig", 1.0),
        Argument("max_pressure", ArgumentKind.NUMBER, "pressure before the filter that holds", "psig", "25 psig", 1.0),
        Argument("leave", ArgumentKind.NUMBER, "what stays in the collection container", "mL", "10 mL", 0.0),
    )
    results = (
        Result("clarified", "clarified", "g"),
        Result("from_pool", "from the pool", "g"),
    )

    async def running(self) -> None:
        """Identify, test, pump, test."""
        context = self.context
        filter_label = str(await context.ask("filter", PromptKind.TEXT, "Scan the label of the 0.22 um filter"))
        label = str(
            await context.ask("container", PromptKind.TEXT, "Scan the label of the clarified medium's container")
        )
        if "registered" not in context.progress:
            empty = round(context.value("WT_CLAR"), 1)
            body = {"container": label, "type": "clarified", "content": "empty", "state": "in use", "tare_g": empty}
            await context.event(Kind.CONTAINER_REGISTERED, body)
            await context.result("filter", filter_label)
            await context.record("registered", True)
        await self._test("before use")
        start = await context.once("start", lambda: {n: context.value(n) for n in ("FQ_CLAR", "WT_CLAR", "WT_POOL")})
        if "pumped" not in context.progress:
            await self._pump(start)
            await context.record("pumped", True)
        await self._test("after use")
        gained = context.value("WT_CLAR") - start["WT_CLAR"]
        await context.result("clarified", round(gained, 1), "g")
        await context.result("from the pool", round(start["WT_POOL"] - context.value("WT_POOL"), 1), "g")
        left = context.value("WT_POOL") - context.value("POOL_EMPTY")
        await self._changed(label, "filled", "clarified medium", gained)
        await self._changed(context.rooms.image.text(f"{context.unit}.POOL"), "emptied", "conditioned medium", left)

    async def _changed(self, container: str, state: str, content: str, mass_g: float) -> None:
        body = {
            "container": container, "state": state, "content": content, "mass_g": round(mass_g, 1),
            "reason": self.context.path,
        }  # fmt: skip
        await self.context.event(Kind.CONTAINER_CHANGED, body)

    async def _pump(self, start: dict[str, float]) -> None:
        context = self.context
        held = start["WT_POOL"] - context.value("POOL_EMPTY")
        volume = held / 1.0 - context.number("leave")  # 1 g/mL: what density leaves over stays in the container
        if volume <= 0.0:
            raise HoldRequiredError(f"the collection container holds {held:.0f} g: there is nothing to clarify")
        target = await context.once("target_ml", lambda: round(start["FQ_CLAR"] + volume, 2))
        await dosing.dose_to(context, PUMP, target, context.number("flow"), look=self._pressure())
        await context.for_seconds(REST_S, "the load cells come to rest")

    def _pressure(self) -> dosing.Look:
        context, limit = self.context, self.context.number("max_pressure")
        high = context.condition(f"(PT_FILT > {limit:g} psig) for 5 s")

        def look() -> None:
            if high.update(context.rooms.image.reading, context.rooms.clock.now()):
                raise HoldRequiredError(f"more than {limit:g} psig before the filter: it is blocked")

        return look

    async def _test(self, when: str) -> None:
        """Bubble-point test by the station; HoldRequiredError when the filter fails, and a restart tests again."""
        context = self.context
        if f"tested {when}" in context.progress:
            return
        await context.write(f"filter integrity test {when}", FILT_TEST=1.0)
        await _until(context, "FILT_STATE = testing", f"the integrity test {when} does not begin")
        await _until(context, "FILT_STATE = done", f"the integrity test {when} does not end")
        found, least = context.value("FILT_BP"), context.number("bubble_point")
        await context.result(f"bubble point {when}", round(found, 1), "psig")
        if found < least:
            raise HoldRequiredError(
                f"the filter fails {when}: its bubble point is {found:.1f} psig, below {least:g} psig"
            )
        await context.record(f"tested {when}", round(found, 1))


async def _until(context: PhaseContext, condition: str, trouble: str) -> None:
    end = context.rooms.clock.now() + round(TEST_WITHIN_S * NS)
    reached = context.condition(condition)
    await context.until(reached, tolerance_s=60.0, unless=lambda: context.rooms.clock.now() >= end)
    if not reached.fresh().update(context.rooms.image.reading, context.rooms.clock.now()):
        raise HoldRequiredError(trouble)
