"""What every filtration phase does with the skid: fill, circulate, open and shut the permeate, drain.

Each begins with what is so already, so that a phase which runs again after a hold loses and doubles nothing.
"""

from __future__ import annotations

from evcontrol.clock import NS
from evcontrol.phases import dosing
from evcontrol.phases.water import density
from evcontrol.procedure.context import HoldRequiredError, PhaseContext
from evcontrol.procedure.prompts import PromptKind

TMP_LOOP = "PIC_TMP"
WEIGHT_LOOP = "WIC_RET"
PERMEATE_CLOSING_S = 0.7
"""From the command until the permeate stands still: half the travel of the valve, and the command itself."""
SLOW_FLOW = 60.0
"""Flow (mL/min) of the last part of a transfer by weight."""
SLOW_PART_G = 20.0
LAST_SHARE = 0.01
"""Least share of a transfer that is made slowly: what totaliser and balance may differ by."""
GENTLE_PART_G = 8.0
GENTLE_FLOW = 400.0
"""Last part of a filtration by weight, and its cross-flow in mL/min: so little permeate then passes that the weight is
right even when the engine dies and only the controller's watchdog ends it."""
ACCURACY_G = 0.5
FLOW_WITHIN_S = 20.0
FLOW_TOLERANCE = 0.05
REST_S = 5.0
DRY_S = 15.0
"""How long the level must show an empty vessel."""
LOW_LEVEL, DRY_LEVEL = 0.5, 0.2
"""Levels (%v/v) at which a vessel may be, and surely is, empty."""
EMPTY_G = 3.0
"""Weight below which a vessel counts as empty."""

FEED = dosing.Pump("P102_SP", "FT_IN", "FQ_IN", "FQ_IN_STOP", "INLET", "none")
"""The transfer pump with its inlet selector."""
FILLING = (*FEED.tags, "WT_RET", "LT")
FILLERS = FEED.actuators
CIRCULATING = ("FT_FEED", "PT_FEED", "PT_RET", "PT_PERM", "TMP", "WT_RET", "RETENTATE", "LT", "SHEAR")
CIRCULATORS = ("P101_SP", "PCV101_SP")
FILTERING = ("WT_PERM", "FLUX", "CT", "TT", "XV102_FB")


async def fill(context: PhaseContext, key: str, inlet: str, volume_ml: float, flow: float) -> None:
    """Transfer a volume into the retentate vessel; the controller stops the pump itself by its totaliser."""
    target = await context.once(key, lambda: round(context.value("FQ_IN") + volume_ml, 2))
    await dosing.dose_to(context, FEED, target, flow, inlet)


async def fill_to_weight(context: PhaseContext, key: str, inlet: str, mass_g: float, flow: float) -> None:
    """Transfer a mass into the retentate vessel by its balance, the last of it slowly.

    Whatever happens to the engine, the controller's own totaliser stop bounds each part.
    """
    target = await context.once(key, lambda: round(context.value("WT_RET") + mass_g, 2))
    last = max(SLOW_PART_G, LAST_SHARE * mass_g)
    if target - context.value("WT_RET") > last + SLOW_PART_G:
        fast = (target - last - context.value("WT_RET")) / density(context.value("TT"))
        await fill(context, f"{key} fast", inlet, fast, flow)
        await context.for_seconds(REST_S, "the weight comes to rest")
    missing = target - context.value("WT_RET")
    if missing > ACCURACY_G:
        end = context.value("FQ_IN") + missing / density(context.value("TT")) + ACCURACY_G
        await dosing.bound(context, FEED, end)
        await dosing.select(context, FEED, inlet)
        await context.write(f"transfer the last {missing:.1f} g slowly", P102_SP=min(flow, SLOW_FLOW))
        await context.until_reaches("WT_RET", target - 0.1, 0.2, rising=True, show=dosing.flowing(context, FEED))
    await dosing.end(context, FEED)


async def circulate(context: PhaseContext, flow: float) -> None:
    """Bring the cross-flow to ``flow`` mL/min with the retentate valve open."""
    await context.write("retentate valve open, retentate back to the vessel", PCV101_SP=100.0, OUTLET="closed")
    await context.write(f"cross-flow {flow:g} mL/min", P101_SP=flow)
    await flow_comes_up(context, flow)


async def flow_comes_up(context: PhaseContext, flow: float) -> None:
    """Wait until the flow meter shows the cross-flow. Raises HoldRequiredError when it does not in time."""
    end = context.rooms.clock.now() + round(FLOW_WITHIN_S * NS)
    near = f"abs(FT_FEED - {flow:g} mL/min) < {max(20.0, FLOW_TOLERANCE * flow):g} mL/min"
    await context.until(near, unless=lambda: context.rooms.clock.now() >= end)
    reached = context.value("FT_FEED")
    if abs(reached - flow) > max(20.0, 2.0 * FLOW_TOLERANCE * flow):
        raise HoldRequiredError(f"the cross-flow does not come to {flow:g} mL/min (now {reached:.0f} mL/min)")


async def filter_at(context: PhaseContext, tmp_psi: float) -> None:
    """Open the permeate valve and hold the transmembrane pressure."""
    if context.reading("XV102_FB").value != 1.0:
        await context.write("open the permeate", XV102="open")
    context.start_loop(TMP_LOOP, tmp_psi)


async def end_filtering(context: PhaseContext) -> None:
    """Shut the permeate valve and open the retentate valve."""
    await context.write("shut the permeate", XV102="closed")
    context.stop_loop(TMP_LOOP)
    await context.write("retentate valve open", PCV101_SP=100.0)


async def rest(context: PhaseContext) -> None:
    """Stop the cross-flow."""
    await context.write("stop the cross-flow", P101_SP=0.0)


async def drain(context: PhaseContext, outlet: str, flow: float, key: str = "pushed out") -> None:
    """Pump the vessel empty through ``outlet``, and push the hold-up after it with air; ``key`` records it.

    Empty is what balance and level agree on, or what the level alone says for a while: a balance may have a new zero.
    """
    if key in context.progress:
        return
    hold_up = context.constant("hold_up", "mL")
    await context.write(f"outlet {outlet}", OUTLET=outlet, PCV101_SP=100.0)
    await context.write(f"pump out at {flow:g} mL/min", P101_SP=flow)
    dry = f"LT < {DRY_LEVEL:g} %v/v"
    await context.until(f"(RETENTATE < {EMPTY_G:g} g and LT < {LOW_LEVEL:g} %v/v) or ({dry} for {DRY_S:g} s)")
    await context.for_seconds(60.0 * hold_up / flow + 3.0, "air pushes the hold-up out")
    await context.record(key, True)
    await rest(context)
    await context.write("shut the outlet", OUTLET="closed")


async def spare_product(context: PhaseContext) -> None:
    """Let a person decide before anything is done to a vessel that holds product."""
    if context.rooms.image.text(f"{context.unit}.CONTENT") != "product" or "product given up" in context.progress:
        return
    grams = context.reading("WT_RET").value
    text = f"The vessel of {context.unit} holds product ({grams:.0f} g). Answer yes only if it is to be thrown away"
    await context.ask("product given up", PromptKind.CONFIRM, text)
    await context.record("product given up", True)
