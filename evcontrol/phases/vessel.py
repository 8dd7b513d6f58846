"""Preparing the bioreactor: materials identified, filled, and brought under control."""

from __future__ import annotations

import math
from typing import ClassVar

from evcontrol.clock import NS
from evcontrol.journal.events import Kind
from evcontrol.phases import culture, dosing
from evcontrol.phases.culture import MEDIUM
from evcontrol.phases.exchange import BAGS, FLOW
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.phase import Argument, ArgumentKind, Phase, Result
from evcontrol.procedure.prompts import PromptKind

EMPTY_G = 20.0
"""Weight up to which a vessel that has held nothing since it was tared may read."""
EMPTY_LEVEL = 2.0
STABLE_S = 600.0


class Prepare(Phase):
    """Identify the media, fill the vessel with expansion medium, and bring temperature, pH and O2 under control."""

    unit_class = "bioreactor"
    bears_outage_h = 12.0
    tags: ClassVar = (*culture.TAGS, *culture.LIQUIDS, *BAGS.values(), "LT", "VESSEL_EMPTY", "SHEAR_PER_FLOW", "POOL")
    actuators: ClassVar = (*culture.ACTUATORS, *MEDIUM.actuators)
    hazardous = True
    arguments = (
        Argument("volume", ArgumentKind.NUMBER, "volume of expansion medium", "mL", low=50.0, high=20000.0),
        Argument("temperature", ArgumentKind.NUMBER, "temperature", "degC", "37 degC", 30.0, 39.0),
        Argument("ph", ArgumentKind.NUMBER, "pH", "pH", "7.3 pH", 6.8, 7.8),
        Argument("agitation", ArgumentKind.NUMBER, "agitation", "rpm", "60 rpm", 0.0, 400.0),
        Argument("recirculation", ArgumentKind.NUMBER, "recirculation", "mL/min", "20 mL/min", 0.0, 400.0),
        FLOW,
        Argument("within", ArgumentKind.NUMBER, "longest time until all is in control", "h", "6 h", 0.1, 48.0),
    )
    results = (
        Result("medium", "expansion medium", "g"),
        Result("temperature", "temperature", "degC"),
        Result("ph", "pH", "pH"),
    )

    async def running(self) -> None:
        """Ask, fill, control, wait."""
        context = self.context
        if "filled" not in context.progress:
            await context.at_most(culture.TRANSFER_SPEED)
            await self._identify()
            await self._fill()
            await context.record("filled", True)
        context.speed_limit = math.inf
        await self._control()

    async def _identify(self) -> None:
        context = self.context
        for medium in BAGS:
            lot = await context.ask(f"{medium} lot", PromptKind.TEXT, f"Scan the label of the {medium} medium's bag")
            if f"{medium} received" not in context.progress:
                mass = round(context.value(BAGS[medium]), 1)
                body = {"material": f"{medium} medium", "lot": str(lot), "quantity": mass, "unit": "g", "expiry": ""}
                await context.event(Kind.MATERIAL_RECEIVED, body)
                await context.record(f"{medium} received", True)
        ready = "The vessel is installed, sterile and empty; lines and gas are connected"
        await context.ask("installed", PromptKind.CONFIRM, ready)
        level = context.value("LT")
        if level > EMPTY_LEVEL and "target_ml" not in context.progress:
            raise HoldRequiredError(f"the vessel is not empty: its level is {level:.1f} %v/v")
        await context.set_tag("POOL", "")
        await context.set_tag("COLLECTIONS", 0)
        await context.set_tag("VESSEL_EMPTY", await context.once("empty_g", lambda: context.value("WT_VESSEL")))
        await context.set_tag("SHEAR_PER_FLOW", shear_per_flow(context))

    async def _fill(self) -> None:
        context = self.context
        target = await context.once("target_ml", lambda: round(context.value("FQ_MED") + context.number("volume"), 2))
        await context.set_tag("CONTENT", "medium")
        await dosing.dose_to(context, MEDIUM, target, context.number("flow"), "expansion")
        await context.result("expansion medium", round(context.value("LIQUID"), 1), "g")

    async def _control(self) -> None:
        context = self.context
        await culture.change(
            context,
            SET_TT=context.number("temperature"),
            SET_PH=context.number("ph"),
            SET_AGIT=context.number("agitation"),
            SET_CIRC=context.number("recirculation"),
            SET_DO=20.9,
            SET_DO_RATE=0.0,
        )
        started = await context.once("control since", context.rooms.clock.now)
        end = started + round(context.number("within") * 3600 * NS)
        near = "abs(TT - SET_TT) < 0.3 delta_degC and abs(AT_PH - SET_PH) < 0.05 pH"
        stable = f"({near}) for {STABLE_S:g} s"
        await context.until(stable, tolerance_s=culture.TOLERANCE_S, unless=lambda: context.rooms.clock.now() >= end)
        if context.rooms.clock.now() >= end:
            raise HoldRequiredError(f"temperature and pH are not in control after {context.number('within'):g} h")
        await context.result("temperature", round(context.value("TT"), 2), "degC")
        await context.result("pH", round(context.value("AT_PH"), 3), "pH")


def shear_per_flow(context: PhaseContext) -> float:
    """Wall shear stress per recirculation flow in dyn.min/cm2/mL: 4 mu/(n pi r^3) of the fibres' lumen.

    0 when the cells are outside the fibres, where the lumen's flow does not reach them.
    """
    if context.constant("cells_in_lumen", "") == 0.0:
        return 0.0
    viscosity = context.constant("viscosity", "mPa.s") * 1e-3
    radius = context.constant("fibre_radius", "m")
    fibres = context.constant("fibres", "")
    pascal_per_m3_s = 4.0 * viscosity / (fibres * math.pi * radius**3)
    return pascal_per_m3_s * 10.0 * 1e-6 / 60.0
