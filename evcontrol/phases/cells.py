"""Cells: inoculated, counted, expanded. A count has a date and a method, and an estimate is never taken for a count."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Final

from evcontrol.clock import NS
from evcontrol.journal.events import Kind
from evcontrol.phases import culture
from evcontrol.procedure.context import PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind
from evcontrol.quality import is_bad

COUNT_CV: Final = 0.10
"""Relative standard uncertainty of a count by hand or by image cytometry (engineering default)."""
ESTIMATE_CV: Final = 0.30
"""The same of an estimate from glucose uptake: the published uptakes span a factor of three (engineering default)."""
HOUR_NS: Final = 3600 * NS
DAY_H: Final = 24.0
VIABILITY_AGE_H: Final = 90.0
"""Oldest figure of viability that a phase leaves standing; the interlock that needs one takes it for 96 h."""


class Inoculate(Phase):
    """Have a person count and inoculate the cells, and put both down."""

    unit_class = "bioreactor"
    tags: ClassVar = (*culture.TAGS, "VIABLE", "VIABILITY", "COUNTED_AT")
    actuators: ClassVar = culture.ACTUATORS
    max_speed = culture.TRANSFER_SPEED
    arguments = (
        Argument("least", ArgumentKind.NUMBER, "fewest viable cells", "cell", "1e7 cell", 0.0),
        Argument("most", ArgumentKind.NUMBER, "most viable cells", "cell", "1e10 cell", 0.0),
        Argument("min_viability", ArgumentKind.NUMBER, "lowest share of living cells", "", "0.8", 0.0, 1.0),
    )
    results = (Result("viable_cells", "viable cells", "cell"),)

    async def running(self) -> None:
        """Ask for lot, count and viability, then for the deed."""
        context = self.context
        await culture.keep(context)
        lot = await context.ask("lot", PromptKind.TEXT, "Scan the label of the cell lot")
        viable = await context.ask(
            "viable", PromptKind.NUMBER, "Viable cells to be inoculated, as counted", unit="cell",
            low=context.number("least"), high=context.number("most"),
        )  # fmt: skip
        viability = await context.ask(
            "viability", PromptKind.NUMBER, "Viability of the cells, as counted (0 to 1)",
            low=context.number("min_viability"), high=1.0,
        )  # fmt: skip
        # From here on the vessel is one with cells: what is safe for it changes before anybody pours them in.
        await context.set_tag("CONTENT", "cells")
        await context.ask("inoculated", PromptKind.CONFIRM, f"Inoculate {lot}: {float(viable):.3g} viable cells. Done?")
        if "received" not in context.progress:
            body = {"material": "cells", "lot": str(lot), "quantity": float(viable), "unit": "cell", "expiry": ""}
            await context.event(Kind.MATERIAL_RECEIVED, body)
            await context.record("received", True)
        await counted(context, "inoculation", float(viable), float(viability))


class Expand(Phase):
    """Let the cells grow for a time, or until a condition holds."""

    unit_class = "bioreactor"
    bears_outage_h = 12.0
    tags: ClassVar = (*culture.TAGS, "VIABILITY", "COUNTED_AT")
    actuators: ClassVar = culture.ACTUATORS
    shut_to_freeze = ("MED_SP", "HARV_SP")
    arguments = (
        Argument("time", ArgumentKind.NUMBER, "longest time", "h", low=0.1, high=1000.0),
        Argument("until", ArgumentKind.CONDITION, "end before that", default=""),
    )
    results = (Result("glucose", "glucose", "mM"),)

    async def running(self) -> None:
        """Keep the regime and wait."""
        context = self.context
        await culture.keep(context)
        end = await context.once("end", lambda: context.rooms.clock.now() + round(context.number("time") * HOUR_NS))
        look = culture.guard(context)
        until = context.arguments["until"]
        if until is None:
            await self._grow(end, look)
        else:
            await context.until(
                until, tolerance_s=culture.TOLERANCE_S, unless=lambda: context.rooms.clock.now() >= end, show=look
            )
        await estimated(context, "expansion")
        await context.result("glucose", round(context.value("AT_GLC"), 2), "mM")

    async def _grow(self, end: int, look: Callable[[], None]) -> None:
        """Until the end, with a look at the cells' viability whenever the last one would become too old."""
        context = self.context
        while (now := context.rooms.clock.now()) < end:
            await assess(context, DAY_H)
            context.speed_limit = math.inf
            until = min(end, now + round(DAY_H * HOUR_NS))
            await context.until_time(until, "the cells grow", look=look, then_at_most=culture.TRANSFER_SPEED)


async def assess(context: PhaseContext, until_next_h: float) -> None:
    """Have a person tell the viability anew when the last figure would be too old before the next look."""
    at = context.reading("COUNTED_AT")
    now_h = context.rooms.clock.now() / HOUR_NS
    if is_bad(at.quality) or now_h - at.value + until_next_h <= VIABILITY_AGE_H:
        return
    viability = await context.ask(
        f"viability {now_h:.2f}", PromptKind.NUMBER, "Viability of the cells, estimated (0 to 1)", low=0.0, high=1.0
    )
    await context.set_tag("VIABILITY", float(viability))
    await context.set_tag("COUNTED_AT", context.rooms.clock.now() / HOUR_NS)
    await context.result("viability, estimated", float(viability))


async def counted(context: PhaseContext, when: str, viable: float, viability: float, cv: float = COUNT_CV) -> None:
    """Put a count of viable cells down, as event and as the unit's own figures."""
    if f"counted {when}" in context.progress:
        return
    body = {"when": when, "viable": viable, "viability": viability, "method": "counted", "cv": cv}
    await context.event(Kind.CELLS_COUNTED, body)
    await context.set_tag("VIABLE", viable)
    await context.set_tag("VIABILITY", viability)
    await context.set_tag("COUNTED_AT", context.rooms.clock.now() / HOUR_NS)
    await context.result("viable cells", viable, "cell")
    await context.record(f"counted {when}", True)


async def estimated(context: PhaseContext, when: str) -> float:
    """Estimate the viable cells from their glucose uptake; NaN, and no event, while that is not known."""
    if f"estimated {when}" in context.progress:
        return float(context.progress[f"estimated {when}"])
    viable, quality = context.reading("EST_CELLS")
    if is_bad(quality) or not viable > 0.0:
        return math.nan
    body = {"when": when, "viable": viable, "viability": None, "method": "estimated", "cv": ESTIMATE_CV}
    await context.event(Kind.CELLS_COUNTED, body)
    await context.result("viable cells, estimated from glucose uptake", float(f"{viable:.3g}"), "cell")
    await context.record(f"estimated {when}", viable)
    return viable
